//! The line of new credentials that sign the calls to STS.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::grant_line::millis;
use appserver_domain::UpstreamName;
use appserver_domain::clock::Stamp;

/// Which temporary credentials sign from now on, and where they come from.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct IdentityRecord<'a> {
    #[serde(serialize_with = "millis")]
    time: DateTime<Utc>,
    event: &'static str,
    decision: &'static str,
    code: &'static str,
    /// The upstream that they are for; `[sts]` itself has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    /// The `source` of its identity.
    source: &'static str,
    /// Their id and their owner, as ActionTrail has them.
    access_key_id: &'a str,
    owner: &'a str,
    expiration: String,
}

impl<'a> IdentityRecord<'a> {
    pub(crate) fn new(
        time: DateTime<Utc>,
        upstream: &'a UpstreamName,
        source: &'static str,
        access_key_id: &'a str,
        owner: &'a str,
        expiration: DateTime<Utc>,
    ) -> Self {
        let (event, decision, code) = ("Identity", "Signing", "Success");
        let expiration = Stamp::of(expiration).as_str().to_owned();
        let upstream = upstream.name_unless_default();
        Self { time, event, decision, code, upstream, source, access_key_id, owner, expiration }
    }

    /// The complete line; `tail` ends it.
    pub(super) fn line(&self, tail: &str) -> String {
        let mut line = serde_json::to_string(self).expect("texts are plain JSON");
        // The tail has the brace that ends the line.
        line.pop();
        line + tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_source_and_the_owner_and_no_secret() {
        let time = "2016-01-13T14:02:37.5Z".parse().unwrap();
        let end = "2016-01-13T15:02:37Z".parse().unwrap();
        let owner = "acs:ram::11223344:role/appserver/appserver";
        let line = IdentityRecord::new(time, &UpstreamName::default(), "oidc", "STS.1", owner, end)
            .line("}\n");
        insta::assert_snapshot!(line, @r#"{"Time":"2016-01-13T14:02:37.500Z","Event":"Identity","Decision":"Signing","Code":"Success","Source":"oidc","AccessKeyId":"STS.1","Owner":"acs:ram::11223344:role/appserver/appserver","Expiration":"2016-01-13T15:02:37Z"}"#);
    }
}
