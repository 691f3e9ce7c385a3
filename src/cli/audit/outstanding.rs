//! What was handed out to one caller and has not expired, by the lines of an audit.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::entry::Entry;
use super::lines::{LineKind, Lines};
use crate::audit::UserNames;

/// The replicas that are named; more are counted.
const NAMED_INSTANCES: usize = 100;

/// Whose tokens, forms and URLs are looked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cli) enum AuditedCaller {
    User { issuer: String, subject: String },
    Client(String),
    Ticket(String),
    Issuer(String),
}

/// A role session, as the audit names it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::cli) struct AuditedSession {
    pub(in crate::cli) role: String,
    pub(in crate::cli) name: String,
}

/// The tokens of one session that the holder has.
#[derive(Debug, Default)]
pub(in crate::cli) struct HeldTokens {
    /// By AccessKey, with their ends: one token is handed out many times.
    tokens: HashMap<String, DateTime<Utc>>,
    pub(in crate::cli) grants: BTreeSet<String>,
    /// Whether all of them were for a user, and not for the client alone.
    pub(in crate::cli) of_users: bool,
}

/// What a session signed for the holder. The session signs for all callers of its grant.
#[derive(Debug, Default)]
pub(in crate::cli) struct HeldSignatures {
    pub(in crate::cli) forms: u64,
    pub(in crate::cli) urls: u64,
    pub(in crate::cli) until: DateTime<Utc>,
    pub(in crate::cli) grants: BTreeSet<String>,
}

/// The lines that are looked at to see whether a file is an audit file.
const PROBED_LINES: usize = 1_000;

/// Whether a file begins with lines that are none of an audit, and has no audit line before them. A pipe, which can be read only
/// once, is opened and not read.
pub(in crate::cli) fn is_no_audit_file(path: &Path) -> io::Result<bool> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() && !metadata.is_dir() {
        return std::fs::File::open(path).map(|_| false);
    }
    let mut is_wrong = false;
    for line in Lines::of(&[path.to_owned()])?.take(PROBED_LINES) {
        match line?.read() {
            LineKind::Audit(..) => return Ok(false),
            LineKind::Other => {}
            LineKind::Unreadable => is_wrong = true,
        }
    }
    Ok(is_wrong)
}

/// What is out for one holder.
#[derive(Debug)]
pub(in crate::cli) struct Outstanding {
    holder: AuditedCaller,
    names: UserNames,
    /// What has ended by then does not count.
    after: DateTime<Utc>,
    pub(in crate::cli) tokens: BTreeMap<AuditedSession, HeldTokens>,
    pub(in crate::cli) signatures: BTreeMap<AuditedSession, HeldSignatures>,
    /// Hashes of the sessions of which others have tokens: there can be millions.
    of_others: HashSet<u64>,
    /// The first and the last line.
    pub(in crate::cli) seen: Option<(DateTime<Utc>, DateTime<Utc>)>,
    pub(in crate::cli) instances: BTreeSet<String>,
    /// Lines of hashed users of the issuer, of which the key is not known here.
    pub(in crate::cli) unmatched: u64,
    /// Files that are no audit files.
    pub(in crate::cli) wrong: Vec<String>,
}

impl HeldTokens {
    pub(in crate::cli) fn count(&self) -> usize {
        self.tokens.len()
    }

    /// The end of the last one.
    pub(in crate::cli) fn until(&self) -> DateTime<Utc> {
        self.tokens.values().max().copied().unwrap_or_default()
    }
}

impl AuditedCaller {
    /// Lines may have users' names, or hashes of them.
    fn is(&self, entry: &Entry<'_>, names: &UserNames) -> bool {
        let is = |wanted: &str, there: &Option<Cow<'_, str>>| there.as_deref() == Some(wanted);
        match self {
            Self::User { issuer, subject } => {
                let is_named = is(subject, &entry.subject)
                    || is(&names.subject(Some(issuer), subject), &entry.subject);
                is_named && is(issuer, &entry.issuer)
            }
            Self::Client(client) => is(client, &entry.client),
            Self::Ticket(ticket) => is(ticket, &entry.ticket),
            Self::Issuer(issuer) => is(issuer, &entry.issuer),
        }
    }
}

impl Outstanding {
    /// What of the holder ends after a time, without any line so far.
    pub(in crate::cli) fn of(
        holder: AuditedCaller,
        names: UserNames,
        after: DateTime<Utc>,
    ) -> Self {
        Self {
            holder,
            names,
            after,
            tokens: BTreeMap::new(),
            signatures: BTreeMap::new(),
            of_others: HashSet::new(),
            seen: None,
            instances: BTreeSet::new(),
            unmatched: 0,
            wrong: Vec::new(),
        }
    }

