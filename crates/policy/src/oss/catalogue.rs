//! The actions and condition keys that OSS documents.
//!
//! Source: OSS, "Authorization syntax and elements", its tables of actions and of condition keys. OSS keeps adding to
//! them, so a missing name is unknown, not impossible: nothing is refused for it, and warnings say "known here".

use std::fmt;

use crate::oss::operation::Operation;

/// By the kind of resource: the service, a bucket (by what they reach of its keys), an object, a resource pool, vectors.
const ACTIONS: [&str; 7] = [SERVICE, LISTING, ALL_KEYS, BUCKET, OBJECT, RESOURCE_POOL, VECTOR];

const SERVICE: &str = "\
    ListBuckets ListUserDataRedundancyTransition ActivateProduct CreateOrder PutPublicAccessBlock \
    GetPublicAccessBlock DeletePublicAccessBlock";

/// On a bucket: they name its keys that begin with the request's prefix.
const LISTING: &str = "ListObjects ListObjectVersions ListMultipartUploads";

/// On a bucket: they name or copy its keys, whatever their names: in the answer, or in reports, logs and copies that OSS
/// writes where the request says.
const ALL_KEYS: &str = "DoMetaQuery PutBucketInventory PutBucketLogging PutBucketReplication PutBucketRTC ReplicateList";

/// On a bucket: its settings and figures, which name none of its keys.
const BUCKET: &str = "\
    PutBucket GetBucketInfo GetBucketLocation GetBucketStat PutBucketVersioning GetBucketVersioning \
    PutBucketAcl GetBucketAcl DeleteBucket InitiateBucketWorm AbortBucketWorm \
    CompleteBucketWorm ExtendBucketWorm GetBucketWorm GetBucketLogging DeleteBucketLogging \
    PutBucketWebsite GetBucketWebsite DeleteBucketWebsite PutBucketReferer GetBucketReferer PutBucketLifecycle \
    GetBucketLifecycle DeleteBucketLifecycle PutBucketTransferAcceleration GetBucketTransferAcceleration \
    PutBucketCors GetBucketCors DeleteBucketCors PutBucketPolicy GetBucketPolicy \
    DeleteBucketPolicy PutBucketTagging GetBucketTagging DeleteBucketTagging PutBucketEncryption \
    GetBucketEncryption DeleteBucketEncryption PutBucketRequestPayment GetBucketRequestPayment \
    GetBucketReplication DeleteBucketReplication GetBucketReplicationLocation \
    GetBucketReplicationProgress GetBucketInventory DeleteBucketInventory \
    PutBucketAccessMonitor GetBucketAccessMonitor OpenMetaQuery GetMetaQueryStatus CloseMetaQuery \
    InitUserAntiDDosInfo UpdateUserAntiDDosInfo GetUserAntiDDosInfo InitBucketAntiDDosInfo \
    UpdateBucketAntiDDosInfo ListBucketAntiDDosInfo PutBucketResourceGroup GetBucketResourceGroup \
    CreateCnameToken GetCnameToken PutCname ListCname DeleteCname PutStyle GetStyle ListStyle DeleteStyle \
    PutBucketArchiveDirectRead GetBucketArchiveDirectRead CreateAccessPoint GetAccessPoint DeleteAccessPoint \
    ListAccessPoints PutAccessPointPolicy GetAccessPointPolicy DeleteAccessPointPolicy PutBucketHttpsConfig \
    GetBucketHttpsConfig CreateAccessPointForObjectProcess GetAccessPointForObjectProcess \
    DeleteAccessPointForObjectProcess ListAccessPointsForObjectProcess PutAccessPointConfigForObjectProcess \
    GetAccessPointConfigForObjectProcess PutAccessPointPolicyForObjectProcess \
    GetAccessPointPolicyForObjectProcess DeleteAccessPointPolicyForObjectProcess WriteGetObjectResponse \
    CreateBucketDataRedundancyTransition GetBucketDataRedundancyTransition DeleteBucketDataRedundancyTransition \
    ListBucketDataRedundancyTransition PutBucketPublicAccessBlock GetBucketPublicAccessBlock \
    DeleteBucketPublicAccessBlock PutAccessPointPublicAccessBlock GetAccessPointPublicAccessBlock \
    DeleteAccessPointPublicAccessBlock GetBucketPolicyStatus PutBucketOverwriteConfig GetBucketOverwriteConfig \
    DeleteBucketOverwriteConfig";

const OBJECT: &str = "\
    PutObject GetObject GetObjectVersion DeleteObject DeleteObjectVersion AbortMultipartUpload ListParts \
    PutObjectAcl PutObjectVersionAcl GetObjectAcl GetObjectVersionAcl RestoreObject RestoreObjectVersion \
    PutObjectTagging PutObjectVersionTagging GetObjectTagging GetObjectVersionTagging DeleteObjectTagging \
    DeleteObjectVersionTagging PutLiveChannel ListLiveChannel DeleteLiveChannel PutLiveChannelStatus \
    GetLiveChannel GetLiveChannelStat GetLiveChannelHistory PostVodPlaylist GetVodPlaylist PublishRtmpStream \
    ProcessImm PostProcessTask ReplicateGet ReplicatePut ReplicateDelete PutObjectRetention";

