//! Policies, their versions and their attachments.

use super::*;

/// A valid policy of exactly so many bytes.
fn policy_of(bytes: usize) -> String {
    let policy = |padding: &str| READ_PHOTOS.replace("sample-bucket", &format!("b{padding}"));
    policy(&"x".repeat(bytes - policy("").len()))
}

#[tokio::test]
async fn a_policy_is_answered_as_documented() {
    let emulated = Emulated::start().await;
    let policy = [
        ("PolicyName", "photos"),
        ("PolicyDocument", READ_PHOTOS),
        ("Description", "reads photos"),
    ];
    let created = emulated.done(ram("CreatePolicy", &policy)).await;
    let described = json!({
        "PolicyName": "photos",
        "PolicyType": "Custom",
        "Description": "reads photos",
        "DefaultVersion": "v1",
        "CreateDate": START,
    });
    assert_eq!(created, json!({ "Policy": described }));
    let attached =
        [("PolicyName", "photos"), ("PolicyType", "Custom"), ("RoleName", "oss-readonly")];
    emulated.done(ram("AttachPolicyToRole", &attached)).await;
    let twice = emulated.refused(ram("AttachPolicyToRole", &attached)).await;
    let message = "The role has already been attached this policy.";
    assert_eq!(twice, (409, "EntityAlreadyExists.Role.Policy".to_owned(), message.to_owned()));

    let named = [("PolicyName", "photos"), ("PolicyType", "Custom")];
    let got = emulated.done(ram("GetPolicy", &named)).await;
    let mut policy = described.clone();
    policy["UpdateDate"] = json!(START);
    policy["AttachmentCount"] = json!(1);
    let version = json!({
        "VersionId": "v1",
        "IsDefaultVersion": true,
        "PolicyDocument": READ_PHOTOS,
        "CreateDate": START,
    });
    assert_eq!(got, json!({ "Policy": policy, "DefaultPolicyVersion": version }));
    let listed = emulated.done(ram("ListPoliciesForRole", &[("RoleName", "oss-readonly")])).await;
    let configured = json!({
        "PolicyName": "AliyunOSSReadOnlyAccess",
        "PolicyType": "System",
        "Description": "Provides read-only access to Object Storage Service via Management Console.",
        "DefaultVersion": "v1",
        "AttachDate": "1970-01-01T00:00:00Z",
    });
    let mut own = described;
    own["AttachDate"] = own["CreateDate"].take();
    own.as_object_mut().unwrap().remove("CreateDate");
    assert_eq!(listed, json!({ "Policies": { "Policy": [configured, own] } }));
}

#[tokio::test]
async fn a_new_version_is_evaluated_only_if_set_as_default_and_there_are_at_most_five() {
    let emulated = Emulated::start().await;
    let other = READ_PHOTOS.replace("GetObject", "PutObject");
    emulated
        .done(ram("CreatePolicy", &[("PolicyName", "p"), ("PolicyDocument", READ_PHOTOS)]))
        .await;
    let new = |extra: &[(&'static str, &'static str)]| {
        let call = ram("CreatePolicyVersion", &[("PolicyName", "p"), ("PolicyDocument", &other)]);
        extra.iter().fold(call, |call, (name, value)| call.with(name, *value))
    };
    let default_version = || async {
        let named = [("PolicyName", "p"), ("PolicyType", "Custom")];
        emulated.done(ram("GetPolicy", &named)).await["DefaultPolicyVersion"]["VersionId"].clone()
    };
    let created = emulated.done(new(&[])).await;
    let version = &created["PolicyVersion"];
    assert_eq!(
        (&version["VersionId"], &version["IsDefaultVersion"]),
        (&json!("v2"), &json!(false))
    );
    assert_eq!(default_version().await, json!("v1"));
    // Python sends `True`.
    emulated.done(new(&[("SetAsDefault", "True")])).await;
    assert_eq!(default_version().await, json!("v3"));
    emulated.done(new(&[])).await;
    emulated.done(new(&[])).await;
    let beyond = (409, "LimitExceeded.Policy.Version".to_owned());
    assert_eq!(emulated.code(new(&[])).await, beyond);
    assert_eq!(emulated.code(new(&[("RotateStrategy", "None")])).await, beyond);
    let rotating = [("RotateStrategy", "DeleteOldestNonDefaultVersionWhenLimitExceeded")];
    emulated.done(new(&rotating)).await;
    let named = [("PolicyName", "p"), ("PolicyType", "Custom")];
    let listed = emulated.done(ram("ListPolicyVersions", &named)).await;
    let versions = listed["PolicyVersions"]["PolicyVersion"].as_array().unwrap().iter();
    let ids: Vec<_> = versions.map(|version| version["VersionId"].as_str().unwrap()).collect();
    assert_eq!(ids, ["v2", "v3", "v4", "v5", "v6"]);
    let version = |id| [named[0], named[1], ("VersionId", id)];
    let missing = emulated.code(ram("GetPolicyVersion", &version("v1"))).await;
    assert_eq!(missing, (404, "EntityNotExist.Policy.Version".to_owned()));
    let malformed = emulated.code(ram("GetPolicyVersion", &version("3"))).await;
    assert_eq!(malformed, (400, "InvalidParameter.VersionId.Format".to_owned()));
    let found = emulated.done(ram("GetPolicyVersion", &version("v6"))).await;
    assert_eq!(found["PolicyVersion"]["PolicyDocument"], json!(other));
    emulated
        .done(ram("SetDefaultPolicyVersion", &[("PolicyName", "p"), ("VersionId", "v2")]))
        .await;
    assert_eq!(default_version().await, json!("v2"));
}

