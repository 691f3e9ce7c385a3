//! Presets for well-known identity providers: each sets what the provider's documents say, where the operator does not.

use serde::Deserialize;

use super::claims::RawClaimRule;
use super::issuers::RawIssuer;
use crate::auth::{ClaimPath, TokenKind};
use crate::config::field::{Field, List};
use crate::config::problems::Problems;
use appserver_domain::Invalid;

/// An identity provider with presets.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Provider {
    Apple,
    Auth0,
    Cognito,
    Entra,
    Firebase,
    Google,
    Keycloak,
    Okta,
}

impl Provider {
    /// Fills in the presets, and adds a problem if `issuer` cannot be one of the provider's.
    pub(crate) fn apply(self, path: &str, raw: &mut RawIssuer, problems: &mut Problems) {
        if let Self::Apple = self {
            raw.issuer.fill("https://appleid.apple.com".to_owned());
        }
        if let Self::Google = self {
            raw.issuer.fill("https://accounts.google.com".to_owned());
        }
        // The default of every provider.
        raw.algorithms.fill(List(vec![known("RS256")]));
        let kind = match self {
            // The access tokens of these providers are opaque, for the provider's own APIs.
            Self::Apple | Self::Firebase | Self::Google => TokenKind::Id,
            Self::Auth0 | Self::Cognito | Self::Entra | Self::Keycloak | Self::Okta => {
                TokenKind::Access
            }
        };
        raw.token_kind.fill(kind);
        let is_access = raw.token_kind.given() == Some(&TokenKind::Access);
        if is_access {
            self.apply_to_access_tokens(raw);
        }
        self.apply_keys(raw);
        if let Some(issuer) = raw.issuer.given()
            && let Some(rule) = self.rule_broken_by(issuer, is_access)
        {
            problems.add(format!("{path}.issuer"), rule);
        }
    }

    fn apply_to_access_tokens(self, raw: &mut RawIssuer) {
        match self {
            // Its access tokens have no `aud`.
            Self::Cognito => raw.audience_claim.fill(ClaimPath::named("client_id")),
            // Only access tokens name the app that requested them; nothing else tells an ID token of the code flow apart.
            Self::Entra => {
                let is_v1 = raw.issuer.given().is_some_and(|issuer| is_entra_v1(issuer));
                let app = if is_v1 { "appid" } else { "azp" };
                let any =
                    RawClaimRule { pattern: Field::known(".+".to_owned()), ..Default::default() };
                raw.required.entry(app.to_owned()).or_insert(any);
            }
            // `sub` is a login name, which may pass to another user; `uid` identifies the user.
            Self::Okta => raw.subject_claim.fill(ClaimPath::named("uid")),
            Self::Apple | Self::Auth0 | Self::Firebase | Self::Google | Self::Keycloak => {}
        }
    }

    fn apply_keys(self, raw: &mut RawIssuer) {
        let is_set = !raw.jwks_file.is_absent()
            || !raw.jwks_url.is_absent()
            || !raw.discovery.is_absent()
            || !raw.secret_file.is_absent();
        if is_set {
            return;
        }
        let url = match self {
            Self::Apple => "https://appleid.apple.com/auth/keys",
            Self::Firebase => {
                "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"
            }
            Self::Auth0
            | Self::Cognito
            | Self::Entra
            | Self::Google
            | Self::Keycloak
            | Self::Okta => {
                raw.discovery.fill(true);
                return;
            }
        };
        raw.jwks_url.fill(known(url));
    }

    fn rule_broken_by(self, issuer: &str, is_access: bool) -> Option<&'static str> {
        let begins = |with: &str| issuer.starts_with(with);
        let (good, rule) = match self {
            Self::Apple => (
                issuer == "https://appleid.apple.com",
                "Apple's is `https://appleid.apple.com`; omit it",
            ),
            Self::Google => (
                issuer == "https://accounts.google.com",
                "Google's is `https://accounts.google.com`; omit it",
            ),
            Self::Auth0 => (
                issuer.ends_with('/'),
                "Auth0's ends with a slash, also with a domain of your own: `https://TENANT.auth0.com/`",
            ),
            Self::Cognito => (
                begins("https://cognito-idp.") && !issuer.ends_with('/'),
                "Cognito's is `https://cognito-idp.REGION.amazonaws.com/POOL`",
            ),
            Self::Entra => (
                (begins("https://login.microsoftonline.") && issuer.ends_with("/v2.0")
                    || is_entra_v1(issuer)
                    || issuer.contains(".ciamlogin.com/"))
                    && !["/common/", "/organizations/", "/consumers/"]
                        .iter()
                        .any(|tenants| issuer.contains(tenants)),
                "Entra's names one tenant by its id: `https://login.microsoftonline.com/TENANT/v2.0`, or \
                 `https://sts.windows.net/TENANT/` of an API whose tokens are of version 1",
            ),
            Self::Firebase => (
                begins("https://securetoken.google.com/") && !issuer.ends_with('/'),
                "Firebase's is `https://securetoken.google.com/PROJECT`",
            ),
            Self::Keycloak => (
                issuer.contains("/realms/") && !issuer.ends_with('/'),
                "Keycloak's is `https://HOST/realms/REALM`, without a slash at its end",
            ),
            Self::Okta => (
                !issuer.ends_with('/') && (!is_access || issuer.contains("/oauth2/")),
                "Okta's is that of a custom authorization server, `https://DOMAIN/oauth2/default`: access tokens of the \
                 organisation's own server are for Okta alone",
            ),
        };
        (!good).then_some(rule)
    }
}

fn is_entra_v1(issuer: &str) -> bool {
    issuer.starts_with("https://sts.windows.net/") && issuer.ends_with('/')
}

/// A preset, parsed like an operator's value.
fn known<T: TryFrom<String, Error = Invalid>>(text: &str) -> T {
    T::try_from(text.to_owned()).expect("presets are valid")
}
