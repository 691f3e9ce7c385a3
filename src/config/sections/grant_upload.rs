//! `[grants.NAME.upload]` and `signed_urls`: what a grant signs in its callers' place.

use serde::Deserialize;

use super::claims::EMPTY_PATTERN;
use super::grant_callback::RawCallback;
use crate::config::field::{Field, List};
use crate::config::problems::{Problem, Problems};
use crate::grant::Durations;
use crate::oss_bucket::OssBucket;
use crate::sign::{
    ByteSize, ContentType, ContentTypes, NamePattern, SignedUrlMethods, SigningLifetime,
    StorageClass, UploadRules, UrlMethod,
};
use appserver_domain::Bucket;
use appserver_policy::{GrantSessionPolicy, GrantTemplate, ObjectActions};

#[derive(Debug, Deserialize)]
pub(crate) struct RawUpload {
    /// Required. The template of the keys, with the placeholders of the policy, `${name}` and `${uuid}`.
    key: Field<String>,
    /// An anchored regular expression on the whole name. Default: one path segment.
    name_pattern: Field<String>,
    /// Required. Larger files are refused.
    max_bytes: Field<ByteSize>,
    /// Required, at least one. Others are refused.
    content_types: Field<List<ContentType>>,
    /// Default false. Whether an upload may replace an object.
    overwrite: Field<bool>,
    /// Default `Standard`.
    storage_class: Field<StorageClass>,
    /// Seconds, 60 to half of the grant's `max_duration_secs`; default 900, or that half if it is shorter.
    max_lifetime_secs: Field<u32>,
    /// Default false. Whether the grant vends tokens, too.
    also_tokens: Field<bool>,
    /// Default none. Where OSS's reports of the uploads go.
    pub(super) callback: Option<RawCallback>,
}

/// A method of signed URLs, as it is written.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum RawMethod {
    Get,
    Head,
    Put,
}

/// What a grant signs, as it is written, with the texts that the grant's template needs.
pub(crate) struct WrittenSigning {
    /// Of the grant.
    path: String,
    upload: Option<WrittenForm>,
    urls: Option<SignedUrlMethods>,
}

/// A table `upload` without its texts.
struct WrittenForm {
    /// `None` if it is invalid or missing.
    key: Option<String>,
    raw: RawUpload,
}

/// What a grant signs.
pub(crate) struct SigningGrantRules {
    pub(crate) upload: Option<UploadRules>,
    pub(crate) urls: SignedUrlMethods,
}

impl WrittenSigning {
    pub(crate) fn new(
        path: &str,
        upload: Option<RawUpload>,
        urls: Field<List<RawMethod>>,
        problems: &mut Problems,
    ) -> Self {
        let upload = upload.map(|mut raw| {
            let key = problems.require(std::mem::take(&mut raw.key));
            WrittenForm { key, raw }
        });
        let urls = problems.or(urls, List(Vec::new())).map(|List(methods)| {
            let method = |raw: RawMethod| match raw {
                RawMethod::Get => UrlMethod::Get,
                RawMethod::Head => UrlMethod::Head,
                RawMethod::Put => UrlMethod::Put,
            };
            SignedUrlMethods::new(methods.into_iter().map(method).collect())
        });
        Self { path: path.to_owned(), upload, urls }
    }

    /// The template of the keys of uploads.
    pub(crate) fn key(&self) -> Option<&str> {
        self.upload.as_ref()?.key.as_deref()
    }

    /// Whether callers get tokens of the grant.
    pub(crate) fn vends_tokens(&self) -> bool {
        let given = |form: &WrittenForm| form.raw.also_tokens.given().copied();
        self.upload.as_ref().is_none_or(|form| given(form).unwrap_or(false))
    }

