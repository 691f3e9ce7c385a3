//! What differs between the grants of two configurations; of changed policy templates by the exact comparison.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::audit::{GrantRecord, Width};
use crate::grant::{Entitlement, Grants};
use appserver_domain::{ClientId, GrantName};
use appserver_policy::{Inclusion, TooComplex};

/// A grant that differs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct GrantChange {
    pub(crate) grant: GrantName,
    pub(crate) kind: ChangeKind,
    /// A request that only the new template allows.
    pub(crate) also_allows: Option<String>,
    /// A request that only the old template allowed.
    pub(crate) no_longer_allows: Option<String>,
    /// The bound that the comparison of the templates met.
    pub(crate) undecided: Option<TooComplex>,
    /// The other differences, one sentence each; whether they may allow more.
    others: Vec<(String, Width)>,
    /// SHA-256 of the canonical templates, before and after.
    templates: [Option<String>; 2],
}

/// Whether the grant is in both configurations.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ChangeKind {
    Added,
    Removed,
    Changed,
}

impl GrantChange {
    /// Every grant that differs, by its name. Grants whose templates allow the same and are written differently do not.
    ///
    /// Takes up to some seconds for each changed template: not for a thread that serves.
    pub(crate) fn between(before: &Grants, after: &Grants) -> Vec<Self> {
        let names: BTreeSet<_> =
            before.entitlements.keys().chain(after.entitlements.keys()).collect();
        names.into_iter().filter_map(|name| Self::of(name, before, after)).collect()
    }

