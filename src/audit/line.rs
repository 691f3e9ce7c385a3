//! One line: who asked, from where, what was decided, and what the token is.
//!
//! Written by hand, like the answer itself: ids, names and times hold nothing that JSON escapes, and what is the same
//! in all lines of a token is written once. Everything else is escaped.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use appserver_domain::clock::Stamp;
use appserver_domain::{Credentials, RoleArn, SessionName};

/// What was decided about. Whatever else comes to hand something out becomes a further one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    Token,
    /// A URL that vends tokens for a while.
    Ticket,
}

impl Event {
    fn as_str(self) -> &'static str {
        match self {
            Self::Token => "Token",
            Self::Ticket => "Ticket",
        }
    }
}

/// Where a token came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// It was kept here, and fresh.
    Cached,
    /// From STS: this request called, or waited for the call.
    Minted,
    /// Another replica had it.
    Shared,
    /// It was kept here, no longer fresh, and there was no other.
    Stale,
}

impl Source {
    fn as_str(self) -> &'static str {
        match self {
            Self::Cached => "Cached",
            Self::Minted => "Minted",
            Self::Shared => "Shared",
            Self::Stale => "Stale",
        }
    }
}

/// A request, as far as it is known. The names are checked ones: they need no escapes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) time: DateTime<Utc>,
    pub(crate) id: &'a str,
    pub(crate) event: Event,
    pub(crate) peer: &'a str,
    /// The caller's own, which a trusted proxy may have said.
    pub(crate) address: &'a str,
    pub(crate) client: Option<&'a str>,
    pub(crate) authenticated_by: Option<&'static str>,
    /// Who vouches for the subject.
    pub(crate) issuer: Option<&'a str>,
    pub(crate) subject: Option<&'a str>,
    pub(crate) grant: Option<&'a str>,
    /// The name of the ticket that is made or shown; never the ticket.
    pub(crate) ticket: Option<&'a str>,
    /// Whether a line is on its way that says that it was handed something.
    pub(crate) is_granted: &'a AtomicBool,
}

