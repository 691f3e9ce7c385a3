//! What every request of the public listener passes through: its context, authentication and limits, CORS, the log line,
//! metrics, the audit record and the trace.

pub(super) mod audit;
pub(super) mod auth_failures;
pub(super) mod authenticate;
pub(super) mod context;
pub(super) mod cors;
pub(super) mod observer;
pub(super) mod revocation;
pub(super) mod ticket_auth;
mod trace;
