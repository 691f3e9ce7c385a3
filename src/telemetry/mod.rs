//! What operators see: metrics, and the log.

mod metrics;

pub(crate) use metrics::{Metrics, StsCall};
