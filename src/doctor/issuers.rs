//! The issuers of users' tokens.

use super::Finding;
use crate::auth::Issuer;
use crate::telemetry::with_causes;

const CHECK: &str = "issuer";

/// Keys in files were read when the configuration was: unreadable ones are its problems. Those that come by URL are
/// fetched as the service would.
pub(super) async fn examine(issuers: &[Issuer], tell: &mut impl FnMut(Finding)) {
    for issuer in issuers {
        let finding = match issuer.fetched_keys().await {
            Ok(None) => Finding::ok(CHECK, "its keys were read"),
            Ok(Some(keys)) => {
                for faulty in keys.faulty() {
                    tell(Finding::warning(CHECK, faulty.to_string())
                        .mend("tell the issuer's operator; tokens that are signed with this key are refused")
                        .of(issuer.name.as_str()));
                }
                Finding::ok(CHECK, format!("its keys were fetched, {} in number", keys.len()))
            }
            Err(problem) => Finding::failed(CHECK, with_causes(&problem))
                .mend("see `issuer`, `jwks_url` and `discovery`, and whether this machine may call the issuer"),
        };
        tell(finding.of(issuer.name.as_str()));
    }
}
