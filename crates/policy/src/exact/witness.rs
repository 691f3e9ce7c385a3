//! A request that one policy allows and another denies, with names that OSS has where any name serves.
//!
//! Every replacement holds in the same statements as the name that was found, so the request is decided in the same way.

use std::collections::BTreeMap;
use std::fmt;

use super::patterns::Patterns;
use super::too_complex::Bounds;
use crate::oss::catalogue;
use crate::oss::operation::Level;

/// One request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Witness {
    /// Such as `oss:GetObject`.
    pub action: String,
    /// Such as `acs:oss:*:*:sample-bucket/a`.
    pub resource: String,
    /// What it has of the condition keys that the policies name.
    pub conditions: BTreeMap<String, String>,
}

impl Witness {
    /// Of a text that is no policy.
    pub(super) fn unknown() -> Self {
        let any = || "*".to_owned();
        Self { action: any(), resource: any(), conditions: BTreeMap::new() }
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.action, self.resource)?;
        let mut before = " with ";
        for (key, value) in &self.conditions {
            write!(f, "{before}{key}={value:?}")?;
            before = ", ";
        }
        Ok(())
    }
}

/// Well-known actions on objects, buckets and other services, the most common ones first.
const ON_OBJECTS: [&str; 4] =
    ["oss:GetObject", "oss:PutObject", "oss:DeleteObject", "oss:GetObjectAcl"];
const ON_BUCKETS: [&str; 4] =
    ["oss:ListObjects", "oss:GetBucketInfo", "oss:PutBucketAcl", "oss:DeleteBucket"];
const OF_OTHERS: [&str; 2] = ["ram:GetUser", "sts:AssumeRole"];

/// An action and a resource that are decided as the found ones, from the bounds' work that is left.
pub(super) fn realistic(
    action: String,
    resource: String,
    [actions, resources]: [&Patterns; 2],
    bounds: &mut Bounds,
) -> (String, String) {
    let mut like = |patterns: &Patterns, found: &str, candidates: Vec<String>| {
        let holding = patterns.holding(found);
        candidates.into_iter().find(|candidate| {
            let Some(left) = bounds.work.checked_sub(patterns.cost(candidate)) else {
                return false;
            };
            bounds.work = left;
            patterns.holding(candidate) == holding
        })
    };
    if let Some(written) = actions.spelling(&action) {
        let level = Level::of(written);
        let (first, second) = match level {
            Some(Level::Bucket | Level::Service) => (on_buckets(&resource), on_objects(&resource)),
            Some(Level::Object) | None => (on_objects(&resource), on_buckets(&resource)),
        };
        let (service, _) = written.split_once(':').unwrap_or(("oss", ""));
        let named =
            if service.eq_ignore_ascii_case("oss") { [first, second].concat() } else { vec![] };
        let named = like(resources, &resource, named);
        return (written.to_owned(), named.unwrap_or(resource));
    }
    let listed = |level: Level| {
        let names = catalogue::actions().map(|name| format!("oss:{name}"));
        names.filter(move |name| Level::of(name) == Some(level))
    };
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    for (common, level, names) in [
        (&ON_OBJECTS, Level::Object, on_objects(&resource)),
        (&ON_BUCKETS, Level::Bucket, on_buckets(&resource)),
    ] {
        let Some(fitting) = like(resources, &resource, names) else { continue };
        let all = owned(common).into_iter().chain(listed(level)).collect();
        if let Some(action) = like(actions, &action, all) {
            return (action, fitting);
        }
    }
    let all: Vec<String> = catalogue::actions().map(|name| format!("oss:{name}")).collect();
    let all = [all, owned(&OF_OTHERS)].concat();
    let action = like(actions, &action, all).unwrap_or(action);
    (action, resource)
}

/// Names of objects, like the one found.
fn on_objects(found: &str) -> Vec<String> {
    named(found, |path| match path.rsplit_once('/') {
        Some((folder, name)) => {
            vec![
                "bucket/object".to_owned(),
                format!("{folder}/object"),
                format!("{folder}/object{name}"),
                path.to_owned(),
            ]
        }
        None => vec!["bucket/object".to_owned(), format!("{path}/object")],
    })
}

/// Names of buckets, like the one found.
fn on_buckets(found: &str) -> Vec<String> {
    named(found, |path| {
        let found = (!path.contains('/')).then(|| path.to_owned());
        std::iter::once("bucket".to_owned()).chain(found).collect()
    })
}

/// Resources of OSS with these paths, in any region and account if that serves.
fn named(found: &str, paths: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    let fields: Vec<_> = found.splitn(5, ':').collect();
    let [_, _, region, account, path] = fields[..] else { return Vec::new() };
    let named = |path: String| {
        [format!("acs:oss:*:*:{path}"), format!("acs:oss:{region}:{account}:{path}")]
    };
    paths(path).into_iter().flat_map(named).collect()
}
