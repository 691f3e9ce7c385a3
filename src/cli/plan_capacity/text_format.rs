//! A plan for people.

use std::fmt::Write;

use crate::capacity::{
    CapacityPlan, Queue, REDIS_BYTES_PER_TOKEN, Rate, Remedy, RemedyKind, ReplicaMemory,
};

/// `vend.max_waiting` and `vend.call_timeout_ms`, unless they are configured.
const MAX_WAITING: f64 = 10_000.0;
const CALL_TIMEOUT_SECS: f64 = 15.0;

pub(super) fn text(plan: &CapacityPlan) -> String {
    let rows = [
        (
            "requests",
            format!(
                "{} a second on average, {} at the peak",
                count(plan.requests.mean),
                count(plan.requests.peak)
            ),
        ),
        ("STS", sts(plan)),
        ("queue", queue(&plan.queue, plan.replicas)),
        (
            "replicas",
            format!(
                "{} that share a Redis, with {} at the peak together: one core each, at most half busy, and one is spare",
                count(plan.replicas),
                counted(plan.cpu_cores, "core")
            ),
        ),
        ("memory", memory(plan.memory)),
        ("Redis", redis(plan)),
    ];
    let mut text = String::new();
    for (name, row) in rows {
        writeln!(text, "{name:10}{row}").expect("a string takes any text");
    }
    text + &changes(plan)
}

fn sts(plan: &CapacityPlan) -> String {
    let Rate { mean, peak } = plan.needed;
    // Users who come in short sessions leave tokens behind that are refreshed once more.
    let why = if mean > plan.requests.mean { "; a refresh ahead needs no request" } else { "" };
    format!(
        "{} a second needed on average, {} at the peak; {} may be made, of a quota of {}{why}",
        counted(mean, "call"),
        count(peak),
        count(plan.budget),
        count(plan.quota.calls_per_second.into())
    )
}

fn queue(queue: &Queue, replicas: f64) -> String {
    let refused = if queue.wait_secs > CALL_TIMEOUT_SECS || queue.callers > MAX_WAITING * replicas {
        let most = count(MAX_WAITING);
        format!(
            "; callers whose turn would come too late, or beyond vend.max_waiting ({most} in each replica), are refused and retry"
        )
    } else {
        String::new()
    };
    if !queue.drains {
        return format!("grows from day to day: a day needs more calls than may be made{refused}");
    }
    if queue.crowded_hours <= 0.0 {
        return "none".to_owned();
    }
    format!(
        "{} at the worst time, when a new one waits {}; somebody waits for {} of the day{refused}",
        counted(queue.callers.ceil(), "caller"),
        time(queue.wait_secs),
        time(queue.crowded_hours * 3600.0)
    )
}

fn memory(replica: ReplicaMemory) -> String {
    let rest =
        if replica.holds_all() { "" } else { ", its maximum (the other tokens are in Redis)," };
    format!(
        "{} in each replica: vend.max_cached_tokens = {}{rest} and a memory limit of at least {} without connections",
        counted(replica.tokens, "token"),
        replica.max_cached_tokens,
        bytes(replica.bytes)
    )
}

fn redis(plan: &CapacityPlan) -> String {
    format!(
        "{} a second at the peak, and {} if users have a limit; {}, {}",
        counted(plan.redis_commands.peak, "command"),
        count(plan.redis_commands.peak + plan.redis_limit_commands.peak),
        counted(plan.redis_tokens.ceil(), "token"),
        bytes(plan.redis_tokens * REDIS_BYTES_PER_TOKEN)
    )
}

