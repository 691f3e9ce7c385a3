//! `[roles]`: RAM roles that grants may assume.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::field::Field;
use crate::config::problems::Problems;
use appserver_domain::{MaxSessionDuration, RoleArn, RoleName};

/// A RAM role.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawRole {
    /// Required.
    pub(crate) arn: Field<RoleArn>,
    /// Seconds, 3600 to 43200, default 3600. The role's own MaxSessionDuration in RAM.
    pub(crate) max_session_duration_secs: Field<u32>,
    /// Default false. The role belongs to another account than the AccessKey.
    pub(crate) cross_account: Field<bool>,
}

/// A configured role.
pub(crate) struct Role {
    pub(crate) arn: RoleArn,
    pub(crate) max_session_duration: MaxSessionDuration,
    pub(crate) cross_account: bool,
}

pub(crate) fn resolve(
    raw: BTreeMap<String, RawRole>,
    problems: &mut Problems,
) -> BTreeMap<RoleName, Role> {
    let mut resolve = |(name, raw): (String, RawRole)| {
        let path = format!("roles.{name}");
        let arn = problems.require(&format!("{path}.arn"), raw.arn);
        let max_key = format!("{path}.max_session_duration_secs");
        let max_session_duration = match raw.max_session_duration_secs {
            Field::Absent => Some(MaxSessionDuration::DEFAULT),
            given => problems.take(&max_key, given).and_then(|secs| {
                let max = MaxSessionDuration::from_secs(secs);
                if max.is_none() {
                    problems.add(&max_key, format!("{secs} is not between 3600 and 43200 seconds"));
                }
                max
            }),
        };
        let cross_account = problems.or(&format!("{path}.cross_account"), raw.cross_account, false);
        let name = name.parse().map_err(|invalid| problems.add(&path, invalid)).ok();
        let role = Role {
            arn: arn?,
            max_session_duration: max_session_duration?,
            cross_account: cross_account?,
        };
        Some((name?, role))
    };
    raw.into_iter().filter_map(&mut resolve).collect()
}
