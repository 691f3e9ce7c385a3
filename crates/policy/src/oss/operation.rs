//! The operations of OSS, the actions that allow them, and the kind of resource that each action is decided on.

/// What the name of an action denotes: OSS has more operations than RAM has actions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operation {
    /// An operation that another action allows, such as `HeadObject` by `oss:GetObject`.
    AllowedBy(&'static str),
    /// An operation that needs one action on its source and another on its target.
    Copies,
    /// An action, or an unknown name.
    Action,
}

/// The kind of resource that OSS decides an action on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Level {
    /// `acs:oss:*:*:*`.
    Service,
    /// `acs:oss:*:*:bucket`.
    Bucket,
    /// `acs:oss:*:*:bucket/key`.
    Object,
}

/// Many to one. Source: OSS, "RAM policies", table of API operations and actions.
const ALLOWED_BY: [(&str, &str); 24] = [
    ("PostObject", "oss:PutObject"),
    ("AppendObject", "oss:PutObject"),
    ("InitiateMultipartUpload", "oss:PutObject"),
    ("UploadPart", "oss:PutObject"),
    ("CompleteMultipartUpload", "oss:PutObject"),
    ("PutSymlink", "oss:PutObject"),
    ("HeadObject", "oss:GetObject"),
    ("GetObjectMeta", "oss:GetObject"),
    ("SelectObject", "oss:GetObject"),
    ("GetSymlink", "oss:GetObject"),
    ("DeleteMultipleObjects", "oss:DeleteObject"),
    ("DeleteObjects", "oss:DeleteObject"),
    ("ListObjectsV2", "oss:ListObjects"),
    ("GetBucket", "oss:ListObjects"),
    ("GetBucketV2", "oss:ListObjects"),
    ("GetService", "oss:ListBuckets"),
    ("GetBucketVersions", "oss:ListObjectVersions"),
    ("PutBucketTags", "oss:PutBucketTagging"),
    ("GetBucketTags", "oss:GetBucketTagging"),
    ("DeleteBucketTags", "oss:DeleteBucketTagging"),
    ("ListBucketInventory", "oss:GetBucketInventory"),
    ("GetLiveChannelInfo", "oss:GetLiveChannel"),
    ("ListBucketRequesterQoSInfos", "oss:ListBucketRequesterQoSInfo"),
    ("ImgSaveAs", "oss:PostProcessTask"),
];

const COPIES: [&str; 2] = ["CopyObject", "UploadPartCopy"];

impl Operation {
    /// The operations that are not actions, without their service.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        ALLOWED_BY.into_iter().map(|(operation, _)| operation).chain(COPIES)
    }

    /// Classifies a name such as `oss:HeadObject`. Names of other services are taken to be actions.
    pub(crate) fn named(action: &str) -> Self {
        let Some(name) = oss_name(action) else { return Self::Action };
        let is = |other: &str| other.eq_ignore_ascii_case(name);
        if COPIES.into_iter().any(is) {
            return Self::Copies;
        }
        let found = ALLOWED_BY.into_iter().find(|(operation, _)| is(operation));
        found.map_or(Self::Action, |(_, action)| Self::AllowedBy(action))
    }
}

impl Level {
    /// The level of an action, if its name implies one; `None` for a pattern.
    pub(crate) fn of(action: &str) -> Option<Self> {
        let name = oss_name(action)?;
        let is = |other: &str| other.eq_ignore_ascii_case(name);
        let lower = name.to_ascii_lowercase();
        // They are resources of other kinds, and the names of their actions contain the words below.
        let elsewhere = ["accesspoint", "resourcepool", "vector", "writegetobjectresponse"];
        if name.contains(['*', '?']) || elsewhere.iter().any(|word| lower.contains(word)) {
            None
        } else if is("ListBuckets") {
            Some(Self::Service)
        } else if ["ListObjects", "ListObjectVersions", "ListMultipartUploads"].into_iter().any(is)
            || lower.contains("bucket")
        {
            Some(Self::Bucket)
        } else if ["AbortMultipartUpload", "ListParts"].into_iter().any(is)
            || lower.contains("object")
        {
            Some(Self::Object)
        } else {
            None
        }
    }
}

/// The name of an action of OSS, without the service.
pub(crate) fn oss_name(action: &str) -> Option<&str> {
    action
        .split_once(':')
        .filter(|(service, _)| service.eq_ignore_ascii_case("oss"))
        .map(|(_, n)| n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_operations_are_one_action() {
        for (operation, action) in [
            ("oss:HeadObject", Operation::AllowedBy("oss:GetObject")),
            ("OSS:uploadpart", Operation::AllowedBy("oss:PutObject")),
            ("oss:ListObjectsV2", Operation::AllowedBy("oss:ListObjects")),
            ("oss:CopyObject", Operation::Copies),
            ("oss:GetObject", Operation::Action),
            ("oss:GetBucketAcl", Operation::Action),
            ("oss:Anything", Operation::Action),
            ("ram:HeadObject", Operation::Action),
        ] {
            assert_eq!(Operation::named(operation), action, "{operation}");
        }
    }

    #[test]
    fn the_name_of_an_action_implies_its_level() {
        for (action, level) in [
            ("oss:ListBuckets", Some(Level::Service)),
            ("oss:ListObjects", Some(Level::Bucket)),
            ("oss:PutBucketAcl", Some(Level::Bucket)),
            ("oss:ListMultipartUploads", Some(Level::Bucket)),
            ("oss:GetObjectAcl", Some(Level::Object)),
            ("oss:ListParts", Some(Level::Object)),
            ("oss:List*", None),
            ("ram:GetObject", None),
            ("*", None),
        ] {
            assert_eq!(Level::of(action), level, "{action}");
        }
    }
}
