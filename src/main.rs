//! The `appserver` command.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// Most of a new token's cost beyond hashing is memory: see `docs/performance.md`.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    appserver::cli::run()
}
