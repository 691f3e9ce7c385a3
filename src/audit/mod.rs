//! The audit: one line of JSON for every decision about a token, without any secret.
//!
//! A request formats its line and adds it to a bounded queue; one thread writes. A slow, full or missing sink therefore
//! blocks no serving thread: [`OnFailure`] decides what happens then, and [`Durability`] whether a token waits until its
//! line is written. Lines that wait at the same time are written together.
//!
//! `line` is the format, `trail` the interface for requests; `queue`, `refusals` and `health` are shared with the
//! `writer`, which alone uses a `sink`.

mod file;
mod grant_line;
mod health;
mod identity_line;
mod line;
mod object_record;
mod queue;
mod refusals;
mod rotation;
mod settings;
mod sink;
mod trail;
mod upload_line;
mod writer;

pub(crate) use grant_line::{GrantRecord, Width};
pub(crate) use identity_line::IdentityRecord;
pub(crate) use line::{Decision, DenialReason, Event, Request, TokenFields, session_fields};
pub(crate) use object_record::{ObjectRecord, SignatureRecord};
pub(crate) use settings::{
    AuditSettings, Durability, FileSettings, OnFailure, SinkSettings, refusals_file,
};
pub(crate) use trail::{Audit, AuditUnavailable};
pub(crate) use upload_line::{UploadDecision, UploadedRecord};
