//! What the demo recorded about one request: its audit line, its log lines and the STS call that issued its token.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, from_str};

use crate::telemetry::RecentLines;
use appserver_emulator::{Call, EmulatorControl};

/// The places in which requests leave records.
#[derive(Clone)]
pub(crate) struct RecordSources {
    pub(crate) audit: RecentLines,
    /// Lines of JSON from DEBUG on.
    pub(crate) log: RecentLines,
    pub(crate) emulator: EmulatorControl,
}

/// `/dev/requests/{RequestId}`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RequestRecord {
    /// Lines as they were written.
    audit: Vec<Box<RawValue>>,
    log: Vec<Box<RawValue>>,
    /// Of a cached token, the earlier call that issued it.
    sts_call: Option<Call>,
    /// The milliseconds of that call, as the log has them.
    sts_took_ms: Option<u64>,
}

impl RequestRecord {
    pub(super) fn find(sources: &RecordSources, request_id: &str) -> Self {
        let audit = sources.audit.containing(&format!("\"RequestId\":\"{request_id}\""));
        let mut log = sources.log.containing(&format!("\"{request_id}\""));
        let decision: Value =
            audit.first().and_then(|line| from_str(line).ok()).unwrap_or_default();
        let sts_call = decision["StsRequestId"].as_str().and_then(|id| {
            sources.emulator.calls().into_iter().rev().find(|call| call.request_id == id)
        });
        let issued = decision["StsAccessKeyId"].as_str().and_then(|id| issued(&sources.log, id));
        let sts_took_ms = issued.as_ref().map(|(_, took_ms)| *took_ms);
        if let Some((line, _)) = issued
            && decision["Source"] == "Issued"
            && !log.contains(&line)
        {
            log.insert(0, line);
        }
        Self { audit: raw(audit), log: raw(log), sts_call, sts_took_ms }
    }
}

/// The line about the call that issued a token, and the call's milliseconds. The call may belong to several requests, and
/// so names none.
fn issued(log: &RecentLines, access_key_id: &str) -> Option<(String, u64)> {
    let lines = log.containing(&format!("\"token.access_key_id\":\"{access_key_id}\""));
    lines.into_iter().find_map(|line| {
        let took_ms = from_str::<Value>(&line).ok()?["sts.took_ms"].as_u64()?;
        Some((line, took_ms))
    })
}

fn raw(lines: Vec<String>) -> Vec<Box<RawValue>> {
    lines.into_iter().filter_map(|line| RawValue::from_string(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use appserver_domain::clock::Clock;
    use appserver_emulator::{Emulator, EmulatorSettings};

    #[tokio::test]
    async fn the_sts_call_and_its_log_line_belong_to_the_request_that_caused_it() {
        let settings = EmulatorSettings::from_file("config/emulator.toml".as_ref()).unwrap();
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        let emulator = Emulator::bind(settings, address, Clock::system()).await.unwrap();
        let (audit, log) = (RecentLines::default(), RecentLines::default());
        audit.push(
            "{\"RequestId\":\"R1\",\"Source\":\"Issued\",\"StsAccessKeyId\":\"STS.1\",\"StsRequestId\":\"S1\"}\n\
             {\"RequestId\":\"R2\",\"Source\":\"Cached\",\"StsAccessKeyId\":\"STS.1\",\"StsRequestId\":\"S1\"}",
        );
        log.push(
            "{\"message\":\"issued a token\",\"token.access_key_id\":\"STS.1\",\"sts.took_ms\":7}\n\
             {\"message\":\"vended\",\"request.id\":\"R1\"}\n{\"message\":\"vended\",\"request.id\":\"R2\"}",
        );
        let sources = RecordSources { audit, log, emulator: emulator.control() };
        let find = |id: &str| serde_json::to_string(&RequestRecord::find(&sources, id)).unwrap();
        insta::assert_snapshot!(find("R1"), @r#"{"Audit":[{"RequestId":"R1","Source":"Issued","StsAccessKeyId":"STS.1","StsRequestId":"S1"}],"Log":[{"message":"issued a token","token.access_key_id":"STS.1","sts.took_ms":7},{"message":"vended","request.id":"R1"}],"StsCall":null,"StsTookMs":7}"#);
        insta::assert_snapshot!(find("R2"), @r#"{"Audit":[{"RequestId":"R2","Source":"Cached","StsAccessKeyId":"STS.1","StsRequestId":"S1"}],"Log":[{"message":"vended","request.id":"R2"}],"StsCall":null,"StsTookMs":7}"#);
        insta::assert_snapshot!(find("R3"), @r#"{"Audit":[],"Log":[],"StsCall":null,"StsTookMs":null}"#);
    }
}
