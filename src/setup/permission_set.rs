//! The permissions of several RAM policies together, to be compared with others by what they allow and not by how they are
//! written. A trust policy is one as well: who may assume the role takes the place of the resource.

use serde_json::{Value, json};

use appserver_policy::{ComparablePolicy, Inclusion, Witness};

/// What the policies of a user or a role, or the trust policy of a role, allow.
#[derive(Clone, Debug, Default)]
pub(super) struct PermissionSet {
    allowing: Vec<Part>,
    denying: Vec<Part>,
}

/// One statement.
#[derive(Clone, Debug)]
struct Part {
    /// The name of its policy; of a trust policy, the principal.
    origin: String,
    /// As it was written, for messages.
    written: String,
    /// As it is compared.
    compared: Value,
}

/// A statement that allows what is not needed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct WiderStatement {
    /// The name of its policy; of a trust policy, the principal.
    pub(super) origin: String,
    /// Minified JSON.
    pub(super) statement: String,
    /// A request that it allows.
    pub(super) request: Witness,
}

/// A statement that denies what is needed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct DenyingStatement {
    /// The name of its policy; of a trust policy, the principal.
    pub(super) origin: String,
    /// Minified JSON.
    pub(super) statement: String,
    /// A request that is needed and denied by it.
    pub(super) request: Witness,
}

/// Why policies cannot be compared.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Incomparable {
    #[error("{origin} cannot be read as a policy: {problem}")]
    Unreadable { origin: String, problem: String },
    #[error("they are too complex: {0}")]
    TooComplex(String),
}

impl PermissionSet {
    /// The policies of these names and documents.
    pub(super) fn of<'a>(
        policies: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Incomparable> {
        let mut set = Self::default();
        for (name, document) in policies {
            for statement in statements(name, document)? {
                let mut compared = statement.clone();
                unify_resources(&mut compared);
                comparable(name, &[&compared])?;
                set.add(name, &statement, compared);
            }
        }
        Ok(set)
    }

    /// A trust policy.
    pub(super) fn of_trust(document: &str) -> Result<Self, Incomparable> {
        const NAME: &str = "the trust policy";
        let mut set = Self::default();
        for statement in statements(NAME, document)? {
            for principal in principals(&statement) {
                let mut compared = statement.clone();
                let members = compared.as_object_mut().ok_or_else(|| unreadable(NAME))?;
                members.remove("Principal");
                members.insert("Resource".into(), json!([principal.resource()]));
                comparable(NAME, &[&compared])?;
                set.add(&principal.name, &statement, compared);
            }
        }
        Ok(set)
    }

    fn add(&mut self, origin: &str, statement: &Value, compared: Value) {
        let is_allowing = compared["Effect"] == "Allow";
        let (origin, written) = (origin.to_owned(), statement.to_string());
        let part = Part { origin, written, compared };
        if is_allowing { self.allowing.push(part) } else { self.denying.push(part) }
    }

    /// Every statement that allows a request which `needed` does not allow.
    pub(super) fn excess_over(&self, needed: &Self) -> Result<Vec<WiderStatement>, Incomparable> {
        let needed = needed.whole()?;
        if beyond(&self.whole()?, &needed)?.is_none() {
            return Ok(Vec::new());
        }
        let mut excess = Vec::new();
        for part in &self.allowing {
            let alone = self.with_denials(&part.origin, vec![&part.compared])?;
            if let Some(request) = beyond(&alone, &needed)? {
                let (origin, statement) = (part.origin.clone(), part.written.clone());
                excess.push(WiderStatement { origin, statement, request });
            }
        }
        Ok(excess)
    }

    /// A request that `needed` allows and this does not.
    pub(super) fn lacks_of(&self, needed: &Self) -> Result<Option<Witness>, Incomparable> {
        beyond(&needed.whole()?, &self.whole()?)
    }

    /// The same without what is denied.
    pub(super) fn without_denials(&self) -> Self {
        Self { allowing: self.allowing.clone(), denying: Vec::new() }
    }

    /// Both together.
    pub(super) fn with(mut self, other: Self) -> Self {
        self.allowing.extend(other.allowing);
        self.denying.extend(other.denying);
        self
    }

    /// The first statement that denies a request which `needed` allows, if nothing else is lacking.
    pub(super) fn denial_of(
        &self,
        needed: &Self,
    ) -> Result<Option<DenyingStatement>, Incomparable> {
        if self.denying.is_empty() || self.without_denials().lacks_of(needed)?.is_some() {
            return Ok(None);
        }
        for part in &self.denying {
            let alone = Self { allowing: self.allowing.clone(), denying: vec![part.clone()] };
            if let Some(request) = alone.lacks_of(needed)? {
                let (origin, statement) = (part.origin.clone(), part.written.clone());
                return Ok(Some(DenyingStatement { origin, statement, request }));
            }
        }
        Ok(None)
    }

