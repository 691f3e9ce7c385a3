//! This machine's clock against those of STS.

use chrono::TimeDelta;

use super::Finding;
use super::endpoints::Seen;

const CHECK: &str = "clock";
/// The header that is looked at has whole seconds, and took a while to come.
const NOTHING: TimeDelta = TimeDelta::seconds(5);
const NOTICED: TimeDelta = TimeDelta::minutes(1);
/// What STS takes, either way.
const TAKEN: TimeDelta = TimeDelta::minutes(15);

/// By the endpoint whose clock differs most: they are Alibaba's, and agree.
pub(super) fn findings(seen: &[Seen]) -> Vec<Finding> {
    if seen.is_empty() {
        return vec![Finding::skipped(CHECK, "no endpoint answered")];
    }
    let differences = seen.iter().filter_map(|seen| seen.ahead);
    let Some(ahead) = differences.max_by_key(TimeDelta::abs) else {
        let silent = Finding::warning(CHECK, "no endpoint shows the time (a `Date` header)");
        return vec![silent.mend("see who answers there: STS always shows it")];
    };
    let size = ahead.abs();
    if size <= NOTHING {
        return vec![Finding::ok(CHECK, "this machine and STS agree")];
    }
    let direction = if ahead > TimeDelta::zero() { "behind" } else { "ahead of" };
    let told = format!("this machine is {} {direction} STS", rounded(size));
    let mend = "have it set by NTP (chronyd, systemd-timesyncd); users' tokens and presigned URLs are judged by clocks, \
                too";
    vec![if size > TAKEN {
        Finding::failed(CHECK, format!("{told}, which takes 15 minutes at the most")).mend(mend)
    } else if size > NOTICED {
        Finding::warning(CHECK, told).mend(mend)
    } else {
        Finding::ok(CHECK, told)
    }]
}

fn rounded(size: TimeDelta) -> String {
    let secs = size.num_seconds();
    match secs {
        ..120 => format!("{secs} seconds"),
        120..7200 => format!("{} minutes", (secs + 30) / 60),
        7200..172_800 => format!("{} hours", (secs + 1800) / 3600),
        _ => format!("{} days", (secs + 43_200) / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sts::Endpoint;

    fn found(aheads: &[Option<i64>]) -> String {
        let seen = aheads.iter().map(|ahead| Seen {
            endpoint: Endpoint::default(),
            host: String::new(),
            ahead: ahead.map(TimeDelta::seconds),
        });
        let found = findings(&seen.collect::<Vec<_>>()).remove(0);
        format!("{:?}: {}", found.outcome, found.message)
    }

    #[test]
    fn a_difference_is_judged_by_what_sts_takes() {
        for (aheads, expected) in [
            (&[][..], "Skipped: no endpoint answered"),
            (&[None], "Warning: no endpoint shows the time (a `Date` header)"),
            (&[Some(-5)], "Ok: this machine and STS agree"),
            (&[Some(60), None], "Ok: this machine is 60 seconds behind STS"),
            (&[Some(-61)], "Warning: this machine is 61 seconds ahead of STS"),
            (&[Some(0), Some(900)], "Warning: this machine is 15 minutes behind STS"),
            (
                &[Some(901)],
                "Failed: this machine is 15 minutes behind STS, which takes 15 minutes at the most",
            ),
            (
                &[Some(-1_000_000_000)],
                "Failed: this machine is 11574 days ahead of STS, which takes 15 minutes at the most",
            ),
        ] {
            assert_eq!(found(aheads), expected);
        }
    }
}
