//! What a grant admits of what is signed in a caller's place: names, types, sizes, and how long a signature lives.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::byte_size::ByteSize;
use super::content_type::ContentType;
use super::name_pattern::NamePattern;
use super::presigned_url::UrlMethod;

/// The rules of a grant's upload forms. The template of their keys is part of the grant's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct UploadRules {
    pub(crate) name: NamePattern,
    pub(crate) max_bytes: ByteSize,
    pub(crate) content_types: ContentTypes,
    /// Whether an upload may replace an object.
    pub(crate) overwrite: bool,
    pub(crate) storage_class: StorageClass,
    pub(crate) lifetime: SigningLifetime,
    /// Whether callers get tokens, too, by which none of these rules is enforced.
    pub(crate) also_tokens: bool,
}

/// The content types of uploads, at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ContentTypes(Vec<ContentType>);

/// Where OSS stores an object, as it names the classes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub(crate) enum StorageClass {
    Standard,
    #[serde(rename = "IA")]
    InfrequentAccess,
    Archive,
    ColdArchive,
    DeepColdArchive,
}

/// The methods of the URLs that a grant signs; none by default.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct SignedUrlMethods(Vec<UrlMethod>);

/// How long what a grant signs is valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SigningLifetime {
    longest_secs: u32,
}

/// The rule that a request for an upload or a URL breaks.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum SigningProblem {
    #[error("a name is {0}")]
    Name(NamePattern),
    #[error("it is missing: write one of {0}")]
    ContentTypeMissing(String),
    #[error("the grant takes {0}")]
    ContentType(String),
    #[error("a file has at least one byte")]
    Empty,
    /// The file is announced to be larger.
    #[error("a file of this grant has at most {max_bytes} bytes")]
    TooLarge { max_bytes: u64 },
    #[error("it is {} to {longest_secs} seconds for this grant", SigningLifetime::SHORTEST_SECS)]
    Lifetime { longest_secs: u32 },
}

impl UploadRules {
    /// Checks a name against the rule of names.
    pub(crate) fn check_name(&self, name: &str) -> Result<(), SigningProblem> {
        if self.name.admits(name) { Ok(()) } else { Err(SigningProblem::Name(self.name.clone())) }
    }

    /// The type of an upload: the requested one, or the only one of the grant.
    pub(crate) fn content_type(
        &self,
        requested: Option<&str>,
    ) -> Result<&ContentType, SigningProblem> {
        let ContentTypes(types) = &self.content_types;
        let written = || {
            let types: Vec<_> = types.iter().map(|one| format!("`{one}`")).collect();
            types.join(", ")
        };
        match (requested, &types[..]) {
            (None, [only]) => Ok(only),
            (None, _) => Err(SigningProblem::ContentTypeMissing(written())),
            (Some(requested), types) => types
                .iter()
                .find(|one| one.as_str().eq_ignore_ascii_case(requested))
                .ok_or_else(|| SigningProblem::ContentType(written())),
        }
    }

    /// The sizes that a form admits, for the announced size.
    pub(crate) fn bytes(
        &self,
        announced: Option<u64>,
    ) -> Result<RangeInclusive<u64>, SigningProblem> {
        let max_bytes = self.max_bytes.get();
        match announced {
            Some(0) => Err(SigningProblem::Empty),
            Some(bytes) if bytes > max_bytes => Err(SigningProblem::TooLarge { max_bytes }),
            announced => Ok(1..=announced.unwrap_or(max_bytes)),
        }
    }
}

impl ContentTypes {
    /// Each type once; `None` if there is none.
    pub(crate) fn new(types: Vec<ContentType>) -> Option<Self> {
        let mut once: Vec<ContentType> = Vec::new();
        for one in types {
            if !once.contains(&one) {
                once.push(one);
            }
        }
        (!once.is_empty()).then_some(Self(once))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &ContentType> {
        self.0.iter()
    }
}

impl StorageClass {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "Standard",
            Self::InfrequentAccess => "IA",
            Self::Archive => "Archive",
            Self::ColdArchive => "ColdArchive",
            Self::DeepColdArchive => "DeepColdArchive",
        }
    }

    /// Whether an object must be restored before it is read.
    pub(crate) fn needs_restoring(self) -> bool {
        match self {
            Self::Standard | Self::InfrequentAccess => false,
            Self::Archive | Self::ColdArchive | Self::DeepColdArchive => true,
        }
    }
}

impl SignedUrlMethods {
    pub(crate) fn new(mut methods: Vec<UrlMethod>) -> Self {
        methods.sort_unstable();
        methods.dedup();
        Self(methods)
    }