fn changes(plan: &CapacityPlan) -> String {
    if plan.remedies.is_empty() {
        return format!("\nThe quota suffices: the peak needs {} of it.", percent(plan));
    }
    let when =
        if plan.needed.mean > plan.budget { ", not even for the mean" } else { " at the peak" };
    let header =
        ["   calls of STS a second", "mean", "peak", "saved", "replica memory", "Redis", ""];
    let rows = (1..).zip(&plan.remedies).map(|(n, remedy)| change(n, remedy, plan));
    let has_accounts =
        |remedy: &Remedy| matches!(remedy.kind, RemedyKind::Quota(quota) if quota.accounts > 1);
    let accounts = if plan.remedies.iter().any(has_accounts) {
        "\nvend.budget.calls_per_second is at most 10,000; each account is an upstream with a budget of its own."
    } else {
        ""
    };
    let table = table(&header.map(str::to_owned), &rows.collect::<Vec<_>>());
    format!(
        "\nThe quota does not suffice{when}. Memory and Redis above are those of this quota, at which callers wait.\nEach of these changes alone, in the order in which to try them, leaves:\n\n{table}\n\nTo plan several at once, change --grants, --token-secs, --refresh-percent and --quota.{accounts}"
    )
}

fn change(n: u32, remedy: &Remedy, plan: &CapacityPlan) -> [String; 7] {
    let change = match remedy.kind {
        RemedyKind::ShareGrant { of: 1 } => "the grant of users shared by all of them".to_owned(),
        RemedyKind::ShareGrant { of } => format!("one of the {of} grants of users shared"),
        RemedyKind::MergeGrants { of } => {
            format!("the {of} grants of users merged, if they have one role")
        }
        RemedyKind::LongerTokens { secs } => format!("tokens that live {} s", count(secs.into())),
        RemedyKind::NoRefreshAhead => "vend.budget.refresh_percent = 0".to_owned(),
        RemedyKind::UploadGrant { of: 1 } => "the grant of users signs uploads instead".to_owned(),
        RemedyKind::UploadGrant { of } => format!("one of the {of} grants of users signs uploads"),
        RemedyKind::Quota(quota) => {
            let accounts = if quota.accounts > 1 {
                format!(" in each of {} accounts", count(quota.accounts.into()))
            } else {
                String::new()
            };
            format!(
                "a quota of {}{accounts} (vend.budget.calls_per_second = {})",
                count(quota.calls_per_second.into()),
                quota.budget_of_account()
            )
        }
    };
    let Rate { mean, peak } = remedy.needed;
    let saved = (1.0 - peak / plan.needed.peak).max(0.0) * 100.0;
    let verdict = if remedy.suffices { "suffices" } else { "is not enough" };
    [
        format!("{n}. {change}"),
        count(mean),
        count(peak),
        format!("{saved:.0} %"),
        bytes(remedy.memory.bytes),
        bytes(remedy.redis_tokens * REDIS_BYTES_PER_TOKEN),
        verdict.to_owned(),
    ]
}

/// Columns of figures between two of words.
fn table(header: &[String; 7], rows: &[[String; 7]]) -> String {
    let all = || [header].into_iter().chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let lines = all().map(|row| {
        let mut line = format!("{:1$}", row[0], width(0));
        for (column, cell) in row.iter().enumerate().skip(1).take(5) {
            write!(line, "  {cell:>0$}", width(column)).expect("a string takes any text");
        }
        format!("{line}  {}", row[6]).trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn percent(plan: &CapacityPlan) -> String {
    let percent = plan.needed.peak / plan.budget * 100.0;
    if percent < 1.0 { "less than 1 %".to_owned() } else { format!("{percent:.0} %") }
}

/// With groups of thousands, and a decimal where it matters.
fn count(number: f64) -> String {
    if number > 0.0 && number < 0.1 {
        return "<0.1".to_owned();
    }
    if number < 10.0 && number.fract() > 0.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The number and its noun.
fn counted(number: f64, noun: &str) -> String {
    let number = count(number);
    let end = if number == "1" { "" } else { "s" };
    format!("{number} {noun}{end}")
}

fn bytes(bytes: f64) -> String {
    let (number, unit) = if bytes < 1e9 { (bytes / 1e6, "MB") } else { (bytes / 1e9, "GB") };
    format!("{} {unit}", count(number))
}

fn time(secs: f64) -> String {
    if secs < 1.0 {
        "less than a second".to_owned()
    } else if secs < 120.0 {
        format!("{secs:.0} s")
    } else if secs < 7200.0 {
        format!("{:.0} min", secs / 60.0)
    } else {
        format!("{:.1} h", secs / 3600.0)
    }
}
