//! Obtains credentials from a source that hands out temporary ones, as the server does before it can sign.

use std::borrow::Cow;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::{Finding, sts_errors};
use crate::config::IdentitySource;
use crate::sts::{Reason, StsClient, StsError};
use crate::telemetry::with_causes;
use crate::upstream::{FetchError, Fetcher, OidcRole, RenewedIdentity, oidc_claims};
use appserver_domain::SigningCredentials;
use appserver_domain::clock::{Clock, Stamp};

const CHECK: &str = "credentials";
/// Where the difference is shown.
const COMPARE: &str = "`appserver setup check`, with `--oidc-issuer`, `--oidc-audience` and `--oidc-subject` as in the \
                       token, prints what differs in RAM and the call that changes it";

/// Credentials of the source, if it gives some. `sts` calls an endpoint that has answered, if any has.
pub(super) async fn obtain(
    source: &IdentitySource,
    identity: RenewedIdentity,
    sts: Option<StsClient>,
    clock: &Clock,
    deadline: Instant,
    report: &mut impl FnMut(Finding),
) -> Option<SigningCredentials> {
    let Some(sts) = sts else {
        report(Finding::skipped(CHECK, "no endpoint answered"));
        return None;
    };
    let asked = identity.clone();
    let fetcher = match Fetcher::new(identity, clock.clone()) {
        Ok(fetcher) => fetcher,
        Err(problem) => {
            let message = format!("TLS to {source} cannot be set up: {problem}");
            report(Finding::failed(CHECK, message).fix("install the system's CA certificates"));
            return None;
        }
    };
    let claims = match &asked {
        RenewedIdentity::Oidc(role) => claims_of(role, deadline).await,
        RenewedIdentity::EcsRamRole(_) | RenewedIdentity::CredentialsUri(_) => String::new(),
    };
    let (finding, credentials) = match timeout_at(deadline, fetcher.fetch(&sts)).await {
        Ok(Ok(credentials)) => {
            let end = credentials.expiration().map(Stamp::of);
            let end =
                end.as_ref().map_or_else(String::new, |end| format!(", until {}", end.as_str()));
            let message = format!("`{}`{end}, from: {source}{claims}", credentials.id());
            (Finding::ok(CHECK, message), Some(credentials))
        }
        Ok(Err(error)) => {
            let told = match &error {
                FetchError::Sts(error) => sts_errors::message(error),
                other => with_causes(other),
            };
            let message = format!("none from {source}: {told}{claims}");
            (Finding::failed(CHECK, message).fix(fix(&error, &asked)), None)
        }
        Err(_) => (Finding::out_of_time(CHECK), None),
    };
    report(finding);
    credentials
}

/// What the token says of itself, which RAM compares with the provider and the trust policy.
async fn claims_of(role: &OidcRole, deadline: Instant) -> String {
    let file = role.token_file.clone();
    let read = timeout_at(deadline, spawn_blocking(move || oidc_claims(&file))).await;
    match read {
        Ok(Ok(Some(claims))) => format!("; its token has {claims}"),
        _ => String::new(),
    }
}

