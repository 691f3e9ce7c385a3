//! The page of `appserver dev` and what the command prints: a demo in which the service and the emulated cloud are seen at work.

mod audit_lines;
mod counters;
mod greeting;
mod page;
mod request_record;
mod setup;
mod upload_backend;
mod upload_reports;

pub(crate) use audit_lines::AuditLines;
pub(crate) use greeting::greeting;
pub(crate) use page::routes;
pub(crate) use request_record::RecordSources;
pub(crate) use setup::Setup;
pub(crate) use upload_backend::UploadBackend;
