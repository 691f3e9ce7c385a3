//! `appserver revoke`: refuses a user, a client, a ticket, a token or an issuer until a time, on all replicas.

mod row;

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::audit::outstanding::AuditedCaller;
use super::config_files::ConfigFiles;
use super::failure::{EXIT_CONFIG, EXIT_UNAVAILABLE, Failure};
use super::output::{note, say};
use super::runtime::block_on;
use super::still_out::{StillOutArgs, still_out};
use crate::config::{Mode, Problems, Settings};
use crate::revocation::{
    Reason, Revocation, RevocationList, Revoked, RevokedKind, SharedRevocations, write_row,
};
use crate::store::{Redis, Store, StoreSettings};
use crate::telemetry::{StoreMetrics, with_causes};
use appserver_domain::clock::{Clock, Stamp};
use row::rows;

/// There is nothing to undo.
const EXIT_NOTHING: u8 = 1;

#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    /// What NAME names
    #[arg(value_parser = kinds(), required_unless_present = "list", requires = "name")]
    kind: Option<RevokedKind>,
    /// ISSUER/SUBJECT of a user, the id of a client, the `TicketId` of a ticket, the `jti` of a token, or an issuer: a key of
    /// `issuers`
    name: Option<String>,
    #[command(flatten)]
    config: ConfigFiles,
    /// How long: 90s, 15m, 12h, 7d; at most 366 days
    #[arg(
        long = "for",
        value_name = "DURATION",
        value_parser = humantime::parse_duration,
        required_unless_present_any = ["until", "list", "undo", "audit"],
        conflicts_with = "until"
    )]
    lifetime: Option<std::time::Duration>,
    /// Until when, instead: 2016-01-13T14:02:37Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<DateTime<Utc>>,
    /// Why, for the audit and the log: at most 200 characters
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: Reason,
    /// Take the revocation back
    #[arg(long, conflicts_with_all = ["lifetime", "until", "list"])]
    undo: bool,
    /// Print what is revoked
    #[arg(long, conflicts_with_all = ["kind", "lifetime", "until"])]
    list: bool,
    #[command(flatten)]
    still_out: StillOutArgs,
}

fn kinds() -> impl TypedValueParser<Value = RevokedKind> {
    PossibleValuesParser::new(RevokedKind::ALL.map(RevokedKind::as_str))
        .map(|name| RevokedKind::named(&name).expect("it is one of them"))
}

fn time(text: &str) -> Result<DateTime<Utc>, &'static str> {
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    time.map_err(|_| "write a time with its offset, as 2016-01-13T14:02:37Z")
}

pub(super) fn revoke(args: &RevokeArgs) -> Result<(), Failure> {
    let (settings, clock) = (args.config.load(Mode::Production)?, Clock::system());
    let now = clock.now();
    let what = args.kind.zip(args.name.as_deref());
    let what = what.map(|(kind, name)| Revoked::parse(kind, name)).transpose();
    let what = what.map_err(|rule| Failure::new(EXIT_CONFIG, rule))?;
    let store = settings.store.read()?;
    let in_file = settings.read_revoked(now);
    match what {
        None => list(store, in_file?, clock),
        Some(what) => {
            let done = args.change(&settings, store, in_file, &what, &clock);
            if args.still_out.audit.is_empty() {
                return done;
            }
            // What is out is out although Redis does not answer, or the file has to be written by hand.
            let holder = holder(&what)?;
            let shown = still_out(&args.still_out, &settings, holder, args.undo, &clock);
            match (done, shown) {
                (Err(failure), Err(other)) => {
                    note(format_args!("appserver: {}", other.message));
                    Err(failure)
                }
                (done, shown) => done.and(shown),
            }
        }
    }
}

/// Whose lines of the audit are those of the revoked.
fn holder(what: &Revoked) -> Result<AuditedCaller, Failure> {
    Ok(match what {
        Revoked::User { issuer, subject } => {
            AuditedCaller::User { issuer: issuer.to_string(), subject: subject.to_string() }
        }
        Revoked::Client(client) => AuditedCaller::Client(client.to_string()),
        Revoked::Ticket(ticket) => AuditedCaller::Ticket(ticket.to_string()),
        Revoked::Issuer(issuer) => AuditedCaller::Issuer(issuer.to_string()),
        Revoked::Jti(_) => {
            let message = "the audit has no `jti`: look for what its user has, with `revoke user ISSUER/SUBJECT --audit FILE`";
            return Err(Failure::new(EXIT_CONFIG, message));
        }
    })
}

impl RevokeArgs {
    /// Revokes, or takes back. Without a time, `--audit` only looks.
    fn change(
        &self,
        settings: &Settings,
        store: StoreSettings,
        in_file: Result<RevocationList, Problems>,
        what: &Revoked,
        clock: &Clock,
    ) -> Result<(), Failure> {
        if self.undo {
            return undo(settings, store, &in_file?, what, clock.clone());
        }
        check_is_known(settings, what)?;
        if self.lifetime.is_none() && self.until.is_none() {
            return Ok(());
        }
        let revocation = self.revocation(what.clone(), clock.now())?;
        // A mistake in the file must not keep a caller from being revoked.
        put(settings, store, &revocation, clock.clone())
    }

