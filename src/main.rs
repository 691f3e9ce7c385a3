//! The `appserver` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    appserver::cli::run()
}
