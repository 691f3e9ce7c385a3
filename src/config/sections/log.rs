//! `[log]`: the log on standard error.

use serde::Deserialize;

use crate::config::field::Field;
use crate::config::problems::Problems;
use crate::telemetry;

/// The log on standard error.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawLog {
    /// `json` (default) or `pretty`.
    pub(crate) format: Field<LogFormat>,
    /// Default `info`. A level, or directives of tracing's `EnvFilter`.
    pub(crate) filter: Field<String>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

impl TryFrom<String> for LogFormat {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        match word.as_str() {
            "json" => Ok(Self::Json),
            "pretty" => Ok(Self::Pretty),
            _ => Err("it must be `json` or `pretty`"),
        }
    }
}

/// The log as configured.
pub(crate) struct LogSettings {
    pub(crate) format: LogFormat,
    pub(crate) filter: String,
}

pub(crate) fn resolve(raw: RawLog, problems: &mut Problems) -> Option<LogSettings> {
    let format = problems.require("log.format", raw.format);
    let filter = problems.require("log.filter", raw.filter);
    if let Some(Err(error)) = filter.as_deref().map(telemetry::check_filter) {
        problems.add_error("log.filter", &error);
    }
    Some(LogSettings { format: format?, filter: filter? })
}
