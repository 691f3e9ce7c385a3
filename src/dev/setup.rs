//! The data that the page needs: the addresses of the emulated OSS and STS, and the demo's clients and users.

use std::net::SocketAddr;

use serde::Serialize;

use crate::config::Settings;
use crate::grant::Entitlement;
use crate::sign::UrlMethod;
use appserver_domain::ClientId;
use appserver_emulator::BucketSettings;

/// The users of the demo's issuer.
pub(super) const USERS: [&str; 2] = ["alice", "bob"];

/// `/dev/setup.json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Setup {
    oss_endpoint: String,
    sts_endpoint: String,
    buckets: Vec<BucketView>,
    clients: Vec<ClientView>,
    users: [&'static str; 2],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct BucketView {
    name: String,
    region: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ClientView {
    id: String,
    /// The demo's secret; clients of another configuration may have other secrets.
    secret: String,
    /// Whether one of its grants needs a user, which the client's secret does not authenticate.
    for_users: bool,
    /// A grant that signs upload forms.
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_grant: Option<String>,
    /// A grant that signs URLs for uploads.
    #[serde(skip_serializing_if = "Option::is_none")]
    put_url_grant: Option<String>,
}

impl Setup {
    pub(crate) fn of(
        settings: &Settings,
        buckets: &[BucketSettings],
        oss: SocketAddr,
        sts: SocketAddr,
    ) -> Self {
        let buckets = buckets.iter().map(|bucket| BucketView {
            name: bucket.name.to_string(),
            region: bucket.region.clone(),
        });
        let mut clients: Vec<_> =
            settings.rules.clients.iter().map(|(id, _)| ClientView::of(id, settings)).collect();
        clients.sort_by(|one, other| one.id.cmp(&other.id));
        Self {
            oss_endpoint: format!("http://{oss}"),
            sts_endpoint: format!("http://{sts}"),
            buckets: buckets.collect(),
            clients,
            users: USERS,
        }
    }

    pub(super) fn oss_endpoint(&self) -> &str {
        &self.oss_endpoint
    }
}

impl ClientView {
    fn of(id: &ClientId, settings: &Settings) -> Self {
        let grants = &settings.rules.grants;
        let first = |signs: &dyn Fn(&Entitlement) -> bool| {
            grants.of(id).find(|grant| signs(grant)).map(|grant| grant.name.to_string())
        };
        Self {
            id: id.to_string(),
            secret: format!("{id}-demo-secret"),
            for_users: grants.of(id).any(|grant| grant.template.uses().needs_user()),
            upload_grant: first(&|grant| grant.upload.is_some()),
            put_url_grant: first(&|grant| grant.signed_urls.contains(UrlMethod::Put)),
        }
    }
}
