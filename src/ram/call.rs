//! One call of RAM, IMS or STS: its action, its own parameters, and what may be done if it fails.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use crate::sts::{Parameters, add_common};
use appserver_domain::SigningCredentials;

/// The service that a call goes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Service {
    Ram,
    Ims,
    Sts,
}

/// What a call does to the account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Effect {
    /// Reads, or writes what is the same however often it is written. Repeated after any failure that may pass.
    Repeatable,
    /// Makes something. Repeated only if the service has certainly not done it.
    Creates,
}

/// One call, without the parameters that differ between attempts.
#[derive(Clone, Debug)]
pub(super) struct RamCall<'a> {
    pub(super) service: Service,
    pub(super) action: &'static str,
    pub(super) effect: Effect,
    /// What it is about, as RAM's ARNs name it: `role/oss-readonly`. It is in error messages.
    pub(super) subject: String,
    pub(super) own: Vec<(&'static str, Cow<'a, str>)>,
}

impl<'a> RamCall<'a> {
    pub(super) fn reads(
        service: Service,
        action: &'static str,
        subject: String,
        own: Vec<(&'static str, Cow<'a, str>)>,
    ) -> Self {
        Self { service, action, effect: Effect::Repeatable, subject, own }
    }

    pub(super) fn creates(
        service: Service,
        action: &'static str,
        subject: String,
        own: Vec<(&'static str, Cow<'a, str>)>,
    ) -> Self {
        Self { service, action, effect: Effect::Creates, subject, own }
    }

    /// All parameters of one attempt.
    pub(super) fn parameters(
        &'a self,
        key: &'a SigningCredentials,
        nonce: String,
        now: DateTime<Utc>,
    ) -> Parameters<'a> {
        let version = match self.service {
            Service::Ram => "2015-05-01",
            Service::Ims => "2019-08-15",
            Service::Sts => "2015-04-01",
        };
        let own = self.own.iter().map(|(name, value)| (*name, value.as_ref().into()));
        let mut parameters: Parameters<'a> = own.collect();
        add_common(&mut parameters, self.action, version, Some(key), nonce, now);
        parameters
    }
}

impl Service {
    /// Its name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ram => "RAM",
            Self::Ims => "IMS",
            Self::Sts => "STS",
        }
    }
}
