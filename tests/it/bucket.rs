//! What answers of a grant say about its bucket.

use serde_json::{Value, json};

use crate::stage::{Setting, Stage, repository, secret};

const OSS: &str =
    "[grants.daily-photos.oss]\nbucket = \"sample-bucket\"\nregion = \"cn-hangzhou\"\n";

async fn with(config: &str) -> Stage {
    Stage::set(Setting { config, ..Setting::default() }).await
}

/// A bucket behind a domain of its own.
fn bound(domain: &str) -> String {
    format!("{OSS}endpoint = \"https://{domain}\"\ncname = true\n")
}

fn as_client(stage: &Stage, method: &str, path: &str) -> reqwest::RequestBuilder {
    stage.request(method, path).basic_auth("client-002", Some(secret("client-002")))
}

/// The body of the answer to a ticket's URL.
async fn by_url(stage: &Stage, url: &str) -> Value {
    let path = url.strip_prefix(&stage.url("")).unwrap();
    stage.send(stage.request("GET", path)).await.body
}

/// The body as it is sent.
async fn text(stage: &Stage, method: &str, path: &str) -> String {
    let answer = as_client(stage, method, path).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

#[tokio::test]
async fn each_answer_of_a_grant_describes_its_bucket() {
    let stage = with(OSS).await;
    let expected = json!({
        "Bucket": "sample-bucket", "Region": "cn-hangzhou",
        "Endpoint": "https://oss-cn-hangzhou.aliyuncs.com", "Cname": false, "SignatureVersion": "V4",
    });
    let made = stage.send(as_client(&stage, "POST", "/v1/tickets")).await;
    assert_eq!(made.body["Oss"], expected, "{}", made.outcome());
    let ticket = made.body["Url"].as_str().unwrap();
    let sdk_ticket = made.body["OssSdkUrl"].as_str().unwrap();
    for answer in [
        stage.get("client-002", "/v1/token").await.body,
        stage.get("client-002", "/v1/oss-sdk/token").await.body,
        stage.post("client-002", "{}").await.body,
        by_url(&stage, ticket).await,
        by_url(&stage, sdk_ticket).await,
        stage.get("client-002", "/v1/whoami").await.body["Grants"][0].clone(),
    ] {
        assert_eq!(answer["Oss"], expected, "{answer}");
    }
    stage.close().await;
}

/// Clients that compare or sign answers see no difference.
#[tokio::test]
async fn without_the_table_answers_are_the_same_bytes_as_before() {
    let stage = with("").await;
    let token = text(&stage, "GET", "/v1/token").await;
    let of: Value = serde_json::from_str(&token).unwrap();
    let user = &of["AssumedRoleUser"];
    assert_eq!(
        token,
        format!(
            r#"{{"StatusCode":200,"Code":"Success","RequestId":{},"RefreshAfter":{},"Grant":"daily-photos","AccessKeyId":{},"AccessKeySecret":{},"SecurityToken":{},"Expiration":{},"LastUpdated":{},"AssumedRoleUser":{{"Arn":{},"AssumedRoleId":{}}}}}"#,
            of["RequestId"],
            of["RefreshAfter"],
            of["AccessKeyId"],
            of["AccessKeySecret"],
            of["SecurityToken"],
            of["Expiration"],
            of["LastUpdated"],
            user["Arn"],
            user["AssumedRoleId"],
        )
    );
    let ticket = text(&stage, "POST", "/v1/tickets").await;
    let of: Value = serde_json::from_str(&ticket).unwrap();
    assert_eq!(
        ticket,
        format!(
            r#"{{"StatusCode":200,"Code":"Success","RequestId":{},"Url":{},"OssSdkUrl":{},"ExpiresAt":{},"TicketId":{},"Grant":"daily-photos"}}"#,
            of["RequestId"], of["Url"], of["OssSdkUrl"], of["ExpiresAt"], of["TicketId"],
        )
    );
    let whoami = text(&stage, "GET", "/v1/whoami").await;
    let of: Value = serde_json::from_str(&whoami).unwrap();
    assert_eq!(
        whoami,
        format!(
            r#"{{"StatusCode":200,"Code":"Success","RequestId":{},"Client":"client-002","AuthenticatedBy":"ClientSecret","Grants":[{{"Name":"daily-photos","MinDurationSeconds":900,"DefaultDurationSeconds":3600,"MaxDurationSeconds":3600,"NeedsSubject":false,"Parameters":[],"VendsTokens":true}}]}}"#,
            of["RequestId"],
        )
    );
    stage.close().await;
}

#[tokio::test]
async fn a_reload_changes_what_answers_say_and_neither_tokens_nor_tickets() {
    let stage = with(OSS).await;
    let first = stage.get("client-002", "/v1/token").await;
    let ticket = stage.send(as_client(&stage, "POST", "/v1/tickets")).await;
    let url = ticket.body["Url"].as_str().unwrap().to_owned();

    stage.write("over.toml", &bound("photos.example.com"));
    stage.reload().await.unwrap();
    let second = stage.get("client-002", "/v1/token").await;
    let bound = json!({
        "Bucket": "sample-bucket", "Region": "cn-hangzhou", "Endpoint": "https://photos.example.com",
        "Cname": true, "SignatureVersion": "V4",
    });
    assert_eq!(second.body["Oss"], bound);
    assert_eq!(first.body["AccessKeyId"], second.body["AccessKeyId"]);
    assert_eq!(by_url(&stage, &url).await["Oss"], bound);

    stage.write("over.toml", "");
    stage.reload().await.unwrap();
    assert_eq!(stage.get("client-002", "/v1/token").await.body.get("Oss"), None);
    assert_eq!(stage.assume_role_calls().len(), 1);
    stage.close().await;
}

/// The token's prepared bytes belong to both.
#[tokio::test]
async fn grants_that_share_a_token_answer_each_with_its_own_bucket() {
    let other = "[grants.same]\nrole = \"oss-readonly\"\npolicy = \"{policy}\"\n\
                 [grants.same.oss]\nbucket = \"sample-bucket\"\nregion = \"cn-hangzhou\"\n\
                 endpoint = \"https://photos.example.com\"\ncname = true\n\
                 [clients.client-002]\ngrants = [\"daily-photos\", \"same\"]\n";
    let policy = repository("config/policies/daily-photos.json");
    let other = other.replace("{policy}", policy.to_str().unwrap());
    let stage = with(&format!("{OSS}{other}")).await;
    let of = async |grant: &str| {
        let answer = stage.get("client-002", &format!("/v1/token?Grant={grant}")).await;
        (answer.body["Oss"]["Endpoint"].clone(), answer.body["AccessKeyId"].clone())
    };
    let (one, id) = of("daily-photos").await;
    let (other, same_id) = of("same").await;
    assert_eq!(one, "https://oss-cn-hangzhou.aliyuncs.com");
    assert_eq!(other, "https://photos.example.com");
    assert_eq!(id, same_id);
    stage.close().await;
}
