//! Buckets and objects that a resource pattern covers.

use crate::matching::pattern::Pattern;
use crate::matching::resource::fields;
use crate::oss::operation::Level;

/// A pattern over OSS's buckets and objects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OssResource<'a> {
    /// Such as `acs:oss:*:*:`.
    before: &'a str,
    path: &'a str,
}

impl<'a> OssResource<'a> {
    /// The patterns, if all of them are of OSS; none otherwise, because then nothing can be concluded.
    pub(crate) fn all(patterns: &'a [String]) -> Vec<Self> {
        let one = |pattern: &'a String| {
            let [_, service, .., path] = fields(pattern)?;
            let before = &pattern[..pattern.len() - path.len()];
            Pattern(service).matches("oss").then_some(Self { before, path })
        };
        patterns.iter().map(one).collect::<Option<_>>().unwrap_or_default()
    }

    /// The pattern of its bucket.
    pub(crate) fn bucket(&self) -> &'a str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// Whether it matches a resource of the level.
    pub(crate) fn may_be(&self, level: Level) -> bool {
        match level {
            Level::Service => self.path.chars().all(|c| c == '*'),
            Level::Bucket => !self.path.contains('/'),
            Level::Object => self.path.contains(['/', '*']),
        }
    }

    /// A pattern for the same bucket on that level.
    pub(crate) fn at(&self, level: Level) -> String {
        match level {
            Level::Service => format!("{}*", self.before),
            Level::Bucket => format!("{}{}", self.before, self.bucket()),
            Level::Object => format!("{}{}/*", self.before, self.bucket()),
        }
    }

    /// The prefixes that limit a listing to its keys: the folder that contains all of them, if there is one.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = String> + use<> {
        let key = self.path.split_once('/').map_or("", |(_, key)| key);
        let fixed = &key[..key.find(['*', '?']).unwrap_or(key.len())];
        let folder = fixed.rfind('/').map(|slash| fixed[..=slash].to_owned());
        folder.into_iter().flat_map(|folder| [folder.clone(), format!("{folder}*")])
    }
}
