//! Error messages with their causes, for the log and for operators; never for callers.

use std::error::Error;

/// The causes of an error, nearest first, without the error itself.
pub(crate) fn causes(error: &dyn Error) -> Option<String> {
    let chain = std::iter::successors(error.source(), |&cause| cause.source());
    let texts: Vec<_> = chain.map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(": "))
}

/// The error and its causes on one line.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    match causes(error) {
        Some(causes) => format!("{error}: {causes}"),
        None => error.to_string(),
    }
}