const RESOURCE_POOL: &str = "\
    PutBucketQoSInfo GetBucketQoSInfo DeleteBucketQoSInfo PutBucketRequesterQoSInfo GetBucketRequesterQoSInfo \
    ListBucketRequesterQoSInfo DeleteBucketRequesterQoSInfo ListResourcePools GetResourcePoolInfo \
    ListResourcePoolBuckets PutResourcePoolRequesterQoSInfo GetResourcePoolRequesterQoSInfo \
    ListResourcePoolRequesterQoSInfos DeleteResourcePoolRequesterQoSInfo";

const VECTOR: &str = "\
    PutVectorBucket GetVectorBucket ListVectorBuckets DeleteVectorBucket PutVectorIndex GetVectorIndex \
    ListVectorIndexes DeleteVectorIndex PutVectors GetVectors ListVectors QueryVectors DeleteVectors";

/// The actions that list the keys of a bucket under a prefix.
pub(crate) fn listings() -> impl Iterator<Item = String> {
    LISTING.split_ascii_whitespace().map(|name| format!("oss:{name}"))
}

/// The actions that reach all keys of a bucket, because nothing limits them to a prefix.
pub(crate) fn of_all_keys() -> impl Iterator<Item = String> {
    ALL_KEYS.split_ascii_whitespace().map(|name| format!("oss:{name}"))
}

/// The names of all actions, without their service.
pub(crate) fn actions() -> impl Iterator<Item = &'static str> {
    ACTIONS.into_iter().flat_map(str::split_ascii_whitespace)
}

/// Whether OSS has an action or an operation with that name, as far as is known here.
pub(crate) fn knows(name: &str) -> bool {
    let is = |known: &str| known.eq_ignore_ascii_case(name);
    actions().any(is) || Operation::names().any(is)
}

/// The action most like the name, such as `oss:GetObject` for `GetObjct`.
pub(crate) fn nearest_action(name: &str) -> Option<String> {
    let near = nearest(name, actions().chain(Operation::names()))?;
    let near = format!("oss:{near}");
    match Operation::named(&near) {
        Operation::Action => Some(near),
        Operation::AllowedBy(action) => Some(action.to_owned()),
        Operation::Copies => None,
    }
}

/// The key most like the name, such as `oss:Prefix` for `oss:prefix`.
pub(crate) fn nearest_key(key: &str) -> Option<&'static str> {
    nearest(key, GENERAL_KEYS.into_iter().chain(OSS_KEYS.iter().map(|(known, _)| *known)))
}

/// The nearest name, if it differs little: two edits in names of twenty letters, fewer in short ones.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let slips = |known: &str| strsim::osa_distance(&name, &known.to_ascii_lowercase());
    let (slips, known) =
        known.map(|known| (slips(known), known)).min_by_key(|(slips, _)| *slips)?;
    (slips <= 2 && slips * 4 < known.len()).then_some(known)
}

/// The key that limits a listing.
pub(crate) const PREFIX_KEY: &str = "oss:Prefix";

/// The key that keeps a listing from what lies in folders.
pub(crate) const DELIMITER_KEY: &str = "oss:Delimiter";

/// The keys that every request to OSS has.
const GENERAL_KEYS: [&str; 7] = [
    "acs:AccessId",
    "acs:CurrentTime",
    "acs:MFAPresent",
    "acs:SecureTransport",
    "acs:SourceIp",
    "acs:SourceVpc",
    "acs:UserAgent",
];

/// The keys of OSS. Those of tags may continue with `/` and a tag's name.
const OSS_KEYS: [(&str, KeyScope); 11] = [
    ("oss:Prefix", LISTINGS),
    ("oss:Delimiter", LISTINGS),
    ("oss:x-oss-acl", KeyScope::Only(&["PutBucket", "PutBucketAcl"])),
    ("oss:x-oss-object-acl", KeyScope::Only(&["PutObject", "PutObjectAcl", "PutObjectVersionAcl"])),
    ("oss:object-remaining-retention-days", KeyScope::Only(&["PutObjectRetention"])),
    ("oss:BucketTag", KeyScope::All),
    ("oss:ExistingObjectTag", KeyScope::Objects),
    ("oss:RequestObjectTag", KeyScope::Objects),
    ("oss:DataAccessPointArn", KeyScope::All),
    ("oss:AccessPointNetworkOrigin", KeyScope::All),
    ("oss:DataAccessPointAccount", KeyScope::All),
];

/// `ListObjects` is documented; the other two take the same parameters.
const LISTINGS: KeyScope =
    KeyScope::Only(&["ListObjects", "ListObjectVersions", "ListMultipartUploads"]);

