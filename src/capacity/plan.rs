//! What a fleet needs: calls of STS, replicas, memory and Redis.

use super::day::{Day, Rates};
use super::fleet::Fleet;
use super::memory::ReplicaMemory;
use super::quota::Quota;
use super::remedy::Remedy;
use super::wave::DAY_SECS;

/// CPU of a cached token and of a new one: the measurements in docs/performance.md, rounded up for an audit line.
pub(crate) const CPU_MICROS_PER_HIT: f64 = 15.0;
pub(crate) const CPU_MICROS_PER_CALL: f64 = 100.0;
/// A token in Redis: docs/operate/sizing.md.
pub(crate) const REDIS_BYTES_PER_TOKEN: f64 = 1_640.0;

/// Of a replica's core at the busiest time; the rest is for what the model leaves out, such as TLS.
const CORE_SHARE: f64 = 0.5;
/// Two survive the loss of one.
const MIN_REPLICAS: f64 = 2.0;

/// Commands that Redis executes for one event, those within scripts included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommandsOfRedis {
    /// A new token: a look at what replicas share, the budget, the lease, the result.
    pub(crate) new_token: f64,
    /// The same for a token that is refreshed ahead of need.
    pub(crate) refreshed_token: f64,
    /// A token that another replica has fetched.
    pub(crate) token_of_another_replica: f64,
    /// A request of a user with a limit.
    pub(crate) limited_request: f64,
}

impl CommandsOfRedis {
    pub(crate) const MEASURED: Self = Self {
        new_token: 31.0,
        refreshed_token: 30.0,
        token_of_another_replica: 7.0,
        limited_request: 5.0,
    };
}

/// Something a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) mean: f64,
    /// In the busiest minute.
    pub(crate) peak: f64,
}

/// Callers without a token that could be handed out, at the worst time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    pub(crate) callers: f64,
    /// How long one that arrives then waits.
    pub(crate) wait_secs: f64,
    /// For how much of the day somebody waits.
    pub(crate) crowded_hours: f64,
    /// Whether it is empty at the end of the day. If not, it is longer the day after.
    pub(crate) drains: bool,
}

/// What it takes to serve a fleet.
#[derive(Clone, Debug)]
pub(crate) struct CapacityPlan {
    pub(crate) requests: Rate,
    /// Calls of STS if there were no quota.
    pub(crate) needed: Rate,
    /// Calls of STS that are made.
    pub(crate) made: Rate,
    /// Calls a second that AppServer makes at most.
    pub(crate) quota: Quota,
    pub(crate) budget: f64,
    pub(crate) queue: Queue,
    pub(crate) cpu_cores: f64,
    pub(crate) replicas: f64,
    pub(crate) memory: ReplicaMemory,
    pub(crate) redis_tokens: f64,
    pub(crate) redis_commands: Rate,
    /// Those for the limits of users, if they have any.
    pub(crate) redis_limit_commands: Rate,
    /// Empty if the quota suffices.
    pub(crate) remedies: Vec<Remedy>,
}

impl CapacityPlan {
    pub(crate) fn new(fleet: &Fleet, quota: u32) -> Self {
        let plan = Self::without_remedies(fleet, Quota::of_one_account(quota));
        Self { remedies: Remedy::all(fleet, &plan), ..plan }
    }

    pub(super) fn without_remedies(fleet: &Fleet, quota: Quota) -> Self {
        // More than any fleet needs.
        const UNLIMITED: f64 = 1e15;
        let budget = quota.budget();
        let refresh_share = fleet.refresh_share();
        let needed = fleet.day(Rates { calls: UNLIMITED, refresh_share });
        let made = fleet.day(Rates { calls: budget, refresh_share });
        let requests = fleet.requests();
        let requests = Rate { mean: requests / DAY_SECS, peak: requests * fleet.peak_share() };
        let cores =
            |hits: f64, calls: f64| (hits * CPU_MICROS_PER_HIT + calls * CPU_MICROS_PER_CALL) / 1e6;
        let cpu_cores = cores(requests.peak, made.peak_calls);
        let replicas = ((cpu_cores / CORE_SHARE).ceil() + 1.0).max(MIN_REPLICAS);
        // A hit may be of a token that only another replica has.
        let elsewhere = (replicas - 1.0) / replicas;
        let commands = |issued: f64, refreshed: f64, used: f64| {
            let each = CommandsOfRedis::MEASURED;
            issued * each.new_token
                + refreshed * each.refreshed_token
                + used * elsewhere * each.token_of_another_replica
        };
        let issued = made.calls - made.refreshes;
        let tokens_elsewhere = made.valid_tokens * elsewhere * made.used / made.calls.max(1.0);
        let limited = CommandsOfRedis::MEASURED.limited_request;
        Self {
            requests,
            needed: rate(&needed),
            made: rate(&made),
            quota,
            budget,
            queue: Queue {
                callers: made.longest_queue,
                wait_secs: made.longest_queue / budget,
                crowded_hours: made.crowded_secs / 3600.0,
                drains: made.drains,
            },
            cpu_cores,
            replicas,
            memory: ReplicaMemory::new(
                (made.valid_tokens + tokens_elsewhere) / replicas,
                fleet.keys(),
                quota.accounts,
            ),
            redis_tokens: made.valid_tokens,
            redis_commands: Rate {
                mean: commands(issued, made.refreshes, made.used) / DAY_SECS,
                peak: commands(made.peak_issued, made.peak_refreshes, made.peak_used),
            },
            redis_limit_commands: Rate {
                mean: requests.mean * limited,
                peak: requests.peak * limited,
            },
            remedies: Vec::new(),
        }
    }

    /// Whether the budget covers the busiest minute.
    pub(crate) fn suffices(&self) -> bool {
        self.needed.peak <= self.budget
    }
}

fn rate(day: &Day) -> Rate {
    Rate { mean: day.calls / DAY_SECS, peak: day.peak_calls }
}
