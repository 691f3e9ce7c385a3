//! Policies of callers, and explanations of policies.

use appserver_emulator::ram::{Policy, Request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::stage::{Answer, Stage, secret};

const CLIENT: &str = "client-003";

fn reading(resource: &str) -> Value {
    json!({"Version": "1", "Statement": [
        {"Effect": "Allow", "Action": "oss:GetObject", "Resource": format!("acs:oss:*:*:sample-bucket/{resource}")},
    ]})
}

async fn token(stage: &Stage, policy: &Value) -> Answer {
    let body = json!({"Parameters": {"album": "2015"}, "Policy": policy});
    stage.post(CLIENT, &body.to_string()).await
}

async fn explain(stage: &Stage, client: &str, body: &Value) -> Answer {
    let request = stage.request("POST", "/v1/explain").basic_auth(client, Some(secret(client)));
    let request = request.header("Content-Type", "application/json").body(body.to_string());
    stage.send(request).await
}

#[tokio::test]
async fn a_token_with_a_callers_own_policy_allows_exactly_that_policy() {
    let stage = Stage::demo().await;
    assert_eq!(token(&stage, &reading("albums/2015/grass/*")).await.outcome(), "200 Success");
    let sent = stage.assume_role_calls().last().unwrap().parameters["Policy"].clone();
    insta::assert_snapshot!(sent, @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/albums/2015/grass/*"}]}"#);
    let allows = |key: &str| {
        let resource = format!("acs:oss:oss-cn-hangzhou:11223344:sample-bucket/{key}");
        Policy::parse(&sent).unwrap().decide(&Request::new("oss:GetObject", &resource)).is_allowed()
    };
    assert!(allows("albums/2015/grass/a.jpg"));
    assert!(!allows("albums/2015/a.jpg") && !allows("albums/2016/grass/a.jpg"));
    stage.close().await;
}

#[tokio::test]
async fn a_policy_is_an_object_a_string_or_in_the_query_and_equal_ones_share_a_token() {
    let stage = Stage::demo().await;
    let policy = json!({"Statement": [
        {"Action": ["oss:GetObject"], "Resource": ["acs:oss:*:*:sample-bucket/albums/2015/b",
            "acs:oss:*:*:sample-bucket/albums/2015/a"], "Effect": "Allow"}], "Version": "1"});
    let turned = r#" {"Version":"1", "Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":[
        "acs:oss:*:*:sample-bucket/albums/2015/a","acs:oss:*:*:sample-bucket/albums/2015/b"]}]}"#;
    let encoded = utf8_percent_encode(turned, NON_ALPHANUMERIC);
    let by_query = format!("/v1/token?Parameters.album=2015&Policy={encoded}");
    let answers = [
        token(&stage, &policy).await,
        token(&stage, &json!(turned)).await,
        stage.get(CLIENT, &by_query).await,
    ];
    for answer in &answers {
        assert_eq!(answer.outcome(), "200 Success");
        assert_eq!(answer.body["SecurityToken"], answers[0].body["SecurityToken"]);
    }
    assert_eq!(stage.assume_role_calls().len(), 1);
    let wider = stage.get(CLIENT, "/v1/token?Parameters.album=2015").await;
    assert_ne!(wider.body["SecurityToken"], answers[0].body["SecurityToken"]);
    stage.close().await;
}

#[tokio::test]
async fn a_policy_beyond_the_grant_is_refused_without_a_call_to_sts() {
    let stage = Stage::demo().await;
    let own = "acs:oss:*:*:sample-bucket/albums/2015/*";
    let one = |action: &str, resource: &str| json!({"Version": "1", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]});
    let mut denying = reading("albums/2015/*");
    denying["Statement"][0]["Effect"] = "Deny".into();
    let mut not_action = reading("albums/2015/*");
    let moved = not_action["Statement"][0].as_object_mut().unwrap().remove("Action").unwrap();
    not_action["Statement"][0]["NotAction"] = moved;
    let long: Vec<_> = (0..60).map(|i| format!("{own}{i}")).collect();
    let table = [
        ("to write", one("oss:PutObject", own)),
        ("every action", one("*", own)),
        ("every action of OSS", one("oss:*", own)),
        ("a key in another letter case", one("oss:GetObject", &own.replace("albums", "Albums"))),
        ("every object", one("oss:GetObject", "*")),
        ("another album", reading("albums/2016/*")),
        ("an album that begins alike", reading("albums/2015*")),
        ("a wildcard for the album", reading("albums/*/grass.jpg")),
        (
            "another bucket behind a colon",
            one("oss:GetObject", "acs:oss:*:*:other/x:sample-bucket/albums/2015/y"),
        ),
        ("only to deny", denying),
        ("all but one action", not_action),
        ("an empty text", json!("")),
        ("an empty object", json!({})),
        ("a placeholder", reading("albums/2015/${client}")),
        ("a percent-encoding", reading("albums/2015/%2F..%2F")),
        ("a list", json!([])),
        (
            "more than STS admits",
            json!({"Version": "1", "Statement": [
            {"Effect": "Allow", "Action": "oss:GetObject", "Resource": long}]}),
        ),
    ];
    let mut lines = Vec::new();
    for (what, policy) in table {
        lines.push(format!("{what}: {}", token(&stage, &policy).await.outcome()));
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
to write: 403 Forbidden.Policy
every action: 403 Forbidden.Policy
every action of OSS: 403 Forbidden.Policy
a key in another letter case: 403 Forbidden.Policy
every object: 403 Forbidden.Policy
another album: 403 Forbidden.Policy
an album that begins alike: 403 Forbidden.Policy
a wildcard for the album: 403 Forbidden.Policy
another bucket behind a colon: 403 Forbidden.Policy
only to deny: 400 InvalidParameter.Policy
all but one action: 400 InvalidParameter.Policy
an empty text: 400 InvalidParameter.Policy
an empty object: 400 InvalidParameter.Policy
a placeholder: 400 InvalidParameter.Policy
a percent-encoding: 400 InvalidParameter.Policy
a list: 400 InvalidParameter.Policy
more than STS admits: 400 InvalidParameter.Policy
");
    let beyond = token(&stage, &one("oss:PutObject", own)).await;
    insta::assert_json_snapshot!(beyond.steady(), @r#"
{
  "Code": "Forbidden.Policy",
  "ErrorCode": "Forbidden.Policy",
  "ErrorMessage": "The policy is not within the grant: Statement[0]: no statement of the grant allows all of `oss:PutObject` on `acs:oss:*:*:sample-bucket/albums/2015/*`; the policy allows oss:PutObject on acs:oss:*:*:sample-bucket/albums/2015/object, and the grant does not.",
  "Message": "The policy is not within the grant: Statement[0]: no statement of the grant allows all of `oss:PutObject` on `acs:oss:*:*:sample-bucket/albums/2015/*`; the policy allows oss:PutObject on acs:oss:*:*:sample-bucket/albums/2015/object, and the grant does not.",
  "RequestId": "<RequestId>",
  "StatusCode": 403
}
"#);
    assert_eq!(stage.sts.calls(), [], "a refused request reached STS");
    stage.close().await;
}

/// Exactly the policies that STS would refuse are refused without a call.
#[tokio::test]
async fn no_policy_that_sts_would_refuse_is_sent_to_it() {
    let stage = Stage::demo().await;
    let corpus: Value =
        serde_json::from_str(include_str!("../vectors/policy-grammar.json")).unwrap();
    let probes = |verdict: &str, kind: &str| corpus[verdict][kind].as_array().unwrap().clone();
    let sound = reading("albums/2015/a")["Statement"][0].to_string();
    let with =
        |statements: &str| format!(r#"{{"Version":"1","Statement":[{sound},{statements}]}}"#);
    let deny = |action: &Value, resource: &Value, condition: &Value| {
        json!({"Effect": "Deny", "Action": action, "Resource": resource, "Condition": condition})
            .to_string()
    };
    let (get, all) = (json!("oss:GetObject"), json!("*"));

    let mut refused: Vec<String> = Vec::new();
    refused
        .extend(probes("refused", "actions").iter().map(|one| with(&deny(one, &all, &json!({})))));
    refused.extend(
        probes("refused", "resources").iter().map(|one| with(&deny(&get, one, &json!({})))),
    );
    refused.extend(probes("refused", "conditions").iter().map(|one| with(&deny(&get, &all, one))));
    refused.extend(probes("refused", "statements").iter().map(|raw| with(raw.as_str().unwrap())));
    for policy in &refused {
        let outcome = token(&stage, &json!(policy)).await.outcome();
        assert_eq!(outcome, "400 InvalidParameter.Policy", "{policy}");
    }
    assert!(refused.len() > 120, "{}", refused.len());
    assert_eq!(stage.sts.calls(), [], "a refused policy reached STS");

    let mut taken = vec![
        with(&deny(&json!(probes("accepted", "actions")), &json!(["*"]), &json!({}))),
        with(&deny(&get, &json!(probes("accepted", "resources")), &json!({}))),
    ];
    for conditions in probes("accepted", "conditions").chunks(5) {
        let statements: Vec<_> = conditions.iter().map(|one| deny(&get, &all, one)).collect();
        taken.push(with(&statements.join(",")));
    }
    for policy in &taken {
        let answer = token(&stage, &json!(policy)).await;
        assert_eq!(answer.outcome(), "200 Success", "{policy}: {}", answer.body);
    }
    assert_eq!(stage.assume_role_calls().len(), taken.len());
    stage.close().await;
}

#[tokio::test]
async fn an_explanation_names_the_statement_and_costs_no_sts_call() {
    let stage = Stage::demo().await;
    let asking = |action: &str, key: &str| {
        json!({"Parameters": {"album": "2015"}, "Action": action,
               "Resource": format!("acs:oss:*:*:sample-bucket/{key}")})
    };
    let allowed = explain(&stage, CLIENT, &asking("oss:HeadObject", "albums/2015/a.jpg")).await;
    insta::assert_json_snapshot!(allowed.steady(), @r#"
{
  "Action": "oss:GetObject",
  "Allowed": true,
  "Code": "Success",
  "DecidedBy": "Statement[0]",
  "Grant": "one-album",
  "Operation": "oss:HeadObject",
  "Policy": {
    "Statement": [
      {
        "Action": "oss:GetObject",
        "Effect": "Allow",
        "Resource": "acs:oss:*:*:sample-bucket/albums/2015/*"
      }
    ],
    "Version": "1"
  },
  "RequestId": "<RequestId>",
  "Resource": "acs:oss:*:*:sample-bucket/albums/2015/a.jpg",
  "Scope": "This is what the session policy says. The role's own policies, and the bucket's if it has one, must allow it too.",
  "Statements": [
    {
      "Applies": true,
      "Because": "it is about this request",
      "Effect": "Allow",
      "Statement": "Statement[0]"
    }
  ],
  "StatusCode": 200,
  "Verdict": "Allowed"
}
"#);
    let mut own = asking("oss:GetObject", "albums/2015/a.jpg");
    own["Policy"] = reading("albums/2015/b.jpg");
    own["Conditions"] = json!({"acs:SourceIp": "10.0.0.1"});
    let denied = explain(&stage, CLIENT, &own).await;
    assert_eq!(denied.body["Allowed"], false);
    assert_eq!(denied.body["Verdict"], "ImplicitlyDenied");
    assert_eq!(denied.body["Policy"], own["Policy"]);
    assert_eq!(denied.body.get("Notes"), None);
    let unknown = explain(&stage, CLIENT, &asking("oss:GetObjct", "albums/2015/a.jpg")).await;
    assert_eq!(
        unknown.body["Notes"],
        json!([
            "`oss:GetObjct` is no action of OSS that is known here, so it probably matches nothing: \
                `oss:GetObject` is one"
        ])
    );

    let mut table = vec![
        ("no action", json!({"Resource": "acs:oss:*:*:b"})),
        ("an action with a wildcard", asking("oss:*", "a")),
        ("a copy", asking("oss:CopyObject", "a")),
        ("no resource", json!({"Action": "oss:GetObject"})),
        ("no ARN", json!({"Action": "oss:GetObject", "Resource": "sample-bucket/a"})),
        ("a duration", json!({"DurationSeconds": 900})),
        (
            "another's grant",
            json!({"Grant": "read-all", "Action": "oss:GetObject", "Resource": "acs:oss:*:*:b"}),
        ),
        ("no album", json!({"Action": "oss:GetObject", "Resource": "acs:oss:*:*:b"})),
    ];
    for (what, conditions) in [("conditions in a list", json!([])), ("a number", json!({"a:b": 1}))]
    {
        let mut body = asking("oss:GetObject", "a");
        body["Conditions"] = conditions;
        table.push((what, body));
    }
    let mut beyond = asking("oss:GetObject", "a");
    beyond["Policy"] = reading("*");
    table.push(("a policy beyond the grant", beyond));
    let mut lines = Vec::new();
    for (what, body) in table {
        lines.push(format!("{what}: {}", explain(&stage, CLIENT, &body).await.outcome()));
    }
    let stranger = stage.request("POST", "/v1/explain").basic_auth(CLIENT, Some("wrong"));
    lines.push(format!("a wrong secret: {}", stage.send(stranger).await.outcome()));
    let get = stage.request("GET", "/v1/explain").basic_auth(CLIENT, Some(secret(CLIENT)));
    lines.push(format!("by GET: {}", stage.send(get).await.outcome()));
    insta::assert_snapshot!(lines.join("\n"), @r"
no action: 400 InvalidParameter.Action
an action with a wildcard: 400 InvalidParameter.Action
a copy: 400 InvalidParameter.Action
no resource: 400 InvalidParameter.Resource
no ARN: 400 InvalidParameter.Resource
a duration: 400 InvalidParameter.DurationSeconds
another's grant: 403 Forbidden.Grant
no album: 400 InvalidParameter.Parameters.album
conditions in a list: 400 InvalidParameter.Conditions
a number: 400 InvalidParameter.Conditions
a policy beyond the grant: 403 Forbidden.Policy
a wrong secret: 401 Unauthenticated
by GET: 405 MethodNotAllowed
");
    assert_eq!(stage.sts.calls(), []);
    stage.close().await;
}
