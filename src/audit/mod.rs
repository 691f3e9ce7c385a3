//! The audit: one line of JSON for every decision about a token, without any secret.
//!
//! A request formats its line and adds it to a bounded queue; one thread writes. A slow, full or missing sink therefore
//! blocks no serving thread: [`OnFailure`] decides what happens then, and [`Durability`] whether a token waits until its
//! line is written. Lines that wait at the same time are written together.
//!
//! `line` is the format, and `names` how users are named in it. `trail` is the interface for requests; what it shares with the
//! `writer` is in `shared`: `queue`, `refusals` and `health`. The writer alone uses a `sink`. A second thread, `maintenance`, compresses and deletes
//! rotated files.

mod compression;
mod file;
mod grant_line;
mod health;
mod identity_line;
mod line;
mod maintenance;
mod names;
mod object_record;
mod queue;
mod refusals;
mod rotation;
mod settings;
mod shared;
mod sink;
#[cfg(test)]
mod tests;
mod trail;
mod upload_line;
mod writer;

/// The queue's locks. `tests::queue_schedules` compiles the queue with others.
mod locks {
    pub(super) use parking_lot::{Condvar, Mutex, MutexGuard};
}

pub(crate) use grant_line::{GrantRecord, Width};
pub(crate) use health::AuditUnavailable;
pub(crate) use identity_line::IdentityRecord;
pub(crate) use line::{Decision, DenialReason, Event, Request, TokenFields, session_fields};
pub(crate) use names::{NameHash, UserNames};
pub(crate) use object_record::{ObjectRecord, SignatureRecord};
pub(crate) use settings::{
    AuditSettings, Durability, FileSettings, OnFailure, SinkSettings, refusals_file,
};
pub(crate) use trail::Audit;
pub(crate) use upload_line::{UploadDecision, UploadedRecord};
