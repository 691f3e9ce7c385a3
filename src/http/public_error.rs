//! What a caller sees of an error.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::StatusCode;

use crate::limit::Throttled;

/// The wait before a retry when nothing better is known.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);

/// An error as the caller sees it, without causes, ARNs and upstream bodies.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Public {
    pub(crate) status: StatusCode,
    /// The code's fixed part, for metrics.
    pub(crate) class: &'static str,
    /// The parameter that the code names, as in `InvalidParameter.Grant`.
    pub(crate) parameter: Option<Cow<'static, str>>,
    pub(crate) message: Cow<'static, str>,
    /// When the same request may succeed, before jitter.
    pub(crate) retry_after: Option<Duration>,
    /// The limit that was reached.
    pub(crate) limit: Option<Throttled>,
}

impl Public {
    /// The whole `Code`.
    pub(crate) fn code(&self) -> Cow<'static, str> {
        match &self.parameter {
            Some(name) => format!("{}.{name}", self.class).into(),
            None => self.class.into(),
        }
    }

    pub(super) fn new(
        status: StatusCode,
        class: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            class,
            parameter: None,
            message: message.into(),
            retry_after: None,
            limit: None,
        }
    }

    pub(super) fn parameter(
        name: impl Into<Cow<'static, str>>,
        rule: impl Into<Cow<'static, str>>,
    ) -> Self {
        let name = name.into();
        let message = format!("{name}: {}.", rule.into());
        let public = Self::new(StatusCode::BAD_REQUEST, "InvalidParameter", message);
        Self { parameter: Some(name), ..public }
    }

    pub(super) fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }
}
