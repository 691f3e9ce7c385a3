//! Upload callbacks: OSS calls the server of an app after an upload, and answers the uploader with that server's answer.
//!
//! `callback_request` (what an upload asks for) → `callback_target` (the addresses that it may reach) → `body_template` filled with
//! `upload_facts` → `callback_sender`, signed by `callback_signer`. Nothing is stored for an invalid request, and a failed callback leaves
//! the object stored.

mod body_template;
mod callback_failure;
mod callback_problem;
mod callback_request;
mod callback_sender;
mod callback_settings;
mod callback_signer;
mod callback_target;
mod image_info;
mod upload_facts;

pub(crate) use callback_failure::CallbackFailure;
pub(crate) use callback_problem::CallbackProblem;
pub(crate) use callback_request::CallbackRequest;
pub(crate) use callback_sender::CallbackSender;
pub(crate) use callback_settings::CallbackSettings;
pub(crate) use callback_signer::{PUBLIC_KEY_PATH, PUBLIC_KEY_PEM};
pub(crate) use upload_facts::Uploaded;
