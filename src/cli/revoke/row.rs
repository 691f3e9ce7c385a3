//! The lines of `appserver revoke --list`.

use chrono::{DateTime, Utc};

use crate::revocation::RevocationList;
use appserver_domain::clock::Stamp;

/// A line for each active revocation, sorted by what it refuses.
pub(super) fn rows(lists: &[(&str, &RevocationList)], now: DateTime<Utc>) -> Vec<String> {
    let mut rows = Vec::new();
    for (source, list) in lists {
        for revocation in list.iter().filter(|revocation| revocation.is_active(now)) {
            let (what, until) = (revocation.what(), Stamp::of(revocation.until()));
            let mut row = format!("{what} until {} ({source})", until.as_str());
            let reason = revocation.reason().as_str();
            if !reason.is_empty() {
                row += &format!(": {reason}");
            }
            rows.push(row);
        }
    }
    rows.sort_unstable();
    rows
}
