//! What all replicas together do once: the first claims it, and the others find its result.

use std::time::Duration;

use secrecy::SecretSlice;

use super::lease::Lease;
use super::redis::{Redis, millis};
use crate::telemetry::StoreOperation;

/// The longest life of a record: a signed upload lives seven days at most, and its report may be late.
const MAX_LIFETIME: Duration = Duration::from_hours(7 * 24 + 1);

/// The right to do it. It is not returned: what fails halfway is not done again.
#[derive(Debug)]
pub(crate) struct OnceClaim {
    key: String,
    id: String,
}

/// Who does it.
#[derive(Debug)]
pub(crate) enum Once {
    /// This caller.
    First(OnceClaim),
    /// Another caller has begun and has no result yet.
    Claimed,
    Result(SecretSlice<u8>),
}

impl Redis {
    /// Claims what these parts identify, for this time; or finds who did and with which result.
    pub(crate) async fn claim_once(&self, parts: &[&str], life: Duration) -> Option<Once> {
        let key = self.names.of(parts).once;
        let id = Lease::new_id();
        let mut script = self.scripts.once.key(&key);
        script.arg("claim").arg(&id).arg(millis(life.min(MAX_LIFETIME)).max(1));
        script.arg(millis(MAX_LIFETIME)).arg("");
        let raw: (String, Option<Vec<u8>>, i64) =
            self.connection.run(StoreOperation::Once, &script).await?;
        let (state, sealed, foreign) = raw;
        self.report_replaced(StoreOperation::Once, foreign);
        Some(match state.as_str() {
            "first" => Once::First(OnceClaim { key, id }),
            // A result that cannot be decrypted is still one: it is not done again.
            "result" => {
                let opened = self.decrypt(&key, sealed, |plain| Some(plain.clone()));
                opened.map_or(Once::Claimed, Once::Result)
            }
            _ => Once::Claimed,
        })
    }

    /// Whether what these parts identify is the owner's: nobody else has claimed it, for this time.
    pub(crate) async fn claim_for(
        &self,
        parts: &[&str],
        owner: &str,
        life: Duration,
    ) -> Option<bool> {
        let mut script = self.scripts.once.key(self.names.of(parts).once);
        script.arg("claim").arg(owner).arg(millis(life.min(MAX_LIFETIME)).max(1));
        script.arg(millis(MAX_LIFETIME)).arg("");
        let raw: (String, Option<Vec<u8>>, i64) =
            self.connection.run(StoreOperation::Once, &script).await?;
        self.report_replaced(StoreOperation::Once, raw.2);
        Some(raw.0 == "first")
    }

    /// Shares the result with all replicas, for what is left of the claim's time.
    pub(crate) async fn complete_once(&self, claim: OnceClaim, result: &SecretSlice<u8>) {
        let OnceClaim { key, id } = claim;
        let sealed = self.seal.seal(&key, result);
        let mut script = self.scripts.once.key(&key);
        script.arg("complete").arg(id).arg(0).arg(millis(MAX_LIFETIME)).arg(sealed);
        let raw: Option<(String, Option<Vec<u8>>, i64)> =
            self.connection.run(StoreOperation::Once, &script).await;
        self.report_replaced(StoreOperation::Once, raw.map_or(0, |(_, _, foreign)| foreign));
    }
}
