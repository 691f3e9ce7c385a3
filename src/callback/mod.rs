//! Upload callbacks: OSS reports an upload, the service checks the report and forwards it to the operator's backend.

mod claims;
mod first_outcomes;
mod forward;
mod key_cache;
mod key_url;
mod outcome;
mod percent;
mod report;
mod signature;
