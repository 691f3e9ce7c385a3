//! A request to be evaluated against policies.

use std::collections::BTreeMap;

use crate::matching::resource::fields;
use crate::oss::operation::Operation;

/// One action on one resource, with condition values.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// The action as it was given, such as `oss:HeadObject`.
    requested: String,
    action: String,
    resource: String,
    conditions: BTreeMap<String, String>,
}

/// Why a request cannot be evaluated. The message names the rule and the way to fix it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum RequestProblem {
    #[error("an action reads `oss:GetObject`, without wildcards, at most 128 bytes")]
    Action,
    #[error(
        "a copy is two requests: ask for `oss:GetObject` on its source and for `oss:PutObject` on its target"
    )]
    Copy,
    #[error(
        "a resource is one bucket or object, `acs:oss:*:*:bucket/key`, at most {} bytes; a `*` in its key is \
         taken for that character",
        Request::MAX_BYTES
    )]
    Resource,
    #[error(
        "conditions are at most {} keys such as `oss:Prefix`, each with one value of at most {} bytes",
        Request::MAX_KEYS,
        Request::MAX_BYTES
    )]
    Condition,
}

impl Request {
    /// An object key has at most 1023 bytes, with a prefix before it.
    const MAX_BYTES: usize = 1200;
    /// RAM and OSS together document ten.
    const MAX_KEYS: usize = 16;

    /// Validates a request; the error describes the form of the invalid part.
    pub fn new(
        action: &str,
        resource: &str,
        conditions: BTreeMap<String, String>,
    ) -> Result<Self, RequestProblem> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let named = |text: &str| !text.is_empty() && text.chars().all(plain);
        let well_formed =
            action.split_once(':').is_some_and(|(service, name)| named(service) && named(name));
        if !well_formed || action.len() > 128 {
            return Err(RequestProblem::Action);
        }
        let allowed_by = match Operation::named(action) {
            Operation::Copies => return Err(RequestProblem::Copy),
            Operation::AllowedBy(other) => other,
            Operation::Action => action,
        };
        let is_name = fields(resource).is_some_and(|[acs, service, .., path]| {
            acs == "acs" && !service.is_empty() && !path.is_empty()
        });
        if !is_name || resource.len() > Self::MAX_BYTES {
            return Err(RequestProblem::Resource);
        }
        let short = |text: &String| text.len() <= Self::MAX_BYTES;
        if conditions.len() > Self::MAX_KEYS
            || !conditions
                .iter()
                .all(|(key, value)| key.contains(':') && short(key) && short(value))
        {
            return Err(RequestProblem::Condition);
        }
        Ok(Self {
            requested: action.to_owned(),
            action: allowed_by.to_owned(),
            resource: resource.to_owned(),
            conditions,
        })
    }

    /// The operation as it was given, if another action allows it.
    pub(crate) fn operation(&self) -> Option<&str> {
        (self.requested != self.action).then_some(&self.requested)
    }

    /// The action that policies are evaluated for.
    pub(crate) fn action(&self) -> &str {
        &self.action
    }

    pub(crate) fn resource(&self) -> &str {
        &self.resource
    }

    /// The condition keys of the request.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.conditions.keys().map(String::as_str)
    }

    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.conditions.get(key).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRASS: &str = "acs:oss:*:*:sample-bucket/2015/grass.jpg";

    fn problem(
        action: &str,
        resource: &str,
        conditions: &[(&str, &str)],
    ) -> Option<RequestProblem> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Request::new(action, resource, conditions.iter().map(owned).collect()).err()
    }

    #[test]
    fn an_operation_is_decided_by_the_action_that_allows_it() {
        let head = Request::new("oss:HeadObject", GRASS, BTreeMap::new()).unwrap();
        assert_eq!((head.operation(), head.action()), (Some("oss:HeadObject"), "oss:GetObject"));
        let get = Request::new("oss:GetObject", GRASS, BTreeMap::new()).unwrap();
        assert_eq!((get.operation(), get.action()), (None, "oss:GetObject"));
    }

    #[test]
    fn what_names_no_action_or_resource_is_refused() {
        for bad in ["", "GetObject", "oss:", ":GetObject", "oss:Get*", "*", "oss:Get Object"] {
            assert_eq!(problem(bad, GRASS, &[]), Some(RequestProblem::Action), "{bad}");
        }
        assert_eq!(problem("oss:CopyObject", GRASS, &[]), Some(RequestProblem::Copy));
        let long = format!("{GRASS}{}", "x".repeat(1200));
        for bad in ["", "*", "sample-bucket/a", "acs:oss:*:*:", "acs:oss:*:b", &long] {
            assert_eq!(problem("oss:GetObject", bad, &[]), Some(RequestProblem::Resource), "{bad}");
        }
        for bad in [("Prefix", "a"), ("oss:Prefix", long.as_str())] {
            assert_eq!(problem("oss:GetObject", GRASS, &[bad]), Some(RequestProblem::Condition));
        }
        let many: Vec<_> = (0..17).map(|i| format!("oss:BucketTag/{i}")).collect();
        let many: Vec<_> = many.iter().map(|key| (key.as_str(), "a")).collect();
        assert_eq!(problem("oss:GetObject", GRASS, &many), Some(RequestProblem::Condition));
        assert_eq!(problem("oss:GetObject", GRASS, &many[..16]), None);
    }
}
