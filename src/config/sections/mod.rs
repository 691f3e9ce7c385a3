//! The configuration's sections, one file each: its keys as written, their bounds, and what they resolve to.
//! `config/default.toml` documents the same keys for operators.

pub(super) mod access_key;
pub(super) mod admin;
pub(super) mod audit;
pub(super) mod body_secret;
pub(super) mod claims;
pub(super) mod clients;
pub(super) mod decision;
pub(super) mod egress;
pub(super) mod grant_callback;
pub(super) mod grant_oss;
mod grant_reasons;
pub(super) mod grant_upload;
pub(super) mod grants;
pub(super) mod identity;
pub(super) mod issuer_keys;
pub(super) mod issuers;
pub(super) mod limits;
pub(super) mod log;
pub(super) mod providers;
pub(super) mod redis_topology;
pub(super) mod reload;
pub(super) mod revoked;
pub(super) mod roles;
pub(super) mod server;
pub(super) mod store;
pub(super) mod sts;
pub(super) mod tickets;
pub(super) mod tls;
pub(super) mod tracing;
pub(super) mod uploads;
pub(super) mod upstreams;
pub(super) mod value_rules;
pub(super) mod vend;

use std::collections::BTreeMap;

use admin::RawAdmin;
use audit::RawAudit;
use clients::RawClient;
use decision::RawDecision;
use egress::RawEgress;
use grants::RawGrant;
use issuers::RawIssuer;
use limits::RawFailures;
use log::RawLog;
use reload::RawReload;
use revoked::RawRevoked;
use roles::RawRole;
use serde::Deserialize;
use server::RawServer;
use store::RawStore;
use sts::RawSts;
use tickets::RawTickets;
use tracing::RawTracing;
use uploads::RawUploads;
use vend::RawVend;

/// The whole configuration.
#[derive(Debug, Deserialize)]
pub(super) struct RawSettings {
    pub(super) server: RawServer,
    pub(super) admin: RawAdmin,
    pub(super) log: RawLog,
    pub(super) reload: RawReload,
    pub(super) audit: RawAudit,
    pub(super) tracing: RawTracing,
    pub(super) egress: RawEgress,
    pub(super) sts: RawSts,
    pub(super) vend: RawVend,
    pub(super) store: RawStore,
    pub(super) revoked: RawRevoked,
    pub(super) tickets: RawTickets,
    pub(super) uploads: RawUploads,
    pub(super) decision: RawDecision,
    pub(super) auth_failure_limit: RawFailures,
    /// By names that the operator chooses.
    pub(super) roles: BTreeMap<String, RawRole>,
    /// By names that the operator chooses.
    pub(super) grants: BTreeMap<String, RawGrant>,
    /// By names that the operator chooses.
    pub(super) issuers: BTreeMap<String, RawIssuer>,
    /// By client id.
    pub(super) clients: BTreeMap<String, RawClient>,
}
