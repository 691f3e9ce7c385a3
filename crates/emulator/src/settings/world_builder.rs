//! Turns the raw form into accounts, keys, roles and buckets, and collects every problem on the way.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::files::read_text;
use super::problem::{FieldProblem, Problems};
use super::raw::{RawAccount, RawBucket, RawDocument, RawKey, RawOidcProvider, RawRole};
use crate::oss::{BucketSettings, check_key};
use crate::ram::{
    IssuerKeys, Key, OidcProvider, Owner, Policy, PolicyProblem, Role, TrustPolicy, User,
    system_policy,
};
use appserver_domain::MaxSessionDuration;

/// The parts that are read so far, and their problems.
pub(super) struct WorldBuilder<'a> {
    pub(super) folder: &'a Path,
    pub(super) problems: Problems,
    pub(super) keys: HashMap<String, Key>,
    pub(super) roles: HashMap<String, Role>,
    pub(super) oidc_providers: HashMap<String, OidcProvider>,
    pub(super) buckets: Vec<BucketSettings>,
}

impl WorldBuilder<'_> {
    pub(super) fn issuer_keys(&mut self, raw: BTreeMap<String, RawDocument>) -> IssuerKeys {
        let mut keys = HashMap::new();
        for (issuer, document) in raw {
            let path = format!("issuer_keys.{issuer}");
            let parse = |json: &str| serde_json::from_str(json).map_err(FieldProblem::KeySet);
            if let Some(set) = self.document(&path, document, parse) {
                keys.insert(issuer, set);
            }
        }
        IssuerKeys(keys)
    }

    pub(super) fn add_account(&mut self, path: &str, account: RawAccount) {
        let id = account.id.as_str();
        let mut custom = HashMap::new();
        for (name, document) in account.policies {
            let path = format!("{path}.policies.{name}");
            if let Some(policy) = self.policy(&path, document, Policy::parse) {
                custom.insert(name, Arc::new(policy));
            }
        }
        for (index, key) in account.root_keys.into_iter().enumerate() {
            self.add_key(&format!("{path}.root_keys.{index}"), key, Owner::Root(id.to_owned()));
        }
        for (index, raw) in account.users.into_iter().enumerate() {
            let path = format!("{path}.users.{index}");
            self.check_name(&path, &raw.name);
            let user = Arc::new(User {
                account: id.to_owned(),
                arn: format!("acs:ram::{id}:user/{}", raw.name),
                id: raw.id,
                policies: self.attached(&path, &raw.policies, &custom),
            });
            for (index, key) in raw.keys.into_iter().enumerate() {
                self.add_key(&format!("{path}.keys.{index}"), key, Owner::User(Arc::clone(&user)));
            }
        }
        for (index, role) in account.roles.into_iter().enumerate() {
            self.add_role(&format!("{path}.roles.{index}"), id, role, &custom);
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
        if self.keys.insert(id.as_str().to_owned(), Key { secret, active, owner }).is_some() {
            self.problems.add(&format!("{path}.id"), FieldProblem::Taken);
        }
    }

    fn add_role(
        &mut self,
        path: &str,
        account: &str,
        raw: RawRole,
        custom: &HashMap<String, Arc<Policy>>,
    ) {
        self.check_name(path, &raw.name);
        let policies = self.attached(path, &raw.policies, custom);
        let trust = self.policy(&format!("{path}.trust"), raw.trust, TrustPolicy::parse);
        let secs = raw.max_session_duration_secs;
        let max_session_duration =
            secs.map_or(Some(MaxSessionDuration::DEFAULT), MaxSessionDuration::from_secs);
        if max_session_duration.is_none() {
            self.problems
                .add(&format!("{path}.max_session_duration_secs"), FieldProblem::SessionDuration);
        }
        if let (Some(trust), Some(max_session_duration)) = (trust, max_session_duration) {
            let arn = format!("acs:ram::{account}:role/{}", raw.name);
            let account = account.to_owned();
            let (id, name) = (raw.id, raw.name);
            let role = Role { account, id, name, max_session_duration, trust, policies };
            if self.roles.insert(arn, role).is_some() {
                self.problems.add(&format!("{path}.name"), FieldProblem::Taken);
            }
        }
    }

    fn add_oidc_provider(&mut self, path: &str, account: &str, raw: RawOidcProvider) {
        self.check_name(path, &raw.name);
        let RawOidcProvider { name, issuer, client_ids } = raw;
        if !issuer.strip_prefix("https://").is_some_and(|rest| !rest.is_empty()) {
            self.problems.add(&format!("{path}.issuer"), FieldProblem::Issuer);
        }
        if client_ids.is_empty() {
            self.problems.add(&format!("{path}.client_ids"), FieldProblem::ClientIds);
        }
        let arn = format!("acs:ram::{account}:oidc-provider/{name}");
        let provider = OidcProvider { issuer, client_ids };
        if self.oidc_providers.insert(arn, provider).is_some() {
            self.problems.add(&format!("{path}.name"), FieldProblem::Taken);
        }
    }

    fn add_bucket(&mut self, path: &str, account: &str, raw: RawBucket) {
        let RawBucket { name, region, acl, objects } = raw;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if region.is_empty() || !region.bytes().all(plain) || region.starts_with("oss-") {
            self.problems.add(&format!("{path}.region"), FieldProblem::Region);
        }
        for (index, key) in objects.iter().enumerate() {
            if key.is_empty() || check_key(key).is_err() {
                self.problems.add(&format!("{path}.objects.{index}"), FieldProblem::Key);
            }
        }
        if self.buckets.iter().any(|bucket| bucket.name == name) {
            self.problems.add(&format!("{path}.name"), FieldProblem::Taken);
        }
        let account = account.to_owned();
        self.buckets.push(BucketSettings { name, region, account, acl, objects });
    }

    fn check_name(&mut self, path: &str, name: &str) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) {
            self.problems.add(&format!("{path}.name"), FieldProblem::Name);
        }
    }

    fn attached(
        &mut self,
        path: &str,
        names: &[String],
        custom: &HashMap<String, Arc<Policy>>,
    ) -> Vec<Arc<Policy>> {
        let mut policies = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let system = || system_policy(name).and_then(|json| Policy::parse(json).ok());
            match custom.get(name).cloned().or_else(|| system().map(Arc::new)) {
                Some(policy) => policies.push(policy),
                None => {
                    self.problems.add(&format!("{path}.policies.{index}"), FieldProblem::NoPolicy);
                }
            }
        }
        policies
    }

    fn policy<T>(
        &mut self,
        path: &str,
        raw: RawDocument,
        parse: impl Fn(&str) -> Result<T, PolicyProblem>,
    ) -> Option<T> {
        self.document(path, raw, |json| parse(json).map_err(FieldProblem::Policy))
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
