//! The state that all requests to OSS share. It is not in `service`, because the actions that `service` calls use it.

use super::callback::CallbackSender;
use super::error::OssError;
use super::head::Head;
use super::identity::Identities;
use super::new_account_rules::NewAccountRules;
use super::store::{Bucket, Store};
use crate::control::EmulatorControl;

pub(crate) struct Oss {
    pub(crate) identities: Identities,
    pub(crate) store: Store,
    pub(crate) control: EmulatorControl,
    pub(crate) rules: NewAccountRules,
    pub(crate) callbacks: CallbackSender,
}

impl Oss {
    pub(crate) fn bucket(&self, head: &Head) -> Result<&Bucket, OssError> {
        let name = head.bucket.as_deref().unwrap_or_default();
        self.store.bucket(name).ok_or(OssError::NoSuchBucket)
    }
}