    fn revocation(&self, what: Revoked, now: DateTime<Utc>) -> Result<Revocation, Failure> {
        let wrong = |problem: &dyn std::fmt::Display| Failure::new(EXIT_CONFIG, problem);
        let far = TimeDelta::MAX;
        let ends = |lifetime| {
            let lifetime = TimeDelta::from_std(lifetime).unwrap_or(far);
            now.checked_add_signed(lifetime).unwrap_or(DateTime::<Utc>::MAX_UTC)
        };
        let until = self.until.or_else(|| self.lifetime.map(ends)).unwrap_or(now);
        if until <= now {
            return Err(wrong(
                &"the revocation would have ended already: write a time in the future",
            ));
        }
        Revocation::new(what, until, self.reason.clone(), now).map_err(|problem| wrong(&problem))
    }
}

/// A name that the configuration does not have is nearly always a mistake, which would revoke nobody.
fn check_is_known(settings: &Settings, what: &Revoked) -> Result<(), Failure> {
    let rules = &settings.rules;
    let (noun, name, known): (_, &str, Vec<&str>) = match what {
        Revoked::Client(client) => {
            ("client", client.as_str(), rules.clients.iter().map(|(id, _)| id.as_str()).collect())
        }
        Revoked::User { issuer, .. } | Revoked::Issuer(issuer) => {
            ("issuer", issuer.as_str(), rules.issuers.iter().map(|one| one.id.as_str()).collect())
        }
        Revoked::Ticket(_) | Revoked::Jti(_) => return Ok(()),
    };
    if known.contains(&name) {
        return Ok(());
    }
    let known = match known.as_slice() {
        [] => "it has none".to_owned(),
        known => format!("it has {}", known.join(", ")),
    };
    Err(Failure::new(EXIT_CONFIG, format!("the configuration has no {noun} `{name}`: {known}")))
}

fn put(
    settings: &Settings,
    store: StoreSettings,
    revocation: &Revocation,
    clock: Clock,
) -> Result<(), Failure> {
    if matches!(store, StoreSettings::Memory) {
        say(write_row(revocation).trim_end())?;
        let to = match &settings.revoked {
            Some(file) => format!("`{}`", file.path().display()),
            None => "a file, and name it in the configuration: `[revoked] file = \"revoked.toml\"`"
                .to_owned(),
        };
        let why = "nothing is revoked yet: without Redis (`store.kind`) each replica reads a file";
        return Err(Failure::new(EXIT_CONFIG, format!("{why}. Add the lines above to {to}")));
    }
    let now = clock.now();
    let done = with_redis(store, clock, async |redis: &Redis| {
        SharedRevocations::put(redis, revocation, now).await
    })?;
    if !done {
        let most = RevocationList::MOST;
        let full = format!(
            "Redis has {most} revocations already: take some back, or write this one into `revoked.file`"
        );
        return Err(Failure::new(EXIT_UNAVAILABLE, full));
    }
    let (what, until) = (revocation.what(), Stamp::of(revocation.until()));
    say(format_args!(
        "{what} is revoked until {}; every replica that reaches Redis refuses it within a second.\n\
         Tokens, forms and URLs that were handed out before are valid to their own ends.",
        until.as_str()
    ))
}

fn undo(
    settings: &Settings,
    store: StoreSettings,
    in_file: &RevocationList,
    what: &Revoked,
    clock: Clock,
) -> Result<(), Failure> {
    let was_shared = match store {
        StoreSettings::Memory => false,
        StoreSettings::Redis(_) => with_redis(store, clock, async |redis: &Redis| {
            SharedRevocations::undo(redis, what).await
        })?,
    };
    if was_shared {
        say(format_args!("{what} is no longer revoked in Redis."))?;
    }
    match (&settings.revoked, in_file.get(what)) {
        (Some(file), Some(_)) => {
            let path = file.path().display();
            Err(Failure::new(EXIT_NOTHING, format!("{what} is in `{path}`: remove its row there")))
        }
        _ if was_shared => Ok(()),
        _ => Err(Failure::new(EXIT_NOTHING, format!("{what} is not revoked"))),
    }
}

fn list(store: StoreSettings, in_file: RevocationList, clock: Clock) -> Result<(), Failure> {
    let now = clock.now();
    let shared = match store {
        StoreSettings::Memory => Ok(RevocationList::default()),
        StoreSettings::Redis(_) => {
            with_redis(store, clock, async |redis: &Redis| SharedRevocations::all(redis).await)
        }
    };
    // What the file has is printed although Redis does not answer.
    let (shared, failure) = match shared {
        Ok(shared) => (shared, None),
        Err(failure) => (RevocationList::default(), Some(failure)),
    };
    let rows = rows(&[("file", &in_file), ("redis", &shared)], now);
    if rows.is_empty() && failure.is_none() {
        say("Nothing is revoked.")?;
    }
    rows.iter().try_for_each(say)?;
    failure.map_or(Ok(()), Err)
}

/// Does it on Redis; fails if Redis does not answer.
fn with_redis<T>(
    store: StoreSettings,
    clock: Clock,
    work: impl AsyncFnOnce(&Redis) -> Option<T>,
) -> Result<T, Failure> {
    block_on(async {
        let store = Store::open(store, clock, StoreMetrics::new()).await;
        let store = store.map_err(|error| Failure::new(EXIT_UNAVAILABLE, with_causes(&error)))?;
        let done = match store.shared() {
            Some(redis) => work(redis).await,
            None => None,
        };
        done.ok_or_else(|| {
            Failure::new(
                EXIT_UNAVAILABLE,
                "Redis does not answer (`store.redis.url`), so that its list can be neither read nor changed. The file of \
                 `revoked.file` works without it",
            )
        })
    })
}
