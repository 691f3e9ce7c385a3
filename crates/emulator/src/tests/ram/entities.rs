//! Users, keys, roles and providers, from creation to deletion.

use super::*;
use crate::control::Fault;

#[tokio::test]
async fn a_new_user_assumes_a_new_role_at_once_and_the_role_s_end_ends_its_sessions() {
    let emulated = Emulated::start().await;
    let trust = TRUST_ACCOUNT.replace(":root", ":user/worker");
    let assume = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"acs:ram::11223344:role/photos"}]}"#;
    let role = [("RoleName", "photos"), ("AssumeRolePolicyDocument", trust.as_str())];
    let too_early = emulated.refused(ram("CreateRole", &role)).await;
    let message = "the principal `acs:ram::11223344:user/worker` does not exist";
    assert_eq!(too_early, (400, "MalformedPolicyDocument".to_owned(), message.to_owned()));

    emulated.done(ram("CreateUser", &[("UserName", "worker")])).await;
    emulated.done(ram("CreateRole", &role)).await;
    let (id, secret) = emulated.new_key("worker").await;
    let arn = "acs:ram::11223344:role/photos";
    let assumed = || Caller::assume_role().with("RoleArn", arn).by(&id, &secret);
    assert_eq!(emulated.error(&assumed()).await.1, "NoPermission");
    let policy = [("PolicyName", "assume"), ("PolicyDocument", assume)];
    emulated.done(ram("CreatePolicy", &policy)).await;
    let attachment = [("PolicyName", "assume"), ("PolicyType", "Custom"), ("UserName", "worker")];
    emulated.done(ram("AttachPolicyToUser", &attachment)).await;
    let credentials = emulated.call(&assumed()).await.body["Credentials"].clone();
    let text = |name: &str| credentials[name].as_str().unwrap().to_owned();
    let (session_id, session_secret) = (text("AccessKeyId"), text("AccessKeySecret"));
    let who = || {
        let who = Caller::new("GetCallerIdentity").with("SecurityToken", text("SecurityToken"));
        who.by(&session_id, &session_secret)
    };
    assert_eq!(emulated.call(&who()).await.status, 200);

    emulated.done(ram("DeleteRole", &[("RoleName", "photos")])).await;
    assert_eq!(emulated.error(&assumed()).await.1, "EntityNotExist.Role");
    emulated.done(ram("CreateRole", &role)).await;
    assert_eq!(emulated.call(&assumed()).await.status, 200);
    assert_eq!(emulated.error(&who()).await.1, "EntityNotExist.Role");
    let deactivated =
        [("UserName", "worker"), ("UserAccessKeyId", id.as_str()), ("Status", "Inactive")];
    emulated.done(ram("UpdateAccessKey", &deactivated)).await;
    assert_eq!(emulated.error(&assumed()).await.1, "InvalidAccessKeyId.Inactive");
}

