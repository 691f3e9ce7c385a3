//! Raw mirror → [`Settings`], or every problem at once.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::field::{Field, List};
use super::layers::Merged;
use super::problems::Problems;
use super::raw::{RawClient, RawServer, RawSettings, RawSts};
use super::{AccessKeySource, Mode, Settings, grants};
use crate::auth::{Client, ClientSecret, SecretHash};
use crate::domain::ClientId;
use crate::http::ServerSettings;
use crate::sts::{Endpoint, Endpoints, Region, StsSettings};

pub(super) fn resolve(merged: Merged, mode: Mode) -> Result<Settings, Problems> {
    let Merged { tree, json, environment } = merged;
    let mut problems = Problems::default();
    // Starts with the tree; the policies' texts are added as they are read. It holds no secret in a form that
    // could be found again: clients' secrets are hashes of 256 random bits, and the AccessKey is not in the tree.
    let mut hash = Sha256::new_with_prefix(json.to_string());
    let mut unknown = Vec::new();
    let raw: RawSettings = serde_ignored::deserialize(tree, |path| unknown.push(path.to_string()))
        .map_err(|error| Problems::one("(file)", error))?;
    for path in unknown {
        problems.add(path, "there is no such key; config/default.toml lists them all");
    }

    let server = server(raw.server, &mut problems);
    let admin_listen = problems.require("admin.listen", raw.admin.listen);
    let log_format = problems.require("log.format", raw.log.format);
    let log_filter = problems.require("log.filter", raw.log.filter);
    let access_key =
        AccessKeySource::resolve(raw.sts.access_key.clone(), &environment, mode, &mut problems);
    let sts = sts(raw.sts, &mut problems);
    let roles = grants::roles(raw.roles, &mut problems);
    let accounts =
        roles.values().filter(|role| !role.cross_account).map(|role| role.arn.account().clone());
    let accounts = accounts.collect();
    let entitlements = grants::entitlements(raw.grants, &roles, &mut hash, &mut problems);
    if raw.clients.is_empty() {
        problems.add(
            "clients",
            "nobody is registered, so nobody could be served; is a `--config FILE` missing?",
        );
    }
    let clients = clients(raw.clients, mode, &mut problems);
    let clients_grants =
        clients.iter().map(|(id, _, grants)| (id.clone(), grants.clone())).collect();
    let grants = grants::grants(entitlements, clients_grants, &mut problems);

    let resolved = (|| {
        let (listen, server, request_timeout, lame_duck) = server?;
        Some(Settings {
            listen,
            admin_listen: admin_listen?,
            log_format: log_format?,
            log_filter: log_filter?,
            server,
            request_timeout,
            lame_duck,
            sts: sts?,
            access_key: access_key?,
            grants,
            clients: clients.into_iter().map(|(id, client, _)| (id, client)).collect(),
            accounts,
            hash: hex::encode(hash.finalize()),
        })
    })();
    problems.into_result(resolved)
}

pub(super) fn admin_listen(merged: Merged) -> Result<SocketAddr, Problems> {
    let raw =
        RawSettings::deserialize(merged.tree).map_err(|error| Problems::one("(file)", error))?;
    let mut problems = Problems::default();
    let listen = problems.require("admin.listen", raw.admin.listen);
    problems.into_result(listen)
}

