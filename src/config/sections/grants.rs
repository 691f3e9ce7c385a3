//! `[grants]`: named entitlements, with their policies read and checked.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::grant_callback::{CallbackSources, DeclaredNames};
use super::grant_oss::{RawOss, oss_bucket, unnamed_bucket};
use super::grant_reasons::{RawSharedResource, allowed_sharing, breadth, is_reason};
use super::grant_upload::{RawMethod, RawUpload, SigningGrantRules, WrittenSigning};
use super::roles::Role;
use super::value_rules::{RawValueRule, value_rules};
use crate::config::bounds::{Bounded, Bytes};
use crate::config::field::{Field, List};
use crate::config::file_reads::read_text;
use crate::config::problems::{Problem, Problems};
use crate::grant::{Durations, Entitlement, Grants, Signing};
use crate::sts::GrantSession;
use appserver_domain::{
    ClientId, ExternalId, Fingerprint, GrantName, MaxSessionDuration, RoleName,
};
use appserver_policy::{
    Breadth, GrantTemplate, GrantTemplateProblem, GrantTexts, SharedResource, ValueRules,
};

#[derive(Debug, Deserialize)]
pub(crate) struct RawGrant {
    /// Required. A key of `roles`.
    role: Field<RoleName>,
    /// Required. The file of the policy template, from this file's folder.
    policy: Field<PathBuf>,
    /// Default `${client}`, `${client}.${subject}` where the policy uses the subject, and `${client}.${issuer}.${subject}` where
    /// it uses the issuer, too.
    session_name: Field<String>,
    /// Seconds, default 900. Shorter durations are refused.
    min_duration_secs: Field<u32>,
    /// Seconds, default 3600. For requests that name no duration.
    default_duration_secs: Field<u32>,
    /// Seconds, default: the role's maximum. Longer durations are refused.
    max_duration_secs: Field<u32>,
    /// Sent to STS, for roles whose trust policy requires one.
    external_id: Field<ExternalId>,
    /// A template as `session_name`; ActionTrail records it for the whole session.
    source_identity: Field<String>,
    /// Default false. Accepts a policy that allows everything, with a reason.
    allow_broad: Field<bool>,
    /// The reason; required with `allow_broad`.
    allow_broad_reason: Field<String>,
    /// Why users of different issuers with the same subject or claim are one user. Without it such a grant is refused.
    shared_subjects: Field<String>,
    /// Default none. What callers of the grant may share, each resource with a reason; all else must be disjoint.
    allow_shared: Field<List<RawSharedResource>>,
    /// Default 128. Policies that use the subject refuse a longer one.
    subject_max_length_bytes: Field<Bounded<Bytes, 1, 256>>,
    /// Default none. What answers say about the bucket.
    oss: Option<RawOss>,
    /// Default none. The rules of upload forms.
    upload: Option<RawUpload>,
    /// Default none. The methods of the URLs that the grant signs: `GET`, `HEAD`, `PUT`.
    signed_urls: Field<List<RawMethod>>,
    /// Values that a request must have, by name.
    parameters: BTreeMap<String, RawValueRule>,
    /// Values that the token must have, by claim.
    claims: BTreeMap<String, RawValueRule>,
}

/// The grants, as far as they are valid.
pub(crate) struct Entitlements {
    pub(crate) valid: HashMap<GrantName, Entitlement>,
    /// The templates of grants that are invalid otherwise.
    pub(crate) other_templates: Vec<(GrantName, GrantTemplate)>,
    /// All names.
    pub(crate) names: BTreeSet<String>,
    /// The grants with `shared_subjects`.
    pub(crate) shared: BTreeSet<GrantName>,
    /// What callers of a grant may share; `None` if the grant's `allow_shared` is invalid.
    pub(crate) shared_resources: BTreeMap<GrantName, Option<Vec<SharedResource>>>,
    pub(crate) warnings: Vec<Problem>,
}

