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
    Ok(text_format::text(&CapacityPlan::new(&fleet, args.quota), args.quota))
}

#[test]
fn a_fleet_that_exceeds_the_quota_is_told_what_to_change() {
    assert_snapshot!(plan("--users 10000000 --grants user=2,shared=1").unwrap(), @r"
    requests  1,436 a second on average, 3,458 at the peak
    STS       961 calls a second needed on average, 2,306 at the peak; 90 may be made, of a quota of 100
    queue     grows from day to day: a day needs more calls than may be made
    replicas  2, with <0.1 cores at the peak together
    memory    168,327 tokens in each replica, 689 MB; raise vend.max_cached_tokens from 100,000
    Redis     2,847 commands a second at the peak, and 20,138 if users have a limit; 324,000 tokens, 531 MB

    The quota does not suffice at the peak. Each of these changes alone, in the order in which to try them, leaves:

       calls of STS a second                    mean     peak    saved

    1. a grant shared by all users               480    1,153     50 %  is not enough
    2. tokens that live 43,200 s                 692    1,151     50 %  is not enough
    3. vend.budget.refresh_percent = 0           842    1,900     18 %  is not enough
    4. a grant that signs uploads instead        480    1,153     50 %  is not enough
    5. a quota of 2,563                          961    2,306      0 %  suffices
    ");
}

#[test]
fn a_fleet_within_the_quota_is_told_how_much_of_it_the_peak_needs() {
    assert_snapshot!(plan("--users 100000000 --grants shared=1,upload=1").unwrap(), @r"
    requests  9,416 a second on average, 22,677 at the peak
    STS       <0.1 calls a second needed on average, <0.1 at the peak; 90 may be made, of a quota of 100
    queue     none
    replicas  2, with 0.3 cores at the peak together
    memory    6 tokens in each replica, <0.1 MB
    Redis     <0.1 commands a second at the peak, and 113,384 if users have a limit; 7 tokens, <0.1 MB

    The quota suffices: the peak needs less than 1 % of it.
    ");
}

#[test]
fn a_value_that_no_fleet_has_is_refused_with_its_flag_and_rule() {
    let messages = [
        "--users 0",
        "--users 1 --token-secs 899",
        "--users 1 --quota 0",
        "--users 1 --peak-hour-percent 4",
        "--users 1 --peak-hour-percent NaN",
        "--users 1 --session-minutes -1",
        "--users 1 --sessions-per-day 0",
        "--users 1 --grants user",
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
    error: invalid value '0' for '--users <N>': 0 is not in 1..=10000000000
    error: invalid value '899' for '--token-secs <SECONDS>': 899 is not in 900..=43200
    error: invalid value '0' for '--quota <CALLS>': 0 is not in 1..=1000000
    error: invalid value '4' for '--peak-hour-percent <PERCENT>': it is a number from 4.2 to 50
    error: invalid value 'NaN' for '--peak-hour-percent <PERCENT>': it is a number from 4.2 to 50
    error: invalid value '-1' for '--session-minutes <MINUTES>': it is a number from 0 to 1440
    error: invalid value '0' for '--sessions-per-day <N>': it is a number from 0.01 to 1440
    error: invalid value 'user' for '--grants <KIND=N,…>': kinds are `user`, `shared` and `upload`, each once and with a number of grants up to 1000, such as `user=1,shared=2`
    error: invalid value 'album=1' for '--grants <KIND=N,…>': `album` is no kind of grant: kinds are `user`, `shared` and `upload`, each once and with a number of grants up to 1000, such as `user=1,shared=2`
    error: invalid value 'user=1001' for '--grants <KIND=N,…>': the number of `user`: kinds are `user`, `shared` and `upload`, each once and with a number of grants up to 1000, such as `user=1,shared=2`
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
    ] {
        assert!(defaults.lines().any(|line| line == key), "{key}");
    }
}
