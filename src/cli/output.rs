//! Prints results and messages. A closed pipe, as of `head`, does not end a command: the rest is not written, and the exit code stays
//! that of the command. No text controls the terminal, whatever files and services it is from.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use super::failure::{EXIT_IO, Failure};
use crate::telemetry::{escaped, escaped_lines};

/// The colour of a verdict.
#[derive(Clone, Copy, Debug)]
pub(super) enum Colour {
    Red,
    Green,
    Yellow,
    Dim,
}

impl Colour {
    fn code(self) -> &'static str {
        match self {
            Self::Red => "\u{1b}[31m",
            Self::Green => "\u{1b}[32m",
            Self::Yellow => "\u{1b}[33m",
            Self::Dim => "\u{1b}[2m",
        }
    }
}

/// Prints a part of the result to standard output, with its line ends.
pub(super) fn say(text: impl Display) -> Result<(), Failure> {
    print(&escaped_lines(&text.to_string()))
}

/// The same of one line, with what it contains from files and services.
pub(super) fn say_line(text: impl Display) -> Result<(), Failure> {
    print(&escaped(&text.to_string()))
}

/// Prints a line that begins with a verdict, which a terminal shows in colour.
pub(super) fn say_verdict(
    colour: Colour,
    verdict: &str,
    rest: impl Display,
) -> Result<(), Failure> {
    let rest = rest.to_string();
    if io::stdout().is_terminal() {
        let colour = colour.code();
        print(&format!("{colour}{}\u{1b}[0m{}", escaped(verdict), escaped(&rest)))
    } else {
        print(&format!("{}{}", escaped(verdict), escaped(&rest)))
    }
}

fn print(text: &str) -> Result<(), Failure> {
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
    let _ = writeln!(io::stderr(), "{}", escaped_lines(&text.to_string()));
}

/// The same of one line, with what it contains from files and services.
pub(super) fn note_line(text: impl Display) {
    note(escaped(&text.to_string()));
}
