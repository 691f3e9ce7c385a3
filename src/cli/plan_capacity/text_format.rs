//! A plan for people.

use std::fmt::Write;

use crate::capacity::{
    BYTES_PER_TOKEN, CapacityPlan, Queue, REDIS_BYTES_PER_TOKEN, Rate, RemedyKind,
};

/// `vend.max_cached_tokens`, unless it is configured.
const DEFAULT_MAX_CACHED_TOKENS: f64 = 100_000.0;

pub(super) fn text(plan: &CapacityPlan, quota: u32) -> String {
    let rows = [
        (
            "requests",
            format!(
                "{} a second on average, {} at the peak",
                count(plan.requests.mean),
                count(plan.requests.peak)
            ),
        ),
        ("STS", sts(plan, quota)),
        ("queue", queue(&plan.queue)),
        (
            "replicas",
            format!(
                "{}, with {} at the peak together",
                count(plan.replicas),
                cores(plan.cpu_cores)
            ),
        ),
        ("memory", memory(plan.tokens_per_replica)),
        ("Redis", redis(plan)),
    ];
    let mut text = String::new();
    for (name, row) in rows {
        writeln!(text, "{name:10}{row}").expect("a string takes any text");
    }
    text + &changes(plan)
}

fn sts(plan: &CapacityPlan, quota: u32) -> String {
    let Rate { mean, peak } = plan.needed;
    format!(
        "{} calls a second needed on average, {} at the peak; {} may be made, of a quota of {}",
        count(mean),
        count(peak),
        count(plan.budget),
        count(quota.into())
    )
}

fn queue(queue: &Queue) -> String {
    if !queue.drains {
        return "grows from day to day: a day needs more calls than may be made".to_owned();
    }
    if queue.crowded_hours <= 0.0 {
        return "none".to_owned();
    }
    format!(
        "{} callers at the worst time, when a new one waits {}; somebody waits for {} of the day",
        count(queue.callers.ceil()),
        time(queue.wait_secs),
        time(queue.crowded_hours * 3600.0)
    )
}

fn memory(tokens: f64) -> String {
    let size = bytes(tokens * BYTES_PER_TOKEN);
    let needed = format!("{} tokens in each replica, {size}", count(tokens.ceil()));
    if tokens > DEFAULT_MAX_CACHED_TOKENS {
        format!("{needed}; raise vend.max_cached_tokens from {}", count(DEFAULT_MAX_CACHED_TOKENS))
    } else {
        needed
    }
}

fn redis(plan: &CapacityPlan) -> String {
    format!(
        "{} commands a second at the peak, and {} if users have a limit; {} tokens, {}",
        count(plan.redis_commands.peak),
        count(plan.redis_commands.peak + plan.redis_limit_commands.peak),
        count(plan.redis_tokens.ceil()),
        bytes(plan.redis_tokens * REDIS_BYTES_PER_TOKEN)
    )
}

fn changes(plan: &CapacityPlan) -> String {
    if plan.remedies.is_empty() {
        return format!("\nThe quota suffices: the peak needs {} of it.", percent(plan));
    }
    let mut text = format!(
        "\nThe quota does not suffice at the peak. Each of these changes alone, in the order in which to try them, leaves:\n\n   {:36}{:>9}{:>9}{:>9}\n",
        "calls of STS a second", "mean", "peak", "saved"
    );
    for (n, remedy) in (1..).zip(&plan.remedies) {
        let change = match remedy.kind {
            RemedyKind::ShareGrant => "a grant shared by all users".to_owned(),
            RemedyKind::LongerTokens { secs } => {
                format!("tokens that live {} s", count(secs.into()))
            }
            RemedyKind::NoRefreshAhead => "vend.budget.refresh_percent = 0".to_owned(),
            RemedyKind::UploadGrant => "a grant that signs uploads instead".to_owned(),
            RemedyKind::Quota { calls_per_second } => {
                format!("a quota of {}", count(calls_per_second.into()))
            }
        };
        let Rate { mean, peak } = remedy.needed;
        let saved = (1.0 - peak / plan.needed.peak).max(0.0) * 100.0;
        let verdict = if remedy.suffices { "suffices" } else { "is not enough" };
        write!(
            text,
            "\n{n}. {change:36}{:>9}{:>9}{saved:>7.0} %  {verdict}",
            count(mean),
            count(peak)
        )
        .expect("a string takes any text");
    }
    text
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

fn cores(cores: f64) -> String {
    let number = count(cores);
    if number == "1" { "1 core".to_owned() } else { format!("{number} cores") }
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