pub(crate) fn entitlements(
    mut raw: BTreeMap<String, RawGrant>,
    roles: (&BTreeMap<RoleName, Role>, &BTreeSet<String>),
    json: &Value,
    hash: &mut Sha256,
    callbacks: &mut CallbackSources<'_>,
    problems: &mut Problems,
) -> Entitlements {
    let names = raw.keys().cloned().collect();
    let (mut warnings, mut shared) = (Vec::new(), BTreeSet::new());
    let mut shared_resources = BTreeMap::new();
    for (name, raw) in &mut raw {
        if let Some(callback) = raw.upload.as_mut().and_then(|upload| upload.callback.take()) {
            let parameters: Vec<_> = raw.parameters.keys().map(String::as_str).collect();
            let claims: Vec<_> = raw.claims.keys().map(String::as_str).collect();
            let declared = DeclaredNames { parameters: &parameters, claims: &claims };
            callbacks.add(name, callback, declared, problems);
        }
        let resources = std::mem::take(&mut raw.allow_shared);
        if let Ok(grant) = name.parse::<GrantName>() {
            let path = format!("grants.{name}.allow_shared");
            shared_resources.insert(grant, allowed_sharing(&path, resources, problems));
        }
        let path = format!("grants.{name}.shared_subjects");
        let reason = std::mem::take(&mut raw.shared_subjects);
        if reason.is_absent() {
            continue;
        }
        // An invalid reason counts as one, or its absence would be a second problem.
        if problems.take(reason).is_some_and(|reason: String| !is_reason(&reason)) {
            problems.add(path, "say why users of different issuers are the same people");
        }
        shared.extend(name.parse());
    }
    let (mut valid, mut other_templates) = (HashMap::new(), Vec::new());
    for (name, raw) in raw {
        match entitlement(name, raw, roles, json, hash, &mut warnings, problems) {
            Read::Valid(entitlement) => {
                valid.insert(entitlement.name.clone(), *entitlement);
            }
            Read::Template(name, template) => other_templates.push((name, *template)),
            Read::Nothing => {}
        }
    }
    Entitlements { valid, other_templates, names, shared, shared_resources, warnings }
}

pub(crate) fn grants(
    entitlements: Entitlements,
    of_clients: Vec<(ClientId, Vec<GrantName>)>,
    defaults: HashMap<ClientId, GrantName>,
    issued_within: Duration,
) -> Grants {
    let of_clients =
        of_clients.into_iter().map(|(client, grants)| (client, grants.into_iter().collect()));
    Grants {
        entitlements: entitlements.valid.into_iter().collect(),
        of_clients: of_clients.collect(),
        defaults: defaults.into_iter().collect(),
        issued_within,
    }
}

/// How much of a grant is valid.
enum Read {
    Valid(Box<Entitlement>),
    Template(GrantName, Box<GrantTemplate>),
    Nothing,
}