    /// The rules, or `None` if a key is invalid.
    pub(crate) fn resolve(
        self,
        names_bucket: bool,
        durations: Option<Durations>,
        problems: &mut Problems,
    ) -> Option<SigningGrantRules> {
        let Self { path, upload, urls } = self;
        let at = |key: &str| format!("{path}.{key}");
        let has_upload = upload.is_some();
        let is_signing = has_upload || urls.as_ref().is_some_and(|urls| !urls.is_empty());
        if is_signing && !names_bucket {
            let key = if has_upload { "upload" } else { "signed_urls" };
            problems.add_absence(
                at("oss"),
                format!(
                    "`{key}` needs the bucket and its region, which are part of what is signed: add `[{path}.oss]`"
                ),
            );
        }
        let upload = match upload.map(|form| form.resolve(&at("upload"), durations, problems)) {
            Some(rules) => Some(rules?),
            None => None,
        };
        (names_bucket || !is_signing).then_some(SigningGrantRules { upload, urls: urls? })
    }
}

impl WrittenForm {
    fn resolve(
        self,
        path: &str,
        durations: Option<Durations>,
        problems: &mut Problems,
    ) -> Option<UploadRules> {
        let Self { key, raw } = self;
        let at = |key: &str| format!("{path}.{key}");
        let has_name = key.as_ref().map(|key| key.contains("${name}"));
        let pattern_is_invalid = raw.name_pattern.is_invalid();
        let pattern = problems.take(raw.name_pattern);
        let name = match pattern.as_deref() {
            None if pattern_is_invalid => None,
            None => Some(NamePattern::Segment),
            Some(_) if has_name == Some(false) => {
                problems.add_absence(
                    at("name_pattern"),
                    "`key` contains no `${name}`, so callers choose no name: add it there, or remove the pattern",
                );
                None
            }
            Some("") => {
                problems.add(at("name_pattern"), EMPTY_PATTERN);
                None
            }
            Some(pattern) => pattern
                .parse()
                .map(NamePattern::Pattern)
                .map_err(|problem| problems.add_error(at("name_pattern"), &problem))
                .ok(),
        };
        let types = problems.require(raw.content_types).and_then(|List(types)| {
            let types = ContentTypes::new(types);
            if types.is_none() {
                problems.add(
                    at("content_types"),
                    "it must not be empty: list the types that callers may upload",
                );
            }
            types
        });
        let lifetime =
            lifetime(&at("max_lifetime_secs"), raw.max_lifetime_secs, durations, problems);
        let max_bytes = problems.require(raw.max_bytes);
        let overwrite = problems.or(raw.overwrite, false);
        let storage_class = problems.or(raw.storage_class, StorageClass::Standard);
        let also_tokens = problems.or(raw.also_tokens, false);
        key?;
        Some(UploadRules {
            name: name?,
            max_bytes: max_bytes?,
            content_types: types?,
            overwrite: overwrite?,
            storage_class: storage_class?,
            lifetime: lifetime?,
            also_tokens: also_tokens?,
        })
    }
}

fn lifetime(
    path: &str,
    field: Field<u32>,
    durations: Option<Durations>,
    problems: &mut Problems,
) -> Option<SigningLifetime> {
    let is_invalid = field.is_invalid();
    let secs = problems.take(field);
    // For unknown durations, the longest that any role may allow.
    let longest = durations.map_or(43_200, |durations| durations.longest().as_secs());
    let of_sessions = SigningLifetime::of_sessions(longest);
    let Some(secs) = secs else { return (!is_invalid).then(|| of_sessions.or_default()) };
    let admitted = of_sessions.at_most(secs);
    if admitted.is_none() {
        problems.add(
            path,
            format!(
                "{secs} is not between {} and {} seconds, half of the grant's max_duration_secs ({longest}): as much is left \
                 of each session that signs",
                SigningLifetime::SHORTEST_SECS,
                of_sessions.longest_secs(),
            ),
        );
    }
    admitted
}

impl SigningGrantRules {
    fn signs(&self, method: UrlMethod) -> bool {
        self.urls.contains(method)
    }

    /// What the grant's own session must be able to do; none if it signs nothing.
    pub(crate) fn actions(&self) -> Option<ObjectActions> {
        let put = self.upload.is_some() || self.signs(UrlMethod::Put);
        let get = self.signs(UrlMethod::Get) || self.signs(UrlMethod::Head);
        ObjectActions::new(put, get)
    }

    /// The policy of the session that signs; none if nothing is signed, or the template has none.
    pub(crate) fn session_policy(
        &self,
        path: &str,
        template: &GrantTemplate,
        problems: &mut Problems,
    ) -> Option<GrantSessionPolicy> {
        let policy = template.grant_session_policy(self.actions()?);
        // A layer that could not be read may declare another policy.
        policy.map_err(|problem| problems.add_absence(format!("{path}.policy"), problem)).ok()
    }

