//! The format of a line: the request, the caller, the decision and the token.
//!
//! Formatted by hand for speed: ids, names and times contain nothing that JSON escapes, and the members that all lines
//! of a token share are formatted once. Every other text is escaped.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::names::UserNames;
use crate::json_member::member;
use crate::vend::TokenSource;
use appserver_domain::clock::Stamp;
use appserver_domain::{Credentials, RoleArn, SessionName};

/// What the decision is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    Token,
    /// A URL that vends tokens until it expires.
    Ticket,
    /// A form that uploads one object.
    Upload,
    /// A URL that reads or writes one object.
    Url,
    /// A report of OSS that an upload is complete.
    Uploaded,
}

impl Event {
    fn as_str(self) -> &'static str {
        match self {
            Self::Token => "Token",
            Self::Ticket => "Ticket",
            Self::Upload => "Upload",
            Self::Url => "Url",
            Self::Uploaded => "Uploaded",
        }
    }
}

/// The known facts about a request. Validated names need no escapes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) time: DateTime<Utc>,
    pub(crate) id: &'a str,
    pub(crate) event: Event,
    pub(crate) peer: &'a str,
    /// The caller's address, which a trusted proxy may have reported.
    pub(crate) address: &'a str,
    pub(crate) client: Option<&'a str>,
    pub(crate) authenticated_by: Option<&'static str>,
    /// The issuer of the subject's token.
    pub(crate) issuer: Option<&'a str>,
    pub(crate) subject: Option<&'a str>,
    pub(crate) grant: Option<&'a str>,
    /// The id of the ticket that is created or presented; never the ticket.
    pub(crate) ticket: Option<&'a str>,
    /// Whether a line of a token or a ticket is queued for this request.
    pub(crate) is_granted: &'a AtomicBool,
}