fn entitlement(
    name: String,
    raw: RawGrant,
    (roles, named_roles): (&BTreeMap<RoleName, Role>, &BTreeSet<String>),
    json: &Value,
    hash: &mut Sha256,
    warnings: &mut Vec<Problem>,
    problems: &mut Problems,
) -> Read {
    let path = format!("grants.{name}");
    let at = |key: &str| format!("{path}.{key}");

    let role_name = problems.require(raw.role);
    let mut written = vec![of_tokens(&json["grants"][&name]).to_string()];
    let role = role_name.and_then(|name| {
        written.push(json["roles"][name.as_str()].to_string());
        let role = roles.get(&name);
        // A role that exists and is invalid has a problem of its own.
        if role.is_none() && !named_roles.contains(name.as_str()) {
            problems.add_absence(
                at("role"),
                format!("there is no role `{name}`; add `[roles.{name}]` or name another"),
            );
        }
        role
    });
    let subject_max = problems.or(raw.subject_max_length_bytes, const { Bounded::new(128) });
    let subject_max: Option<usize> = subject_max.map(Bounded::get);
    let params = value_rules(&at("parameters"), raw.parameters, problems);
    let claims = value_rules(&at("claims"), raw.claims, problems);
    let are_valid =
        [&params, &claims].iter().all(|rules| rules.as_ref().is_some_and(|(_, valid)| *valid))
            && subject_max.is_some();
    let rules = params.zip(claims).map(|((params, _), (claims, _))| ValueRules {
        params,
        claims,
        subject_max_bytes: subject_max.unwrap_or(1),
    });
    let breadth = breadth(&path, raw.allow_broad, raw.allow_broad_reason, problems);
    let policy = policy_text(&at("policy"), raw.policy, problems);
    let signing = WrittenSigning::new(&path, raw.upload, raw.signed_urls, problems);
    let session_name = problems.take(raw.session_name);
    let source_identity = problems.take(raw.source_identity);
    // An invalid breadth is one problem; the texts have their own.
    let assumed = breadth.unwrap_or(Breadth::Broad);
    let template = policy.zip(rules).and_then(|((file, text), rules)| {
        hash.update(text.len().to_be_bytes());
        hash.update(&text);
        written.push(text.clone());
        let texts = GrantTexts {
            policy: &text,
            breadth: assumed,
            session_name: session_name.as_deref(),
            source_identity: source_identity.as_deref(),
        };
        let problem = |problem| match problem {
            // A layer that could not be read may declare what it lacks.
            GrantTemplateProblem::Policy(problem) => {
                problems.add_absence(at("policy"), format!("{}: {problem}", file.display()));
            }
            GrantTemplateProblem::SessionName(flaw) => {
                problems.add_absence(at("session_name"), flaw);
            }
            GrantTemplateProblem::SourceIdentity(flaw) => {
                problems.add_absence(at("source_identity"), flaw);
            }
        };
        let template = GrantTemplate::parse(texts, rules);
        let mut template = template.map_err(|found| found.into_iter().for_each(problem)).ok()?;
        if let Some(key) = signing.key() {
            let flaws = template.set_object_key(key).err().into_iter().flatten();
            flaws.for_each(|flaw| problems.add_absence(at("upload.key"), flaw));
        }
        // With replaced rules, parsing only finds the problems that do not depend on them.
        if !are_valid {
            return None;
        }
        warnings.extend(policy_warnings(&path, &file, &template, signing.vends_tokens()));
        Some(template)
    });
    let external_id = problems.take(raw.external_id);
    let names_bucket = raw.oss.is_some();
    let oss_path = at("oss");
    let oss = raw.oss.map(|raw| oss_bucket(&oss_path, raw, problems));
    if let (Some(Some(oss)), Some(template)) = (&oss, &template) {
        warnings.extend(unnamed_bucket(&oss_path, oss, template));
    }
    // For an unknown role, the longest that any role may allow.
    let longest = role.map(|role| role.max_session_duration);
    let longest = longest.or_else(|| MaxSessionDuration::from_secs(43_200));
    let durations = longest.and_then(|longest| {
        let bounds = [raw.min_duration_secs, raw.default_duration_secs, raw.max_duration_secs];
        durations(&path, bounds, longest, problems)
    });
    let signing = signing.resolve(names_bucket, durations, problems);
    let signing = signing.map(|rules: SigningGrantRules| {
        let oss = oss.as_ref().and_then(Option::as_ref);
        let policy = template.as_ref().and_then(|template| {
            warnings.extend(rules.warnings(&path, oss, template));
            rules.session_policy(&path, template, problems)
        });
        (rules, policy)
    });
    let name = problems.name(&path, &name);

    let (Some(name), Some(template)) = (name, template) else { return Read::Nothing };
    let oss = oss.map_or(Some(None), |oss| oss.map(Some));
    let (Some(role), Some(durations), Some(_), Some(oss), Some((signed, policy))) =
        (role, durations, breadth, oss, signing)
    else {
        return Read::Template(name, Box::new(template));
    };
    let signing = policy.zip(signed.actions()).map(|(policy, actions)| {
        let (role, longest) = (role.arn.clone(), durations.longest());
        let session = GrantSession::new(role, &name, policy.clone(), longest, external_id.clone());
        Signing { session, policy, actions }
    });
    Read::Valid(Box::new(Entitlement {
        name,
        role: role.arn.clone(),
        upstream: role.upstream.clone(),
        template,
        durations,
        external_id,
        oss,
        upload: signed.upload,
        signed_urls: signed.urls,
        signing,
        fingerprint: Fingerprint::of(written.iter().map(String::as_bytes)),
    }))
}

