//! What AppServer needs in an Alibaba Cloud account: the plan, the account's differences from it, and the steps that make
//! what is missing.

pub(crate) mod aliyun;
pub(crate) mod apply;
pub(crate) mod difference;
pub(crate) mod drift;
pub(crate) mod key_files;
pub(crate) mod key_situation;
mod network_drift;
mod permission_set;
pub(crate) mod plan;
mod policy_calls;
mod provider_drift;
pub(crate) mod state;
pub(crate) mod steps;
#[cfg(test)]
mod tests;
mod trust_drift;
