//! What commands print. A reader that has enough, such as `head`, or that is gone ends no command: what it would have read
//! is not written, and the exit code stays the command's own.

use std::fmt::Display;
use std::io::{self, Write};

use super::failure::{EXIT_IO, Failure};

/// Prints a result, and the end of its line, to standard output.
pub(super) fn say(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    written(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// What is said of results that were written by other means.
pub(super) fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(EXIT_IO, format!("standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Tells the operator something on standard error. If that fails, nobody is left to be told.
pub(super) fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
