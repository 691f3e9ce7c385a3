//! The differences between an account's OIDC provider and the plan's.

use super::difference::{Drift, DriftKind};
use super::plan::{OidcAudience, PlannedProvider};
use super::state::AccountState;

pub(super) fn of(planned: &PlannedProvider, state: &AccountState, found: &mut Vec<Drift>) {
    let subject = format!("oidc-provider/{}", planned.name);
    let mut add = |kind, message, fix: String| {
        found.push(Drift::new(kind, &subject, message, fix));
    };
    let Some(has) = &state.provider else {
        let message = "it does not exist".to_owned();
        return add(DriftKind::Missing, message, "`appserver setup apply` makes it".to_owned());
    };
    if has.issuer != planned.issuer.as_str() {
        let message = format!("its issuer is {}, and the plan's is {}", has.issuer, planned.issuer);
        let fix = "an issuer cannot be changed: name another provider in `sts.identity.oidc.provider_arn`, or delete this one";
        add(DriftKind::NarrowerThanNeeded, message, fix.to_owned());
    }
    let command = |action: &str, audience: &str| {
        format!("`aliyun ims {action} --OIDCProviderName {} --ClientId {audience}`", planned.name)
    };
    let is_planned =
        |audience: &String| planned.audiences.iter().any(|planned| planned.as_str() == audience);
    if let Some(audience) = has.audiences.iter().find(|audience| !is_planned(audience)) {
        let message =
            format!("it admits tokens for the audience {audience}, which the plan does not name");
        let fix = command("RemoveClientIdFromOIDCProvider", audience);
        add(DriftKind::WiderThanNeeded, message, fix);
    }
    let mut audiences = planned.audiences.iter().map(OidcAudience::as_str);
    if let Some(audience) =
        audiences.find(|audience| !has.audiences.iter().any(|has| has == audience))
    {
        let message = format!("it does not admit tokens for the audience {audience}");
        let fix = command("AddClientIdToOIDCProvider", audience);
        add(DriftKind::NarrowerThanNeeded, message, fix);
    }
}