/// What was decided.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Decision<'a> {
    /// The caller has the token.
    Vended { source: Source, token: &'a TokenFields },
    /// The caller has the ticket.
    Issued { expires: DateTime<Utc> },
    /// The caller may not, or did not ask well.
    Refused(Why<'a>),
    /// We, or STS, could not.
    Failed(Why<'a>),
}

/// Why there is no token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Why<'a> {
    /// The answer's `Code`.
    pub(crate) code: &'a str,
    /// What the log says.
    pub(crate) reason: &'a str,
    /// By [`session_fields`], where it came so far.
    pub(crate) sought: Option<&'a str>,
}

/// The members that all lines of one token share.
#[derive(Debug)]
pub(crate) struct TokenFields {
    members: String,
    /// In which of the audit's files its policy was told last. Only the writer knows one from another.
    told_for: AtomicU64,
}

impl TokenFields {
    pub(crate) fn new(sought: String, credentials: &Credentials) -> Self {
        let mut members = sought;
        member(&mut members, r#","StsAccessKeyId":""#, credentials.access_key_id());
        if let Some(id) = credentials.sts_request_id() {
            member(&mut members, r#","StsRequestId":""#, id);
        }
        member(&mut members, r#","Expiration":""#, Stamp::of(credentials.expiration()).as_str());
        Self { members, told_for: AtomicU64::new(0) }
    }

    /// Whether this file has not been told yet what the token may do.
    pub(super) fn is_untold(&self, file: u64) -> bool {
        self.told_for.load(Ordering::Relaxed) != file
    }

    pub(super) fn told(&self, file: u64) {
        self.told_for.store(file, Ordering::Relaxed);
    }
}

/// The members that say what STS was asked for. The policy is named by its hash: it is the same for many tokens.
pub(crate) fn session_fields(role: &RoleArn, session_name: &SessionName, policy: &str) -> String {
    let mut members = String::with_capacity(512);
    member(&mut members, r#","Role":""#, role.as_str());
    member(&mut members, r#","SessionName":""#, session_name.as_str());
    member(&mut members, r#","PolicySha256":""#, &hex::encode(Sha256::digest(policy)));
    members
}

/// What a token may do, for [`insert`].
pub(super) fn policy(text: &str) -> String {
    let mut members = String::with_capacity(text.len() * 5 / 4);
    member(&mut members, r#","Policy":""#, text);
    members
}

/// How many a line stands for, for [`insert`].
pub(super) fn many(count: u64, first: DateTime<Utc>, last: DateTime<Utc>) -> String {
    let [first, last] = [first, last].map(Stamp::of);
    format!(r#","Count":{count},"First":"{}","Last":"{}""#, first.as_str(), last.as_str())
}

/// Appends the line with these members at its end, where its tail of this length begins.
pub(super) fn insert(lines: &mut Vec<u8>, line: &[u8], members: &str, tail: usize) {
    let (line, tail) = line.split_at(line.len() - tail);
    lines.extend_from_slice(line);
    lines.extend_from_slice(members.as_bytes());
    lines.extend_from_slice(tail);
}

/// A line that stands for requests of many kinds: it says nothing that is true of one of them alone.
pub(super) fn written_of_many(
    request: &Request<'_>,
    decision: &Decision<'_>,
    tail: &str,
) -> String {
    let of_many = Request {
        peer: "",
        address: "",
        client: None,
        authenticated_by: None,
        issuer: None,
        subject: None,
        grant: None,
        ticket: None,
        ..*request
    };
    let why = Why { code: "Various", reason: "more kinds than are told apart", sought: None };
    let decision = match decision {
        Decision::Failed(_) => Decision::Failed(why),
        Decision::Vended { .. } | Decision::Issued { .. } | Decision::Refused(_) => {
            Decision::Refused(why)
        }
    };
    written(&of_many, &decision, tail)
}

/// The whole line. `tail` names the replica, and ends it.
pub(super) fn written(request: &Request<'_>, decision: &Decision<'_>, tail: &str) -> String {
    let mut line = String::with_capacity(1024);
    line.push_str(r#"{"Time":""#);
    line.push_str(Stamp::of(request.time).as_str().trim_end_matches('Z'));
    let millis = request.time.timestamp_subsec_millis().min(999);
    let digit = |tens: u32| b'0' + (millis / tens % 10) as u8;
    let millis = [b'.', digit(100), digit(10), digit(1), b'Z', b'"'];
    line.push_str(std::str::from_utf8(&millis).expect("digits and signs are ASCII"));
    plain(&mut line, r#","RequestId":""#, request.id);
    plain(&mut line, r#","Event":""#, request.event.as_str());
    match decision {
        Decision::Vended { .. } => line.push_str(r#","Decision":"Vended","Code":"Success""#),
        Decision::Issued { .. } => line.push_str(r#","Decision":"Issued","Code":"Success""#),
        Decision::Refused(Why { code, .. }) => {
            line.push_str(r#","Decision":"Refused""#);
            member(&mut line, r#","Code":""#, code);
        }
        Decision::Failed(Why { code, .. }) => {
            line.push_str(r#","Decision":"Failed""#);
            member(&mut line, r#","Code":""#, code);
        }
    }
    if let Some(client) = request.client {
        plain(&mut line, r#","Client":""#, client);
    }
    if let Some(method) = request.authenticated_by {
        plain(&mut line, r#","AuthenticatedBy":""#, method);
    }
    if let Some(grant) = request.grant {
        plain(&mut line, r#","Grant":""#, grant);
    }
    if let Some(issuer) = request.issuer {
        plain(&mut line, r#","Issuer":""#, issuer);
    }
    if let Some(subject) = request.subject {
        member(&mut line, r#","Subject":""#, subject);
    }
    if let Some(ticket) = request.ticket {
        plain(&mut line, r#","Ticket":""#, ticket);
    }
    if !request.peer.is_empty() {
        plain(&mut line, r#","Peer":""#, request.peer);
        plain(&mut line, r#","Address":""#, request.address);
    }
    match decision {
        Decision::Vended { source, token } => {
            plain(&mut line, r#","Source":""#, source.as_str());
            line.push_str(&token.members);
        }
        Decision::Issued { expires } => {
            plain(&mut line, r#","Expiration":""#, Stamp::of(*expires).as_str());
        }
        Decision::Refused(why) | Decision::Failed(why) => {
            member(&mut line, r#","Reason":""#, why.reason);
            line.push_str(why.sought.unwrap_or_default());
        }
    }
    line.push_str(tail);
    line
}

/// What every line ends in.
pub(super) fn tail(instance: &str) -> String {
    let mut tail = String::new();
    if !instance.is_empty() {
        member(&mut tail, r#","Instance":""#, instance);
    }
    tail + "}\n"
}

/// A member behind others, its text any text. Its name comes with all that stands before the text.
fn member(line: &mut String, name: &str, text: &str) {
    let escaped = |b: u8| b < b' ' || b == b'"' || b == b'\\';
    // All bytes at once first: that is a few vector instructions, and nearly no text has any to escape.
    if text.bytes().fold(false, |any, b| any | escaped(b)) {
        line.push_str(&name[..name.len() - 1]);
        line.push_str(&serde_json::to_string(text).expect("a text is plain JSON"));
    } else {
        plain(line, name, text);
    }
}

/// A member whose text has nothing to escape.
fn plain(line: &mut String, name: &str, text: &str) {
    line.push_str(name);
    line.push_str(text);
    line.push('"');
}

#[cfg(test)]
impl TokenFields {
    pub(super) fn for_tests() -> Self {
        Self { members: String::new(), told_for: AtomicU64::new(0) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    static UNUSED: AtomicBool = AtomicBool::new(false);

    const REQUEST: Request<'_> = Request {
        time: DateTime::from_timestamp_millis(1_452_693_757_042).expect("it is a time"),
        id: "6894B13B-6D71-4EF5-88FA-F32781734A7F",
        event: Event::Token,
        peer: "127.0.0.1:50000",
        address: "192.0.2.7",
        client: Some("photo-app"),
        authenticated_by: Some("Jwt"),
        issuer: Some("company"),
        subject: Some("alice"),
        grant: Some("my-photos"),
        ticket: None,
        is_granted: &UNUSED,
    };

    proptest! {
        /// Whatever identity providers call their users, a line is one line, and says what was meant.
        #[test]
        fn a_line_is_one_object_whatever_is_in_it(text in "\\PC{1,40}|[\"\\\\\u{0}-\u{1f}\u{2028}]{1,4}") {
            let request = Request { subject: Some(&text), ..REQUEST };
            let why = Why { code: "Forbidden.Grant", reason: &text, sought: None };
            let line = written(&request, &Decision::Refused(why), &tail(&text));
            prop_assert_eq!(line.matches('\n').count(), 1);
            let read: Value = serde_json::from_str(line.strip_suffix('\n').unwrap()).unwrap();
            for field in ["Subject", "Reason", "Instance"] {
                prop_assert_eq!(&read[field], &text);
            }
        }
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let request = Request {
            client: None,
            authenticated_by: None,
            issuer: None,
            subject: None,
            grant: None,
            ..REQUEST
        };
        let why = Why { code: "Unauthenticated", reason: "nobody", sought: None };
        let line = written(&request, &Decision::Refused(why), &tail(""));
        insta::assert_snapshot!(line.trim_end(), @r#"{"Time":"2016-01-13T14:02:37.042Z","RequestId":"6894B13B-6D71-4EF5-88FA-F32781734A7F","Event":"Token","Decision":"Refused","Code":"Unauthenticated","Peer":"127.0.0.1:50000","Address":"192.0.2.7","Reason":"nobody"}"#);
    }
}
