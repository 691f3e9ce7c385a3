//! Roles and grants, resolved: policies read, rules checked, worst cases proven.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::roles::Role;
use super::value_rules::{RawValueRule, value_rules};
use crate::config::bounds::number;
use crate::config::field::Field;
use crate::config::file_reads::read_text;
use crate::config::problems::{Problem, Problems};
use crate::grant::{Durations, Entitlement, Grants};
use appserver_domain::{
    ClientId, ExternalId, Fingerprint, GrantName, MaxSessionDuration, RoleName,
};
use appserver_policy::{Breadth, GrantTemplate, GrantTemplateProblem, GrantTexts, ValueRules};

/// A named entitlement.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawGrant {
    /// Required. A key of `roles`.
    pub(crate) role: Field<RoleName>,
    /// Required. The file of the policy template, from this file's folder.
    pub(crate) policy: Field<PathBuf>,
    /// Default `${client}`, `${client}.${subject}` where the policy uses the subject, and `${client}.${issuer}.${subject}` where
    /// it uses the issuer, too.
    pub(crate) session_name: Field<String>,
    /// Seconds, default 900. Shorter asked durations are refused.
    pub(crate) min_duration_secs: Field<u32>,
    /// Seconds, default 3600. What callers get who do not ask.
    pub(crate) default_duration_secs: Field<u32>,
    /// Seconds, default: the role's maximum. Longer asked durations are refused.
    pub(crate) max_duration_secs: Field<u32>,
    /// Sent to STS where the role's trust policy asks for one.
    pub(crate) external_id: Field<ExternalId>,
    /// A template as `session_name`; ActionTrail keeps it for the session's whole life.
    pub(crate) source_identity: Field<String>,
    /// Default false. Lets in a policy that allows everything, with a reason.
    pub(crate) allow_broad: Field<bool>,
    /// Why; required with `allow_broad`.
    pub(crate) allow_broad_reason: Field<String>,
    /// Why users of different issuers with one subject or claim are one user here. Without it such a grant is refused.
    pub(crate) shared_subjects: Field<String>,
    /// Bytes, 1 to 256, default 128, of a subject as it is written. Longer subjects are refused by policies that use them.
    pub(crate) subject_max_length_bytes: Field<usize>,
    /// What callers must say, by name.
    pub(crate) parameters: BTreeMap<String, RawValueRule>,
    /// What the credential must prove, by claim.
    pub(crate) claims: BTreeMap<String, RawValueRule>,
}

/// Every grant that has no problem, and the names of those that have one.
pub(crate) struct Entitlements {
    pub(crate) sound: HashMap<GrantName, Entitlement>,
    /// Of the others those whose texts are sound.
    pub(crate) sound_texts: Vec<(GrantName, GrantTemplate)>,
    pub(crate) named: BTreeSet<String>,
    /// Those whose users are the same people whichever issuer vouches for them, as the operator says.
    pub(crate) shared: BTreeSet<GrantName>,
    /// What is to be said of those that are sound.
    pub(crate) warnings: Vec<Problem>,
}

pub(crate) fn entitlements(
    mut raw: BTreeMap<String, RawGrant>,
    roles: (&BTreeMap<RoleName, Role>, &BTreeSet<String>),
    json: &Value,
    hash: &mut Sha256,
    problems: &mut Problems,
) -> Entitlements {
    let named = raw.keys().cloned().collect();
    let (mut warnings, mut shared) = (Vec::new(), BTreeSet::new());
    for (name, raw) in &mut raw {
        let path = format!("grants.{name}.shared_subjects");
        let reason = std::mem::take(&mut raw.shared_subjects);
        if reason.is_absent() {
            continue;
        }
        // One that cannot be read stands for one that can: else its lack would be told, too.
        if problems.take(&path, reason).is_some_and(|reason: String| !says_why(&reason)) {
            problems.add(path, "say why users of different issuers are the same people");
        }
        shared.extend(name.parse());
    }
    let (mut sound, mut sound_texts) = (HashMap::new(), Vec::new());
    for (name, raw) in raw {
        match entitlement(name, raw, roles, json, hash, &mut warnings, problems) {
            Read::Sound(entitlement) => {
                sound.insert(entitlement.name.clone(), *entitlement);
            }
            Read::Texts(name, template) => sound_texts.push((name, *template)),
            Read::Nothing => {}
        }
    }
    Entitlements { sound, sound_texts, named, shared, warnings }
}

pub(crate) fn grants(
    entitlements: Entitlements,
    of_clients: Vec<(ClientId, Vec<GrantName>)>,
    issued_within: Duration,
) -> Grants {
    let of_clients =
        of_clients.into_iter().map(|(client, grants)| (client, grants.into_iter().collect()));
    let entitlements = entitlements.sound;
    Grants { entitlements, of_clients: of_clients.collect(), issued_within }
}

/// What is sound of a grant.
enum Read {
    Sound(Box<Entitlement>),
    /// Its name and its texts.
    Texts(GrantName, Box<GrantTemplate>),
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

