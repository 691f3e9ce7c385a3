//! The JSON of credentials and refusals in Redis, before encryption and after decryption.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};

use appserver_domain::{AssumedRoleUser, Credentials};

/// Credentials in Redis. A new field needs a default, so that replicas of two versions can read each other's records.
#[derive(Deserialize, Serialize)]
struct Record<T> {
    access_key_id: T,
    access_key_secret: T,
    security_token: T,
    issued_at: DateTime<Utc>,
    expiration: DateTime<Utc>,
    arn: T,
    id: T,
    #[serde(default)]
    sts_request_id: Option<T>,
}

pub(super) fn write(credentials: &Credentials) -> SecretSlice<u8> {
    let AssumedRoleUser { arn, id } = credentials.assumed_role_user();
    let record = Record {
        access_key_id: credentials.access_key_id(),
        access_key_secret: credentials.access_key_secret().expose_secret(),
        security_token: credentials.security_token().expose_secret(),
        issued_at: credentials.issued_at(),
        expiration: credentials.expiration(),
        arn,
        id,
        sts_request_id: credentials.sts_request_id(),
    };
    serde_json::to_vec(&record).expect("text and times can be written").into()
}

/// Parses credentials. A decrypted value may still fail to parse: another version may have written it.
pub(super) fn read(plain: &SecretSlice<u8>) -> Option<Credentials> {
    let record: Record<String> = serde_json::from_slice(plain.expose_secret()).ok()?;
    let credentials = Credentials::new(
        record.access_key_id,
        record.access_key_secret.into(),
        record.security_token.into(),
        record.issued_at,
        record.expiration,
        AssumedRoleUser { arn: record.arn, id: record.id },
    );
    Some(credentials.ok()?.of_request(record.sts_request_id))
}

/// A refusal in Redis: its `Code` and its expiry. The expiry is encrypted, so that somebody who writes to Redis can
/// restore an old value but not extend it.
#[derive(Deserialize, Serialize)]
struct RefusalRecord<T> {
    code: T,
    until: DateTime<Utc>,
}

pub(super) fn write_refusal(code: &str, until: DateTime<Utc>) -> SecretSlice<u8> {
    let record = RefusalRecord { code, until };
    serde_json::to_vec(&record).expect("text and times can be written").into()
}

pub(super) fn read_refusal(plain: &SecretSlice<u8>) -> Option<(String, DateTime<Utc>)> {
    let record: RefusalRecord<String> = serde_json::from_slice(plain.expose_secret()).ok()?;
    Some((record.code, record.until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_survives_write_and_read() {
        let until: DateTime<Utc> = "2016-01-13T14:02:37.250Z".parse().unwrap();
        let same = read_refusal(&write_refusal("NoPermission", until));
        assert_eq!(same, Some(("NoPermission".to_owned(), until)));
        for other in ["", "NoPermission", r#"{"code":"NoPermission"}"#] {
            assert!(read_refusal(&other.as_bytes().to_vec().into()).is_none(), "{other}");
        }
    }

    #[test]
    fn credentials_survive_write_and_read() {
        let issued_at: DateTime<Utc> = "2016-01-13T14:02:37.250Z".parse().unwrap();
        let credentials = Credentials::new(
            "STS.1".into(),
            "canary-secret".into(),
            "canary/token+=".into(),
            issued_at,
            "2016-01-13T15:02:37Z".parse().unwrap(),
            AssumedRoleUser {
                arn: "acs:ram::11223344:role/oss-readonly/ä".into(),
                id: "1:ä".into(),
            },
        )
        .unwrap()
        .of_request(Some("6894B13B".into()));
        let same = read(&write(&credentials)).unwrap();
        let parts = |c: &Credentials| {
            let secrets = [c.access_key_secret(), c.security_token()];
            let secrets = secrets.map(|secret| secret.expose_secret().to_owned());
            let times = (c.issued_at(), c.expiration());
            let names = (c.access_key_id().to_owned(), c.sts_request_id().map(str::to_owned));
            (names, secrets, times, c.assumed_role_user().clone())
        };
        assert_eq!(parts(&same), parts(&credentials));
    }

    #[test]
    fn records_without_the_request_id_and_with_unknown_fields_are_read() {
        let before = r#"{"access_key_id":"STS.1","access_key_secret":"s","security_token":"t",
            "issued_at":"2016-01-13T14:02:37Z","expiration":"2016-01-13T15:02:37Z","arn":"a","id":"i"}"#;
        let read_after = read(&before.as_bytes().to_vec().into()).unwrap();
        assert_eq!((read_after.access_key_id(), read_after.sts_request_id()), ("STS.1", None));
        // Older versions ignore unknown fields, as this one does.
        let later = before.replace('{', r#"{"novelty":[1],"#);
        assert!(read(&later.into_bytes().into()).is_some());
    }

    #[test]
    fn other_json_and_other_text_are_no_credentials() {
        for other in ["", "{}", "[]", "NoPermission", r#"{"access_key_id":""}"#] {
            assert!(read(&other.as_bytes().to_vec().into()).is_none(), "{other}");
        }
    }
}
