//! What can be wrong with the emulator's configuration.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use crate::ram::PolicyProblem;

/// Why a configuration makes no emulator. No secret is repeated in the message.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorProblem {
    /// The file itself.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// The file that was asked for.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Not TOML, or a value of the wrong type, or one is missing.
    #[error("line {line}, column {column}: {message}")]
    Shape {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What is wrong, and under which key.
        message: String,
    },
    /// The rest, all at once.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Fields(Vec<Field>),
}

/// A problem and its place. It prints with all its causes: a list of problems has no chain to walk.
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

/// What is wrong with one field.
#[derive(Debug, thiserror::Error)]
pub enum FieldProblem {
    /// Perhaps misspelt.
    #[error("there is no such key")]
    Unknown,
    /// See there.
    #[error("64 hexadecimal digits are needed")]
    TokenKey,
    /// Of users and roles.
    #[error("1 to 64 characters of A-Z, a-z, 0-9, `.`, `_` and `-` are needed")]
    Name,
    /// Of buckets.
    #[error("a region's name is needed, such as `cn-hangzhou`, without `oss-`")]
    Region,
    /// Of objects.
    #[error("1 to 1023 bytes are needed, the first of them no `/` or `\\`")]
    Key,
    /// Access key ids, roles and buckets are unique.
    #[error("it is taken")]
    Taken,
    /// A role's maximum.
    #[error("3600 to 43200 seconds are possible")]
    SessionDuration,
    /// An attached policy's name.
    #[error("neither a system policy nor one of the account's has this name")]
    NoPolicy,
    /// Neither, or both.
    #[error("either `json` or `file` is needed")]
    Document,
    /// A policy's file.
    #[error("the file cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// A policy's JSON.
    #[error(transparent)]
    Policy(PolicyProblem),
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
    /// The problem that TOML found. Its own message would quote the line, which may hold a secret.
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