fn server(
    raw: RawServer,
    problems: &mut Problems,
) -> Option<(SocketAddr, ServerSettings, Duration, Duration)> {
    let listen = problems.require("server.listen", raw.listen);
    let behind_proxy = problems.require("server.behind_proxy", raw.behind_proxy);
    if let (Some(listen), Some(false)) = (listen, behind_proxy)
        && !is_loopback(listen.ip())
    {
        problems.add(
            "server.listen",
            "plain HTTP leaves this machine: listen on loopback, or set `server.behind_proxy = true` where \
             someone else ends TLS in front of AppServer",
        );
    }
    let max_connections = number(
        problems,
        "server.max_connections",
        raw.max_connections,
        1,
        1_000_000,
        "connections",
    );
    let mut millis = |key: &str, field, least, most| {
        number(problems, key, field, least, most, "milliseconds").map(Duration::from_millis)
    };
    let header_timeout = millis("server.header_timeout_ms", raw.header_timeout_ms, 100, 600_000);
    let idle_timeout = millis("server.idle_timeout_ms", raw.idle_timeout_ms, 100, 3_600_000);
    let request_timeout = millis("server.request_timeout_ms", raw.request_timeout_ms, 100, 600_000);
    let lame_duck = millis("server.lame_duck_ms", raw.lame_duck_ms, 0, 600_000);
    let drain_timeout = millis("server.drain_timeout_ms", raw.drain_timeout_ms, 0, 3_600_000);
    let settings = ServerSettings {
        max_connections: max_connections?,
        header_timeout: header_timeout?,
        idle_timeout: idle_timeout?,
        drain_timeout: drain_timeout?,
    };
    Some((listen?, settings, request_timeout?, lame_duck?))
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn sts(raw: RawSts, problems: &mut Problems) -> Option<StsSettings> {
    let vpc = problems.require("sts.vpc", raw.vpc)?;
    // Empty is how a later layer takes back what an earlier one set.
    let region = match raw.region {
        Field::Given(region) if region.is_empty() => None,
        region => problems.take("sts.region", region),
    };
    let region = region.and_then(|text: String| {
        Region::try_from(text).map_err(|invalid| problems.add("sts.region", invalid)).ok()
    });
    let listed =
        problems.take("sts.endpoints", raw.endpoints).map_or_else(Vec::new, |List(list)| list);
    let endpoints = match (Endpoints::try_from(listed).ok(), region) {
        (Some(_), Some(_)) => {
            problems.add("sts.endpoints", "give either `endpoints` or `region`, not both");
            None
        }
        (Some(endpoints), None) => Some(endpoints),
        (None, Some(region)) => Some(Endpoint::regional(&region, vpc).into()),
        (None, None) if vpc => {
            problems.add("sts.vpc", "an endpoint inside a VPC needs `sts.region`");
            None
        }
        (None, None) => Some(Endpoint::default().into()),
    };
    let [least, most] = [1, 20].map(|attempts| NonZeroU32::new(attempts).expect("it is not 0"));
    let max_attempts =
        number(problems, "sts.max_attempts", raw.max_attempts, least, most, "attempts");
    let mut millis = |key: &str, field| {
        number(problems, key, field, 10, 60_000, "milliseconds").map(Duration::from_millis)
    };
    let connect_timeout = millis("sts.connect_timeout_ms", raw.connect_timeout_ms);
    let attempt_timeout = millis("sts.attempt_timeout_ms", raw.attempt_timeout_ms);
    Some(StsSettings {
        endpoints: endpoints?,
        connect_timeout: connect_timeout?,
        attempt_timeout: attempt_timeout?,
        max_attempts: max_attempts?,
    })
}

type ResolvedClient = (ClientId, Client, Vec<crate::domain::GrantName>);

fn clients(
    raw: std::collections::BTreeMap<String, RawClient>,
    mode: Mode,
    problems: &mut Problems,
) -> Vec<ResolvedClient> {
    let mut resolve = |(id, raw): (String, RawClient)| {
        let path = format!("clients.{id}");
        let grants =
            problems.require(&format!("{path}.grants"), raw.grants).map(|List(grants)| grants);
        let hashes = problems.take(&format!("{path}.secret_sha256"), raw.secret_sha256);
        let hashes = hashes.map_or_else(Vec::new, |List(hashes)| hashes);
        let enabled = problems.or(&format!("{path}.enabled"), raw.enabled, true);
        let demo = SecretHash::of(&format!("{id}-demo-secret").into());
        if mode == Mode::Production && hashes.contains(&demo) {
            problems.add(
                format!("{path}.secret_sha256"),
                "the demo secret is public and works in `appserver dev` only; make one with \
                 `appserver client new`",
            );
        }
        let secrets = match <[SecretHash; 2]>::try_from(hashes) {
            Ok(two) => Some(two),
            Err(fewer) => match <[SecretHash; 1]>::try_from(fewer) {
                Ok([one]) => Some([one.clone(), one]),
                // A client without a secret comes by another door; no secret opens this one.
                Err(none) if none.is_empty() => {
                    let nobodys = SecretHash::of(&ClientSecret::generate().into());
                    Some([nobodys.clone(), nobodys])
                }
                Err(_) => {
                    problems
                        .add(format!("{path}.secret_sha256"), "a client has at most two secrets");
                    None
                }
            },
        };
        let id = id.parse().map_err(|invalid| problems.add(&path, invalid)).ok();
        Some((id?, Client { secrets: secrets?, enabled: enabled? }, grants?))
    };
    raw.into_iter().filter_map(&mut resolve).collect()
}

/// A number between its bounds; one that is not is noted with its unit.
pub(super) fn number<N: Copy + PartialOrd + std::fmt::Display>(
    problems: &mut Problems,
    path: &str,
    field: Field<N>,
    least: N,
    most: N,
    unit: &str,
) -> Option<N> {
    let number = problems.require(path, field)?;
    if (least..=most).contains(&number) {
        return Some(number);
    }
    problems.add(path, format!("{number} is not between {least} and {most} {unit}"));
    None
}
