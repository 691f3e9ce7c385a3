//! The audit: one line of JSON for every decision about a token, and never a secret in it.
//!
//! A request composes its line and puts it into a bounded queue; a thread of its own writes. So a sink that is slow,
//! full or gone stalls no thread that serves: what happens then is the operator's choice, [`OnFailure`]. Whether a token
//! waits until its line is written is another, [`Durability`]; all that wait at the same time are written together.
//!
//! `line` has the shape of a line, `trail` what requests call, `queue`, `refusals` and `health` what they share with the
//! `writer`, which alone knows a `sink`.

mod file;
mod health;
mod line;
mod queue;
mod refusals;
mod rotation;
mod settings;
mod sink;
mod trail;
mod writer;

pub(crate) use line::{Decision, Event, Request, Source, TokenFields, Why, session_fields};
pub(crate) use settings::{AuditSettings, Durability, FileSettings, OnFailure, SinkSettings};
pub(crate) use trail::{Audit, AuditUnavailable};
