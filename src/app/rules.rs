//! What requests are decided by, from the configuration.

use std::sync::Arc;

use crate::auth::Authenticator;
use crate::config::RuleSettings;
use crate::http::Rules;
use crate::limit::Limits;
use crate::store::Store;
use crate::vend::{Holder, Holders};

/// The rules of a configuration. What was counted by the rules `before` goes on where its terms are the same.
pub(super) fn rules(settings: RuleSettings, store: &Arc<Store>, before: Option<&Rules>) -> Rules {
    let RuleSettings { grants, clients, issuers, limits, request_timeout } = settings;
    let counted = before.map(|before| &before.limits);
    Rules {
        authenticator: Authenticator::new(clients.into_iter().collect(), issuers),
        limits: Limits::new(limits, Arc::clone(store), counted),
        grants,
        request_timeout,
    }
}

/// For whom tokens may be kept: clients that may call, each with its grants as they are now.
pub(super) fn holders(settings: &RuleSettings) -> Holders {
    let enabled = settings.clients.iter().filter(|(_, client)| client.enabled);
    let holders = enabled.flat_map(|(client, _)| {
        let grants = settings.grants.of(client);
        grants.map(|grant| Holder { client: client.clone(), grant: grant.fingerprint })
    });
    Holders::Only(holders.collect())
}
