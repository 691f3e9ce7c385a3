//! `[roles]`: RAM roles that grants may assume.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::bounds::Secs;
use crate::config::field::Field;
use crate::config::problems::Problems;
use appserver_domain::{AccountId, MaxSessionDuration, RoleArn, RoleName, UpstreamName};

#[derive(Debug, Deserialize)]
pub(crate) struct RawRole {
    /// Required.
    arn: Field<RoleArn>,
    /// Default 3600. The role's own `MaxSessionDuration` in RAM.
    max_session_duration_secs: Field<Secs<3_600, 43_200>>,
    /// Default false. The role belongs to another account than the AccessKey.
    cross_account: Field<bool>,
    /// Default `default`, which is `[sts]` itself; otherwise a key of `sts.upstreams`.
    upstream: Field<UpstreamName>,
}

pub(crate) struct Role {
    pub(crate) arn: RoleArn,
    pub(crate) max_session_duration: MaxSessionDuration,
    pub(crate) cross_account: bool,
    pub(crate) upstream: UpstreamName,
}

/// The accounts of an upstream's roles, to which its credentials must belong.
pub(crate) fn accounts_of(
    upstream: &UpstreamName,
    roles: &BTreeMap<RoleName, Role>,
) -> Vec<AccountId> {
    let own = roles.values().filter(|role| !role.cross_account && role.upstream == *upstream);
    own.map(|role| role.arn.account().clone()).collect()
}

pub(crate) fn resolve(
    raw: BTreeMap<String, RawRole>,
    problems: &mut Problems,
) -> BTreeMap<RoleName, Role> {
    let mut resolve = |(name, raw): (String, RawRole)| {
        let arn = problems.require(raw.arn);
        let has_max = !raw.max_session_duration_secs.is_absent();
        let max = problems.take(raw.max_session_duration_secs);
        let max = max.and_then(|secs| MaxSessionDuration::from_secs(secs.get()));
        let max_session_duration = if has_max { max } else { Some(MaxSessionDuration::DEFAULT) };
        let cross_account = problems.or(raw.cross_account, false);
        let upstream = problems.or(raw.upstream, UpstreamName::default());
        let name = problems.name(&format!("roles.{name}"), &name);
        let role = Role {
            arn: arn?,
            max_session_duration: max_session_duration?,
            cross_account: cross_account?,
            upstream: upstream?,
        };
        Some((name?, role))
    };
    raw.into_iter().filter_map(&mut resolve).collect()
}
