//! Fuzz target of what Redis returns: credentials, refusals and reservations.

use std::num::NonZeroU32;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::budget::{BudgetTerms, Reservation};
use super::record;

/// A decrypted value. What is read of it is written and read as the same.
pub(crate) fn record(bytes: &[u8]) {
    let plain = bytes.to_vec().into();
    if let Some(credentials) = record::read(&plain) {
        assert!(credentials.expiration() > credentials.issued_at(), "they end before they begin");
        let written = record::write(&credentials);
        let again = record::read(&written).expect("what is written is read");
        assert_eq!(record::write(&again).expose_secret(), written.expose_secret());
    }
    if let Some((code, until)) = record::read_refusal(&plain) {
        let written = record::write_refusal(&code, until);
        assert_eq!(record::read_refusal(&written), Some((code, until)));
    }
    reservation(bytes);
}

/// Three numbers of the budget's script. Whatever they are, a wait ends and the rate is that of the configuration at most.
fn reservation(bytes: &[u8]) {
    let ([micros, thousandths, replicas, ..], _) = bytes.as_chunks::<8>() else { return };
    let [micros, thousandths, replicas] =
        [micros, thousandths, replicas].map(|number| i64::from_le_bytes(*number));
    let terms = BudgetTerms {
        per_second: 40.0,
        burst: 20.0,
        refresh_per_second: 10.0,
        refresh_burst: 5.0,
        cut: 0.7,
        floor: 0.1,
        recovery: 0.02,
        cut_pause: Duration::from_secs(1),
    };
    let most = BudgetTerms::max_replicas(NonZeroU32::MIN);
    let reserved = Reservation::clamped(&terms, most, micros, thousandths, replicas);
    let longest = f64::from(most + 1) * f64::from(terms.calls_per_reservation()) / 4.0;
    assert!(reserved.wait <= Duration::from_secs_f64(longest), "{reserved:?}");
    assert!((4.0..=40.0).contains(&reserved.rate), "{reserved:?}");
    assert!((1..=most).contains(&reserved.replicas), "{reserved:?}");
}
