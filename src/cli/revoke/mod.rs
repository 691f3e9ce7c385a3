//! `appserver revoke`: refuses a user, a client, a ticket, a token or an issuer until a time, on all replicas.

mod readers;
mod row;
mod shared_change;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::audit::outstanding::AuditedCaller;
use super::config_files::ConfigFiles;
use super::failure::{EXIT_CONFIG, EXIT_UNAVAILABLE, Failure};
use super::output::{note, note_line, say, say_line};
use super::runtime::block_on;
use super::still_out::{StillOutArgs, check_audit_files, still_out};
use crate::config::{Mode, Problem, Problems, Settings, redis_addresses_key};
use crate::revocation::{
    ReadRevocations, Reason, Revocation, RevocationList, RevokeOutcome, Revoked, RevokedKind,
    SharedRevocations, write_row,
};
use crate::store::{Redis, Store, StoreSettings};
use crate::telemetry::{StoreMetrics, with_causes};
use appserver_domain::clock::{Clock, Stamp};
use row::rows;
use shared_change::{SharedRevoke, say_revoked, say_undone};

/// There is nothing to undo.
const EXIT_NOTHING: u8 = 1;
/// What is in Redis is not enforced by all replicas, or cannot be read.
const EXIT_NOT_ENFORCED: u8 = 1;

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
    if let Some(name) = &args.name
        && name.trim() != name
    {
        let message = format!(
            "the name `{name}` begins or ends with a space: leave it out; a subject that has one is revoked in `revoked.file`"
        );
        return Err(Failure::new(EXIT_CONFIG, message));
    }
    // What `--audit` cannot do is said before anything is changed.
    let holder = what.as_ref().filter(|_| !args.still_out.audit.is_empty());
    let holder = holder.map(holder_of).transpose()?;
    check_audit_files(&args.still_out.audit)?;
    let store = settings.store.read()?;
    let in_file = settings.read_revoked(now).map(|read| read.list);
    match what {
        None => list(store, in_file, clock),
        Some(what) => {
            let done = args.change(&settings, store, in_file, &what, &clock);
            // What is out is out although Redis does not answer, or the file has to be written by hand.
            let Some(holder) = holder else { return done };
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
fn holder_of(what: &Revoked) -> Result<AuditedCaller, Failure> {
    Ok(match what {
        Revoked::User { issuer, subject } => {
            AuditedCaller::User { issuer: issuer.to_string(), subject: subject.to_string() }
        }
        Revoked::Client(client) => AuditedCaller::Client(client.to_string()),
        Revoked::Ticket(ticket) => AuditedCaller::Ticket(ticket.to_string()),
        Revoked::Issuer(issuer) => AuditedCaller::Issuer(issuer.to_string()),
        Revoked::Jti(_) => {
            let message = "nothing was changed: the audit has no `jti`; look for what its user has, with `revoke user ISSUER/SUBJECT --audit FILE`";
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
            let may_have_ended = !self.still_out.audit.is_empty();
            return undo(settings, store, in_file, what, may_have_ended, clock.clone());
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
            let end = now.checked_add_signed(lifetime).and_then(|end| end.checked_add_signed(UP));
            end.unwrap_or(DateTime::<Utc>::MAX_UTC).trunc_subsecs(0)
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

/// What is added before a fraction of a second is cut, so that nothing ends earlier than was asked for.
const UP: TimeDelta = TimeDelta::nanoseconds(999_999_999);

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
    let (what, until) = (revocation.what(), revocation.until());
    let done = with_redis(store, clock, async |redis: &Redis| {
        shared_change::revoke(redis, revocation, now).await
    });
    let failure = match done {
        Ok(SharedRevoke::Changed(change)) => return say_revoked(revocation, change),
        Ok(SharedRevoke::Refused(RevokeOutcome::WouldShorten(held))) => {
            let (held, until) = (Stamp::of(held), Stamp::of(until));
            let message = format!(
                "{what} is revoked until {} already, and stays so: {} is earlier. To shorten it, take it back with --undo first",
                held.as_str(),
                until.as_str()
            );
            return Err(Failure::new(EXIT_CONFIG, message));
        }
        Ok(SharedRevoke::Refused(RevokeOutcome::Full | RevokeOutcome::Done)) => {
            let most = RevocationList::MOST;
            let full = format!("nothing is revoked yet: Redis has {most} revocations already");
            Failure::new(EXIT_UNAVAILABLE, full)
        }
        Err(failure) => failure,
    };
    say(write_row(revocation).trim_end())?;
    let way_out = match &settings.revoked {
        Some(file) => format!(
            "Until then add the lines above to `{}` of every replica, if `revoked.file` named it when the replica started",
            file.path().display()
        ),
        None => "The configuration names no `revoked.file`, which works without Redis: replicas read it only if it was named when \
                 they started, and one that restarts now, without Redis, forgets the revocations that Redis has"
            .to_owned(),
    };
    Err(Failure::new(failure.exit, format!("{}. {way_out}", failure.message)))
}

fn undo(
    settings: &Settings,
    store: StoreSettings,
    in_file: Result<RevocationList, Problems>,
    what: &Revoked,
    may_have_ended: bool,
    clock: Clock,
) -> Result<(), Failure> {
    let now = clock.now();
    let shared = match store {
        StoreSettings::Memory => None,
        StoreSettings::Redis(_) => with_redis(store, clock, async |redis: &Redis| {
            shared_change::undo(redis, what, now).await
        })?,
    };
    let was_shared = shared.is_some();
    let shared = shared.map_or(Ok(()), |change| say_undone(what, change));
    let (in_file, unread) = read_or_warn(in_file);
    if unread {
        let message = format!("{what} may still be revoked by that file: {FIX_FILE}");
        shared.unwrap_or_else(|failure| note_line(failure.message));
        return Err(Failure::new(EXIT_CONFIG, message));
    }
    match (&settings.revoked, in_file.get(what)) {
        (Some(file), Some(_)) => {
            shared.unwrap_or_else(|failure| note_line(failure.message));
            let path = file.path().display();
            Err(Failure::new(EXIT_NOTHING, format!("{what} is in `{path}`: remove its row there")))
        }
        _ if was_shared => shared,
        _ if may_have_ended => say_line(format_args!("{what} is not revoked (any more).")),
        _ => Err(Failure::new(EXIT_NOTHING, format!("{what} is not revoked"))),
    }
}

fn list(
    store: StoreSettings,
    in_file: Result<RevocationList, Problems>,
    clock: Clock,
) -> Result<(), Failure> {
    let now = clock.now();
    let shared = match store {
        StoreSettings::Memory => Ok(None),
        StoreSettings::Redis(_) => with_redis(store, clock, async |redis: &Redis| {
            Some(Some((
                SharedRevocations::all(redis, now).await?,
                redis.revocation_readers().await?,
            )))
        }),
    };
    // What the file has is printed although Redis does not answer.
    let (shared, readers, failure) = match shared {
        Ok(Some((shared, readers))) => (shared, Some(readers), None),
        Ok(None) => (ReadRevocations::default(), None, None),
        Err(failure) => (ReadRevocations::default(), None, Some(failure)),
    };
    // And what Redis has, although the file cannot be read.
    let (in_file, unread) = read_or_warn(in_file);
    let rows = rows(&[("this machine's file", &in_file), ("redis", &shared.list)], now);
    if rows.is_empty() && failure.is_none() && shared.unreadable == 0 && !unread {
        say("Nothing is revoked.")?;
    }
    rows.iter().try_for_each(say_line)?;
    if readers.is_some_and(|readers| readers.replicas.is_empty()) {
        note(format_args!("warning: {}", readers::NOBODY_READS));
    }
    if shared.unreadable > 0 {
        let message = format!(
            "Redis has {} more that cannot be decrypted with this configuration's keys, or are of a newer version: compare \
             `store.redis.encryption_key_file` with that of the replicas, which enforce only what they can decrypt",
            shared.unreadable
        );
        return Err(Failure::new(EXIT_NOT_ENFORCED, message));
    }
    match failure {
        Some(failure) => Err(failure),
        None if unread => {
            let message = format!("what that file revokes is not in this list: {FIX_FILE}");
            Err(Failure::new(EXIT_CONFIG, message))
        }
        None => Ok(()),
    }
}

/// The way out of a file that cannot be read.
const FIX_FILE: &str = "correct the file, and run the command again";

/// The list of the file, and whether it could not be read, of which this warns. Then the list is empty.
fn read_or_warn(in_file: Result<RevocationList, Problems>) -> (RevocationList, bool) {
    match in_file {
        Ok(list) => (list, false),
        Err(problems) => {
            for Problem { path, message } in problems.iter() {
                note_line(format_args!("warning: {path}: {message}"));
            }
            (RevocationList::default(), true)
        }
    }
}

/// Does it on Redis; fails if Redis does not answer.
fn with_redis<T>(
    store: StoreSettings,
    clock: Clock,
    work: impl AsyncFnOnce(&Redis) -> Option<T>,
) -> Result<T, Failure> {
    block_on(async {
        let key = match &store {
            StoreSettings::Redis(redis) => redis_addresses_key(&redis.topology),
            StoreSettings::Memory => "store.kind",
        };
        let store = Store::open(store, clock, StoreMetrics::new()).await;
        let store = store.map_err(|error| Failure::new(EXIT_UNAVAILABLE, with_causes(&error)))?;
        let done = match store.shared() {
            Some(redis) => work(redis).await,
            None => None,
        };
        done.ok_or_else(|| {
            let cause = match store.refusal() {
                Some(refusal) => format!(
                    "Redis refuses the user of `store.redis` ({refusal}; `appserver doctor` says what it lacks)"
                ),
                None => format!("Redis does not answer (`{key}`)"),
            };
            Failure::new(
                EXIT_UNAVAILABLE,
                format!("{cause}, so that its list can be neither read nor changed"),
            )
        })
    })
}