/// The grant as written, without what changes none of its tokens: an edit of it must not cost a call to STS for each.
fn of_tokens(grant: &Value) -> Value {
    let mut grant = grant.clone();
    if let Some(grant) = grant.as_object_mut() {
        for key in ["oss", "signed_urls", "upload"] {
            grant.remove(key);
        }
    }
    grant
}

fn policy_text(
    path: &str,
    file: Field<PathBuf>,
    problems: &mut Problems,
) -> Option<(PathBuf, String)> {
    let file = problems.require(file)?;
    match read_text(&file) {
        Ok(text) => Some((file, text)),
        Err(error) => {
            problems.add(path, format!("{}: {error}", file.display()));
            None
        }
    }
}

fn durations(
    path: &str,
    bounds: [Field<u32>; 3],
    role: MaxSessionDuration,
    problems: &mut Problems,
) -> Option<Durations> {
    let [min, default, max] = bounds;
    let mut admit = |key: &str, field: Field<u32>, default: u32| {
        let path = format!("{path}.{key}");
        let secs = problems.or(field, default)?;
        let admitted = role.admit(secs);
        if admitted.is_none() {
            let most = role.as_secs();
            problems.add(
                path,
                format!("{secs} is not between 900 and {most} seconds, the role's maximum"),
            );
        }
        admitted
    };
    let max = admit("max_duration_secs", max, role.as_secs());
    let hour_at_most = max.map_or(3600, |max| max.as_secs().min(3600));
    let default = admit("default_duration_secs", default, hour_at_most);
    let min = admit("min_duration_secs", min, 900);
    let (min, default, max) = (min?, default?, max?);
    let durations = Durations::new(min, default, max);
    if durations.is_none() {
        problems.add(
            format!("{path}.default_duration_secs"),
            format!(
                "{} is not between the grant's min_duration_secs ({}) and max_duration_secs ({})",
                default.as_secs(),
                min.as_secs(),
                max.as_secs()
            ),
        );
    }
    durations
}

/// Lint warnings of a grant's policy, parameters that callers must send although nothing uses them, and claims that only
/// seem to be required.
fn policy_warnings(
    grant: &str,
    file: &Path,
    template: &GrantTemplate,
    vends_tokens: bool,
) -> Vec<Problem> {
    let warnings = template.lint_warnings().into_iter();
    // A form is no upload in parts.
    let warnings = warnings.filter(|one| vends_tokens || !one.is_about_uploads_in_parts());
    let warnings = warnings.map(|warning| Problem {
        path: format!("{grant}.policy"),
        message: format!("{}: {warning}", file.display()),
    });
    let unused = template.unused_parameters().map(|name| Problem {
        path: format!("{grant}.parameters.{name}"),
        message:
            "every request must have it, but neither the policy nor `session_name` nor `source_identity` uses it: \
             remove it, or use `${params.…}`"
                .to_owned(),
    });
    let unused_claims = template.unused_claims().map(|name| Problem {
        path: format!("{grant}.claims.{name}"),
        message: "neither the policy nor `session_name` nor `source_identity` uses it, so callers need not have it: \
                  remove it, or use `${claims.…}`; `required` of an issuer demands a claim of every token"
            .to_owned(),
    });
    warnings.chain(unused).chain(unused_claims).collect()
}
