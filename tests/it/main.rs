//! The service as its users meet it: through HTTP, against the emulator, on ports of the system's choice.
#![cfg(feature = "emulator")]
#![expect(clippy::unwrap_used, reason = "all of this is tests")]

mod audit;
mod binary;
mod contract;
mod crowd;
mod documentation;
mod failures;
mod fleet;
mod issuers;
mod layers;
mod limits;
mod logs;
mod narrowing;
mod operation;
mod oss;
mod own_policy;
mod ports;
mod redis_server;
mod refusals;
mod reload;
mod replicas;
mod slow_clients;
mod stage;
mod token;
mod upstream;
mod users;
