//! The upstreams: `[sts]` and those of `[sts.upstreams]`, each with its own identity and endpoints.

use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use super::text_type;

/// The name of an upstream in the configuration: `[sts.upstreams.NAME]`, or `default` for `[sts]` itself.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct UpstreamName(Arc<str>);

text_type!(
    UpstreamName,
    |s| super::names::is_name(s, 1),
    "an upstream's name is 1 to 32 characters of a-z, 0-9 and `-`"
);

const DEFAULT: &str = "default";

impl Default for UpstreamName {
    fn default() -> Self {
        // Each grant has one, so they share the text.
        static NAME: LazyLock<Arc<str>> = LazyLock::new(|| DEFAULT.into());
        Self(Arc::clone(&NAME))
    }
}

impl UpstreamName {
    /// Whether it is `[sts]` itself.
    pub fn is_default(&self) -> bool {
        self.as_str() == DEFAULT
    }

    /// The name of an upstream that has a table of its own.
    pub fn name_unless_default(&self) -> Option<&str> {
        (!self.is_default()).then_some(self.as_str())
    }

    /// The path of its table in the configuration.
    pub fn path(&self) -> String {
        self.name_unless_default()
            .map_or_else(|| "sts".to_owned(), |name| format!("sts.upstreams.{name}"))
    }
}

/// A value for each upstream. There is always one for `[sts]`, which comes first.
#[derive(Clone, Debug)]
pub struct Upstreams<T> {
    default: (UpstreamName, T),
    named: Vec<(UpstreamName, T)>,
}

impl<T> Upstreams<T> {
    /// The value for `[sts]` and those for the tables of `[sts.upstreams]`.
    pub fn new(default: T, named: impl IntoIterator<Item = (UpstreamName, T)>) -> Self {
        Self { default: (UpstreamName::default(), default), named: named.into_iter().collect() }
    }

    /// The value for this upstream, if it exists.
    pub fn get(&self, name: &UpstreamName) -> Option<&T> {
        self.iter().find_map(|(own, value)| (own == name).then_some(value))
    }

    /// The value for `[sts]`.
    pub fn of_sts(&self) -> &T {
        &self.default.1
    }

    /// The values with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&UpstreamName, &T)> {
        std::iter::once(&self.default).chain(&self.named).map(|(name, value)| (name, value))
    }

    /// The values.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.iter().map(|(_, value)| value)
    }

    /// The values with their names.
    pub fn into_values(self) -> impl Iterator<Item = (UpstreamName, T)> {
        std::iter::once(self.default).chain(self.named)
    }

    /// Whether there are others than `[sts]`.
    pub fn are_several(&self) -> bool {
        !self.named.is_empty()
    }

    /// Another value for each of them.
    pub fn map_ref<U>(&self, mut map: impl FnMut(&T) -> U) -> Upstreams<U> {
        let mut map = |(name, value): &(UpstreamName, T)| (name.clone(), map(value));
        Upstreams { default: map(&self.default), named: self.named.iter().map(map).collect() }
    }

    /// Both values of each upstream that has two.
    pub fn zip<U>(self, other: Upstreams<U>) -> Upstreams<(T, U)> {
        let (own, others) = (self.default, other.default);
        let mut named: std::collections::BTreeMap<_, _> = other.named.into_iter().collect();
        let pair = |(name, value): (UpstreamName, T)| {
            let other = named.remove(&name)?;
            Some((name, (value, other)))
        };
        Upstreams {
            default: (own.0, (own.1, others.1)),
            named: self.named.into_iter().filter_map(pair).collect(),
        }
    }

    /// Another value for each of them, or the first failure.
    pub fn try_map<U, E>(
        self,
        mut map: impl FnMut(&UpstreamName, T) -> Result<U, E>,
    ) -> Result<Upstreams<U>, E> {
        let mut map = |(name, value): (UpstreamName, T)| {
            let value = map(&name, value)?;
            Ok((name, value))
        };
        let default = map(self.default)?;
        let named = self.named.into_iter().map(map).collect::<Result<_, E>>()?;
        Ok(Upstreams { default, named })
    }

    /// Another value for each of them.
    pub fn map<U>(self, mut map: impl FnMut(&UpstreamName, T) -> U) -> Upstreams<U> {
        let mut map = |(name, value): (UpstreamName, T)| {
            let value = map(&name, value);
            (name, value)
        };
        Upstreams { default: map(self.default), named: self.named.into_iter().map(map).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstream_of_sts_comes_first_and_is_called_default() {
        let named = ["cn", "eu"].map(|name| (name.parse().unwrap(), 1));
        let upstreams = Upstreams::new(0, named).map(|name, value| format!("{name} {value}"));
        let shown: Vec<_> = upstreams.values().cloned().collect();
        assert_eq!(shown, ["default 0", "cn 1", "eu 1"]);
        assert_eq!(upstreams.get(&"default".parse().unwrap()), Some(upstreams.of_sts()));
        assert_eq!(upstreams.get(&"us".parse().unwrap()), None);
        let path = |name: &str| name.parse::<UpstreamName>().unwrap().path();
        assert_eq!([path("default"), path("eu")], ["sts", "sts.upstreams.eu"]);
    }
}