    /// A statement that allows something to whom `other` allows something, as it was written.
    pub(super) fn statement_about(&self, other: &Self) -> Option<&str> {
        let part = self.allowing.iter().find(|part| other.names(&part.origin));
        part.map(|part| part.written.as_str())
    }

    /// Whether a statement that allows something is about this principal.
    pub(super) fn names(&self, origin: &str) -> bool {
        self.allowing.iter().any(|part| part.origin.eq_ignore_ascii_case(origin))
    }

    fn whole(&self) -> Result<ComparablePolicy, Incomparable> {
        let allowing = self.allowing.iter().map(|part| &part.compared).collect();
        self.with_denials("the union of the policies", allowing)
    }

    fn with_denials<'a>(
        &'a self,
        origin: &str,
        mut statements: Vec<&'a Value>,
    ) -> Result<ComparablePolicy, Incomparable> {
        statements.extend(self.denying.iter().map(|part| &part.compared));
        comparable(origin, &statements)
    }
}

/// A request that the first allows and the second does not.
fn beyond(
    one: &ComparablePolicy,
    other: &ComparablePolicy,
) -> Result<Option<Witness>, Incomparable> {
    match one.inclusion_in(other) {
        Inclusion::Included => Ok(None),
        Inclusion::Beyond(request) => Ok(Some(request)),
        Inclusion::TooComplex(bound) => Err(Incomparable::TooComplex(bound.to_string())),
    }
}

fn comparable(origin: &str, statements: &[&Value]) -> Result<ComparablePolicy, Incomparable> {
    // A document without statements is no policy; this one allows nothing, too.
    let nothing = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
    let statements = if statements.is_empty() { vec![&nothing] } else { statements.to_vec() };
    let document = json!({"Version": "1", "Statement": statements}).to_string();
    ComparablePolicy::parse(&document).map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Incomparable::Unreadable { origin: origin.to_owned(), problem: problems.join("; ") }
    })
}

fn unreadable(origin: &str) -> Incomparable {
    let problem = "it is not JSON with statements".to_owned();
    Incomparable::Unreadable { origin: origin.to_owned(), problem }
}

/// A document with the statements of both, each once; what the first allows stays allowed.
pub(super) fn joined(one: &str, other: &str) -> Result<String, Incomparable> {
    const NAME: &str = "the policy";
    let mut joined = statements(NAME, one)?;
    for statement in statements(NAME, other)? {
        if !joined.contains(&statement) {
            joined.push(statement);
        }
    }
    Ok(json!({"Version": "1", "Statement": joined}).to_string())
}

/// The document without a statement, which is given as it is written in messages.
pub(super) fn without(document: &str, statement: &str) -> Result<String, Incomparable> {
    let mut statements = statements("the policy", document)?;
    statements.retain(|one| {
        let written = one.to_string();
        written != statement
    });
    Ok(json!({"Version": "1", "Statement": statements}).to_string())
}

/// The statements of a document.
fn statements(origin: &str, document: &str) -> Result<Vec<Value>, Incomparable> {
    let document: Value = serde_json::from_str(document).map_err(|_| unreadable(origin))?;
    match document.get("Statement") {
        Some(Value::Array(statements)) => Ok(statements.clone()),
        Some(one @ Value::Object(_)) => Ok(vec![one.clone()]),
        _ => Err(unreadable(origin)),
    }
}

