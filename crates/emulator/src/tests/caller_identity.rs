//! GetCallerIdentity by every kind of principal, and the use of credentials that STS issued.

use super::*;

/// Credentials of a role session from AssumeRole.
struct Issued {
    id: String,
    secret: String,
    token: String,
}

impl Issued {
    async fn of(emulated: &Emulated, caller: Caller<'_>) -> Self {
        let Answered { status, body } = emulated.call(&caller).await;
        assert_eq!(status, 200, "{body}");
        let text = |name: &str| body["Credentials"][name].as_str().unwrap().to_owned();
        Self {
            id: text("AccessKeyId"),
            secret: text("AccessKeySecret"),
            token: text("SecurityToken"),
        }
    }

    fn sign<'a>(&'a self, caller: Caller<'a>) -> Caller<'a> {
        caller.by(&self.id, &self.secret).with("SecurityToken", self.token.clone())
    }
}

#[tokio::test]
async fn every_principal_can_call_get_caller_identity() {
    let emulated = Emulated::start().await;
    let root = Caller::new("GetCallerIdentity").by("rootid", "rootsecret");
    let user = Caller::new("GetCallerIdentity").by("internid", "internsecret");
    let issued = Issued::of(&emulated, Caller::assume_role()).await;
    let session = issued.sign(Caller::new("GetCallerIdentity"));
    let expected = [
        json!({
            "RequestId": "…",
            "IdentityType": "Account",
            "AccountId": "11223344",
            "PrincipalId": "11223344",
            "UserId": "11223344",
            "Arn": "acs:ram::11223344:root",
        }),
        json!({
            "RequestId": "…",
            "IdentityType": "RAMUser",
            "AccountId": "11223344",
            "PrincipalId": "216959339000654322",
            "UserId": "216959339000654322",
            "Arn": "acs:ram::11223344:user/intern",
        }),
        json!({
            "RequestId": "…",
            "IdentityType": "AssumedRoleUser",
            "AccountId": "11223344",
            "PrincipalId": "391578752573972854:client-002",
            "RoleId": "391578752573972854",
            "Arn": "acs:ram::11223344:assumed-role/oss-readonly/client-002",
        }),
    ];
    for (caller, body) in [root, user, session].iter().zip(expected) {
        let answered = without_randomness(emulated.call(caller).await);
        assert_eq!(answered, Answered { status: 200, body });
    }
}

#[tokio::test]
async fn issued_keys_need_the_token_that_came_with_them() {
    let emulated = Emulated::start().await;
    let issued = Issued::of(&emulated, Caller::assume_role()).await;
    let other = Issued::of(&emulated, Caller::assume_role()).await;
    let identity = || issued.sign(Caller::new("GetCallerIdentity"));
    let table = [
        (identity().without("SecurityToken"), "MissingSecurityToken"),
        (identity().with("SecurityToken", "CAIS"), "InvalidSecurityToken.Malformed"),
        (
            identity().with("SecurityToken", other.token.clone()),
            "InvalidSecurityToken.MismatchWithAccessKey",
        ),
        (
            Caller::new("GetCallerIdentity").with("SecurityToken", issued.token.clone()),
            "InvalidSecurityToken.MismatchWithAccessKey",
        ),
        (Caller { secret: "testsecret", ..identity() }, "SignatureDoesNotMatch"),
    ];
    for (caller, code) in table {
        let (status, found, _) = emulated.error(&caller).await;
        assert_eq!((status, found.as_str()), (400, code));
    }
}

#[tokio::test]
async fn issued_keys_end_with_their_session() {
    let emulated = Emulated::start().await;
    let issued = Issued::of(&emulated, Caller::assume_role()).await;
    emulated.clock.advance(minutes(60));
    let caller = issued.sign(Caller::new("GetCallerIdentity")).at(emulated.clock.now());
    let expected = (
        400,
        "InvalidSecurityToken.Expired".to_owned(),
        "Specified SecurityToken is expired.".to_owned(),
    );
    assert_eq!(emulated.error(&caller).await, expected);
}

#[tokio::test]
async fn a_session_assumes_a_role_only_if_its_role_and_its_policy_allow_it() {
    let emulated = Emulated::start().await;
    let deputy = || Caller::assume_role().with("RoleArn", "acs:ram::11223344:role/deputy");
    let whole = Issued::of(&emulated, deputy().without("Policy")).await;
    let narrowed = Issued::of(&emulated, deputy()).await;
    let reader = Issued::of(&emulated, Caller::assume_role().without("Policy")).await;
    let statuses = [
        emulated.call(&whole.sign(Caller::assume_role())).await.status,
        emulated.call(&narrowed.sign(Caller::assume_role())).await.status,
        emulated.call(&reader.sign(Caller::assume_role())).await.status,
    ];
    assert_eq!(statuses, [200, 403, 403]);
}

#[tokio::test]
async fn a_chain_of_roles_keeps_the_source_identity_of_its_first_session() {
    let emulated = Emulated::start().await;
    let deputy = Caller::assume_role()
        .with("RoleArn", "acs:ram::11223344:role/deputy")
        .with("SourceIdentity", "alice")
        .without("Policy");
    let first = Issued::of(&emulated, deputy).await;
    let second = first.sign(Caller::assume_role().with("SourceIdentity", "bob"));
    assert_eq!(emulated.call(&second).await.body["SourceIdentity"], "alice");
}

#[tokio::test]
async fn a_trust_policy_may_name_the_role_of_the_session_that_assumes_it() {
    let emulated = Emulated::start().await;
    let role = |name: &str| format!("acs:ram::11223344:role/{name}");
    let deputy = Caller::assume_role().with("RoleArn", role("deputy")).without("Policy");
    let deputy = Issued::of(&emulated, deputy).await;
    let wanted = || Caller::assume_role().with("RoleArn", role("deputys"));
    let by_user = emulated.call(&wanted()).await.status;
    let by_session = emulated.call(&deputy.sign(wanted())).await.status;
    assert_eq!((by_user, by_session), (403, 200));
}
