//! Summarizes one token: its holders, times, addresses and policy.

use std::collections::BTreeMap;
use std::io::{self, Write};

use chrono::{DateTime, Utc};

use super::entry::Entry;
use super::policies::Policies;
use crate::telemetry::escaped;

/// The different callers, addresses or replicas that are counted.
const COUNTED: usize = 10_000;
/// Those that are listed, most frequent first.
const LISTED: usize = 10;

pub(super) struct Token {
    pub(super) policies: Policies,
    id: String,
    /// Whether the service signed with it for its holders, and handed it out to none.
    signs: bool,
    seen: Option<(DateTime<Utc>, DateTime<Utc>)>,
    times: u64,
    holders: Counts,
    addresses: Counts,
    replicas: Counts,
    role: Option<String>,
    session: Option<String>,
    expiration: Option<String>,
    sts_request: Option<String>,
}

/// How often each was seen.
#[derive(Default)]
struct Counts {
    of: BTreeMap<String, u64>,
    beyond: bool,
}

impl Token {
    pub(super) fn new(id: String) -> Self {
        Self {
            policies: Policies::default(),
            id,
            signs: false,
            seen: None,
            times: 0,
            holders: Counts::default(),
            addresses: Counts::default(),
            replicas: Counts::default(),
            role: None,
            session: None,
            expiration: None,
            sts_request: None,
        }
    }

    pub(super) fn note(&mut self, entry: &Entry<'_>) {
        self.policies.want(entry);
        self.signs |= entry.key.is_some();
        self.times += 1;
        let (first, last) = self.seen.unwrap_or((entry.time, entry.time));
        self.seen = Some((first.min(entry.time), last.max(entry.time)));
        self.holders.add(&holder(entry));
        if let Some(address) = entry.address() {
            self.addresses.add(address);
        }
        if let Some(instance) = &entry.instance {
            self.replicas.add(instance);
        }
        for (ours, theirs) in [
            (&mut self.role, &entry.role),
            (&mut self.session, &entry.session_name),
            (&mut self.expiration, &entry.expiration),
            (&mut self.sts_request, &entry.sts_request_id),
        ] {
            // Equal on every line.
            if let (None, Some(text)) = (&ours, theirs) {
                *ours = Some(text.to_string());
            }
        }
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", escaped(&self.id))?;
        let mut row = |name: &str, text: &str| writeln!(out, "  {name:12} {}", escaped(text));
        if let Some((first, last)) = self.seen {
            let [first, last] = [first, last].map(|time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ"));
            let times =
                if self.times == 1 { "once".to_owned() } else { format!("{} times", self.times) };
            let what = if self.signs { "signed" } else { "handed out" };
            row(what, &format!("{times}, first {first}, last {last}"))?;
        }
        row(if self.signs { "for" } else { "to" }, &self.holders.named())?;
        let many = self.addresses.many("address", "addresses");
        row("from", &format!("{many}: {}", self.addresses.named()))?;
        if !self.replicas.of.is_empty() {
            row("by", &self.replicas.named())?;
        }
        let known = [
            ("expires", &self.expiration),
            ("role", &self.role),
            ("session", &self.session),
            ("STS request", &self.sts_request),
        ];
        for (name, text) in known {
            row(name, text.as_deref().unwrap_or("-"))?;
        }
        self.policies.write(out)
    }
}

/// `photo-app for alice of company (Jwt), grant my-photos`.
fn holder(entry: &Entry<'_>) -> String {
    let text = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().unwrap_or("-").to_owned();
    let user = entry.user().map(|user| format!(" for {user}"));
    format!(
        "{}{} ({}), grant {}",
        text(&entry.client),
        user.unwrap_or_default(),
        text(&entry.authenticated_by),
        text(&entry.grant),
    )
}

impl Counts {
    fn add(&mut self, what: &str) {
        if let Some(count) = self.of.get_mut(what) {
            *count += 1;
        } else if self.of.len() < COUNTED {
            self.of.insert(what.to_owned(), 1);
        } else {
            self.beyond = true;
        }
    }

    fn many(&self, one: &str, more: &str) -> String {
        let (count, beyond) = (self.of.len(), if self.beyond { "more than " } else { "" });
        format!("{beyond}{count} {}", if count == 1 { one } else { more })
    }

    /// The most frequent ones, with counts if there are several.
    fn named(&self) -> String {
        let mut all: Vec<_> = self.of.iter().collect();
        all.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
        let one = |(name, count): &(&String, &u64)| match all.len() {
            1 => (*name).clone(),
            _ => format!("{name} ({count})"),
        };
        let named: Vec<_> = all.iter().take(LISTED).map(one).collect();
        let rest = if all.len() > LISTED { ", …" } else { "" };
        named.join(", ") + rest
    }
}
