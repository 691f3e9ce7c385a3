//! Fuzz targets of policies: the evaluator, the containment and the exact decider must agree, and callers of one template that is
//! proven to keep them apart must share nothing.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde_json::{Value, json};

use appserver_domain::{ClientId, IssuerName, Subject};
use appserver_policy::{
    Breadth, Callers, ComparablePolicy, Disjointness, Explanation, GrantTemplate, GrantTexts,
    Inclusion, RawValues, RenderedSession, Request, RequestedPolicy, RolePolicy, SessionPolicy,
    Shape, ValueRule, ValueRules, Witness,
};

/// Between the parts of an input.
const SEPARATOR: &str = "\n---\n";

/// More statements than this only take time.
const MAX_STATEMENTS: usize = 6;

/// Two policies, the one that a caller requests and the one that its grant gives.
///
/// A requested policy is canonical once it is written; what is sent of it is allowed by both; and where the exact decider finds a
/// request that only one of two policies allows, the evaluator decides it in the same way.
pub(crate) fn policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (requested, granted) = text.split_once(SEPARATOR).unwrap_or((text, text));
    if statements(requested) > MAX_STATEMENTS || statements(granted) > MAX_STATEMENTS {
        return;
    }
    let own = RequestedPolicy::parse(requested).ok();
    if let Some(own) = &own {
        let written = own.to_json();
        let again = RequestedPolicy::parse(&written).expect("what was read is read again");
        assert_eq!(again.to_json(), written, "the written form is not canonical");
    }
    let [Ok(wanted), Ok(given)] = [requested, granted].map(ComparablePolicy::parse) else { return };
    assert!(!matches!(wanted.inclusion_in(&wanted), Inclusion::Beyond(_)), "it is beyond itself");
    if let Inclusion::Beyond(witness) = wanted.inclusion_in(&given) {
        confirm(&witness, requested, granted);
    }
    if let Inclusion::Beyond(witness) = given.inclusion_in(&wanted) {
        confirm(&witness, granted, requested);
    }
    let (Some(own), Some(grant)) = (own, grant(granted, Breadth::Broad)) else { return };
    let Some(caller) = FuzzCaller::new("alice", "2015", "acme") else { return };
    if let Ok(session) = grant.render_within(caller.values(granted), &own) {
        let full = grant.render(caller.values(granted)).expect("it was rendered with less");
        let sent = comparable(&session);
        let bounds = [("its grant", comparable(&full)), ("its own policy", wanted)];
        for (name, bound) in bounds {
            if let Inclusion::Beyond(witness) = sent.inclusion_in(&bound) {
                panic!("what is sent allows more than {name}: {witness}");
            }
        }
    }
}

/// A policy template, and of two callers the subjects and albums, and the tenant of both.
///
/// A rendered policy allows no more than its template with `*` for every value, and two users of a template that is proven to keep
/// them apart are never allowed the same object.
pub(crate) fn template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (policy, values) = text.split_once(SEPARATOR).unwrap_or((text, "alice\nbob\na\nb\nacme"));
    let values: Vec<_> = values.lines().collect();
    let [one, other, album, other_album, tenant] = values[..] else { return };
    if statements(policy) > MAX_STATEMENTS {
        return;
    }
    let Some(grant) = grant(policy, Breadth::Narrow) else { return };
    let callers = [(one, album), (other, other_album)];
    let [Some(one), Some(other)] =
        callers.map(|(subject, album)| FuzzCaller::new(subject, album, tenant))
    else {
        return;
    };
    let [Ok(ours), Ok(theirs)] = [&one, &other].map(|caller| grant.render(caller.values(policy)))
    else {
        return;
    };
    for session in [&ours, &theirs] {
        check_within_template(session, policy);
    }
    // Two users differ only where the template has the subject.
    let tells_apart = one.subject != other.subject && policy.contains("${subject");
    if tells_apart && grant.disjointness(&Callers::default(), &[]) == Disjointness::Proven {
        check_disjoint(&ours, &theirs);
    }
}

/// The number of statements, or of what there is in place of them.
fn statements(json: &str) -> usize {
    json.matches("\"Effect\"").count()
}

/// A grant with rules for the parameter `album` and the claim `tenant`, if the policy is valid.
fn grant(policy: &str, breadth: Breadth) -> Option<GrantTemplate> {
    let text = |shape| ValueRule::text(shape, None, 64).expect("the length is allowed");
    let mut params = BTreeMap::new();
    if uses_album(policy) {
        params.insert("album".parse().expect("it is a name"), text(Shape::Path));
    }
    let claims = BTreeMap::from([("tenant".parse().expect("it is a name"), text(Shape::Segment))]);
    let rules = ValueRules { params, claims, subject_max_bytes: 64 };
    let texts = GrantTexts { policy, breadth, session_name: None, source_identity: None };
    GrantTemplate::parse(texts, rules).ok()
}

fn uses_album(policy: &str) -> bool {
    policy.contains("${params.album}")
}

struct FuzzCaller {
    client: ClientId,
    issuer: IssuerName,
    subject: Subject,
    claims: BTreeMap<String, String>,
    album: BTreeMap<String, String>,
    none: BTreeMap<String, String>,
}

impl FuzzCaller {
    fn new(subject: &str, album: &str, tenant: &str) -> Option<Self> {
        Some(Self {
            client: "photo-app".parse().ok()?,
            issuer: "company".parse().ok()?,
            subject: subject.parse().ok()?,
            claims: BTreeMap::from([("tenant".to_owned(), tenant.to_owned())]),
            album: BTreeMap::from([("album".to_owned(), album.to_owned())]),
            none: BTreeMap::new(),
        })
    }