/// The texts of a member that is one text or a list.
fn texts(member: &Value) -> Vec<&str> {
    match member {
        Value::String(text) => vec![text],
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Writes resources so that those which no request distinguishes are the same. RAM compares names in its own ARNs without
/// regard to case, and they have no region. `*` under actions of one service stands for the resources of that service.
fn unify_resources(statement: &mut Value) {
    let actions = statement.get("Action").map(texts).unwrap_or_default();
    let are_all_of = |service: &str| {
        let is_of = |action: &&str| action.to_ascii_lowercase().starts_with(service);
        !actions.is_empty() && actions.iter().all(is_of)
    };
    let every = if are_all_of("oss:") {
        "acs:oss:*:*:*"
    } else if are_all_of("sts:") {
        "acs:ram::*:role/?*"
    } else {
        "*"
    };
    let Some(resource) = statement.get_mut("Resource") else { return };
    let unified = |text: &str| {
        let lower = text.to_ascii_lowercase();
        match lower.strip_prefix("acs:ram:") {
            Some(rest) => format!("acs:ram:{}", rest.strip_prefix('*').unwrap_or(rest)),
            None if text == "*" => every.to_owned(),
            None => text.to_owned(),
        }
    };
    *resource = json!(texts(resource).into_iter().map(unified).collect::<Vec<_>>());
}

/// Whom a statement of a trust policy is about.
struct TrustedPrincipal {
    kind: String,
    name: String,
}

fn principals(statement: &Value) -> Vec<TrustedPrincipal> {
    let Some(member) = statement.get("Principal") else { return Vec::new() };
    let named = |kind: &str, member: &Value| -> Vec<_> {
        let named = |name: &str| TrustedPrincipal { kind: kind.to_owned(), name: name.to_owned() };
        texts(member).into_iter().map(named).collect()
    };
    match member {
        Value::Object(kinds) => kinds.iter().flat_map(|(kind, whose)| named(kind, whose)).collect(),
        other => named("RAM", other),
    }
}

impl TrustedPrincipal {
    /// The principal as a resource. That of an account stands for each of its users and roles.
    fn resource(&self) -> String {
        let kind = self.kind.to_ascii_lowercase();
        let name = self.name.to_ascii_lowercase();
        let parts = name.strip_prefix("acs:ram:").and_then(|rest| rest.split_once(':'));
        match parts.and_then(|(_, rest)| rest.split_once(':')) {
            Some((account, "root" | "*")) => format!("acs:principal:{kind}:{account}:*"),
            Some((account, whose)) => format!("acs:principal:{kind}:{account}:{whose}"),
            None if name == "*" => format!("acs:principal:{kind}:*:*"),
            None => format!("acs:principal:{kind}::{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(action: &str, resource: &str) -> String {
        format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"{resource}"}}]}}"#
        )
    }

    fn trusts(kind: &str, principal: &str, condition: &str) -> String {
        format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{{"{kind}":["{principal}"]}}{condition}}}]}}"#
        )
    }

    fn set(documents: &[&str]) -> PermissionSet {
        PermissionSet::of(documents.iter().map(|document| ("p", *document))).unwrap()
    }

    /// Whether each of two sets allows all that the other does.
    fn is_same(one: &PermissionSet, other: &PermissionSet) -> bool {
        one.lacks_of(other).unwrap().is_none() && other.lacks_of(one).unwrap().is_none()
    }

    #[test]
    fn policies_are_compared_by_their_union() {
        let one = set(&[
            &allows("oss:GetObject", "acs:oss:*:*:b/x*"),
            &allows("oss:PutObject", "acs:oss:*:*:b/x*"),
        ]);
        let both = r#"{"Version":"1","Statement":{"Effect":"Allow","Action":["oss:PutObject","oss:GetObject"],"Resource":["acs:oss:*:*:b/x*"]}}"#;
        assert!(is_same(&one, &set(&[both])));
        assert!(one.excess_over(&set(&[both])).unwrap().is_empty());
    }

    #[test]
    fn each_statement_that_allows_too_much_is_named_with_a_request() {
        let wide =
            [("wide", allows("oss:*", "*")), ("right", allows("oss:GetObject", "acs:oss:*:*:b/x"))];
        let wide =
            PermissionSet::of(wide.iter().map(|(name, text)| (*name, text.as_str()))).unwrap();
        let needed = set(&[&allows("oss:GetObject", "acs:oss:*:*:b/x")]);
        let excess = wide.excess_over(&needed).unwrap();
        let [one] = excess.as_slice() else { panic!("{excess:?}") };
        assert_eq!(one.origin, "wide");
        assert!(one.statement.contains(r#""Action":"oss:*""#), "{}", one.statement);
        assert!(one.request.action.starts_with("oss:"), "{}", one.request);
    }

    #[test]
    fn a_denial_in_one_policy_binds_the_others() {
        let denies = allows("oss:GetObject", "acs:oss:*:*:b/x/secret*").replace("Allow", "Deny");
        let narrowed = set(&[&allows("oss:GetObject", "acs:oss:*:*:b/x/*"), &denies]);
        let needed = set(&[&allows("oss:GetObject", "acs:oss:*:*:b/x/*")]);
        assert!(narrowed.excess_over(&needed).unwrap().is_empty());
        let request = narrowed.lacks_of(&needed).unwrap().unwrap();
        assert!(
            request.resource.starts_with("acs:oss:") && request.resource.contains("b/x/secret"),
            "{request}"
        );
    }

    #[test]
    fn the_statement_that_denies_what_is_needed_is_named_unless_it_is_not_allowed_at_all() {
        let deny = |key: &str| {
            allows("oss:GetObject", &format!("acs:oss:*:*:b/{key}")).replace("Allow", "Deny")
        };
        let (other, cause) = (deny("y/*"), deny("x/secret*"));
        let needed = set(&[&allows("oss:GetObject", "acs:oss:*:*:b/x/*")]);
        let denied = set(&[&allows("oss:GetObject", "acs:oss:*:*:b/x/*"), &other, &cause]);
        let denial = denied.denial_of(&needed).unwrap().unwrap();
        assert!(denial.statement.contains("b/x/secret*"), "{}", denial.statement);
        assert_eq!(set(&[&other, &cause]).denial_of(&needed).unwrap(), None);
        assert_eq!(denied.denial_of(&set(&[&other])).unwrap(), None);
    }

    #[test]
    fn no_policy_allows_nothing() {
        let needed = set(&[&allows("oss:GetObject", "acs:oss:*:*:b/x")]);
        let nothing = PermissionSet::default();
        assert!(nothing.lacks_of(&needed).unwrap().is_some());
        assert!(nothing.excess_over(&needed).unwrap().is_empty());
    }

    #[test]
    fn names_in_arns_of_ram_are_compared_without_regard_to_case_and_keys_of_objects_are_not() {
        let role = |arn: &str| set(&[&allows("sts:AssumeRole", arn)]);
        assert!(is_same(&role("acs:ram::1:role/OSS-Reader"), &role("acs:ram:*:1:role/oss-reader")));
        let object = |arn: &str| set(&[&allows("oss:GetObject", arn)]);
        assert!(!is_same(&object("acs:oss:*:*:b/X"), &object("acs:oss:*:*:b/x")));
    }

    #[test]
    fn a_star_stands_for_the_resources_of_the_actions() {
        let all = set(&[&allows("oss:Get*", "*")]);
        assert!(is_same(&all, &set(&[&allows("oss:Get*", "acs:oss:*:*:*")])));
        assert!(!is_same(&all, &set(&[&allows("oss:Get*", "acs:oss:*:*:b/*")])));
        let [any, oss] = ["*", "acs:oss:*:*:*"].map(|resource| set(&[&allows("*", resource)]));
        assert!(!is_same(&any, &oss));
    }

    #[test]
    fn a_trust_policy_is_wider_if_it_names_more_or_drops_a_condition() {
        let trust = |document: &str| PermissionSet::of_trust(document).unwrap();
        let id = r#","Condition":{"StringEquals":{"sts:ExternalId":"partner-7"}}"#;
        let user = trust(&trusts("RAM", "acs:ram::1:user/appserver", ""));
        for (document, wider) in [
            (trusts("RAM", "acs:ram::1:user/AppServer", ""), false),
            (trusts("RAM", "acs:ram::1:root", ""), true),
            (trusts("RAM", "*", ""), true),
            (trusts("RAM", "acs:ram::2:user/appserver", ""), true),
            (trusts("RAM", "acs:ram::1:role/appserver", ""), true),
            (trusts("Service", "ecs.aliyuncs.com", ""), true),
            (trusts("Federated", "acs:ram::1:oidc-provider/p", ""), true),
            (trusts("RAM", "acs:ram::1:user/appserver", id), false),
        ] {
            let excess = trust(&document).excess_over(&user).unwrap();
            assert_eq!(!excess.is_empty(), wider, "{document}: {excess:?}");
        }
        let with_id = trust(&trusts("RAM", "acs:ram::1:user/appserver", id));
        assert_eq!(user.excess_over(&with_id).unwrap().len(), 1);
        assert!(with_id.lacks_of(&user).unwrap().is_some());
        // The root of an account does not stand for tokens of its identity providers.
        let root = trust(&trusts("RAM", "acs:ram::1:root", ""));
        let federated = trust(&trusts("Federated", "acs:ram::1:oidc-provider/p", ""));
        assert!(root.lacks_of(&federated).unwrap().is_some());
        assert!(root.lacks_of(&user).unwrap().is_none());
    }

    #[test]
    fn what_is_no_policy_is_named() {
        for bad in ["", "{}", r#"{"Version":"1","Statement":[{"Effect":"Allow"}]}"#] {
            let error = PermissionSet::of([("broken", bad)]).unwrap_err();
            assert!(
                error.to_string().starts_with("broken cannot be read as a policy: "),
                "{error}"
            );
        }
    }
}