    fn of(name: &GrantName, before: &Grants, after: &Grants) -> Option<Self> {
        let (old, new) = (before.entitlements.get(name), after.entitlements.get(name));
        let kind = match (old, new) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Removed,
            (Some(_), Some(_)) => ChangeKind::Changed,
        };
        let mut change = Self {
            grant: name.clone(),
            kind,
            also_allows: None,
            no_longer_allows: None,
            undecided: None,
            others: clients(name, before, after),
            templates: [old, new].map(|grant| {
                grant.map(|grant| hex::encode(Sha256::digest(grant.template.policy_template())))
            }),
        };
        if let (Some(old), Some(new)) = (old, new) {
            change.compare(old, new);
        }
        let differs =
            kind != ChangeKind::Changed || change.policy_differs() || !change.others.is_empty();
        differs.then_some(change)
    }

    fn compare(&mut self, old: &Entitlement, new: &Entitlement) {
        if old.role != new.role {
            let (before, after) = (&old.role, &new.role);
            let role = format!("its role was {before} and is {after}");
            self.others.push((role, Width::Undecided));
        }
        if old.upstream != new.upstream {
            let (before, after) = (&old.upstream, &new.upstream);
            let upstream = format!("its upstream was {before} and is {after}");
            self.others.push((upstream, Width::Undecided));
        }
        if old.template.rules() != new.template.rules() {
            let values = "the rules of its parameters, claims or subjects changed";
            self.others.push((values.to_owned(), Width::Undecided));
        }
        if old.oss != new.oss {
            let bucket = "the bucket that its answers name, or how clients reach it, changed";
            self.others.push((bucket.to_owned(), Width::NotWider));
        }
        if old.upload != new.upload || old.signed_urls != new.signed_urls {
            let signed = "the rules of its uploads, or the URLs that it signs, changed";
            self.others.push((signed.to_owned(), Width::Undecided));
        }
        if self.templates[0] == self.templates[1] {
            return;
        }
        let (old, new) = (old.template.comparable_policy(), new.template.comparable_policy());
        for (inclusion, witness) in [
            (new.inclusion_in(&old), &mut self.also_allows),
            (old.inclusion_in(&new), &mut self.no_longer_allows),
        ] {
            match inclusion {
                Inclusion::Included => {}
                Inclusion::Beyond(request) => *witness = Some(request.to_string()),
                Inclusion::TooComplex(bound) => self.undecided = Some(bound),
            }
        }
    }

    /// Whether the templates do not allow the same, as far as that was decided.
    pub(crate) fn policy_differs(&self) -> bool {
        self.also_allows.is_some() || self.no_longer_allows.is_some() || self.undecided.is_some()
    }

    /// Whether callers may do more than before, or that is not decided.
    pub(crate) fn may_allow_more(&self) -> bool {
        self.width() != Width::NotWider
    }

    fn width(&self) -> Width {
        let is = |width| self.others.iter().any(|(_, one)| *one == width);
        if self.kind == ChangeKind::Removed {
            Width::NotWider
        } else if self.kind == ChangeKind::Added || self.also_allows.is_some() || is(Width::Wider) {
            Width::Wider
        } else if self.undecided.is_some() || is(Width::Undecided) {
            Width::Undecided
        } else {
            Width::NotWider
        }
    }

    /// What else changed, and what was not decided.
    pub(crate) fn notes(&self) -> Vec<String> {
        let bound =
            self.undecided.map(|bound| format!("its templates cannot be compared: {bound}"));
        bound.into_iter().chain(self.others.iter().map(|(note, _)| note.clone())).collect()
    }

    /// The line of the audit.
    pub(super) fn record<'a>(&'a self, time: DateTime<Utc>, notes: &'a str) -> GrantRecord<'a> {
        let decision = match self.kind {
            ChangeKind::Added => "Added",
            ChangeKind::Removed => "Removed",
            ChangeKind::Changed => "Changed",
        };
        let [before, after] = &self.templates;
        let mut record = GrantRecord::new(time, decision, self.width(), self.grant.as_str());
        record.template_sha256_before = before.as_deref();
        record.template_sha256 = after.as_deref();
        record.also_allows = self.also_allows.as_deref();
        record.no_longer_allows = self.no_longer_allows.as_deref();
        record.reason = (!notes.is_empty()).then_some(notes);
        record
    }

    /// Logs the change: a wider grant, or one that may be wider, as a warning.
    pub(super) fn log(&self) {
        let grant = self.grant.as_str();
        match self.kind {
            ChangeKind::Added => tracing::info!(grant.name = grant, "grant added"),
            ChangeKind::Removed => tracing::info!(grant.name = grant, "grant removed"),
            ChangeKind::Changed => {}
        }
        if self.policy_differs() {
            let (more, less) = (self.also_allows.as_deref(), self.no_longer_allows.as_deref());
            let bound = self.undecided.map(|bound| bound.to_string());
            let bound = bound.as_deref();
            if more.is_some() || bound.is_some() {
                tracing::warn!(
                    grant.name = grant,
                    policy.also_allows = more,
                    policy.no_longer_allows = less,
                    policy.undecided = bound,
                    "grant's policy changed"
                );
            } else {
                tracing::info!(
                    grant.name = grant,
                    policy.no_longer_allows = less,
                    "grant's policy changed"
                );
            }
        }
        for (note, width) in &self.others {
            match width {
                Width::Wider | Width::Undecided => {
                    tracing::warn!(grant.name = grant, "grant changed: {note}");
                }
                Width::NotWider => tracing::info!(grant.name = grant, "grant changed: {note}"),
            }
        }
    }
}

/// The clients that may use the grant from now on, and those that no longer may.
fn clients(name: &GrantName, before: &Grants, after: &Grants) -> Vec<(String, Width)> {
    let of = |grants: &Grants| -> BTreeSet<ClientId> {
        let clients = grants.of_clients.iter().filter(|(_, own)| own.contains(name));
        clients.map(|(client, _)| client.clone()).collect()
    };
    let (old, new) = (of(before), of(after));
    let more = new.difference(&old);
    let more = more.map(|client| (format!("client `{client}` may use it now"), Width::Wider));
    let fewer = old.difference(&new);
    let fewer =
        fewer.map(|client| (format!("client `{client}` may no longer use it"), Width::NotWider));
    more.chain(fewer).collect()
}
