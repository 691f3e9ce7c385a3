//! The service as its users meet it: through HTTP, against the emulator, on ports of the system's choice.
#![cfg(feature = "emulator")]
#![expect(clippy::unwrap_used, reason = "all of this is tests")]

mod access_key;
mod audit;
mod binary;
mod canaries;
mod certificates;
mod closed_pipe;
mod collector;
mod container;
mod contract;
mod cors;
mod crowd;
mod doctor;
mod document;
mod documentation;
mod failures;
mod fleet;
mod foreign_redis;
mod headers;
mod http2;
mod issuers;
mod layers;
mod limits;
mod log_filter;
mod logs;
mod narrowing;
mod openapi;
mod operation;
mod oss;
mod own_policy;
mod ports;
mod proxies;
mod redis_server;
mod refusals;
mod reload;
mod replicas;
mod slow_clients;
mod stage;
mod stuck_log;
mod tickets;
mod tls;
mod token;
mod traces;
mod upstream;
mod users;
