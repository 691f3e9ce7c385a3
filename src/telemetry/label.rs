//! A configured name as the value of a metric's label.
//!
//! A file of its own because neither the trait nor the names are this crate's, and every family of metrics needs it.

use std::fmt::{Display, Result, Write};

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

/// A client's id or a grant's name. The set of them is closed: the configuration lists them.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Label<T>(pub(super) T);

impl<T: Display> EncodeLabelValue for Label<T> {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result {
        write!(encoder, "{}", self.0)
    }
}
