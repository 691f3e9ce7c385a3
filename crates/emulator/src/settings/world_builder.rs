//! Turns the raw form into accounts, keys, roles and buckets, and collects every problem on the way.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::files::read_text;
use super::problem::{FieldProblem, Problems};
use super::raw::{RawAccount, RawBucket, RawDocument, RawKey, RawOidcProvider, RawRole};
use crate::oss::{BucketSettings, check_key};
use crate::ram::{
    AccessKey, Attachment, CustomPolicy, Document, IssuerKeys, OidcProvider, Owner, Parsed,
    PolicyType, Ram, Role, User,
};
use crate::strict_json::from_object;
use appserver_domain::MaxSessionDuration;

/// `CreateDate` of all that the configuration contains: it has no dates.
const CONFIGURED_AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// The parts that are read so far, and their problems.
pub(super) struct WorldBuilder<'a> {
    pub(super) folder: &'a Path,
    pub(super) problems: Problems,
    pub(super) ram: Ram,
    pub(super) buckets: Vec<BucketSettings>,
}

impl WorldBuilder<'_> {
    pub(super) fn issuer_keys(&mut self, raw: BTreeMap<String, RawDocument>) -> IssuerKeys {
        let mut keys = HashMap::new();
        for (issuer, document) in raw {
            let path = format!("issuer_keys.{issuer}");
            let parse = |json: &str| from_object(json.as_bytes()).map_err(FieldProblem::KeySet);
            if let Some(set) = self.document(&path, document, parse) {
                keys.insert(issuer, set);
            }
        }
        IssuerKeys(keys)
    }

    pub(super) fn add_account(&mut self, path: &str, account: RawAccount) {
        let id = account.id.as_str();
        for (name, document) in account.policies {
            let path = format!("{path}.policies.{name}");
            if let Some(document) = self.policy(&path, document) {
                let policy = CustomPolicy::new(id, &name, "", document, CONFIGURED_AT);
                self.ram.policies.insert(policy.arn(), Arc::new(policy));
            }
        }
        for (index, key) in account.root_keys.into_iter().enumerate() {
            self.add_key(&format!("{path}.root_keys.{index}"), key, Owner::Root(id.to_owned()));
        }
        for (index, raw) in account.users.into_iter().enumerate() {
            let path = format!("{path}.users.{index}");
            self.check_name(&path, &raw.name);
            let user = User {
                account: id.to_owned(),
                id: raw.id,
                display_name: raw.name.clone(),
                name: raw.name,
                mobile_phone: String::new(),
                email: String::new(),
                comments: String::new(),
                created: CONFIGURED_AT,
                attached: self.attached(&path, id, raw.policies),
            };
            let arn = user.arn();
            for (index, key) in raw.keys.into_iter().enumerate() {
                self.add_key(&format!("{path}.keys.{index}"), key, Owner::User(arn.clone()));
            }
            if self.ram.users.insert(arn, Arc::new(user)).is_some() {
                self.problems.add(&format!("{path}.name"), FieldProblem::Taken);
            }
        }
        for (index, role) in account.roles.into_iter().enumerate() {
            self.add_role(&format!("{path}.roles.{index}"), id, role);
        }
        for (index, provider) in account.oidc_providers.into_iter().enumerate() {
            self.add_oidc_provider(&format!("{path}.oidc_providers.{index}"), id, provider);
        }
        for (index, bucket) in account.buckets.into_iter().enumerate() {
            self.add_bucket(&format!("{path}.buckets.{index}"), id, bucket);
        }
    }

    fn add_key(&mut self, path: &str, key: RawKey, owner: Owner) {
        let RawKey { id, secret, active } = key;
        let key = AccessKey { secret, active, owner, created: CONFIGURED_AT, network: None };
        if self.ram.keys.insert(id.as_str().to_owned(), key).is_some() {
            self.problems.add(&format!("{path}.id"), FieldProblem::Taken);
        }
    }

    fn add_role(&mut self, path: &str, account: &str, raw: RawRole) {
        self.check_name(path, &raw.name);
        let attached = self.attached(path, account, raw.policies);
        let trust = self.policy(&format!("{path}.trust"), raw.trust);
        let secs = raw.max_session_duration_secs;
        let max_session_duration =
            secs.map_or(Some(MaxSessionDuration::DEFAULT), MaxSessionDuration::from_secs);
        if max_session_duration.is_none() {
            self.problems
                .add(&format!("{path}.max_session_duration_secs"), FieldProblem::SessionDuration);
        }
        if let (Some(trust), Some(max_session_duration)) = (trust, max_session_duration) {
            let role = Role {
                account: account.to_owned(),
                id: raw.id,
                name: raw.name,
                description: String::new(),
                max_session_duration,
                trust,
                allow_console_login: false,
                created: CONFIGURED_AT,
                updated: CONFIGURED_AT,
                attached,
            };
            if self.ram.roles.insert(role.arn(), Arc::new(role)).is_some() {
                self.problems.add(&format!("{path}.name"), FieldProblem::Taken);
            }
        }
    }

    fn add_oidc_provider(&mut self, path: &str, account: &str, raw: RawOidcProvider) {
        self.check_name(path, &raw.name);
        let RawOidcProvider { name, issuer, client_ids } = raw;
        if issuer.strip_prefix("https://").is_none_or(str::is_empty) {
            self.problems.add(&format!("{path}.issuer"), FieldProblem::Issuer);
        }
        if client_ids.is_empty() {
            self.problems.add(&format!("{path}.client_ids"), FieldProblem::ClientIds);
        }
        let provider = OidcProvider {
            account: account.to_owned(),
            name,
            description: String::new(),
            issuer,
            client_ids,
            fingerprints: Vec::new(),
            created: CONFIGURED_AT,
            updated: CONFIGURED_AT,
        };
        if self.ram.oidc_providers.insert(provider.arn(), Arc::new(provider)).is_some() {
            self.problems.add(&format!("{path}.name"), FieldProblem::Taken);
        }
    }

    fn add_bucket(&mut self, path: &str, account: &str, raw: RawBucket) {
        let RawBucket { name, region, acl, domains, objects } = raw;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if region.is_empty() || !region.bytes().all(plain) || region.starts_with("oss-") {
            self.problems.add(&format!("{path}.region"), FieldProblem::Region);
        }
        for (index, key) in objects.iter().enumerate() {
            if key.is_empty() || check_key(key).is_err() {
                self.problems.add(&format!("{path}.objects.{index}"), FieldProblem::Key);
            }
        }
        for (index, domain) in domains.iter().enumerate() {
            let at = format!("{path}.domains.{index}");
            let bound = self.buckets.iter().flat_map(|bucket| &bucket.domains);
            if !is_custom_domain(domain) {
                self.problems.add(&at, FieldProblem::Domain);
            } else if bound.chain(&domains[..index]).any(|other| other == domain) {
                self.problems.add(&at, FieldProblem::Taken);
            }
        }
        if self.buckets.iter().any(|bucket| bucket.name == name) {
            self.problems.add(&format!("{path}.name"), FieldProblem::Taken);
        }
        let account = account.to_owned();
        self.buckets.push(BucketSettings { name, region, account, acl, domains, objects });
    }

    fn check_name(&mut self, path: &str, name: &str) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) {
            self.problems.add(&format!("{path}.name"), FieldProblem::Name);
        }
    }

    fn attached(&mut self, path: &str, account: &str, names: Vec<String>) -> Vec<Attachment> {
        let mut attached = Vec::new();
        for (index, policy) in names.into_iter().enumerate() {
            let policy_type =
                if self.ram.policies.contains_key(&CustomPolicy::arn_of(account, &policy)) {
                    PolicyType::Custom
                } else if self.ram.system_policies.get(&policy).is_some() {
                    PolicyType::System
                } else {
                    self.problems.add(&format!("{path}.policies.{index}"), FieldProblem::NoPolicy);
                    continue;
                };
            attached.push(Attachment { policy_type, policy, attached: CONFIGURED_AT });
        }
        attached
    }

    fn policy<T: Parsed>(&mut self, path: &str, raw: RawDocument) -> Option<Document<T>> {
        self.document(path, raw, |json| Document::parse(json).map_err(FieldProblem::Policy))
    }

    fn document<T>(
        &mut self,
        path: &str,
        raw: RawDocument,
        parse: impl Fn(&str) -> Result<T, FieldProblem>,
    ) -> Option<T> {
        let (path, json) = match (raw.json, raw.file) {
            (Some(json), None) => (format!("{path}.json"), Ok(json)),
            (None, Some(file)) => {
                let text = read_text(&self.folder.join(file));
                // Some editors write a byte-order mark, which is no part of the policy that STS gets.
                let text = text.map(|text| text.trim_start_matches('\u{feff}').to_owned());
                (format!("{path}.file"), text.map_err(FieldProblem::Unreadable))
            }
            (Some(_), Some(_)) | (None, None) => (path.to_owned(), Err(FieldProblem::Document)),
        };
        match json.and_then(|json| parse(&json)) {
            Ok(document) => Some(document),
            Err(problem) => {
                self.problems.add(&path, problem);
                None
            }
        }
    }
}

/// Whether a host can be bound to a bucket. Names of Alibaba Cloud's own are endpoints.
fn is_custom_domain(host: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let label = |label: &str| !label.is_empty() && label.bytes().all(plain);
    host.contains('.')
        && host.split('.').all(label)
        && host.parse::<std::net::IpAddr>().is_err()
        && !host.ends_with(".aliyuncs.com")
}
