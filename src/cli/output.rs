//! Prints results and messages. A closed pipe, as of `head`, does not end a command: the rest is not written, and the exit code stays
//! that of the command.

use std::fmt::Display;
use std::io::{self, Write};

use super::failure::{EXIT_IO, Failure};

/// Prints a line of the result to standard output.
pub(super) fn say(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    written(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// Converts the outcome of writing to standard output.
pub(super) fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(EXIT_IO, format!("standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Prints a message to standard error; a failure is ignored.
pub(super) fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
