//! Shows for `doctor` that the hook's server can be reached. The hook decides about nothing.

use std::time::Duration;

use reqwest::Method;
use tokio::time::timeout;

use super::hook_settings::HookSettings;
use crate::outbound::Egress;

/// Why the hook cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HookProbeError {
    #[error("TLS to the decision hook cannot be set up")]
    Tls(#[source] reqwest::Error),
    #[error("the hook's server cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the hook's server did not answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
}

impl HookSettings {
    /// The status of an answer to `OPTIONS`, which has neither a body nor a signature, so that a hook takes it for no
    /// question. Any status shows that the server is there.
    pub(crate) async fn probe(&self, egress: &Egress) -> Result<u16, HookProbeError> {
        let http = egress
            .direct()
            .client(self.url.0.is_encrypted())
            .connect_timeout(self.timeout)
            .build()
            .map_err(HookProbeError::Tls)?;
        let request = http.request(Method::OPTIONS, self.url.0.url().clone());
        match timeout(self.timeout, request.send()).await {
            Ok(Ok(response)) => Ok(response.status().as_u16()),
            // The URL may contain a secret.
            Ok(Err(error)) => Err(HookProbeError::Unreachable(error.without_url())),
            Err(_) => Err(HookProbeError::TimedOut(self.timeout)),
        }
    }

    /// Scheme, host and port of the hook.
    pub(crate) fn origin(&self) -> String {
        self.url.0.origin()
    }
}