/// What was decided.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Decision<'a> {
    /// The caller gets the token.
    Vended { source: TokenSource, token: &'a TokenFields },
    /// The caller gets the ticket.
    Issued { expires: DateTime<Utc> },
    /// The caller gets the form or the URL. The members are those of the object and of its signature.
    Signed { members: &'a str },
    /// The caller must not have it, or the request is invalid.
    Refused(DenialReason<'a>),
    /// AppServer or STS failed.
    Failed(DenialReason<'a>),
}

/// Why there is no token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DenialReason<'a> {
    /// The answer's `Code`.
    pub(crate) code: &'a str,
    /// The error as the log has it.
    pub(crate) reason: &'a str,
    /// By [`session_fields`] or an `ObjectRecord`, where the session or the object is known.
    pub(crate) session: Option<&'a str>,
}

/// The members that all lines of one token share.
#[derive(Debug)]
pub(crate) struct TokenFields {
    members: String,
    /// The number of the file that contains its policy, as the writer counts files.
    policy_file: AtomicU64,
}

impl TokenFields {
    pub(crate) fn new(session: String, credentials: &Credentials) -> Self {
        let mut members = session;
        member(&mut members, r#","StsAccessKeyId":"#, credentials.access_key_id());
        if let Some(id) = credentials.sts_request_id() {
            member(&mut members, r#","StsRequestId":"#, id);
        }
        member(&mut members, r#","Expiration":"#, Stamp::of(credentials.expiration()).as_str());
        Self { members, policy_file: AtomicU64::new(0) }
    }

    /// Whether this file does not contain the token's policy yet.
    pub(super) fn needs_policy_in(&self, file: u64) -> bool {
        self.policy_file.load(Ordering::Relaxed) != file
    }

    pub(super) fn policy_written_in(&self, file: u64) {
        self.policy_file.store(file, Ordering::Relaxed);
    }
}

/// The members of a role session. The policy is referred to by its hash: many tokens share it.
///
/// Without plain names there is nothing of the policy: somebody who knows its template can test for whose name it has that hash.
pub(crate) fn session_fields(
    role: &RoleArn,
    session_name: &SessionName,
    policy: &str,
    names: &UserNames,
) -> String {
    let mut members = String::with_capacity(512);
    member(&mut members, r#","Role":"#, role.as_str());
    member(&mut members, r#","SessionName":"#, &names.session(session_name.as_str()));
    if names.are_plain() {
        member(&mut members, r#","PolicySha256":"#, &hex::encode(Sha256::digest(policy)));
    }
    members
}

/// The member with the session policy, for [`insert`].
pub(super) fn policy(text: &str) -> String {
    let mut members = String::with_capacity(text.len() * 5 / 4);
    member(&mut members, r#","Policy":"#, text);
    members
}

/// The members of a line that summarizes many requests, for [`insert`].
pub(super) fn count_members(count: u64, first: DateTime<Utc>, last: DateTime<Utc>) -> String {
    let [first, last] = [first, last].map(Stamp::of);
    format!(r#","Count":{count},"First":"{}","Last":"{}""#, first.as_str(), last.as_str())
}

/// Appends the line with these members before its tail of this length.
pub(super) fn insert(lines: &mut Vec<u8>, line: &[u8], members: &str, tail: usize) {
    let (line, tail) = line.split_at(line.len() - tail);
    lines.extend_from_slice(line);
    lines.extend_from_slice(members.as_bytes());
    lines.extend_from_slice(tail);
}

/// A line that summarizes requests of many kinds, without the members of a single one.
pub(super) fn format_various(request: &Request<'_>, decision: &Decision<'_>, tail: &str) -> String {
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
    let why = DenialReason {
        code: "Various",
        reason: "more kinds than one report distinguishes",
        session: None,
    };
    let decision = match decision {
        Decision::Failed(_) => Decision::Failed(why),
        Decision::Vended { .. }
        | Decision::Issued { .. }
        | Decision::Signed { .. }
        | Decision::Refused(_) => Decision::Refused(why),
    };
    format(&of_many, &decision, tail)
}

/// The complete line. `tail` names the replica and ends the line.
pub(super) fn format(request: &Request<'_>, decision: &Decision<'_>, tail: &str) -> String {
    let mut line = String::with_capacity(1024);
    line.push_str(r#"{"Time":""#);
    line.push_str(Stamp::of(request.time).as_str().trim_end_matches('Z'));
    let millis = request.time.timestamp_subsec_millis().min(999);
    let digit = |tens: u32| b'0' + (millis / tens % 10) as u8;
    let millis = [b'.', digit(100), digit(10), digit(1), b'Z', b'"'];
    line.push_str(std::str::from_utf8(&millis).expect("digits and signs are ASCII"));
    unescaped_member(&mut line, r#","RequestId":""#, request.id);
    unescaped_member(&mut line, r#","Event":""#, request.event.as_str());
    match decision {
        Decision::Vended { .. } => line.push_str(r#","Decision":"Vended","Code":"Success""#),
        Decision::Issued { .. } | Decision::Signed { .. } => {
            line.push_str(r#","Decision":"Issued","Code":"Success""#);
        }
        Decision::Refused(DenialReason { code, .. }) => {
            line.push_str(r#","Decision":"Refused""#);
            member(&mut line, r#","Code":"#, code);
        }
        Decision::Failed(DenialReason { code, .. }) => {
            line.push_str(r#","Decision":"Failed""#);
            member(&mut line, r#","Code":"#, code);
        }
    }
    if let Some(client) = request.client {
        unescaped_member(&mut line, r#","Client":""#, client);
    }
    if let Some(method) = request.authenticated_by {
        unescaped_member(&mut line, r#","AuthenticatedBy":""#, method);
    }
    if let Some(grant) = request.grant {
        unescaped_member(&mut line, r#","Grant":""#, grant);
    }
    if let Some(issuer) = request.issuer {
        unescaped_member(&mut line, r#","Issuer":""#, issuer);
    }
    if let Some(subject) = request.subject {
        member(&mut line, r#","Subject":"#, subject);
    }
    if let Some(ticket) = request.ticket {
        unescaped_member(&mut line, r#","Ticket":""#, ticket);
    }
    if !request.peer.is_empty() {
        unescaped_member(&mut line, r#","Peer":""#, request.peer);
        unescaped_member(&mut line, r#","Address":""#, request.address);
    }
    match decision {
        Decision::Vended { source, token } => {
            unescaped_member(&mut line, r#","Source":""#, source.as_str());
            line.push_str(&token.members);
        }
        Decision::Issued { expires } => {
            unescaped_member(&mut line, r#","Expiration":""#, Stamp::of(*expires).as_str());
        }
        Decision::Signed { members } => line.push_str(members),
        Decision::Refused(why) | Decision::Failed(why) => {
            member(&mut line, r#","Reason":"#, why.reason);
            line.push_str(why.session.unwrap_or_default());
        }
    }
    line.push_str(tail);
    line
}

/// The end of every line.
pub(super) fn tail(instance: &str) -> String {
    let mut tail = String::new();
    if !instance.is_empty() {
        member(&mut tail, r#","Instance":"#, instance);
    }
    tail + "}\n"
}

/// Appends a member whose text needs no escapes. `name` ends with the text's opening quote.
pub(super) fn unescaped_member(line: &mut String, name: &str, text: &str) {
    line.push_str(name);
    line.push_str(text);
    line.push('"');
}

#[cfg(test)]
impl TokenFields {
    pub(super) fn for_tests() -> Self {
        Self { members: String::new(), policy_file: AtomicU64::new(0) }
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
        /// Subjects are any text that an identity provider chooses.
        #[test]
        fn any_text_is_escaped_in_one_line_of_json(text in "\\PC{1,40}|[\"\\\\\u{0}-\u{1f}\u{2028}]{1,4}") {
            let request = Request { subject: Some(&text), ..REQUEST };
            let why = DenialReason { code: "Forbidden.Grant", reason: &text, session: None };
            let line = format(&request, &Decision::Refused(why), &tail(&text));
            prop_assert_eq!(line.matches('\n').count(), 1);
            let read: Value = serde_json::from_str(line.strip_suffix('\n').unwrap()).unwrap();
            for field in ["Subject", "Reason", "Instance"] {
                prop_assert_eq!(&read[field], &text);
            }
        }
    }

    #[test]
    fn unknown_members_are_left_out() {
        let request = Request {
            client: None,
            authenticated_by: None,
            issuer: None,
            subject: None,
            grant: None,
            ..REQUEST
        };
        let why = DenialReason { code: "Unauthenticated", reason: "nobody", session: None };
        let line = format(&request, &Decision::Refused(why), &tail(""));
        insta::assert_snapshot!(line.trim_end(), @r#"{"Time":"2016-01-13T14:02:37.042Z","RequestId":"6894B13B-6D71-4EF5-88FA-F32781734A7F","Event":"Token","Decision":"Refused","Code":"Unauthenticated","Peer":"127.0.0.1:50000","Address":"192.0.2.7","Reason":"nobody"}"#);
    }
}