    let role_name = problems.require(&at("role"), raw.role);
    let mut written = vec![json["grants"][&name].to_string()];
    let role = role_name.and_then(|name| {
        written.push(json["roles"][name.as_str()].to_string());
        let role = roles.get(&name);
        // One that is there and wrong is told of where it is.
        if role.is_none() && !named_roles.contains(name.as_str()) {
            problems.add_absence(
                at("role"),
                format!("there is no role `{name}`; add `[roles.{name}]` or name another"),
            );
        }
        role
    });
    let subject_max = match raw.subject_max_length_bytes {
        Field::Absent => Some(128),
        given => number(problems, &at("subject_max_length_bytes"), given, 1, 256, "bytes"),
    };
    let params = value_rules(&at("parameters"), raw.parameters, problems);
    let claims = value_rules(&at("claims"), raw.claims, problems);
    let are_sound =
        [&params, &claims].iter().all(|rules| rules.as_ref().is_some_and(|(_, sound)| *sound))
            && subject_max.is_some();
    let rules = params.zip(claims).map(|((params, _), (claims, _))| ValueRules {
        params,
        claims,
        subject_max_bytes: subject_max.unwrap_or(1),
    });
    let breadth = breadth(&path, raw.allow_broad, raw.allow_broad_reason, problems);
    let policy = policy_text(&at("policy"), raw.policy, problems);
    let session_name = problems.take(&at("session_name"), raw.session_name);
    let source_identity = problems.take(&at("source_identity"), raw.source_identity);
    // What the breadth may be is its own problem; the texts have theirs.
    let judged_as = breadth.unwrap_or(Breadth::Broad);
    let template = policy.zip(rules).and_then(|((file, text), rules)| {
        hash.update(text.len().to_be_bytes());
        hash.update(&text);
        written.push(text.clone());
        let texts = GrantTexts {
            policy: &text,
            breadth: judged_as,
            session_name: session_name.as_deref(),
            source_identity: source_identity.as_deref(),
        };
        let problem = |problem| match problem {
            // The declarations that it needs may be where nothing can be read.
            GrantTemplateProblem::Policy(problem) => {
                problems.add_absence(at("policy"), format!("{}: {problem}", file.display()));
            }
            GrantTemplateProblem::SessionName(flaw) => {
                problems.add_absence(at("session_name"), flaw)
            }
            GrantTemplateProblem::SourceIdentity(flaw) => {
                problems.add_absence(at("source_identity"), flaw);
            }
        };
        let template = GrantTemplate::parse(texts, rules);
        let template = template.map_err(|found| found.into_iter().for_each(problem)).ok()?;
        // By rules that stand for wrong ones it only shows what is wrong in any case.
        if !are_sound {
            return None;
        }
        warnings.extend(policy_warnings(&path, &file, &template));
        Some(template)
    });
    let external_id = problems.take(&at("external_id"), raw.external_id);
    // Of a role that is not there, whatever any role may allow.
    let longest = role.map(|role| role.max_session_duration);
    let longest = longest.or_else(|| MaxSessionDuration::from_secs(43_200));
    let durations = longest.and_then(|longest| {
        let bounds = [raw.min_duration_secs, raw.default_duration_secs, raw.max_duration_secs];
        durations(&path, bounds, longest, problems)
    });
    let name = name.parse().map_err(|invalid| problems.add(&path, invalid)).ok();

    let (Some(name), Some(template)) = (name, template) else { return Read::Nothing };
    let (Some(role), Some(durations), Some(_)) = (role, durations, breadth) else {
        return Read::Texts(name, Box::new(template));
    };
    Read::Sound(Box::new(Entitlement {
        name,
        role: role.arn.clone(),
        template,
        durations,
        external_id,
        fingerprint: Fingerprint::of(written.iter().map(String::as_bytes)),
    }))
}

fn policy_text(
    path: &str,
    file: Field<PathBuf>,
    problems: &mut Problems,
) -> Option<(PathBuf, String)> {
    let file = problems.require(path, file)?;
    match read_text(&file) {
        Ok(text) => Some((file, text)),
        Err(error) => {
            problems.add(path, format!("{}: {error}", file.display()));
            None
        }
    }
}

/// Whether a text could be a reason: reviewers read it. TOML's `true` is read as a text, too.
fn says_why(reason: &str) -> bool {
    let reason = reason.trim().to_ascii_lowercase();
    let answers_another_question = ["true", "false", "yes", "no", "on", "off"];
    reason.contains(char::is_alphabetic) && !answers_another_question.contains(&reason.as_str())
}

fn breadth(
    path: &str,
    allow_broad: Field<bool>,
    reason: Field<String>,
    problems: &mut Problems,
) -> Option<Breadth> {
    let allowed = problems.or(&format!("{path}.allow_broad"), allow_broad, false);
    let reason = problems.or(&format!("{path}.allow_broad_reason"), reason, String::new());
    let reason = reason?;
    match (allowed?, reason.trim().is_empty()) {
        (false, true) => Some(Breadth::Narrow),
        (true, false) if says_why(&reason) => Some(Breadth::Broad),
        (true, _) => {
            problems
                .add(format!("{path}.allow_broad_reason"), "say why the grant may be this broad");
            None
        }
        (false, false) => {
            problems.add(
                format!("{path}.allow_broad_reason"),
                "a reason goes with `allow_broad = true` only",
            );
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
    let mut admit = |key: &str, field: Field<u32>, unset: u32| {
        let path = format!("{path}.{key}");
        let secs = problems.or(&path, field, unset)?;
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

/// Lint warnings of a grant's policy, and parameters that callers must send although nothing uses them.
fn policy_warnings(grant: &str, file: &Path, template: &GrantTemplate) -> Vec<Problem> {
    let warnings = template.lint_warnings().into_iter().map(|warning| Problem {
        path: format!("{grant}.policy"),
        message: format!("{}: {warning}", file.display()),
    });
    let unused = template.unused_parameters().map(|name| Problem {
        path: format!("{grant}.parameters.{name}"),
        message:
            "every request must bring it, and no text of the grant uses it: take it out, or use \
                  `${params.…}`"
                .to_owned(),
    });
    warnings.chain(unused).collect()
}