#[tokio::test]
async fn a_policy_has_at_most_6144_bytes_and_the_longest_one_fits_into_a_query() {
    let emulated = Emulated::start().await;
    let create = |name, document: &str| Caller {
        placement: Placement::Query,
        ..ram("CreatePolicy", &[("PolicyName", name), ("PolicyDocument", document)])
    };
    let longest = policy_of(6144);
    emulated.done(create("longest", &longest)).await;
    let beyond = emulated.code(create("beyond", &policy_of(6145))).await;
    assert_eq!(beyond, (400, "InvalidParameter.PolicyDocument.Length".to_owned()));
    let got = emulated
        .done(ram("GetPolicy", &[("PolicyName", "longest"), ("PolicyType", "Custom")]))
        .await;
    assert_eq!(got["DefaultPolicyVersion"]["PolicyDocument"], json!(longest));
    // A head of 32 KiB reaches RAM.
    let head = emulated.code(create("head", &"{".repeat(32 * 1024 / 3))).await;
    assert_eq!(head, (400, "InvalidParameter.PolicyDocument.Length".to_owned()));
}

#[tokio::test]
async fn every_error_of_a_policy_has_its_documented_status_and_code() {
    let emulated = Emulated::start().await;
    let create =
        |name, document| ram("CreatePolicy", &[("PolicyName", name), ("PolicyDocument", document)]);
    for name in ["p1", "p2", "p3", "p4", "p5", "p6"] {
        emulated.done(create(name, READ_PHOTOS)).await;
    }
    let attach = |name, policy_type| {
        let policy = [("PolicyName", name), ("PolicyType", policy_type), ("UserName", "intern")];
        ram("AttachPolicyToUser", &policy)
    };
    for name in ["p1", "p2", "p3", "p4", "p5"] {
        emulated.done(attach(name, "Custom")).await;
    }
    let system = [("PolicyName", "AliyunNoSuchAccess"), ("PolicyType", "System")];
    let table = [
        (create("p1", READ_PHOTOS), 409, "EntityAlreadyExists.Policy"),
        (create("AliyunOSSFullAccess", READ_PHOTOS), 409, "EntityAlreadyExists.Policy"),
        (create("a.b", READ_PHOTOS), 400, "InvalidParameter.PolicyName.InvalidChars"),
        (create("p7", "{}"), 400, "MalformedPolicyDocument"),
        (attach("p1", "Custom"), 409, "EntityAlreadyExists.User.Policy"),
        (attach("p6", "Custom"), 409, "LimitExceeded.User.Policy"),
        (attach("p7", "Custom"), 404, "EntityNotExist.Policy"),
        (attach("p1", "System"), 404, "EntityNotExist.Policy"),
        (attach("p1", "Own"), 400, "InvalidParameter.PolicyType"),
        (ram("GetPolicy", &system), 404, "EntityNotExist.Policy"),
    ];
    for (caller, status, code) in table {
        assert_eq!(emulated.code(caller).await, (status, code.to_owned()));
    }
    emulated.done(ram("DeletePolicy", &[("PolicyName", "p1"), ("CascadingDelete", "true")])).await;
    let listed = emulated.done(ram("ListPoliciesForUser", &[("UserName", "intern")])).await;
    assert_eq!(listed["Policies"]["Policy"].as_array().unwrap().len(), 4);
}
