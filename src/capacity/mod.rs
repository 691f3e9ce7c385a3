//! How far a deployment goes: a model of one day of a fleet of phones, and what it takes to serve it.
//!
//! Pure arithmetic. `src/vend/tests/capacity.rs` compares it with the real engine, and `tests/it/capacity.rs` its
//! commands of Redis with a real one.

mod day;
mod fleet;
mod memory;
mod plan;
mod population;
mod quota;
mod remedy;
mod wave;

pub(crate) use fleet::{Fleet, GrantMix, ImpossibleFleet};
pub(crate) use memory::{BYTES_OF_PROCESS, BYTES_PER_TOKEN, ReplicaMemory};
pub(crate) use plan::{
    CPU_MICROS_PER_CALL, CPU_MICROS_PER_HIT, CapacityPlan, CommandsOfRedis, Queue,
    REDIS_BYTES_PER_TOKEN, Rate,
};
pub(crate) use quota::Quota;
pub(crate) use remedy::{Remedy, RemedyKind};

#[cfg(test)]
mod tests;
