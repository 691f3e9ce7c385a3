//! One libFuzzer binary for all targets: `FUZZ_TARGET` names the one that it runs. `fuzz/run.sh` builds and runs it.

#![no_main]

use std::sync::LazyLock;

use appserver::fuzz::{FuzzTarget, TARGETS};
use appserver_emulator::fuzz as emulator;
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<FuzzTarget> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let target = targets().find(|(known, _)| *known == name).map(|(_, target)| target);
    target.unwrap_or_else(|| {
        let names: Vec<_> = targets().map(|(name, _)| name).collect();
        panic!("FUZZ_TARGET must be one of {}", names.join(", "))
    })
});

fn targets() -> impl Iterator<Item = (&'static str, FuzzTarget)> {
    TARGETS.iter().chain(emulator::TARGETS).copied()
}

fuzz_target!(|bytes: &[u8]| TARGET(bytes));