    pub(crate) fn contains(&self, method: UrlMethod) -> bool {
        self.0.contains(&method)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = UrlMethod> {
        self.0.iter().copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl SigningLifetime {
    pub(crate) const SHORTEST_SECS: u32 = 60;
    /// Seven days: OSS accepts no longer life.
    pub(crate) const LONGEST_SECS: u32 = 604_800;
    const DEFAULT_SECS: u32 = 900;

    /// The longest life for sessions of this duration: a cached one has more than half of it left.
    pub(crate) fn of_sessions(duration_secs: u32) -> Self {
        Self { longest_secs: (duration_secs / 2).min(Self::LONGEST_SECS) }
    }

    /// Of upload forms: the default where none is configured.
    pub(crate) fn or_default(self) -> Self {
        Self { longest_secs: self.longest_secs.min(Self::DEFAULT_SECS) }
    }

    /// A configured one; `None` if it is too short, or longer than this one.
    pub(crate) fn at_most(self, secs: u32) -> Option<Self> {
        let admitted = Self::SHORTEST_SECS..=self.longest_secs;
        admitted.contains(&secs).then_some(Self { longest_secs: secs })
    }

    pub(crate) fn longest_secs(self) -> u32 {
        self.longest_secs
    }

    /// The requested life, or 900 seconds if the longest is longer.
    pub(crate) fn choose(self, requested_secs: Option<u64>) -> Result<u32, SigningProblem> {
        let longest_secs = self.longest_secs;
        let Some(secs) = requested_secs else { return Ok(longest_secs.min(Self::DEFAULT_SECS)) };
        let secs = u32::try_from(secs).ok();
        let admitted = secs.filter(|secs| (Self::SHORTEST_SECS..=longest_secs).contains(secs));
        admitted.ok_or(SigningProblem::Lifetime { longest_secs })
    }
}

#[cfg(test)]
impl UploadRules {
    /// One content type, 1 KiB, half an hour.
    pub(crate) fn for_tests() -> Self {
        Self {
            name: NamePattern::Segment,
            max_bytes: serde_json::from_str("\"1KiB\"").unwrap(),
            content_types: ContentTypes(vec!["image/jpeg".to_owned().try_into().unwrap()]),
            overwrite: false,
            storage_class: StorageClass::Standard,
            lifetime: SigningLifetime::of_sessions(3600),
            also_tokens: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(types: &[&str]) -> UploadRules {
        let types = types.iter().map(|one| (*one).to_owned().try_into().unwrap()).collect();
        UploadRules { content_types: ContentTypes::new(types).unwrap(), ..UploadRules::for_tests() }
    }

    #[test]
    fn a_content_type_is_one_of_the_grants_and_may_be_left_out_where_there_is_one() {
        let jpeg = rules(&["image/jpeg", "Image/JPEG"]);
        let both = rules(&["image/jpeg", "image/png"]);
        let of = |rules: &UploadRules, requested| {
            let of = rules.content_type(requested).map(ToString::to_string);
            of.map_err(|problem| problem.to_string())
        };
        assert_eq!(of(&jpeg, None).unwrap(), "image/jpeg");
        assert_eq!(of(&both, Some("IMAGE/png")).unwrap(), "image/png");
        let refused = [of(&both, None), of(&both, Some("text/html")), of(&jpeg, Some("image/*"))];
        insta::assert_snapshot!(refused.map(Result::unwrap_err).join("\n"), @r"
it is missing: write one of `image/jpeg`, `image/png`
the grant takes `image/jpeg`, `image/png`
the grant takes `image/jpeg`
");
        assert_eq!(ContentTypes::new(vec![]), None);
    }

    #[test]
    fn a_file_has_at_least_a_byte_and_at_most_what_is_announced() {
        let rules = rules(&["image/jpeg"]);
        assert_eq!(rules.bytes(None), Ok(1..=1024));
        assert_eq!(rules.bytes(Some(1)), Ok(1..=1));
        assert_eq!(rules.bytes(Some(1024)), Ok(1..=1024));
        assert_eq!(rules.bytes(Some(0)), Err(SigningProblem::Empty));
        for beyond in [1025, u64::MAX] {
            assert_eq!(
                rules.bytes(Some(beyond)),
                Err(SigningProblem::TooLarge { max_bytes: 1024 })
            );
        }
    }

    #[test]
    fn a_signature_lives_half_as_long_as_a_session_at_most() {
        let hour = SigningLifetime::of_sessions(3600);
        assert_eq!(hour.choose(None), Ok(900));
        assert_eq!(hour.choose(Some(1800)), Ok(1800));
        for beyond in [0, 59, 1801, u64::MAX] {
            assert_eq!(
                hour.choose(Some(beyond)),
                Err(SigningProblem::Lifetime { longest_secs: 1800 })
            );
        }
        let shortest = SigningLifetime::of_sessions(900);
        assert_eq!((shortest.choose(None), shortest.or_default().longest_secs()), (Ok(450), 450));
        assert_eq!(hour.at_most(60).map(|one| one.choose(None)), Some(Ok(60)));
        assert_eq!([hour.at_most(59), hour.at_most(1801)], [None, None]);
    }
}
