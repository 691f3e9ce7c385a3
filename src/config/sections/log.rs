//! `[log]`: the log on standard error.

use serde::Deserialize;

use crate::config::field::Field;
use crate::config::problems::Problems;
use crate::telemetry::{check_filter, with_causes};

#[derive(Debug, Deserialize)]
pub(crate) struct RawLog {
    /// `json` (default) or `pretty`.
    format: Field<LogFormat>,
    /// Default `info`. A level, or directives of tracing's `EnvFilter`.
    filter: Field<LogFilter>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// A filter that `EnvFilter` accepts.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct LogFilter(String);

impl TryFrom<String> for LogFilter {
    type Error = String;

    fn try_from(filter: String) -> Result<Self, String> {
        match check_filter(&filter) {
            Ok(()) => Ok(Self(filter)),
            Err(error) => Err(with_causes(&error)),
        }
    }
}

/// The log as configured.
pub(crate) struct LogSettings {
    pub(crate) format: LogFormat,
    pub(crate) filter: String,
}

pub(crate) fn resolve(raw: RawLog, problems: &mut Problems) -> Option<LogSettings> {
    let format = problems.require(raw.format);
    let filter = problems.require(raw.filter).map(|LogFilter(filter)| filter);
    Some(LogSettings { format: format?, filter: filter? })
}
