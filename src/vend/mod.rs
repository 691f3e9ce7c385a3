//! Gets credentials for a role session, once the server has proven whose AccessKey it signs with.

use std::sync::{Arc, OnceLock};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use crate::domain::Credentials;
use crate::sts::{AssumeRole, RoleSession, StsError};

mod gate;

pub(crate) use gate::{KeyRefused, ProvenKey};

/// Vends credentials: one STS call for each request, until there is a cache.
#[derive(Debug)]
pub(crate) struct Vendor<S> {
    sts: S,
    /// Set once GetCallerIdentity has answered for the key; before that nothing is vended.
    key: OnceLock<ProvenKey>,
}

/// Credentials, and when their holder should come back.
#[derive(Clone, Debug)]
pub(crate) struct Vended {
    pub(crate) credentials: Arc<Credentials>,
    /// Half of the token's life and a little, spread so that a wave of phones does not return as a wave.
    pub(crate) refresh_after: DateTime<Utc>,
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VendError {
    #[error("the AccessKey has not been verified yet")]
    NotReady,
    #[error("STS gave no credentials")]
    Sts(#[from] StsError),
}

impl<S: AssumeRole> Vendor<S> {
    pub(crate) fn new(sts: S) -> Self {
        Self { sts, key: OnceLock::new() }
    }

    /// Opens the vendor: from now on it vends.
    pub(crate) fn open(&self, key: ProvenKey) {
        // A second proof of the same key changes nothing.
        let _ = self.key.set(key);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.key.get().is_some()
    }

    /// Credentials for exactly this role session, or an error at the deadline at the latest.
    pub(crate) async fn vend(
        &self,
        session: &RoleSession,
        deadline: Instant,
    ) -> Result<Vended, VendError> {
        if !self.is_open() {
            return Err(VendError::NotReady);
        }
        let credentials = Arc::new(self.sts.assume_role(session, deadline).await?);
        let refresh_after = refresh_after(&credentials, rand::random());
        Ok(Vended { credentials, refresh_after })
    }

    /// STS itself, for the identity check.
    pub(crate) fn sts(&self) -> &S {
        &self.sts
    }
}

/// Between 50 % and 55 % of the life that STS gave, which may be shorter than what was asked for.
///
/// SDKs discard tokens when 15 minutes (Java, Python, Node) or 5 minutes (Android, iOS) are left; half of
/// the usual hour leaves both twice that time to get the next one.
fn refresh_after(credentials: &Credentials, spread: u8) -> DateTime<Utc> {
    let life = credentials.expiration() - credentials.issued_at();
    let jitter = life * i32::from(spread) / (20 * 255);
    let after: TimeDelta = life / 2 + jitter;
    credentials.issued_at() + after
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AssumedRoleUser;

    fn credentials(life_secs: i64) -> Credentials {
        let issued_at: DateTime<Utc> = "2016-01-13T14:02:37Z".parse().unwrap();
        Credentials::new(
            "STS.1".into(),
            "secret".into(),
            "token".into(),
            issued_at,
            issued_at + TimeDelta::seconds(life_secs),
            AssumedRoleUser { arn: String::new(), id: String::new() },
        )
        .unwrap()
    }

    #[test]
    fn phones_come_back_after_half_of_the_life_that_sts_gave() {
        for (life, spread, expected) in
            [(3600, 0, 1800), (3600, 255, 1980), (900, 0, 450), (900, 255, 495)]
        {
            let credentials = credentials(life);
            let after = refresh_after(&credentials, spread) - credentials.issued_at();
            assert_eq!(after.num_seconds(), expected, "{life} s, spread {spread}");
        }
    }
}
