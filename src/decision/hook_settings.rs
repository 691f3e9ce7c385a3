//! The settings of the hook. `config/default.toml` describes each of them for operators.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, COOKIE, HeaderName, PROXY_AUTHORIZATION};
use serde::Deserialize;

use crate::outbound::SecureUrl;
use appserver_domain::{GrantName, Invalid};

/// All settings of the hook but its secret.
#[derive(Clone, Debug)]
pub(crate) struct HookSettings {
    pub(crate) url: HookUrl,
    /// For one call, from its start to the end of the answer.
    pub(crate) timeout: Duration,
    pub(crate) on_error: OnError,
    pub(crate) mode: HookMode,
    /// How long a decision serves further requests of the same bytes; zero for none.
    pub(crate) cache_lifetime: Duration,
    /// The headers that the hook gets.
    pub(crate) headers: BTreeSet<ListedHeader>,
    /// The grants that are decided about; empty for all.
    pub(crate) grants: BTreeSet<GrantName>,
}

/// Where the hook is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct HookUrl(pub(super) SecureUrl);

impl TryFrom<String> for HookUrl {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "a hook's URL reads `https://<host>/<path>`, without user and fragment; `http` is admitted on `localhost` and \
             loopback addresses only",
        );
        SecureUrl::parse(&raw).map(Self).ok_or(RULE)
    }
}

/// What becomes of a request about which the hook says nothing.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnError {
    Deny,
    Allow,
}

/// Whether decisions take effect.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HookMode {
    Enforce,
    /// The hook is asked beside the answer, and what it says is logged and counted.
    Shadow,
}

/// The name of a header that the hook gets. Credentials of callers are for this service alone.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub(crate) struct ListedHeader(String);

impl TryFrom<String> for ListedHeader {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        const NAME: Invalid = Invalid("it is the name of a header, such as `X-App-Attest`");
        const CREDENTIAL: Invalid = Invalid(
            "`Authorization`, `Proxy-Authorization` and `Cookie` are credentials, which no hook gets: remove it; the hook gets \
             the client and the user that they prove",
        );
        let name = HeaderName::from_bytes(raw.as_bytes()).map_err(|_| NAME)?;
        if [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(&name) {
            return Err(CREDENTIAL);
        }
        Ok(Self(name.as_str().to_owned()))
    }
}

impl ListedHeader {
    /// In lower case.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn to_header_name(&self) -> HeaderName {
        HeaderName::from_bytes(self.0.as_bytes()).expect("the text was a header's name")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_cannot_be_listed_and_names_are_compared_in_lower_case() {
        let header = |raw: &str| ListedHeader::try_from(raw.to_owned());
        assert_eq!(header("X-App-Attest").unwrap().as_str(), "x-app-attest");
        for bad in ["Authorization", "COOKIE", "proxy-authorization", "", "a b", "x:y", "é"] {
            assert!(header(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_hook_is_reached_by_https_or_on_this_machine() {
        for good in ["https://hook.example:8443/a?b=c", "http://127.0.0.1:9000/decide"] {
            assert!(HookUrl::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "hook/decide", "http://hook/", "http://10.0.0.1/", "https://a:b@hook/"] {
            assert!(HookUrl::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
