use clap::Parser;
use insta::assert_snapshot;

use super::*;

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    args: PlanCapacityArgs,
}

fn plan(arguments: &str) -> Result<String, String> {
    let words = ["plan-capacity"].into_iter().chain(arguments.split_whitespace());
    let args = CommandLine::try_parse_from(words).map_err(|error| error.to_string())?.args;
    let fleet = fleet(&args).map_err(|impossible| impossible.to_string())?;
    Ok(text_format::text(&CapacityPlan::new(&fleet, args.quota)))
}

#[test]
fn a_fleet_that_exceeds_the_quota_is_told_what_to_change() {
    assert_snapshot!(plan("--users 10000000 --grants user=2,shared=1").unwrap(), @r"
    requests  1,436 a second on average, 3,458 at the peak
    STS       961 calls a second needed on average, 2,306 at the peak; 90 may be made, of a quota of 100
    queue     grows from day to day: a day needs more calls than may be made; callers whose turn would come too late, or beyond vend.max_waiting (10,000 in each replica), are refused and retry
    replicas  2 that share a Redis, with <0.1 cores at the peak together: one core each, at most half busy, and one is spare
    memory    168,327 tokens in each replica: vend.max_cached_tokens = 168327 and a memory limit of at least 712 MB without connections
    Redis     2,847 commands a second at the peak, and 20,138 if users have a limit; 324,000 tokens, 531 MB

    The quota does not suffice, not even for the mean. Memory and Redis above are those of this quota, at which callers wait.
    Each of these changes alone, in the order in which to try them, leaves:

       calls of STS a second                                   mean   peak  saved  replica memory   Redis
    1. one of the 2 grants of users shared                      480  1,153   50 %          712 MB  531 MB  is not enough
    2. the 2 grants of users merged, if they have one role      480  1,153   50 %          712 MB  531 MB  is not enough
    3. tokens that live 43,200 s                                692  1,151   50 %           10 GB  6.4 GB  is not enough
    4. vend.budget.refresh_percent = 0                          842  1,900   18 %          712 MB  531 MB  is not enough
    5. one of the 2 grants of users signs uploads               480  1,153   50 %          712 MB  531 MB  is not enough
    6. a quota of 2,564 (vend.budget.calls_per_second = 2307)   961  2,306    0 %           18 GB   14 GB  suffices

    To plan several at once, change --grants, --token-secs, --refresh-percent and --quota.
    ");
}

#[test]
fn a_fleet_within_the_quota_is_told_how_much_of_it_the_peak_needs() {
    assert_snapshot!(plan("--users 100000000 --grants shared=1,upload=1").unwrap(), @r"
    requests  9,416 a second on average, 22,677 at the peak
    STS       <0.1 calls a second needed on average, <0.1 at the peak; 90 may be made, of a quota of 100
    queue     none
    replicas  2 that share a Redis, with 0.3 cores at the peak together: one core each, at most half busy, and one is spare
    memory    6 tokens in each replica: vend.max_cached_tokens = 100000 and a memory limit of at least 23 MB without connections
    Redis     <0.1 commands a second at the peak, and 113,384 if users have a limit; 7 tokens, <0.1 MB

    The quota suffices: the peak needs less than 1 % of it.
    ");
}

#[test]
fn a_fleet_beyond_one_budget_is_told_how_many_accounts_it_needs() {
    let text = plan("--users 1000000000 --grants user=10").unwrap();
    let table = text.split_once("leaves:\n\n").unwrap().1;
    assert_snapshot!(table, @r"
       calls of STS a second                                                               mean       peak  saved  replica memory     Redis
    1. one of the 10 grants of users shared                                             432,303  1,037,897   10 %          433 MB    531 MB  is not enough
    2. the 10 grants of users merged, if they have one role                              48,034    115,322   90 %          433 MB    531 MB  is not enough
    3. tokens that live 43,200 s                                                        345,878    575,532   50 %          722 MB    6.4 GB  is not enough
    4. vend.budget.refresh_percent = 0                                                  421,021    950,142   18 %          433 MB    531 MB  is not enough
    5. one of the 10 grants of users signs uploads                                      432,303  1,037,897   10 %          433 MB    531 MB  is not enough
    6. a quota of 11,047 in each of 116 accounts (vend.budget.calls_per_second = 9942)  480,336  1,153,218    0 %           71 GB  6,778 GB  suffices

    To plan several at once, change --grants, --token-secs, --refresh-percent and --quota.
    vend.budget.calls_per_second is at most 10,000; each account is an upstream with a budget of its own.
    ");
}

#[test]
fn a_queue_beyond_what_may_wait_is_told_that_callers_are_refused() {
    let text = plan("--users 1000000 --peak-hour-percent 30 --quota 60").unwrap();
    let queue = text.lines().find(|line| line.starts_with("queue")).unwrap();
    assert_snapshot!(queue, @"queue     630,937 callers at the worst time, when a new one waits 3.2 h; somebody waits for 7.9 h of the day; callers whose turn would come too late, or beyond vend.max_waiting (10,000 in each replica), are refused and retry");
}

#[test]
fn one_is_not_many() {
    let text = plan("--users 1 --grants shared=1").unwrap();
    assert!(text.contains("  1 token in each") && text.contains("; 1 token, "), "{text}");
}

#[test]
fn minus_zero_is_zero() {
    for zero in ["-0", "-0.0", "-.0", "-0e5"] {
        assert!(numbers::session_minutes(zero).unwrap().is_sign_positive(), "{zero}");
    }
}

#[test]
fn kinds_of_grants_may_have_spaces_around_them() {
    let grants = GrantMix { user: 2, shared: 1, upload: 0 };
    assert_eq!(" user=2, shared = 1 ".parse(), Ok(grants));
}

#[test]
fn no_refreshes_ahead_cost_what_the_change_says() {
    let all = plan("--users 1000000").unwrap();
    let change = all.lines().find(|line| line.contains("refresh_percent = 0")).unwrap();
    let none = plan("--users 1000000 --refresh-percent 0").unwrap();
    assert!(!none.contains("refresh_percent = 0"), "{none}");
    assert!(none.contains(" 42 calls a second needed on average, 95 at the peak; 90 "), "{none}");
    let figures: Vec<_> = change.split_whitespace().skip(4).take(3).collect();
    assert_eq!(figures, ["42", "95", "18"], "{change}");
}

#[test]
fn a_value_that_no_fleet_has_is_refused_with_its_flag_and_rule() {
    let messages = [
        "--users 0",
        "--users 1 --token-secs 899",
        "--users 1e6",
        "--users 1,000,000",
        "--users -1",
        "--users 1 --quota 0",
        "--users 1 --quota 11113",
        "--users 1 --refresh-percent 51",
        "--users 1 --peak-hour-percent 4",
        "--users 1 --peak-hour-percent NaN",
        "--users 1 --session-minutes -1",
        "--users 1 --sessions-per-day 0",
        "--users 1 --sessions-per-day 100 --session-minutes 15",
        "--users 1 --grants=",
        "--users 1 --grants user",
        "--users 1 --grants user=-1",
        "--users 1 --grants user=1,",
        "--users 1 --grants album=1",
        "--users 1 --grants user=1001",
        "--users 1 --grants user=1,user=1",
        "--users 1 --grants user=0",
    ];
    let messages = messages.map(|arguments| {
        let message = plan(arguments).unwrap_err();
        message.lines().next().unwrap().to_owned()
    });
    assert_snapshot!(messages.join("\n"), @r"
    error: invalid value '0' for '--users <N>': it is a whole number from 1 to 10000000000, written in digits alone, such as 1000000
    error: invalid value '899' for '--token-secs <SECONDS>': it is a whole number from 900 to 43200, written in digits alone: sessions of STS live so long
    error: invalid value '1e6' for '--users <N>': it is a whole number from 1 to 10000000000, written in digits alone, such as 1000000
    error: invalid value '1,000,000' for '--users <N>': it is a whole number from 1 to 10000000000, written in digits alone, such as 1000000
    error: invalid value '-1' for '--users <N>': it is a whole number from 1 to 10000000000, written in digits alone, such as 1000000
    error: invalid value '0' for '--quota <CALLS>': it is a whole number from 1 to 11112, written in digits alone: vend.budget.calls_per_second, nine tenths of it, is at most 10000. A fleet that needs more has several accounts, each an upstream: plan each with its part of --users
    error: invalid value '11113' for '--quota <CALLS>': it is a whole number from 1 to 11112, written in digits alone: vend.budget.calls_per_second, nine tenths of it, is at most 10000. A fleet that needs more has several accounts, each an upstream: plan each with its part of --users
    error: invalid value '51' for '--refresh-percent <PERCENT>': it is a whole number from 0 to 50, written in digits alone, as vend.budget.refresh_percent
    error: invalid value '4' for '--peak-hour-percent <PERCENT>': it is a number from 4.2 to 50: an even day has 4.2, and more than 50 is no daily wave. Where N new callers come at once, the last one waits (N - vend.budget.burst) / vend.budget.calls_per_second seconds
    error: invalid value 'NaN' for '--peak-hour-percent <PERCENT>': it is a number from 4.2 to 50: an even day has 4.2, and more than 50 is no daily wave. Where N new callers come at once, the last one waits (N - vend.budget.burst) / vend.budget.calls_per_second seconds
    error: invalid value '-1' for '--session-minutes <MINUTES>': it is a number from 0 to 1440, the minutes of a day
    error: invalid value '0' for '--sessions-per-day <N>': it is a number from 0.01 to 1440; 0.01 is one in a hundred days
    --sessions-per-day and --session-minutes: 1500 minutes of sessions do not fit into a user's day of 1440; lower one of them
    error: invalid value '' for '--grants <KIND=N,…>': there is no grant: kinds are `user`, `shared` and `upload`, each once and with a number of grants up to 1000, such as `user=1,shared=2`
    error: invalid value 'user' for '--grants <KIND=N,…>': `user` has no number: kinds are `user`, `shared` and `upload`, each once and with a number of grants up to 1000, such as `user=1,shared=2`
    error: invalid value 'user=-1' for '--grants <KIND=N,…>': `-1` is no number of `user` up to 1000: kinds are `user`, `shared` and `upload`, each once and with a number of grants up to 1000, such as `user=1,shared=2`
    error: invalid value 'user=1,' for '--grants <KIND=N,…>': there is nothing before or after a comma: kinds are `user`, `shared` and `upload`, each once and with a number of grants up to 1000, such as `user=1,shared=2`
    error: invalid value 'album=1' for '--grants <KIND=N,…>': `album` is no kind of grant: kinds are `user`, `shared` and `upload`, each once and with a number of grants up to 1000, such as `user=1,shared=2`
    error: invalid value 'user=1001' for '--grants <KIND=N,…>': `1001` is no number of `user` up to 1000: kinds are `user`, `shared` and `upload`, each once and with a number of grants up to 1000, such as `user=1,shared=2`
    error: invalid value 'user=1,user=1' for '--grants <KIND=N,…>': `user` is there twice: kinds are `user`, `shared` and `upload`, each once and with a number of grants up to 1000, such as `user=1,shared=2`
    error: invalid value 'user=0' for '--grants <KIND=N,…>': there is no grant: kinds are `user`, `shared` and `upload`, each once and with a number of grants up to 1000, such as `user=1,shared=2`
    ");
}

/// The model is about these; docs/performance.md says so.
#[test]
fn a_plan_counts_with_the_defaults_of_the_configuration() {
    let defaults = crate::config::defaults();
    for key in [
        "calls_per_second = 90",
        "burst = 10",
        "refresh_percent = 20",
        "min_remaining_secs = 0",
        "stale_remaining_secs = 300",
        "max_cached_tokens = 100000",
        "max_waiting = 10000",
        "call_timeout_ms = 15000",
    ] {
        assert!(defaults.lines().any(|line| line == key), "{key}");
    }
}
