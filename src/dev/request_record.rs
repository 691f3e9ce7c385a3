//! What the demo recorded about one request: its audit line, its log lines and the STS call that issued its token.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, from_str};

use super::audit_lines::AuditLines;
use crate::telemetry::RecentLines;
use appserver_emulator::{Call, EmulatorControl};

/// The places in which requests leave records.
#[derive(Clone)]
pub(crate) struct RecordSources {
    pub(crate) audit: AuditLines,
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
        let calls = sources.emulator.calls();
        let sts_call = calls.into_iter().rev().find(|call| is_call_of(call, &decision));
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

/// Whether the call issued the credentials of a decision. The audit of what AppServer signs names no request of STS; there it
/// is the latest call for the session.
fn is_call_of(call: &Call, decision: &Value) -> bool {
    match (decision["StsRequestId"].as_str(), decision["SessionName"].as_str()) {
        (Some(id), _) => call.request_id == id,
        (None, Some(session)) => {
            call.outcome == "Success"
                && call.parameters.get("RoleSessionName").is_some_and(|name| name == session)
        }
        (None, None) => false,
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
        let sources = RecordSources { audit: audit.into(), log, emulator: emulator.control() };
        let find = |id: &str| serde_json::to_string(&RequestRecord::find(&sources, id)).unwrap();
        insta::assert_snapshot!(find("R1"), @r#"{"Audit":[{"RequestId":"R1","Source":"Issued","StsAccessKeyId":"STS.1","StsRequestId":"S1"}],"Log":[{"message":"issued a token","token.access_key_id":"STS.1","sts.took_ms":7},{"message":"vended","request.id":"R1"}],"StsCall":null,"StsTookMs":7}"#);
        insta::assert_snapshot!(find("R2"), @r#"{"Audit":[{"RequestId":"R2","Source":"Cached","StsAccessKeyId":"STS.1","StsRequestId":"S1"}],"Log":[{"message":"vended","request.id":"R2"}],"StsCall":null,"StsTookMs":7}"#);
        insta::assert_snapshot!(find("R3"), @r#"{"Audit":[],"Log":[],"StsCall":null,"StsTookMs":null}"#);
    }
}
