//! Trust policies of roles.

use super::evaluate::{Deciding, Decision, Request, conclude};
use super::policy::{PolicyProblem, statements};
use super::statement::{RawStatement, Statement, StatementProblem};

/// A role's `AssumeRolePolicyDocument`.
#[derive(Clone, Debug)]
pub(crate) struct TrustPolicy {
    statements: Vec<Statement<Trusted>>,
}

/// A principal of a trust policy.
#[derive(Clone, Debug)]
enum Trusted {
    /// `acs:ram::<account>:root`: every user and role of the account.
    Account(String),
    /// One user or role, by ARN.
    One(String),
    /// A cloud service, such as `ecs.aliyuncs.com`.
    Service(String),
    /// An identity provider, by ARN.
    Provider(String),
}

/// Who asks for a session of a role.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trustee<'a> {
    /// A user, or the role of a session.
    Identity { account: &'a str, arn: &'a str },
    /// A cloud service, such as `ecs.aliyuncs.com`.
    Service(&'a str),
    /// An identity provider, by ARN.
    Provider(&'a str),
}

impl TrustPolicy {
    pub(crate) fn parse(json: &str) -> Result<Self, PolicyProblem> {
        let statements = statements(json, |mut raw: RawStatement| {
            if raw.resource.is_some() {
                return Err(StatementProblem::ResourceOfTrust);
            }
            let principals = raw.principal.take().ok_or(StatementProblem::TrustedPrincipal)?;
            let mut trusted = Vec::new();
            for (kind, names) in principals.0 {
                for name in names.into_vec() {
                    trusted.push(read(&kind, &name).ok_or(StatementProblem::TrustedPrincipal)?);
                }
            }
            if trusted.is_empty() {
                return Err(StatementProblem::TrustedPrincipal);
            }
            raw.about(trusted)
        })?;
        Ok(Self { statements })
    }

    /// The users and roles that it names, by ARN.
    pub(crate) fn identities(&self) -> impl Iterator<Item = &str> {
        self.statements.iter().flat_map(|statement| &statement.about).filter_map(|trusted| {
            match trusted {
                Trusted::One(arn) => Some(arn.as_str()),
                Trusted::Account(_) | Trusted::Service(_) | Trusted::Provider(_) => None,
            }
        })
    }

    /// Whether the policy trusts the trustee with the request, such as `sts:AssumeRole`.
    pub(crate) fn decide(&self, trustee: Trustee<'_>, request: &Request<'_>) -> Decision {
        let is_about = |trusted: &Trusted| match (trusted, trustee) {
            (Trusted::Account(trusted), Trustee::Identity { account, .. }) => trusted == account,
            (Trusted::One(trusted), Trustee::Identity { arn, .. }) => trusted == arn,
            (Trusted::Service(trusted), Trustee::Service(name)) => trusted == name,
            (Trusted::Provider(trusted), Trustee::Provider(arn)) => trusted == arn,
            (
                Trusted::Account(_) | Trusted::One(_) | Trusted::Service(_) | Trusted::Provider(_),
                Trustee::Identity { .. } | Trustee::Service(_) | Trustee::Provider(_),
            ) => false,
        };
        let applying = self
            .statements
            .iter()
            .enumerate()
            .filter(|(_, statement)| statement.applies(request, is_about))
            .map(|(index, statement)| (Deciding { policy: 0, statement: index }, statement.effect));
        conclude(applying)
    }
}

fn read(kind: &str, name: &str) -> Option<Trusted> {
    match kind {
        "RAM" => {
            let (account, who) = name.strip_prefix("acs:ram::")?.split_once(':')?;
            let is_account = !account.is_empty() && account.bytes().all(|b| b.is_ascii_digit());
            let is_one = ["user/", "role/"]
                .iter()
                .any(|kind| who.strip_prefix(kind).is_some_and(|name| !name.is_empty()));
            match who {
                "root" if is_account => Some(Trusted::Account(account.to_owned())),
                _ if is_account && is_one => Some(Trusted::One(name.to_owned())),
                _ => None,
            }
        }
        "Service" => Some(Trusted::Service(name.to_owned())),
        "Federated" => Some(Trusted::Provider(name.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusting(principal: &str, condition: &str) -> TrustPolicy {
        let json = format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"sts:AssumeRole",
                "Principal":{principal}{condition}}}]}}"#
        );
        TrustPolicy::parse(&json).unwrap()
    }

    fn admits(policy: &TrustPolicy, account: &str, arn: &str) -> bool {
        let request = Request::new("sts:AssumeRole", "acs:ram::11223344:role/r");
        policy.decide(Trustee::Identity { account, arn }, &request).is_allowed()
    }

    #[test]
    fn root_means_the_whole_account_and_a_user_only_itself() {
        let (alice, bob) = ("acs:ram::11223344:user/alice", "acs:ram::11223344:user/bob");
        let account = trusting(r#"{"RAM":["acs:ram::11223344:root"]}"#, "");
        let user = trusting(r#"{"RAM":"acs:ram::11223344:user/alice"}"#, "");
        let service = trusting(r#"{"Service":["ecs.aliyuncs.com"]}"#, "");
        let admitted = [
            admits(&account, "11223344", alice),
            admits(&account, "55667788", "acs:ram::55667788:user/alice"),
            admits(&user, "11223344", alice),
            admits(&user, "11223344", bob),
            admits(&service, "11223344", alice),
        ];
        assert_eq!(admitted, [true, false, true, false, false]);
    }

    #[test]
    fn a_service_and_a_provider_are_trusted_by_name_and_the_account_covers_neither() {
        const PROVIDER: &str = "acs:ram::11223344:oidc-provider/cluster";
        let account = trusting(r#"{"RAM":["acs:ram::11223344:root"]}"#, "");
        let service = trusting(r#"{"Service":["ecs.aliyuncs.com"]}"#, "");
        let provider = trusting(&format!(r#"{{"Federated":["{PROVIDER}"]}}"#), "");
        let request = Request::new("sts:AssumeRole", "acs:ram::11223344:role/r");
        let trustees = [
            Trustee::Service("ecs.aliyuncs.com"),
            Trustee::Service("fc.aliyuncs.com"),
            Trustee::Provider(PROVIDER),
            Trustee::Provider("acs:ram::11223344:oidc-provider/other"),
        ];
        let admitted = [&account, &service, &provider]
            .map(|policy| trustees.map(|trustee| policy.decide(trustee, &request).is_allowed()));
        let expected = [[false; 4], [true, false, false, false], [false, false, true, false]];
        assert_eq!(admitted, expected);
    }

    #[test]
    fn an_external_id_can_be_required() {
        let policy = trusting(
            r#"{"RAM":["acs:ram::11223344:root"]}"#,
            r#","Condition":{"StringEquals":{"sts:ExternalId":"abc"}}"#,
        );
        let request = Request::new("sts:AssumeRole", "acs:ram::11223344:role/r");
        let decide = |request: &Request<'_>| {
            let (account, arn) = ("11223344", "acs:ram::11223344:user/alice");
            policy.decide(Trustee::Identity { account, arn }, request).is_allowed()
        };
        let admitted = [
            decide(&request),
            decide(&request.clone().with("sts:ExternalId", "abd")),
            decide(&request.clone().with("sts:ExternalId", "abc")),
        ];
        assert_eq!(admitted, [false, false, true]);
    }

    #[test]
    fn a_trust_policy_names_principals_and_no_resource() {
        for statement in [
            r#"{"Effect":"Allow","Action":"sts:AssumeRole"}"#,
            r#"{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{}}"#,
            r#"{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["*"]}}"#,
            r#"{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["acs:ram::1:user/"]}}"#,
            r#"{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":["acs:ram::1:root"]}}"#,
            r#"{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["acs:ram::1:root"]},"Resource":"*"}"#,
        ] {
            let json = format!(r#"{{"Version":"1","Statement":[{statement}]}}"#);
            assert!(TrustPolicy::parse(&json).is_err(), "{statement}");
        }
    }
}
