//! The answer with a token, in the form that every known consumer parses.

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AllOfBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::oss_view::OssView;
use crate::http::contract::schemas::Time;
use crate::json_member::member;
use crate::oss_bucket::OssBucket;
use crate::vend::Vended;
use appserver_domain::clock::Stamp;
use appserver_domain::{Credentials, GrantName};

/// Credentials, in one shape for the OSS SDKs of Android and iOS, `credentials_uri` of every language, ali-oss and
/// the CLI.
pub(crate) struct TokenResponse<'a> {
    answer: AnswerFields<'a>,
    /// The JSON of [`TokenFields`].
    token: &'a SecretString,
}

/// The members that each answer has of its own. [`TokenResponse::to_json`] writes what serde would.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct AnswerFields<'a> {
    /// The HTTP status once more.
    #[schema(minimum = 200, maximum = 200)]
    status_code: u16,
    #[schema(pattern = "^Success$", example = "Success")]
    code: &'static str,
    #[schema(format = "uuid")]
    request_id: &'a str,
    /// When to come back: well before the end, and spread so that a wave of apps does not return as a wave.
    #[schema(value_type = Time)]
    refresh_after: &'a str,
    /// The grant that was used.
    #[schema(example = "daily-photos")]
    grant: &'a str,
    // Not among the token's members: grants with the same session share a token and may differ in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    oss: Option<OssView<'a>>,
}

/// The members that are the same in each answer with one token. `to_json` writes what serde would.
///
/// Times are `YYYY-MM-DDTHH:MM:SSZ`: Python, Java, iOS and Node SDKs break on any other form.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct TokenFields<'a> {
    #[schema(example = "STS.L4aBSCSJVMuKg5U1")]
    access_key_id: &'a str,
    #[schema(min_length = 1)]
    access_key_secret: &'a str,
    /// STS documents no longest length: reserve none.
    #[schema(min_length = 1)]
    security_token: &'a str,
    /// When the credentials end, as STS said; it may be sooner than requested.
    #[schema(value_type = Time)]
    expiration: &'a str,
    /// When STS issued them, by STS's clock.
    #[schema(value_type = Time)]
    last_updated: &'a str,
    #[schema(inline)]
    assumed_role_user: AssumedRoleUser<'a>,
}

/// The role session, as ActionTrail records it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct AssumedRoleUser<'a> {
    #[schema(example = "acs:ram::11223344:role/oss-readonly/client-002")]
    arn: &'a str,
    #[schema(example = "391578752573972854:client-002")]
    assumed_role_id: &'a str,
}

/// The body of an answer with the token.
pub(crate) fn token_response(
    request_id: &str,
    grant: &GrantName,
    oss: Option<&OssBucket>,
    vended: &Vended,
) -> Vec<u8> {
    let refresh_after = Stamp::of(vended.refresh_after);
    let answer = AnswerFields {
        status_code: 200,
        code: "Success",
        request_id,
        refresh_after: refresh_after.as_str(),
        grant: grant.as_str(),
        oss: oss.map(OssView::from),
    };
    // Written once for all answers with the token, which is long.
    let WrittenFields(token) =
        vended.token.attachment(|credentials| WrittenFields(token_fields(credentials).into()));
    TokenResponse { answer, token }.to_json()
}

impl TokenResponse<'_> {
    /// The members of both objects in one. Ids, names and times contain nothing that JSON escapes.
    fn to_json(&self) -> Vec<u8> {
        let AnswerFields { status_code: _, code: _, request_id, refresh_after, grant, oss } =
            &self.answer;
        let token = self.token.expose_secret();
        let mut json = Vec::with_capacity(token.len() + 256);
        for text in [
            r#"{"StatusCode":200,"Code":"Success","RequestId":""#,
            request_id,
            r#"","RefreshAfter":""#,
            refresh_after,
            r#"","Grant":""#,
            grant,
            "\",",
        ] {
            json.extend_from_slice(text.as_bytes());
        }
        if let Some(oss) = oss {
            json.extend_from_slice(br#""Oss":"#);
            serde_json::to_writer(&mut json, oss).expect("our wire types are plain JSON");
            json.push(b',');
        }
        json.extend_from_slice(&token.as_bytes()[1..]);
        json
    }
}

/// What [`token_fields`] writes, as it is attached to a token.
struct WrittenFields(SecretString);

