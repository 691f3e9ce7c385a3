//! A plan as data. Members may be added; none is renamed or removed.

use serde::Serialize;

use crate::capacity::{
    BYTES_PER_TOKEN, CPU_MICROS_PER_CALL, CPU_MICROS_PER_HIT, CapacityPlan, CommandsOfRedis,
    REDIS_BYTES_PER_TOKEN, Rate, Remedy, RemedyKind,
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Plan {
    requests: PerSecond,
    sts_calls_needed: PerSecond,
    sts_calls_made: PerSecond,
    budget: f64,
    queue: Queue,
    replicas: f64,
    cpu_cores: f64,
    tokens_per_replica: f64,
    bytes_per_replica: f64,
    redis: Redis,
    changes: Vec<Change>,
    model: Model,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PerSecond {
    mean: f64,
    peak: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Queue {
    callers: f64,
    wait_seconds: f64,
    crowded_hours: f64,
    drains: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Redis {
    commands: PerSecond,
    limit_commands: PerSecond,
    tokens: f64,
    bytes: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<u32>,
    sts_calls_needed: PerSecond,
    suffices: bool,
}

/// What the model counts with.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Model {
    cpu_micros_per_hit: f64,
    cpu_micros_per_call: f64,
    bytes_per_token: f64,
    redis_bytes_per_token: f64,
    redis_commands_per_new_token: f64,
    redis_commands_per_refreshed_token: f64,
    redis_commands_per_token_of_another_replica: f64,
    redis_commands_per_limited_request: f64,
}

pub(super) fn json(plan: &CapacityPlan) -> String {
    let CapacityPlan { queue, .. } = plan;
    let plan = Plan {
        requests: per_second(plan.requests),
        sts_calls_needed: per_second(plan.needed),
        sts_calls_made: per_second(plan.made),
        budget: rounded(plan.budget),
        queue: Queue {
            callers: queue.callers.round(),
            wait_seconds: rounded(queue.wait_secs),
            crowded_hours: rounded(queue.crowded_hours),
            drains: queue.drains,
        },
        replicas: plan.replicas,
        cpu_cores: rounded(plan.cpu_cores),
        tokens_per_replica: plan.tokens_per_replica.ceil(),
        bytes_per_replica: plan.tokens_per_replica.ceil() * BYTES_PER_TOKEN,
        redis: Redis {
            commands: per_second(plan.redis_commands),
            limit_commands: per_second(plan.redis_limit_commands),
            tokens: plan.redis_tokens.ceil(),
            bytes: plan.redis_tokens.ceil() * REDIS_BYTES_PER_TOKEN,
        },
        changes: plan.remedies.iter().map(change).collect(),
        model: model(),
    };
    serde_json::to_string(&plan).expect("a plan is plain JSON")
}

fn change(remedy: &Remedy) -> Change {
    let (change, value) = match remedy.kind {
        RemedyKind::ShareGrant => ("ShareGrant", None),
        RemedyKind::LongerTokens { secs } => ("LongerTokens", Some(secs)),
        RemedyKind::NoRefreshAhead => ("NoRefreshAhead", None),
        RemedyKind::UploadGrant => ("UploadGrant", None),
        RemedyKind::Quota { calls_per_second } => ("Quota", Some(calls_per_second)),
    };
    Change { change, value, sts_calls_needed: per_second(remedy.needed), suffices: remedy.suffices }
}

fn model() -> Model {
    let redis = CommandsOfRedis::MEASURED;
    Model {
        cpu_micros_per_hit: CPU_MICROS_PER_HIT,
        cpu_micros_per_call: CPU_MICROS_PER_CALL,
        bytes_per_token: BYTES_PER_TOKEN,
        redis_bytes_per_token: REDIS_BYTES_PER_TOKEN,
        redis_commands_per_new_token: redis.new_token,
        redis_commands_per_refreshed_token: redis.refreshed_token,
        redis_commands_per_token_of_another_replica: redis.token_of_another_replica,
        redis_commands_per_limited_request: redis.limited_request,
    }
}

fn per_second(rate: Rate) -> PerSecond {
    PerSecond { mean: rounded(rate.mean), peak: rounded(rate.peak) }
}

/// To ten-thousandths: a shared token costs some calls a day.
fn rounded(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}
