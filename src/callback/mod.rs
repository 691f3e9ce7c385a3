//! Upload callbacks: OSS reports an upload, the service checks the report and forwards it to the operator's backend.

mod callback_config;
mod callback_rules;
mod callbacks;
mod claims;
mod confirm;
mod confirmed_objects;
mod deliveries;
mod error;
mod first_outcomes;
mod forward;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz_callback;
mod key_cache;
mod key_url;
mod outcome;
mod percent;
mod redelivery;
mod report;
mod signature;
#[cfg(test)]
mod tests;
mod upload;
mod upload_trail;

pub(crate) use callback_config::{
    CallbackConfig, CallbackTlsError, GrantCallback, ReceivedCallback,
};
pub(crate) use callback_rules::{
    CallbackRules, MAX_VARIABLES, NoVariable, ReportedDetail, VariableName, VariableSource,
    VariableTemplate,
};
pub(crate) use callbacks::Callbacks;
pub(crate) use claims::{ClaimsSeal, UploadClaims, UploadId};
pub(crate) use confirm::Confirmation;
pub(crate) use error::CallbackError;
pub(crate) use forward::BackendUrl;
pub(crate) use key_url::KeySource;
pub(crate) use outcome::Obstacle;