fn token_fields(credentials: &Credentials) -> String {
    let user = credentials.assumed_role_user();
    let [expiration, last_updated] =
        [credentials.expiration(), credentials.issued_at()].map(Stamp::of);
    let fields = TokenFields {
        access_key_id: credentials.access_key_id(),
        access_key_secret: credentials.access_key_secret().expose_secret(),
        security_token: credentials.security_token().expose_secret(),
        expiration: expiration.as_str(),
        last_updated: last_updated.as_str(),
        assumed_role_user: AssumedRoleUser { arn: &user.arn, assumed_role_id: &user.id },
    };
    fields.to_json()
}

impl TokenFields<'_> {
    fn to_json(&self) -> String {
        let AssumedRoleUser { arn, assumed_role_id } = self.assumed_role_user;
        let mut json = String::with_capacity(self.security_token.len() + 512);
        for (name, text) in [
            (r#"{"AccessKeyId":"#, self.access_key_id),
            (r#","AccessKeySecret":"#, self.access_key_secret),
            (r#","SecurityToken":"#, self.security_token),
            (r#","Expiration":"#, self.expiration),
            (r#","LastUpdated":"#, self.last_updated),
            (r#","AssumedRoleUser":{"Arn":"#, arn),
            (r#","AssumedRoleId":"#, assumed_role_id),
        ] {
            member(&mut json, name, text);
        }
        json + "}}"
    }
}

impl ToSchema for TokenResponse<'_> {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        AnswerFields::schemas(schemas);
        TokenFields::schemas(schemas);
    }
}

impl PartialSchema for TokenResponse<'_> {
    fn schema() -> RefOr<Schema> {
        AllOfBuilder::new()
            .item(AnswerFields::schema())
            .item(TokenFields::schema())
            .description(Some(
                "Credentials, in one shape for the OSS SDKs of Android and iOS, `credentials_uri` of every language, \
                 ali-oss and the CLI.",
            ))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use appserver_domain::AssumedRoleUser;

    proptest! {
        #[test]
        fn the_members_of_a_token_are_what_serde_writes(text: String) {
            let fields = TokenFields {
                access_key_id: "STS.L4aBSCSJVMuKg5U1",
                access_key_secret: &text,
                security_token: &text,
                expiration: "2016-01-13T15:02:37Z",
                last_updated: "2016-01-13T14:02:37Z",
                assumed_role_user: super::AssumedRoleUser { arn: &text, assumed_role_id: "1:a" },
            };
            prop_assert_eq!(fields.to_json(), serde_json::to_string(&fields).unwrap());
        }

        #[test]
        fn a_token_response_is_json_whatever_sts_wrote(
            text in "\\PC{1,40}|[\"\\\\\u{0}-\u{1f}]{1,4}",
            names_bucket: bool,
        ) {
            let issued_at = "2016-01-13T14:02:37Z".parse().unwrap();
            let user = AssumedRoleUser { arn: text.clone(), id: text.clone() };
            let expiration = issued_at + TimeDelta::hours(1);
            let [id, secret, token] = [(); 3].map(|()| text.clone());
            let credentials =
                Credentials::new(id, secret.into(), token.into(), issued_at, expiration, user);
            let token = SecretString::from(token_fields(&credentials.unwrap()));
            let region = "cn-hangzhou".to_owned().try_into();
            let bucket = "sample-bucket".parse().unwrap();
            let bucket = OssBucket::new(bucket, region.unwrap(), None, false).unwrap();
            let answer = AnswerFields {
                status_code: 200,
                code: "Success",
                request_id: "id",
                refresh_after: "2016-01-13T14:33:10Z",
                grant: "daily-photos",
                oss: names_bucket.then(|| OssView::from(&bucket)),
            };
            // What serde writes of both.
            let own = serde_json::to_string(&answer).unwrap();
            let own = own.strip_suffix('}').unwrap();
            let expected = format!("{own},{}", &token.expose_secret()[1..]);
            let written = TokenResponse { answer, token: &token }.to_json();
            prop_assert_eq!(std::str::from_utf8(&written).unwrap(), expected);
            let mut written: Value = serde_json::from_slice(&written).unwrap();
            let oss = written.as_object_mut().unwrap().remove("Oss");
            prop_assert_eq!(oss.is_some(), names_bucket);
            let expected = json!({
                "StatusCode": 200, "Code": "Success", "RequestId": "id",
                "RefreshAfter": "2016-01-13T14:33:10Z", "Grant": "daily-photos",
                "AccessKeyId": text, "AccessKeySecret": text, "SecurityToken": text,
                "Expiration": "2016-01-13T15:02:37Z", "LastUpdated": "2016-01-13T14:02:37Z",
                "AssumedRoleUser": { "Arn": text, "AssumedRoleId": text },
            });
            prop_assert_eq!(written, expected);
        }
    }
}
