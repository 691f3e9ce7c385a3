//! Configured names as values of metric labels.
//!
//! A wrapper, because neither the trait nor the names belong to this crate.

use std::fmt::{Display, Result, Write};

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

/// A client's id or a grant's name. The configuration lists them, so the set is closed.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Label<T>(pub(super) T);

impl<T: Display> EncodeLabelValue for Label<T> {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result {
        write!(encoder, "{}", self.0)
    }
}