#[tokio::test]
async fn a_role_is_answered_as_documented() {
    let emulated = Emulated::start().await;
    let created = emulated
        .done(ram(
            "CreateRole",
            &[
                ("RoleName", "Photos"),
                ("AssumeRolePolicyDocument", TRUST_ACCOUNT),
                ("Description", "reads photos"),
                ("MaxSessionDuration", "7200"),
            ],
        ))
        .await;
    let mut expected = json!({ "Role": {
        "RoleId": created["Role"]["RoleId"],
        "RoleName": "Photos",
        "Arn": "acs:ram::11223344:role/Photos",
        "Description": "reads photos",
        "AssumeRolePolicyDocument": TRUST_ACCOUNT,
        "MaxSessionDuration": 7200,
        "AllowConsoleLogin": false,
        "CreateDate": START,
    }});
    assert_eq!(created, expected);
    assert_eq!(created["Role"]["RoleId"].as_str().unwrap().len(), 18);
    expected["Role"]["UpdateDate"] = json!(START);
    expected["Role"]["IsServiceLinkedRole"] = json!(false);
    expected["Role"]["RolePrincipalName"] = json!("Photos@role.11223344.onaliyunservice.com");
    let got = emulated.done(ram("GetRole", &[("RoleName", "Photos")])).await;
    assert_eq!(got, expected);
    // Without a new duration the default is used.
    let changed = [("RoleName", "Photos"), ("NewDescription", "reads")];
    let updated = emulated.done(ram("UpdateRole", &changed)).await;
    let role = &updated["Role"];
    assert_eq!(
        (&role["Description"], &role["MaxSessionDuration"]),
        (&json!("reads"), &json!(3600))
    );
    let listed = emulated.done(ram("ListRoles", &[("MaxItems", "2")])).await;
    let names = |answer: &Value| {
        let roles = answer["Roles"]["Role"].as_array().unwrap().iter();
        roles.map(|role| role["RoleName"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        (names(&listed), &listed["IsTruncated"]),
        (vec!["Photos".to_owned(), "appserver-instance".to_owned()], &json!(true))
    );
    let marker = listed["Marker"].as_str().unwrap();
    let rest = emulated.done(ram("ListRoles", &[("Marker", marker)])).await;
    assert_eq!((names(&rest)[0].as_str(), &rest["IsTruncated"]), ("appserver-pod", &json!(false)));
}

#[tokio::test]
async fn a_user_and_its_keys_are_answered_as_documented() {
    let emulated = Emulated::start().await;
    let user = [
        ("UserName", "worker"),
        ("DisplayName", "The worker"),
        ("MobilePhone", "86-18600000000"),
        ("Email", "worker@example.com"),
        ("Comments", "works"),
    ];
    let created = emulated.done(ram("CreateUser", &user)).await;
    let mut expected = json!({ "User": {
        "UserId": created["User"]["UserId"],
        "UserName": "worker",
        "DisplayName": "The worker",
        "MobilePhone": "86-18600000000",
        "Email": "worker@example.com",
        "Comments": "works",
        "CreateDate": START,
    }});
    assert_eq!(created, expected);
    expected["User"]["UpdateDate"] = json!(START);
    expected["User"]["LastLoginDate"] = json!("");
    assert_eq!(emulated.done(ram("GetUser", &[("UserName", "worker")])).await, expected);
    let (id, secret) = emulated.new_key("worker").await;
    assert!(id.starts_with("LTAI") && id.len() == 24 && secret.len() == 30, "{id}");
    // A key's own user is meant where none is named.
    let own = ram("ListAccessKeys", &[]).by(&id, &secret);
    assert_eq!(emulated.code(own.clone()).await, (403, "NoPermission".to_owned()));
    let attachment = [
        ("PolicyName", "AliyunRAMReadOnlyAccess"),
        ("PolicyType", "System"),
        ("UserName", "worker"),
    ];
    emulated.done(ram("AttachPolicyToUser", &attachment)).await;
    let again = Caller { params: own.params.clone(), ..own }.with("SignatureNonce", "another");
    let keys = emulated.done(again).await;
    let expected = json!({ "AccessKeys": { "AccessKey": [
        { "AccessKeyId": id, "Status": "Active", "CreateDate": START },
    ]}});
    assert_eq!(keys, expected);
    let by_ims = ims("ListAccessKeys", &[("UserPrincipalName", "worker@11223344.onaliyun.com")]);
    assert_eq!(emulated.done(by_ims).await, expected);
    let elsewhere = ims("ListAccessKeys", &[("UserPrincipalName", "worker@1.onaliyun.com")]);
    assert_eq!(emulated.code(elsewhere).await, (404, "EntityNotExist.User".to_owned()));
}

#[tokio::test]
async fn every_error_of_an_entity_has_its_documented_status_code_and_message() {
    let emulated = Emulated::start().await;
    let long = "x".repeat(129);
    let worker = [("UserName", "worker")];
    emulated.done(ram("CreateUser", &worker)).await;
    for _ in 0..2 {
        emulated.new_key("worker").await;
    }
    let role = |name: &'static str, duration: &'static str| {
        [
            ("RoleName", name),
            ("AssumeRolePolicyDocument", TRUST_ACCOUNT),
            ("MaxSessionDuration", duration),
        ]
    };
    let table = [
        (ram("CreateUser", &[]), 400, "MissingUserName", "UserName is mandatory for this action."),
        (
            ram("CreateUser", &worker),
            409,
            "EntityAlreadyExists.User",
            "The user does already EXIST.",
        ),
        (
            ram("CreateUser", &[("UserName", "a b")]),
            400,
            "InvalidParameter.UserName.InvalidChars",
            "The parameter - \"UserName\" contains invalid chars.",
        ),
        (
            ram("CreateUser", &[("UserName", &long[..65])]),
            400,
            "InvalidParameter.UserName.Length",
            "The parameter - \"UserName\" beyond the length limit.",
        ),
        (
            ram("CreateUser", &[("UserName", "b"), ("DisplayName", &long)]),
            400,
            "InvalidParameter.DisplayName.Length",
            "The parameter - \"DisplayName\" beyond the length limit.",
        ),
        (
            ram("CreateUser", &[("UserName", "b"), ("MobilePhone", "1860")]),
            400,
            "InvalidParameter.MobilePhone.Format",
            "The format of the parameter - \"MobilePhone\" is incorrect.",
        ),
        (
            ram("CreateUser", &[("UserName", "b"), ("Email", "b")]),
            400,
            "InvalidParameter.Email.Format",
            "The format of the parameter - \"Email\" is incorrect.",
        ),
        (
            ram("GetUser", &[("UserName", "b")]),
            404,
            "EntityNotExist.User",
            "The user does not exist.",
        ),
        (
            ram("CreateAccessKey", &worker),
            409,
            "LimitExceeded.User.AccessKey",
            "The access key count of the user access keys beyond the current limits.",
        ),
        (
            ram("DeleteAccessKey", &[("UserName", "worker"), ("UserAccessKeyId", "testid")]),
            404,
            "EntityNotExist.User.AccessKey",
            "The user access key does not exist.",
        ),
        (
            ram("UpdateAccessKey", &[("UserAccessKeyId", "adminid"), ("Status", "Off")]),
            400,
            "InvalidParameter.Status",
            "The parameter - \"Status\" is incorrect.",
        ),
        (
            ram("CreateRole", &role("oss-readonly", "3600")),
            409,
            "EntityAlreadyExists.Role",
            "The role does already EXIST.",
        ),
        (
            ram("CreateRole", &role("a_b", "3600")),
            400,
            "InvalidParameter.RoleName.InvalidChars",
            "The parameter - \"RoleName\" contains invalid chars.",
        ),
        (
            ram("CreateRole", &role("b", "3599")),
            400,
            "InvalidParameter.MaxSessionDuration",
            "The parameter - \"MaxSessionDuration\" is incorrect.",
        ),
        (
            ram("CreateRole", &[("RoleName", "b"), ("AssumeRolePolicyDocument", "{}")]),
            400,
            "MalformedPolicyDocument",
            "not the JSON of a policy: missing field `Version` at line 1 column 2",
        ),
        (
            ram("GetRole", &[("RoleName", "b")]),
            404,
            "EntityNotExist.Role",
            "The role does not exist.",
        ),
        (
            ram("Dance", &[]),
            404,
            "InvalidApi.NotFound",
            "Specified api is not found, please check your url and method.",
        ),
        (
            ram("GetRole", &[("Version", "2014-01-01")]),
            400,
            "InvalidVersion",
            "Specified parameter Version is not valid.",
        ),
        (
            ims("GetRole", &[]),
            404,
            "InvalidApi.NotFound",
            "Specified api is not found, please check your url and method.",
        ),
    ];
    for (caller, status, code, message) in table {
        let found = emulated.refused(caller).await;
        assert_eq!(found, (status, code.to_owned(), message.to_owned()));
    }
}

#[tokio::test]
async fn only_what_nothing_depends_on_can_be_deleted() {
    let emulated = Emulated::start().await;
    let attached = [("PolicyName", "photos"), ("PolicyType", "Custom")];
    let to_user = [attached[0], attached[1], ("UserName", "worker")];
    let to_role = [attached[0], attached[1], ("RoleName", "photos")];
    emulated.done(ram("CreateUser", &[("UserName", "worker")])).await;
    let (id, _) = emulated.new_key("worker").await;
    let role = [("RoleName", "photos"), ("AssumeRolePolicyDocument", TRUST_ACCOUNT)];
    emulated.done(ram("CreateRole", &role)).await;
    let policy = [("PolicyName", "photos"), ("PolicyDocument", READ_PHOTOS)];
    emulated.done(ram("CreatePolicy", &policy)).await;
    emulated.done(ram("CreatePolicyVersion", &policy)).await;
    emulated.done(ram("AttachPolicyToUser", &to_user)).await;
    emulated.done(ram("AttachPolicyToRole", &to_role)).await;

    let delete_user = || ram("DeleteUser", &[("UserName", "worker")]);
    let delete_role = || ram("DeleteRole", &[("RoleName", "photos")]);
    let delete_policy = || ram("DeletePolicy", &[("PolicyName", "photos")]);
    let delete_version =
        |version| ram("DeletePolicyVersion", &[("PolicyName", "photos"), ("VersionId", version)]);
    let key = [("UserName", "worker"), ("UserAccessKeyId", id.as_str())];
    let steps = [
        (delete_user(), Some("DeleteConflict.User.AccessKey")),
        (ram("DeleteAccessKey", &key), None),
        (delete_user(), Some("DeleteConflict.User.Policy")),
        (delete_policy(), Some("DeleteConflict.Policy.User")),
        (ram("DetachPolicyFromUser", &to_user), None),
        (ram("DetachPolicyFromUser", &to_user), Some("EntityNotExist.User.Policy")),
        (delete_user(), None),
        (delete_role(), Some("DeleteConflict.Role.Policy")),
        (delete_policy(), Some("DeleteConflict.Policy.Role")),
        (ram("DetachPolicyFromRole", &to_role), None),
        (ram("DetachPolicyFromRole", &to_role), Some("EntityNotExist.Role.Policy")),
        (delete_role(), None),
        (delete_policy(), Some("DeleteConflict.Policy.Version")),
        (delete_version("v1"), Some("DeleteConflict.Policy.Version.Default")),
        (delete_version("v2"), None),
        (delete_policy(), None),
        (delete_policy(), Some("EntityNotExist.Policy")),
    ];
    for (index, (caller, code)) in steps.into_iter().enumerate() {
        let answered = emulated.ram(&caller).await;
        assert_eq!(answered.body["Code"].as_str(), code, "step {index}: {}", answered.body);
    }
}

#[tokio::test]
async fn a_provider_is_created_once_and_sts_knows_it() {
    let emulated = Emulated::start().await;
    let provider = [
        ("OIDCProviderName", "cluster"),
        ("IssuerUrl", "https://login.demo.invalid/"),
        ("ClientIds", "sts.aliyuncs.com,other"),
        ("Fingerprints", "902ef2deeb3c5b13ea4c3d5193629309e231ae55"),
    ];
    let created = emulated.done(ims("CreateOIDCProvider", &provider)).await;
    let expected = json!({ "OIDCProvider": {
        "OIDCProviderName": "cluster",
        "Arn": "acs:ram::11223344:oidc-provider/cluster",
        "Description": "",
        "IssuerUrl": "https://login.demo.invalid/",
        "ClientIds": "sts.aliyuncs.com,other",
        "Fingerprints": "902ef2deeb3c5b13ea4c3d5193629309e231ae55",
        "CreateDate": START,
        "UpdateDate": START,
    }});
    assert_eq!(created, expected);
    let get = || ims("GetOIDCProvider", &[("OIDCProviderName", "cluster")]);
    assert_eq!(emulated.done(get()).await, expected);
    let twice = emulated.code(ims("CreateOIDCProvider", &provider)).await;
    assert_eq!(twice, (409, "EntityAlreadyExists.OIDCProvider".to_owned()));
    let with_token = Caller::new("AssumeRoleWithOIDC")
        .with("RoleArn", READ_ONLY)
        .with("RoleSessionName", "pod")
        .with("OIDCProviderArn", "acs:ram::11223344:oidc-provider/cluster")
        .with("OIDCToken", "no-token");
    let message = "The number of Jwt field should be divided into 3 parts with '.' .";
    assert_eq!(emulated.error(&with_token).await.2, message);
    emulated.done(ims("DeleteOIDCProvider", &[("OIDCProviderName", "cluster")])).await;
    assert_eq!(emulated.code(get()).await, (404, "EntityNotExist.OIDCProvider".to_owned()));
}

#[tokio::test]
async fn a_lost_answer_leaves_the_change_and_the_faults_of_sts_are_others() {
    let emulated = Emulated::start().await;
    emulated.control.script(Fault::Cut { mid_body: false }.times(1));
    emulated.control.script_ram(Fault::Cut { mid_body: false }.times(1).only("CreateUser"));
    let create = || ram("CreateUser", &[("UserName", "worker")]);
    assert!(emulated.request_to(&emulated.ram_url, &create()).send().await.is_err());
    assert_eq!(emulated.code(create()).await, (409, "EntityAlreadyExists.User".to_owned()));
    assert_eq!(emulated.control.faults().len(), 1);
    let outcomes = emulated.control.ram_totals()["CreateUser"].clone();
    let expected = [("EntityAlreadyExists.User".to_owned(), 1), ("Fault.Cut".to_owned(), 1)];
    assert_eq!(outcomes, expected.into());
    assert!(emulated.control.calls().is_empty());
}
