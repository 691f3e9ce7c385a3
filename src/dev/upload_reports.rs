//! The reports that the demo's backend took, as `/dev/uploads` shows them. At most [`MOST_REPORTS`] are kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::audit_lines::AuditLines;

/// As many as a page shows at once.
const MOST_REPORTS: usize = 20;

/// How often the audit is looked at again, and after which time.
const MOST_PAUSES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// The latest reports. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct UploadReports {
    /// The newest first. Held to copy or to add one, never across an await.
    latest: Arc<Mutex<VecDeque<TakenReport>>>,
}

/// A report that AppServer signed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TakenReport {
    #[serde(skip)]
    pub(super) upload_id: String,
    pub(super) received_at: String,
    /// The header that signed it.
    pub(super) signature: String,
    pub(super) report: Box<RawValue>,
    /// What the app gets.
    pub(super) answer: Value,
}

/// `/dev/uploads`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ShownReports {
    /// The newest first.
    reports: Vec<ShownReport>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownReport {
    #[serde(flatten)]
    taken: TakenReport,
    /// The lines about the upload, from its form on.
    audit: Vec<Box<RawValue>>,
}

impl UploadReports {
    /// Adds a report. AppServer may send one twice; the second is not shown.
    pub(super) fn add(&self, taken: TakenReport) {
        let mut latest = self.latest.lock();
        if latest.iter().any(|known| known.upload_id == taken.upload_id) {
            return;
        }
        latest.truncate(MOST_REPORTS - 1);
        latest.push_front(taken);
    }

    /// The reports with the audit of their uploads. Lines are written a few milliseconds after the answer: those of the newest
    /// report are waited for.
    pub(super) async fn shown(&self, audit: &AuditLines) -> ShownReports {
        let mut pauses = 0;
        loop {
            let (reports, audit) = (self.clone(), audit.clone());
            let shown = tokio::task::spawn_blocking(move || reports.shown_now(&audit)).await;
            let shown = shown.expect("reading lines does not panic");
            if pauses == MOST_PAUSES || shown.reports.first().is_none_or(ShownReport::is_audited) {
                return shown;
            }
            pauses += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn shown_now(&self, audit: &AuditLines) -> ShownReports {
        let latest: Vec<_> = self.latest.lock().iter().cloned().collect();
        let shown = latest.into_iter().map(|taken| {
            let lines = audit.containing(&format!("\"UploadId\":\"{}\"", taken.upload_id));
            let audit = lines.into_iter().filter_map(|line| RawValue::from_string(line).ok());
            ShownReport { audit: audit.collect(), taken }
        });
        ShownReports { reports: shown.collect() }
    }
}

impl ShownReport {
    fn is_audited(&self) -> bool {
        self.audit.iter().any(|line| line.get().contains("\"Decision\":\"Delivered\""))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::telemetry::RecentLines;

    fn taken(upload: usize) -> TakenReport {
        TakenReport {
            received_at: "2016-01-13T14:02:37Z".to_owned(),
            signature: "t=1452693757,v1=00".to_owned(),
            upload_id: upload.to_string(),
            report: RawValue::from_string(format!("{{\"UploadId\":\"{upload}\"}}")).unwrap(),
            answer: json!({"Saved": true}),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_is_shown_once_with_the_audit_lines_of_its_upload() {
        let (reports, audit) = (UploadReports::default(), RecentLines::default());
        for upload in [1, 2, 1] {
            reports.add(taken(upload));
        }
        audit.push(
            "{\"Event\":\"Upload\",\"UploadId\":\"1\"}\n{\"Event\":\"Uploaded\",\"UploadId\":\"1\"}",
        );
        let shown = serde_json::to_string(&reports.shown(&audit.into()).await).unwrap();
        insta::assert_snapshot!(shown, @r#"{"Reports":[{"ReceivedAt":"2016-01-13T14:02:37Z","Signature":"t=1452693757,v1=00","Report":{"UploadId":"2"},"Answer":{"Saved":true},"Audit":[]},{"ReceivedAt":"2016-01-13T14:02:37Z","Signature":"t=1452693757,v1=00","Report":{"UploadId":"1"},"Answer":{"Saved":true},"Audit":[{"Event":"Upload","UploadId":"1"},{"Event":"Uploaded","UploadId":"1"}]}]}"#);
    }

    #[tokio::test(start_paused = true)]
    async fn the_audit_of_the_newest_report_is_waited_for() {
        let (reports, audit) = (UploadReports::default(), RecentLines::default());
        reports.add(taken(1));
        let writer = async {
            tokio::time::sleep(3 * PAUSE).await;
            audit.clone().push("{\"Decision\":\"Delivered\",\"UploadId\":\"1\"}");
        };
        let lines = AuditLines::from(audit.clone());
        let (shown, ()) = tokio::join!(reports.shown(&lines), writer);
        assert!(shown.reports[0].is_audited());
    }

    #[test]
    fn only_the_latest_reports_are_kept() {
        let reports = UploadReports::default();
        (0..MOST_REPORTS + 3).for_each(|upload| reports.add(taken(upload)));
        let shown = reports.shown_now(&AuditLines::default()).reports;
        assert_eq!(shown.len(), MOST_REPORTS);
        assert_eq!(shown[0].taken.upload_id, (MOST_REPORTS + 2).to_string());
    }
}