    /// Reads all files.
    pub(in crate::cli) fn read(mut self, files: &[PathBuf]) -> io::Result<Self> {
        let mut lines = Lines::of(files)?;
        while let Some(line) = lines.next() {
            let line = line?;
            let kind = line.read();
            lines.note(&kind);
            if let LineKind::Audit(entry, _) = kind {
                self.note(&entry);
            }
        }
        self.wrong = lines.wrong().to_vec();
        Ok(self)
    }

    fn note(&mut self, entry: &Entry<'_>) {
        let (first, last) = self.seen.unwrap_or((entry.time, entry.time));
        self.seen = Some((first.min(entry.time), last.max(entry.time)));
        if let Some(instance) = entry.instance.as_deref()
            && !self.instances.contains(instance)
            && self.instances.len() < NAMED_INSTANCES
        {
            self.instances.insert(instance.to_owned());
        }
        if entry.event.as_deref() == Some("Uploaded") {
            return;
        }
        let (Some(role), Some(name)) = (&entry.role, &entry.session_name) else { return };
        if entry.code != "Success" {
            return;
        }
        if let AuditedCaller::User { issuer, .. } = &self.holder
            && self.names.are_plain()
            && entry.issuer.as_deref() == Some(issuer)
            && entry.subject.as_deref().is_some_and(UserNames::is_hashed)
        {
            self.unmatched += 1;
        }
        let session = AuditedSession { role: role.to_string(), name: name.to_string() };
        let end = |text: &Option<Cow<'_, str>>| {
            let time = DateTime::parse_from_rfc3339(text.as_deref()?).ok()?.to_utc();
            (time > self.after).then_some(time)
        };
        let grant = || entry.grant.as_deref().map(str::to_owned);
        // Of a signature the members are the object's, too.
        if entry.key.is_some() {
            let Some(until) = end(&entry.expires_at).filter(|_| self.holder.is(entry, &self.names))
            else {
                return;
            };
            let held = self.signatures.entry(session).or_default();
            let count = if entry.method.is_some() { &mut held.urls } else { &mut held.forms };
            *count += 1;
            held.until = held.until.max(until);
            held.grants.extend(grant());
        } else if let (Some(id), Some(until)) = (&entry.sts_access_key_id, end(&entry.expiration)) {
            if !self.holder.is(entry, &self.names) {
                self.of_others.insert(hash(&session));
                return;
            }
            let of_users = entry.subject.is_some();
            let held = self
                .tokens
                .entry(session)
                .or_insert_with(|| HeldTokens { of_users, ..HeldTokens::default() });
            held.tokens.insert(id.to_string(), until);
            held.grants.extend(grant());
            held.of_users &= of_users;
        }
    }

    pub(in crate::cli) fn holder(&self) -> &AuditedCaller {
        &self.holder
    }

    /// Whether others have tokens of the session, too.
    pub(in crate::cli) fn others_have(&self, session: &AuditedSession) -> bool {
        self.of_others.contains(&hash(session))
    }

    /// Whether nothing of the holder was found.
    pub(in crate::cli) fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.signatures.is_empty()
    }

    /// Whether none of the files is an audit file.
    pub(in crate::cli) fn is_unread(&self, files: &[PathBuf]) -> bool {
        self.wrong.len() == files.len()
    }
}

