//! `appserver audit find`.

pub(super) mod entry;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz_audit;
mod lines;
mod listed;
pub(super) mod outstanding;
mod policies;
mod time_bound;
mod token;
mod undelivered;

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::config_files::ConfigFiles;
use super::failure::{EXIT_CONFIG, Failure};
use super::output::{note, written};
use crate::audit::UserNames;
use crate::config::Mode;
use crate::telemetry::escaped;
use appserver_domain::clock::Clock;
use appserver_domain::{ClientId, GrantName, IssuerName};
use entry::Entry;
use lines::{LineKind, Lines};
use listed::Listed;
use time_bound::TimeBound;
use token::Token;
use undelivered::Undelivered;

/// Nothing was found, as with grep.
const EXIT_NOTHING: u8 = 1;

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Find decisions in audit files: who got which token, when, from where, and with which policy; the exit code is 1 if
    /// there is none
    Find(FindArgs),
}

#[derive(Debug, Args)]
pub(super) struct FindArgs {
    /// Audit files, including rotated and compressed ones, in any order; - is standard input
    #[arg(required = true, value_name = "FILES")]
    audit_files: Vec<PathBuf>,
    /// Everything about one token, by its `AccessKeyId` as ActionTrail and OSS's logs name it
    #[arg(long, value_name = "STS.…")]
    access_key_id: Option<String>,
    /// Only this user; with `--config`, also in lines whose subjects are hashed
    #[arg(long)]
    subject: Option<String>,
    /// Only users of this issuer, a key of `issuers`
    #[arg(long)]
    issuer: Option<IssuerName>,
    /// Only this client
    #[arg(long)]
    client: Option<ClientId>,
    /// Only this grant
    #[arg(long)]
    grant: Option<GrantName>,
    /// Only forms, URLs and reported uploads of the object of this key: who may have written it; with `--config`, also in lines
    /// whose keys are hashed
    #[arg(long)]
    key: Option<String>,
    /// Only the form of this upload, and what became of it
    #[arg(long, value_name = "ID")]
    upload_id: Option<String>,
    /// Only uploads that OSS reported and that the app's backend does not have, each by its last line
    #[arg(long, conflicts_with = "access_key_id")]
    undelivered: bool,
    /// Only this caller's address, which a trusted proxy may have reported
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
    /// Only the decision of this request
    #[arg(long)]
    request_id: Option<String>,
    /// From this time on: 2016-01-13T14:02:37Z, or an age: 90s, 15m, 2h, 7d, 1h 30m
    #[arg(long, value_name = "TIME")]
    since: Option<TimeBound>,
    /// Up to this time, in the same forms
    #[arg(long, value_name = "TIME")]
    until: Option<TimeBound>,
    /// Print the lines with their original values, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFiles,
}

/// The output format.
enum Report {
    Raw,
    Undelivered(Undelivered),
    Token(Box<Token>),
    Listed(Box<Listed>),
}

/// The side on which I/O failed.
enum IoFailure {
    Reading(io::Error),
    Writing(io::Error),
}

/// `?` is used for writing to standard output.
impl From<io::Error> for IoFailure {
    fn from(error: io::Error) -> Self {
        Self::Writing(error)
    }
}

pub(super) fn run(command: AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Find(args) => find(&args),
    }
}