    /// What loads and is probably not what the operator intends.
    pub(crate) fn warnings(
        &self,
        path: &str,
        oss: Option<&OssBucket>,
        template: &GrantTemplate,
    ) -> Vec<Problem> {
        let mut warnings = Vec::new();
        let mut warn = |key: &str, message: String| {
            warnings.push(Problem { path: format!("{path}.{key}"), message });
        };
        if let Some(rules) = &self.upload {
            let unenforced =
                "size, type and overwrite are then not enforced, as OSS cannot limit them";
            if rules.also_tokens {
                warn(
                    "upload.also_tokens",
                    format!(
                        "{unenforced} for the holder of a token: leave it out unless callers need tokens, too"
                    ),
                );
            }
            if self.signs(UrlMethod::Put) {
                warn(
                    "signed_urls",
                    format!(
                        "{unenforced} for the holder of a URL: leave `PUT` out, and `POST /v1/uploads` signs forms"
                    ),
                );
            }
            if template.only_object_keys_differ_by_user()
                && (rules.also_tokens || !self.urls.is_empty())
            {
                let by = if rules.also_tokens { "a token" } else { "a signed URL" };
                warn(
                    "upload.key",
                    format!(
                        "the key is its user's own and the policy is not, as no `${{subject}}` and no `${{claims.NAME}}` is in it: \
                         {by} reaches the objects of all users; use the key's placeholders in the policy, too"
                    ),
                );
            }
            if template.object_key_is_one_per_caller() && !rules.overwrite {
                warn(
                    "upload.overwrite",
                    "the key of a caller is always the same, and no upload may replace its object, so a caller uploads once and \
                     never again: add `${name}` or `${uuid}` to `key`, or set `overwrite = true`"
                        .to_owned(),
                );
            }
            if rules.storage_class.needs_restoring() && self.signs(UrlMethod::Get) {
                let or = match rules.storage_class {
                    StorageClass::Archive => ", or by real-time access",
                    _ => "",
                };
                warn(
                    "upload.storage_class",
                    format!(
                        "OSS serves an object of the class `{}` only once it is restored{or}, so signed `GET` URLs of new \
                         uploads fail: choose `Standard` or `IA`, or remove `GET` from `signed_urls`",
                        rules.storage_class.as_str()
                    ),
                );
            }
            for scripted in rules.content_types.iter().filter(|one| one.runs_scripts()) {
                warn(
                    "upload.content_types",
                    format!(
                        "browsers run the scripts in files of the type `{scripted}` that they open from the bucket's domain: \
                         leave it out unless you trust your callers with that domain"
                    ),
                );
            }
        }
        let Some(bucket) = oss.map(OssBucket::bucket) else { return warnings };
        if let Some(rules) = &self.upload
            && !template.may_allow_uploads(bucket, rules.name.pattern())
        {
            warn("upload.key", never_allowed(template, rules, bucket));
        }
        for method in self.urls.iter().filter(|one| !template.may_allow(one.action(), bucket)) {
            warn(
                "signed_urls",
                format!(
                    "the policy allows `{}` on nothing in `{}`, so each `{}` is refused: allow it, or leave the method out",
                    method.action(),
                    bucket.as_str(),
                    method.as_str()
                ),
            );
        }
        warnings
    }
}

/// That no upload has a key that the policy allows.
fn never_allowed(template: &GrantTemplate, rules: &UploadRules, bucket: &Bucket) -> String {
    let missing = template.placeholders_beyond_object_key(bucket);
    let missing: Vec<_> = missing.iter().map(|one| format!("`{one}`")).collect();
    let key = match &missing[..] {
        [] if rules.name.pattern().is_some() => "or change the key or `name_pattern`".to_owned(),
        [] => "or change the key".to_owned(),
        missing => format!("or add {} to the key, as it is in the policy", missing.join(" and ")),
    };
    format!(
        "the policy allows callers to write no such key in `{}`, so each upload is refused: allow `oss:PutObject` on it, {key}",
        bucket.as_str()
    )
}