fn hash(session: &AuditedSession) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&session.role, &session.name).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "acs:ram::11223344:role/oss-readwrite";

    /// A line of a token; `who` are more members.
    fn token(who: &str, session: &str, id: &str, until: &str) -> String {
        format!(
            r#"{{"Time":"2016-01-13T14:00:00.000Z","Event":"Token","Decision":"Vended","Code":"Success",{who},"Grant":"my-photos","Role":"{ROLE}","SessionName":"{session}","StsAccessKeyId":"{id}","Expiration":"2016-01-13T{until}Z","Instance":"replica-1"}}"#
        )
    }

    const ALICE: &str = r#""Client":"photo-app","Issuer":"company","Subject":"alice""#;
    const BOB: &str = r#""Client":"photo-app","Issuer":"company","Subject":"bob""#;

    fn outstanding(holder: AuditedCaller, lines: &[String]) -> Outstanding {
        let mut found =
            Outstanding::of(holder, UserNames::Plain, "2016-01-13T14:30:00Z".parse().unwrap());
        for line in lines {
            found.note(&serde_json::from_str(line).unwrap());
        }
        found
    }

    fn user(issuer: &str, subject: &str) -> AuditedCaller {
        AuditedCaller::User { issuer: issuer.to_owned(), subject: subject.to_owned() }
    }

    /// `alice: 2 until 15:10`
    fn summary(found: &Outstanding) -> Vec<String> {
        let tokens = found.tokens.iter().map(|(session, held)| {
            let shared = if found.others_have(session) { ", shared" } else { "" };
            format!("{}: {} until {}{shared}", session.name, held.count(), held.until().time())
        });
        let signatures = found.signatures.iter().map(|(session, held)| {
            let HeldSignatures { forms, urls, until, .. } = held;
            format!("{}: {forms} forms, {urls} URLs until {}", session.name, until.time())
        });
        tokens.chain(signatures).collect()
    }

    #[test]
    fn a_token_that_was_handed_out_many_times_counts_once_and_an_expired_one_not_at_all() {
        let lines = [
            token(ALICE, "photo-app.alice", "STS.1", "15:00:00"),
            token(ALICE, "photo-app.alice", "STS.1", "15:00:00"),
            token(ALICE, "photo-app.alice", "STS.2", "15:10:00"),
            token(ALICE, "photo-app.alice", "STS.0", "14:30:00"),
            token(ALICE, "other.alice", "STS.3", "14:10:00"),
            token(BOB, "photo-app.bob", "STS.4", "15:00:00"),
        ];
        let found = outstanding(user("company", "alice"), &lines);
        assert_eq!(summary(&found), ["photo-app.alice: 2 until 15:10:00"]);
        assert_eq!(found.instances, BTreeSet::from(["replica-1".to_owned()]));
    }

    #[test]
    fn a_hashed_user_is_counted_as_unmatched_without_the_key() {
        let hashed = ALICE.replace("alice", "hmac:00ff");
        let lines = [token(&hashed, "hmac:11ff", "STS.1", "15:00:00")];
        let unmatched = |holder| outstanding(holder, &lines).unmatched;
        assert_eq!(unmatched(user("company", "alice")), 1);
        assert_eq!(unmatched(user("partner", "alice")), 0);
        assert_eq!(unmatched(AuditedCaller::Client("photo-app".to_owned())), 0);
    }

    #[test]
    fn each_kind_of_holder_has_its_own_lines() {
        let by_ticket = format!(r#"{ALICE},"Ticket":"00ff00ff00ff00ff""#);
        let other_issuer = ALICE.replace("company", "partner");
        let other_client = ALICE.replace("photo-app", "other-app");
        let lines = [
            token(&by_ticket, "1-ticket", "STS.1", "15:00:00"),
            token(BOB, "2-bob", "STS.2", "15:00:00"),
            token(&other_issuer, "3-partner", "STS.3", "15:00:00"),
            token(&other_client, "4-client", "STS.4", "15:00:00"),
            token(r#""Client":"photo-app""#, "5-nobody", "STS.5", "15:00:00"),
        ];
        let sessions = |holder| {
            let found = outstanding(holder, &lines);
            found.tokens.keys().map(|session| session.name[..1].to_owned()).collect::<String>()
        };
        assert_eq!(sessions(user("company", "alice")), "14");
        assert_eq!(sessions(AuditedCaller::Client("photo-app".to_owned())), "1235");
        assert_eq!(sessions(AuditedCaller::Ticket("00ff00ff00ff00ff".to_owned())), "1");
        assert_eq!(sessions(AuditedCaller::Issuer("company".to_owned())), "124");
    }

    #[test]
    fn a_session_of_which_others_have_live_tokens_is_shared() {
        let lines = [
            token(BOB, "photo-app", "STS.1", "15:00:00"),
            token(ALICE, "photo-app", "STS.1", "15:00:00"),
            token(ALICE, "once-shared", "STS.2", "15:00:00"),
            token(BOB, "once-shared", "STS.0", "14:29:00"),
        ];
        let found = outstanding(user("company", "alice"), &lines);
        let expected = ["once-shared: 1 until 15:00:00", "photo-app: 1 until 15:00:00, shared"];
        assert_eq!(summary(&found), expected);
    }

    #[test]
    fn forms_and_urls_are_counted_with_the_session_that_signed_them() {
        let signed = |who: &str, event: &str, method: &str, until: &str| {
            format!(
                r#"{{"Time":"2016-01-13T14:00:00.000Z","Event":"{event}","Decision":"Issued","Code":"Success",{who},"Grant":"my-photos",{method}"Bucket":"b","Key":"k","Role":"{ROLE}","SessionName":"grant@my-photos","StsAccessKeyId":"STS.9","ExpiresAt":"2016-01-13T{until}Z"}}"#
            )
        };
        let refused = signed(ALICE, "Url", r#""Method":"GET","#, "15:00:00");
        let lines = [
            signed(ALICE, "Upload", "", "14:40:00"),
            signed(ALICE, "Url", r#""Method":"GET","#, "14:35:00"),
            signed(ALICE, "Url", r#""Method":"GET","#, "14:20:00"),
            signed(BOB, "Upload", "", "14:50:00"),
            refused.replace("Success", "Forbidden.Policy"),
        ];
        let found = outstanding(user("company", "alice"), &lines);
        assert_eq!(summary(&found), ["grant@my-photos: 1 forms, 1 URLs until 14:40:00"]);
    }
}