fn find(args: &FindArgs) -> Result<(), Failure> {
    let names = args.names()?;
    let now = Clock::system().now();
    let [since, until] =
        [&args.since, &args.until].map(|bound| bound.as_ref().map(|bound| bound.resolve(now)));
    let mut report = match &args.access_key_id {
        _ if args.undelivered => Report::Undelivered(Undelivered::default()),
        _ if args.json => Report::Raw,
        Some(id) => Report::Token(Box::new(Token::new(id.clone()))),
        None => Report::Listed(Box::default()),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (mut found, mut wrong) = (false, Vec::new());
    let mut search = || -> Result<(), IoFailure> {
        let mut lines = Lines::of(&args.audit_files).map_err(IoFailure::Reading)?;
        while let Some(line) = lines.next() {
            let line = line.map_err(IoFailure::Reading)?;
            let read = line.read();
            lines.note(&read);
            let LineKind::Audit(entry, text) = read else { continue };
            // A line that does not match may have the policy of a token that does.
            match &mut report {
                Report::Raw | Report::Undelivered(_) => {}
                Report::Token(token) => token.policies.remember(&entry),
                Report::Listed(listed) => listed.policies.remember(&entry),
            }
            let is_in_time = since.is_none_or(|since| entry.last.unwrap_or(entry.time) >= since)
                && until.is_none_or(|until| entry.time <= until);
            let matches = is_in_time && args.wants(&entry, &names);
            if let Report::Undelivered(uploads) = &mut report {
                uploads.note(&entry, matches, args.json.then_some(text))?;
                continue;
            }
            if !matches {
                continue;
            }
            found = true;
            match &mut report {
                // Noted above.
                Report::Undelivered(_) => {}
                Report::Raw => writeln!(out, "{}", escaped(text))?,
                Report::Token(token) => token.note(&entry),
                Report::Listed(listed) => listed.write(&mut out, &entry)?,
            }
        }
        match &report {
            Report::Undelivered(uploads) => {
                found = !uploads.is_empty();
                uploads.write(&mut out)?;
            }
            Report::Token(token) if found => token.write(&mut out)?,
            Report::Listed(listed) if found => listed.policies.write(&mut out)?,
            Report::Raw | Report::Token(_) | Report::Listed(_) => {}
        }
        wrong.extend_from_slice(lines.wrong());
        Ok(out.flush()?)
    };
    match search() {
        // No file is an audit file.
        Ok(()) if wrong.len() == args.audit_files.len() => {
            Err(Failure::new(EXIT_CONFIG, wrong.join("\n")))
        }
        Ok(()) => {
            wrong.iter().for_each(note);
            let nothing = match &report {
                Report::Undelivered(uploads) => uploads.nothing(),
                Report::Raw | Report::Token(_) | Report::Listed(_) => {
                    "there is no such decision in these files"
                }
            };
            found.then_some(()).ok_or_else(|| Failure::new(EXIT_NOTHING, nothing))
        }
        Err(IoFailure::Writing(error)) => written(Err(error)),
        Err(IoFailure::Reading(error)) => Err(Failure::new(EXIT_CONFIG, error)),
    }
}

impl FindArgs {
    /// How lines may name users: as the command line does or, with a configuration that has a key, by hashes too.
    fn names(&self) -> Result<UserNames, Failure> {
        if self.config.files.is_empty() {
            return Ok(UserNames::Plain);
        }
        // No server is started with it: the demo's is as good as another.
        Ok(self.config.load(Mode::Demo)?.audit_names.read()?)
    }

    fn wants(&self, entry: &Entry<'_>, names: &UserNames) -> bool {
        // Lines from before names were hashed have them as they are.
        let subject = self.subject.as_deref().is_none_or(|wanted| {
            let there = entry.subject.as_deref();
            there == Some(wanted) || there == Some(&*names.subject(entry.issuer.as_deref(), wanted))
        });
        let key = self.key.as_deref().is_none_or(|wanted| {
            let there = entry.key.as_deref();
            there == Some(wanted) || there == Some(&*names.key(wanted))
        });
        let is = |wanted: Option<&str>, there: Option<&str>| wanted.is_none() || wanted == there;
        is(self.access_key_id.as_deref(), entry.sts_access_key_id.as_deref())
            && subject
            && is(self.issuer.as_ref().map(IssuerName::as_str), entry.issuer.as_deref())
            && is(self.client.as_ref().map(ClientId::as_str), entry.client.as_deref())
            && is(self.grant.as_ref().map(GrantName::as_str), entry.grant.as_deref())
            && key
            && is(self.upload_id.as_deref(), entry.upload_id.as_deref())
            && self.address.is_none_or(|wanted| {
                entry.address().and_then(|address| address.parse().ok()) == Some(wanted)
            })
            && is(self.request_id.as_deref(), entry.request_id.as_deref())
    }
}