/// The actions whose requests may have a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeyScope {
    All,
    /// Actions that are decided on objects: "mainly" reading, writing and tagging, as OSS puts it.
    Objects,
    Only(&'static [&'static str]),
}

impl KeyScope {
    /// The scope of a key, if the key is known here.
    pub(crate) fn of(key: &str) -> Option<Self> {
        if GENERAL_KEYS.contains(&key) {
            return Some(Self::All);
        }
        let key = match key.split_once('/') {
            Some((tags, tag)) if tags.ends_with("Tag") && !tag.is_empty() => tags,
            Some(_) | None => key,
        };
        OSS_KEYS.into_iter().find(|(known, _)| *known == key).map(|(_, scope)| scope)
    }

    /// Whether `covered` is true for one of the actions, given by full name.
    pub(crate) fn includes_any(self, covered: impl Fn(&str) -> bool) -> bool {
        let covered = |name: &str| covered(&format!("oss:{name}"));
        match self {
            Self::All => true,
            Self::Objects => OBJECT.split_ascii_whitespace().any(covered),
            Self::Only(names) => names.iter().copied().any(covered),
        }
    }
}

impl fmt::Display for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("every action"),
            Self::Objects => f.write_str("the actions on objects"),
            Self::Only(names) => {
                let names: Vec<_> = names.iter().map(|name| format!("`oss:{name}`")).collect();
                f.write_str(&names.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oss::operation::Level;

    #[test]
    fn every_action_is_listed_once_and_is_no_operation() {
        let mut names: Vec<_> = actions().map(str::to_ascii_lowercase).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!((count, names.len()), (181, 181));
        for action in actions() {
            assert_eq!(Operation::named(&format!("oss:{action}")), Operation::Action, "{action}");
        }
    }

    #[test]
    fn what_allows_an_operation_is_an_action() {
        for operation in Operation::names() {
            if let Operation::AllowedBy(action) = Operation::named(&format!("oss:{operation}")) {
                let name = action.strip_prefix("oss:").unwrap();
                assert!(actions().any(|known| known == name), "{action}");
            }
        }
    }

    #[test]
    fn an_actions_level_is_that_of_its_table() {
        let levels = |names: &str| {
            let level = |name: &str| Level::of(&format!("oss:{name}"));
            names.split_ascii_whitespace().filter_map(level).collect::<Vec<_>>()
        };
        assert!(levels(SERVICE).iter().all(|level| *level == Level::Service));
        assert!(levels(LISTING).iter().all(|level| *level == Level::Bucket));
        assert!(levels(ALL_KEYS).iter().all(|level| *level == Level::Bucket));
        assert!(levels(BUCKET).iter().all(|level| *level == Level::Bucket));
        assert!(levels(OBJECT).iter().all(|level| *level == Level::Object));
        assert_eq!(levels(VECTOR), []);
    }

    #[test]
    fn a_misspelt_name_is_nearest_to_the_intended_one() {
        for (slip, meant) in [
            ("GetObjct", Some("oss:GetObject")),
            ("GetObjects", Some("oss:GetObject")),
            ("getobejct", Some("oss:GetObject")),
            ("HaedObject", Some("oss:GetObject")),
            ("PutBucketACLs", Some("oss:PutBucketAcl")),
            ("ListObject", Some("oss:ListObjects")),
            ("Frobnicate", None),
            ("x", None),
        ] {
            assert_eq!(nearest_action(slip).as_deref(), meant, "{slip}");
        }
        assert_eq!(nearest_key("oss:prefix"), Some("oss:Prefix"));
        assert_eq!(nearest_key("acs:SourceIP"), Some("acs:SourceIp"));
        assert_eq!(nearest_key("oss:Colour"), None);
    }

    #[test]
    fn a_quarter_of_a_name_and_two_letters_may_differ() {
        for (slip, known, found) in [
            ("abcdeXX", "abcdefgh", false),
            ("abcdefgXX", "abcdefghi", true),
            ("abcX", "abcd", false),
            ("abcdX", "abcde", true),
            ("abcdefghijklmnopqXX", "abcdefghijklmnopqrs", true),
            ("abcdefghijklmnopXXX", "abcdefghijklmnopqrs", false),
        ] {
            assert_eq!(nearest(slip, std::iter::once(known)), found.then_some(known), "{slip}");
        }
    }

    #[test]
    fn a_tags_name_belongs_to_its_key() {
        for known in ["oss:BucketTag", "oss:ExistingObjectTag/owner", "acs:SourceIp", "oss:Prefix"]
        {
            assert!(KeyScope::of(known).is_some(), "{known}");
        }
        for unknown in ["oss:Prefix/a", "oss:BucketTag/", "oss:prefix", "oss:Tag/a", "acs:Nothing"]
        {
            assert_eq!(KeyScope::of(unknown), None, "{unknown}");
        }
    }
}