    /// The values for a template, which refuses parameters that it does not declare.
    fn values(&self, policy: &str) -> RawValues<'_> {
        RawValues {
            client: &self.client,
            issuer: Some(&self.issuer),
            subject: Some(&self.subject),
            claims: &self.claims,
            params: if uses_album(policy) { &self.album } else { &self.none },
            now: DateTime::UNIX_EPOCH,
        }
    }
}

fn comparable(session: &RenderedSession) -> ComparablePolicy {
    ComparablePolicy::parse(session.policy.as_str()).expect("a rendered policy is a policy")
}

/// The evaluator allows the request by the first policy and not by the second.
fn confirm(witness: &Witness, allows: &str, denies: &str) {
    let Some([by_first, by_second]) = decided(witness, [allows, denies]) else { return };
    assert!(by_first, "the first policy does not allow {witness}");
    assert!(!by_second, "the second policy allows {witness}");
}

/// Whether the evaluator allows the request by each of the policies; `None` if it is none that OSS gets.
fn decided(witness: &Witness, policies: [&str; 2]) -> Option<[bool; 2]> {
    let Witness { action, resource, conditions } = witness;
    let request = Request::new(action, resource, conditions.clone()).ok()?;
    let everything = json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let everything = grant(&everything.to_string(), Breadth::Broad)?;
    let caller = FuzzCaller::new("alice", "a", "acme")?;
    let session = everything.render(caller.values("")).ok()?.policy;
    let allowed = |policy: &str| {
        let policy = RolePolicy::parse(policy).ok()?;
        Some(Explanation::of(&session, vec![policy], &request).allowed)
    };
    Some([allowed(policies[0])?, allowed(policies[1])?])
}

/// The template with a wildcard for each placeholder allows what the rendered policy allows. Denials and conditions are left
/// out: in them a wildcard is not wider.
fn check_within_template(session: &RenderedSession, policy: &str) {
    if policy.contains("Deny") || policy.contains("Condition") || policy.contains('\\') {
        return;
    }
    let (mut widened, mut rest) = (String::new(), policy);
    while let Some((before, placeholder)) = rest.split_once("${") {
        let Some((_, after)) = placeholder.split_once('}') else { return };
        widened.push_str(before);
        widened.push('*');
        rest = after;
    }
    widened.push_str(rest);
    let widened = ComparablePolicy::parse(&widened).expect("a template is a policy");
    if let Inclusion::Beyond(witness) = comparable(session).inclusion_in(&widened) {
        panic!("the rendered policy allows more than its template: {witness}");
    }
}

/// No object may be read or written by both: of what the one allows, nothing is allowed by a policy that denies what the other
/// allows.
fn check_disjoint(ours: &RenderedSession, theirs: &RenderedSession) {
    let Some(without_theirs) = complement(&theirs.policy) else { return };
    let Ok(without_theirs) = ComparablePolicy::parse(&without_theirs) else { return };
    let Inclusion::Beyond(witness) = comparable(ours).inclusion_in(&without_theirs) else { return };
    // What other services have is the operator's to share.
    let service = witness.resource.split(':').nth(1).unwrap_or_default();
    if !service.eq_ignore_ascii_case("oss") {
        return;
    }
    // The complement leaves out the denials of the other, so the evaluator has the last word.
    let both = decided(&witness, [ours.policy.as_str(), theirs.policy.as_str()]);
    assert_ne!(both, Some([true, true]), "two users are allowed {witness}");
}

/// A policy that allows everything but to read and write the objects that this one allows to read or write.
fn complement(policy: &SessionPolicy) -> Option<String> {
    const ACTIONS: [&str; 2] = ["oss:GetObject", "oss:PutObject"];
    let policy: Value = serde_json::from_str(policy.as_str()).ok()?;
    let mut statements = vec![json!({"Effect": "Allow", "Action": "*", "Resource": "*"})];
    for statement in policy["Statement"].as_array()? {
        let patterns = match &statement["Action"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => return None,
        };
        if statement["Effect"] != "Allow" {
            continue;
        }
        let covers = |action: &&str| patterns.iter().any(|pattern| matches(pattern, action));
        let covered: Vec<_> = ACTIONS.into_iter().filter(covers).collect();
        if covered.is_empty() {
            continue;
        }
        let mut denial = statement.clone();
        denial["Effect"] = "Deny".into();
        denial["Action"] = covered.into();
        statements.push(denial);
    }
    Some(json!({"Version": "1", "Statement": statements}).to_string())
}

/// Whether the action matches the pattern, in which `*` is any text and `?` any character; written without the crate that is
/// tested.
fn matches(pattern: &str, action: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return action.is_empty() };
    let mut rest = &pattern[first.len_utf8()..];
    if first == '*' {
        // Several in a row are one, and each would be tried with each of the others.
        rest = rest.trim_start_matches('*');
    }
    let mut after = action.chars();
    match first {
        '*' => (0..=action.len()).any(|from| action.get(from..).is_some_and(|a| matches(rest, a))),
        '?' => after.next().is_some() && matches(rest, after.as_str()),
        c => {
            after.next().is_some_and(|a| a.eq_ignore_ascii_case(&c))
                && matches(rest, after.as_str())
        }
    }
}
