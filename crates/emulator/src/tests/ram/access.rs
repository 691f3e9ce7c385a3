//! Who may call RAM, and from where a key may be used.

use super::*;

#[tokio::test]
async fn a_caller_needs_the_permission_and_the_answer_names_it() {
    let emulated = Emulated::start().await;
    let create = |name| {
        ram("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", TRUST_ACCOUNT)])
    };
    let intern = |caller: Caller<'static>| caller.by("internid", "internsecret");
    let denied = emulated.ram(&intern(create("photos"))).await;
    let detail = |kind: &str| {
        json!({
            "AuthAction": "ram:CreateRole",
            "AuthPrincipalType": "SubUser",
            "AuthPrincipalOwnerId": "11223344",
            "AuthPrincipalDisplayName": "216959339000654322",
            "NoPermissionType": kind,
            "PolicyType": "AccountLevelIdentityBasedPolicy",
        })
    };
    assert_eq!((denied.status, &denied.body["Code"]), (403, &json!("NoPermission")));
    assert_eq!(denied.body["Message"], json!("You are not authorized to do this action."));
    assert_eq!(denied.body["HostId"], json!("ram.aliyuncs.com"));
    assert_eq!(denied.body["AccessDeniedDetail"], detail("ImplicitDeny"));

    let policy = r#"{"Version":"1","Statement":[
        {"Effect":"Allow","Action":"ram:*","Resource":"acs:ram:*:11223344:role/photos*"},
        {"Effect":"Deny","Action":"ram:CreateRole","Resource":"acs:ram:*:11223344:role/photos-of-others"}]}"#;
    emulated.done(ram("CreatePolicy", &[("PolicyName", "p"), ("PolicyDocument", policy)])).await;
    let attached = [("PolicyName", "p"), ("PolicyType", "Custom"), ("UserName", "intern")];
    emulated.done(ram("AttachPolicyToUser", &attached)).await;
    emulated.done(intern(create("photos"))).await;
    let denied = emulated.ram(&intern(create("photos-of-others"))).await;
    assert_eq!(denied.body["AccessDeniedDetail"], detail("ExplicitDeny"));
    assert_eq!(emulated.ram(&intern(create("other"))).await.status, 403);
    // The policy must be permitted as well as the role.
    let attached = [("PolicyName", "p"), ("PolicyType", "Custom"), ("RoleName", "photos")];
    let denied = emulated.code(intern(ram("AttachPolicyToRole", &attached))).await;
    assert_eq!(denied, (403, "NoPermission".to_owned()));
    // Who may not look learns not whether there is something.
    let unknown = emulated.code(intern(ram("GetRole", &[("RoleName", "no-such-role")]))).await;
    assert_eq!(unknown, (403, "NoPermission".to_owned()));
}

#[tokio::test]
async fn the_account_itself_may_call_ram_and_the_system_policies_of_ram_work() {
    let emulated = Emulated::start().await;
    let root = |caller: Caller<'static>| caller.by("rootid", "rootsecret");
    emulated.done(root(ram("GetUser", &[("UserName", "intern")]))).await;
    let keys = emulated.done(root(ram("ListAccessKeys", &[]))).await;
    assert_eq!(keys["AccessKeys"]["AccessKey"][0]["AccessKeyId"], json!("rootid"));
    for (policy, may_create) in [("AliyunRAMReadOnlyAccess", false), ("AliyunRAMFullAccess", true)]
    {
        let attached = [("PolicyName", policy), ("PolicyType", "System"), ("UserName", "intern")];
        emulated.done(ram("AttachPolicyToUser", &attached)).await;
        let intern = |caller: Caller<'static>| caller.by("internid", "internsecret");
        emulated.done(intern(ram("ListUsers", &[]))).await;
        let created = emulated.ram(&intern(ram("CreateUser", &[("UserName", "new")]))).await;
        assert_eq!(created.status == 200, may_create, "{policy}");
    }
}

#[tokio::test]
async fn a_key_is_refused_outside_the_networks_of_its_policy() {
    let emulated = Emulated::start().await;
    let user = ("UserPrincipalName", "appserver@11223344.onaliyun.com");
    let get = || ims("GetAccessKeyPolicy", &[("UserAccessKeyId", "testid"), user]);
    let none = json!({ "AccessKeyId": "testid", "AccessKeyPolicy": "{}" });
    assert_eq!(emulated.done(get()).await, none);
    let set = |policy: &str| {
        let key = ("UserAccessKeyId", "testid");
        ims("SetAccessKeyPolicy", &[key, user, ("AccessKeyPolicy", policy)])
    };
    let active = |address: &str| {
        format!(
            r#"{{"Version":1,"Status":"Active","Statements":[{{"Type":"ClassicWhiteList","IPList":["{address}"]}}]}}"#
        )
    };
    let answer = emulated.done(set(&active("203.0.113.0/24"))).await;
    assert_eq!(answer["AccessKeyPolicy"], json!(active("203.0.113.0/24")));
    assert_eq!(emulated.done(get()).await, answer);
    let (status, code, _) = emulated.error(&Caller::assume_role()).await;
    assert_eq!((status, code.as_str()), (403, "InvalidAccessKeyId.NetworkNotAllowed"));
    let by_ram = emulated.code(ram("ListUsers", &[]).by("testid", "testsecret")).await;
    assert_eq!(by_ram, (403, "InvalidAccessKeyId.NetworkNotAllowed".to_owned()));
    emulated.done(set(&active("127.0.0.1"))).await;
    let session = emulated.call(&Caller::assume_role()).await;
    assert_eq!(session.status, 200);
    // The policy binds the key and not its sessions.
    emulated.done(set(&active("203.0.113.0/24"))).await;
    let text = |name: &str| session.body["Credentials"][name].as_str().unwrap().to_owned();
    let secret = text("AccessKeySecret");
    let who = Caller::new("GetCallerIdentity").with("SecurityToken", text("SecurityToken"));
    assert_eq!(emulated.call(&who.by(&text("AccessKeyId"), &secret)).await.status, 200);
    emulated.done(set(r#"{"Status":"Inactive","Statements":[]}"#)).await;
    assert_eq!(emulated.call(&Caller::assume_role()).await.status, 200);
    let refused = emulated.code(set("{}")).await;
    assert_eq!(refused, (400, "InvalidParameter.AccessKeyPolicy.Format".to_owned()));
}
