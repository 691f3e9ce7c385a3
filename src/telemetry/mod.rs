//! What operators see: metrics, and the log.

mod log;
mod metrics;

pub(crate) use log::{log_panics, start as start_log};
pub(crate) use metrics::{Connections, Metrics, StsCall};
