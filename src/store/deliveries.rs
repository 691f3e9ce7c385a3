//! What some replica must deliver: kept in Redis until it is delivered, also if the replica that kept it is gone.

use std::time::Duration;

use secrecy::SecretSlice;

use super::redis::{Redis, millis};
use crate::telemetry::StoreOperation;

/// The most values that replicas keep together.
const MAX_VALUES: u32 = 10_000;
/// The most values that one call takes.
const TAKEN_AT_ONCE: u32 = 8;
/// How long a taken value is left to the replica that took it.
const TAKEN_FOR: Duration = Duration::from_mins(1);

/// Values that are due.
#[derive(Debug, Default)]
pub(crate) struct DueDeliveries {
    /// With their ids.
    pub(crate) values: Vec<(String, SecretSlice<u8>)>,
    /// How many values are kept in all.
    pub(crate) kept: u64,
}

/// What became of a value that was to be kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeepOutcome {
    Kept,
    /// A value with its id was there, and still is.
    Known,
    /// Too many are kept.
    Full,
}

/// The result of `deliveries.lua`.
type RawDeliveries = (i64, Vec<Vec<u8>>, u64, i64);

impl Redis {
    /// Keeps a value until it is due, in the place of one with the same id if it `replaces` that.
    pub(crate) async fn keep_delivery(
        &self,
        id: &str,
        value: &SecretSlice<u8>,
        due_in: Duration,
        replaces: bool,
    ) -> Option<KeepOutcome> {
        let sealed = self.seal.seal(&sealed_name(id), value);
        let due_in = millis(due_in).to_string();
        let most = MAX_VALUES.to_string();
        let action: &[u8] = if replaces { b"keep" } else { b"add" };
        let arguments = [action, id.as_bytes(), &sealed, due_in.as_bytes(), most.as_bytes()];
        Some(match self.deliveries(&arguments).await?.0 {
            0 => KeepOutcome::Full,
            2 => KeepOutcome::Known,
            _ => KeepOutcome::Kept,
        })
    }

    /// Takes values that are due. Each is due again after a while unless it is removed.
    pub(crate) async fn take_deliveries(&self) -> Option<DueDeliveries> {
        let (most, taken_for) = (TAKEN_AT_ONCE.to_string(), millis(TAKEN_FOR).to_string());
        let arguments = [b"take".as_slice(), most.as_bytes(), taken_for.as_bytes()];
        let (_, taken, kept, _) = self.deliveries(&arguments).await?;
        let mut values = Vec::new();
        for pair in taken.chunks_exact(2) {
            let Ok(id) = std::str::from_utf8(&pair[0]) else { continue };
            let opened =
                self.decrypt(&sealed_name(id), Some(pair[1].clone()), |plain| Some(plain.clone()));
            match opened {
                Some(value) => values.push((id.to_owned(), value)),
                // No replica can deliver it.
                None => self.remove_delivery(id).await,
            }
        }
        Some(DueDeliveries { values, kept })
    }

    pub(crate) async fn remove_delivery(&self, id: &str) {
        self.deliveries(&[b"done", id.as_bytes()]).await;
    }

    async fn deliveries(&self, arguments: &[&[u8]]) -> Option<RawDeliveries> {
        let mut script = self.scripts.deliveries.key(self.names.common("deliveries"));
        script.key(self.names.common("deliveries-due"));
        for argument in arguments {
            script.arg(*argument);
        }
        let raw: RawDeliveries = self.connection.run(StoreOperation::Deliveries, &script).await?;
        self.report_replaced(StoreOperation::Deliveries, raw.3);
        Some(raw)
    }
}

/// A value decrypts only under its own id.
fn sealed_name(id: &str) -> String {
    format!("delivery {id}")
}