/// What to do about the error of this source.
fn fix(error: &FetchError, asked: &RenewedIdentity) -> Cow<'static, str> {
    let fix = match error {
        FetchError::Unreachable(_) | FetchError::TimedOut => match asked {
            RenewedIdentity::EcsRamRole(_) => {
                "check that this machine reaches the metadata server: it answers on ECS only, and from a container only where \
                 its network lets requests pass to 100.100.100.200"
            }
            RenewedIdentity::CredentialsUri(_) => {
                "check that the server of `sts.identity.credentials_uri.uri` runs, and that this machine reaches it; on a \
                 loopback address it must run on this machine, and in the same container or pod"
            }
            RenewedIdentity::Oidc(_) => "check the network path to STS",
        },
        FetchError::NoMetadataToken(_) => {
            "enable version 2 of the metadata (HttpTokens) for the instance; or, where that is not possible, set \
             `sts.identity.ecs_ram_role.imds_v1 = true`"
        }
        FetchError::NoRole => {
            "attach a RAM role to the instance, and compare its name with `sts.identity.ecs_ram_role.role`"
        }
        FetchError::Status(_)
        | FetchError::Body(_)
        | FetchError::NotJson
        | FetchError::Lacks(_)
        | FetchError::Malformed(_)
        | FetchError::Failed(_) => "find out what answers at the address of `sts.identity`",
        FetchError::Unusable(_) => {
            "check the source, and this machine's clock: the credentials are incomplete or have expired"
        }
        FetchError::TokenFile(_) | FetchError::NoToken => {
            "mount the service account's token there; on ACK, enable RRSA for the cluster and the namespace"
        }
        FetchError::Sts(error) => match asked {
            RenewedIdentity::Oidc(role) => return fix_of_oidc(error, role),
            RenewedIdentity::EcsRamRole(_) | RenewedIdentity::CredentialsUri(_) => {
                sts_errors::fix(error)
            }
        },
    };
    fix.into()
}

/// The call is not signed: a refusal is about the role, the provider or the token.
fn fix_of_oidc(error: &StsError, OidcRole { role, provider, .. }: &OidcRole) -> Cow<'static, str> {
    match error.refused_for() {
        Some(Reason::NoPermission) => format!(
            "in RAM, let the trust policy of {role} name the provider {provider} as its Principal (`Federated`), with \
             conditions on `oidc:iss`, `oidc:aud` and `oidc:sub` that this token meets: its `sub` is the service account, \
             `system:serviceaccount:<namespace>:<name>`; {COMPARE}"
        )
        .into(),
        Some(Reason::NoSuchRole) => format!(
            "create the role {role} in RAM, or correct `sts.identity.oidc.role_arn` (or the variable ALIBABA_CLOUD_ROLE_ARN)"
        )
        .into(),
        Some(Reason::OidcAudience | Reason::OidcToken) => format!(
            "compare the provider {provider} in RAM (issuer, client ids, certificate fingerprints) with the `iss` and `aud` \
             of the token; {COMPARE}"
        )
        .into(),
        _ => sts_errors::fix(error).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sts::Refusal;
    use crate::upstream::CredentialsUri;

    #[test]
    fn a_refusal_for_an_oidc_token_is_explained_by_provider_role_and_subject() {
        let (role, provider) =
            ("acs:ram::11223344:role/appserver", "acs:ram::11223344:oidc-provider/ack");
        let asked = RenewedIdentity::Oidc(OidcRole {
            role: role.to_owned().try_into().unwrap(),
            provider: provider.parse().unwrap(),
            token_file: "token".into(),
        });
        for (reason, code, named) in [
            (Reason::NoPermission, "NoPermission", &[role, provider, "`oidc:sub`"][..]),
            (Reason::NoSuchRole, "EntityNotExist.Role", &[role]),
            (Reason::OidcAudience, "AuthenticationFail.OIDCToken.Audience", &[provider, "`aud`"]),
        ] {
            let refusal = Refusal::new(reason, code.parse().unwrap());
            let error = FetchError::Sts(StsError::Refused { refusal, request_id: None });
            let fix = fix(&error, &asked);
            assert!(named.iter().all(|name| fix.contains(name)), "{fix}");
            assert!(!fix.contains("RAM user") && !fix.contains("AccessKey"), "{fix}");
        }
    }

    #[test]
    fn a_credentials_uri_that_does_not_answer_is_no_matter_of_ecs() {
        let uri = CredentialsUri::try_from("http://127.0.0.1:7070/x".to_owned()).unwrap();
        let fix = fix(&FetchError::TimedOut, &RenewedIdentity::CredentialsUri(uri));
        assert!(fix.contains("`sts.identity.credentials_uri.uri`"), "{fix}");
        assert!(!fix.contains("ECS"), "{fix}");
    }
}
