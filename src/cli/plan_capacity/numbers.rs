//! The numbers of the command line, and what is said of one that is refused.

use crate::capacity::Quota;

pub(super) fn users(text: &str) -> Result<u64, String> {
    whole(text, 1, 10_000_000_000, ", such as 1000000")
}

pub(super) fn token_secs(text: &str) -> Result<u32, String> {
    whole(text, 900, 43_200, ": sessions of STS live so long")
}

pub(super) fn quota(text: &str) -> Result<u32, String> {
    let why = ": vend.budget.calls_per_second, nine tenths of it, is at most 10000. A fleet that needs more has several accounts, each an upstream: plan each with its part of --users";
    whole(text, 1, Quota::MAX.into(), why)
}

pub(super) fn refresh_percent(text: &str) -> Result<u32, String> {
    whole(text, 0, 50, ", as vend.budget.refresh_percent")
}

pub(super) fn sessions_per_day(text: &str) -> Result<f64, String> {
    decimal(text, 0.01, 1440.0, "; 0.01 is one in a hundred days")
}

pub(super) fn session_minutes(text: &str) -> Result<f64, String> {
    decimal(text, 0.0, 1440.0, ", the minutes of a day")
}

pub(super) fn peak_hour_percent(text: &str) -> Result<f64, String> {
    let why = ": an even day has 4.2, and more than 50 is no daily wave. Where N new callers come at once, the last one waits (N - vend.budget.burst) / vend.budget.calls_per_second seconds";
    decimal(text, 4.2, 50.0, why)
}

/// Digits alone. What follows the range in the message says why it ends there, or what to do beyond it.
fn whole<N: TryFrom<u64>>(text: &str, least: u64, most: u64, why: &str) -> Result<N, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    let number = number.and_then(|number| N::try_from(number).ok());
    number.ok_or_else(|| {
        format!("it is a whole number from {least} to {most}, written in digits alone{why}")
    })
}

/// The same with decimals.
fn decimal(text: &str, least: f64, most: f64, why: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    // -0 is in a range that begins with 0.
    let number = number.map(f64::abs);
    number.ok_or_else(|| format!("it is a number from {least} to {most}{why}"))
}
