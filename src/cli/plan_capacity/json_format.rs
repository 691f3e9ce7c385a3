//! A plan as data. Members may be added; none is renamed or removed.

use serde::Serialize;

use crate::capacity::{
    BYTES_OF_PROCESS, BYTES_PER_TOKEN, CPU_MICROS_PER_CALL, CPU_MICROS_PER_HIT, CapacityPlan,
    CommandsOfRedis, Quota, REDIS_BYTES_PER_TOKEN, Rate, Remedy, RemedyKind, ReplicaMemory,
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
    #[serde(flatten)]
    memory: Memory,
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
struct Memory {
    tokens_per_replica: f64,
    /// Of the tokens alone.
    bytes_per_replica: f64,
    max_cached_tokens: f64,
    memory_limit_bytes: f64,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_calls_per_second: Option<u32>,
    sts_calls_needed: PerSecond,
    suffices: bool,
    #[serde(flatten)]
    memory: Memory,
    redis_tokens: f64,
    redis_bytes: f64,
}

/// What the model counts with.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Model {
    cpu_micros_per_hit: f64,
    cpu_micros_per_call: f64,
    bytes_per_token: f64,
    bytes_of_process: f64,
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
        memory: memory(plan.memory),
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
    let (change, value, quota) = match remedy.kind {
        RemedyKind::ShareGrant { .. } => ("ShareGrant", None, None),
        RemedyKind::MergeGrants { .. } => ("MergeGrants", None, None),
        RemedyKind::LongerTokens { secs } => ("LongerTokens", Some(secs), None),
        RemedyKind::NoRefreshAhead => ("NoRefreshAhead", None, None),
        RemedyKind::UploadGrant { .. } => ("UploadGrant", None, None),
        RemedyKind::Quota(quota) => ("Quota", Some(quota.calls_per_second), Some(quota)),
    };
    Change {
        change,
        value,
        accounts: quota.map(|quota| quota.accounts),
        budget_calls_per_second: quota.map(Quota::budget_of_account),
        sts_calls_needed: per_second(remedy.needed),
        suffices: remedy.suffices,
        memory: memory(remedy.memory),
        redis_tokens: remedy.redis_tokens.ceil(),
        redis_bytes: remedy.redis_tokens.ceil() * REDIS_BYTES_PER_TOKEN,
    }
}

fn memory(replica: ReplicaMemory) -> Memory {
    Memory {
        tokens_per_replica: replica.tokens,
        bytes_per_replica: replica.tokens * BYTES_PER_TOKEN,
        max_cached_tokens: replica.max_cached_tokens,
        memory_limit_bytes: replica.bytes,
    }
}

fn model() -> Model {
    let redis = CommandsOfRedis::MEASURED;
    Model {
        cpu_micros_per_hit: CPU_MICROS_PER_HIT,
        cpu_micros_per_call: CPU_MICROS_PER_CALL,
        bytes_per_token: BYTES_PER_TOKEN,
        bytes_of_process: BYTES_OF_PROCESS,
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
