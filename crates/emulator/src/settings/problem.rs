//! Problems of the emulator's configuration.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use crate::ram::PolicyProblem;

/// Why a configuration is refused. The message contains no secret.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorProblem {
    /// The file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Not TOML, a value of the wrong type, or a missing one.
    #[error("line {line}, column {column}: {message}")]
    Shape {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// The problem and its key.
        message: String,
    },
    /// The other program's file.
    #[error(
        "it is a configuration of AppServer, and the emulator has one of its own, with the emulated accounts: leave the option \
         out for the demo account, or see `config/emulator.toml`"
    )]
    OfAppServer,
    /// All other problems at once.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Fields(Vec<Field>),
}

/// A problem and the path of its field. It prints with all its causes, because a list of problems has no source chain.
#[derive(Debug)]
pub struct Field {
    /// Such as `accounts.0.users.1.name`; lists count from 0.
    path: String,
    problem: FieldProblem,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.path, self.problem)?;
        let mut cause = self.problem.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// The problem of one field.
#[derive(Debug, thiserror::Error)]
pub enum FieldProblem {
    /// An unknown key, perhaps misspelt.
    #[error("there is no such key")]
    Unknown,
    /// The token key.
    #[error("64 hexadecimal digits are needed")]
    TokenKey,
    /// The name of a user, role or OIDC provider.
    #[error("1 to 64 characters of A-Z, a-z, 0-9, `.`, `_` and `-` are needed")]
    Name,
    /// The region of a bucket.
    #[error("a region's name is needed, such as `cn-hangzhou`, without `oss-`")]
    Region,
    /// A host that is bound to a bucket.
    #[error(
        "a host in lower case is needed, without a port and not of aliyuncs.com, such as `photos.example.test`"
    )]
    Domain,
    /// The key of an object.
    #[error("1 to 1023 bytes are needed, the first of them no `/` or `\\`")]
    Key,
    /// Access key ids, roles, OIDC providers, buckets and their domains are unique.
    #[error("it is defined twice")]
    Taken,
    /// A role's maximum session duration.
    #[error("3600 to 43200 seconds are needed")]
    SessionDuration,
    /// The name of an attached policy.
    #[error("there is no system policy and no policy of the account with this name")]
    NoPolicy,
    /// The role of the metadata server's instance.
    #[error("the ARN of a role is needed, such as `acs:ram::11223344:role/appserver-instance`")]
    RoleArn,
    /// The issuer of an OIDC provider.
    #[error(
        "an issuer's URL is needed, such as `https://login.example.com`, exactly as in `iss` of its tokens"
    )]
    Issuer,
    /// The audiences of an OIDC provider.
    #[error("at least one client id is needed, such as `sts.aliyuncs.com`")]
    ClientIds,
    /// A document has neither, or both.
    #[error("either `json` or `file` is needed")]
    Document,
    /// The file of a policy or key set.
    #[error("the file cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// The JSON of a policy.
    #[error(transparent)]
    Policy(PolicyProblem),
    /// The JSON of an issuer's keys.
    #[error("a JSON Web Key Set is needed, as the issuer publishes it")]
    KeySet(#[source] serde_json::Error),
}

/// All problems of one configuration.
#[derive(Default)]
pub(crate) struct Problems(Vec<Field>);

impl Problems {
    pub(crate) fn add(&mut self, path: &str, problem: FieldProblem) {
        self.0.push(Field { path: path.to_owned(), problem });
    }

    pub(crate) fn into_result(self) -> Result<(), EmulatorProblem> {
        if self.0.is_empty() { Ok(()) } else { Err(EmulatorProblem::Fields(self.0)) }
    }
}

impl EmulatorProblem {
    /// A problem that the TOML parser found, without the line that its own message would quote: it may hold a secret.
    pub(crate) fn shape(text: &str, mut error: toml::de::Error) -> Self {
        let before = &text[..error.span().map_or(0, |span| span.start.min(text.len()))];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        error.set_input(None);
        Self::Shape {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: error.to_string().trim().replace("\nin ", ", in "),
        }
    }
}
