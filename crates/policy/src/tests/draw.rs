//! Draws the cases of properties from a seed that a failing test prints.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Where a failing run's seed is put, to draw the same worlds again: `POLICY_SEED=… cargo test policy`.
const SEED: &str = "POLICY_SEED";

/// Draws cases and counts on how many the test had something to say. What is printed is shown when the test fails.
pub(crate) fn draw<S: Strategy>(
    cases: usize,
    strategy: &S,
    test: impl FnMut(S::Value) -> bool,
) -> usize {
    #[expect(clippy::disallowed_methods, reason = "a failing run's seed, for the test alone")]
    let given = std::env::var(SEED).ok();
    let seed = given.map_or_else(rand::random, |hex| {
        let bytes = hex::decode(hex).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.expect("POLICY_SEED is the 64 hexadecimal digits that a failing test printed")
    });
    println!("to draw the same worlds again: {SEED}={}", hex::encode(seed));
    draw_from(seed, cases, strategy, test)
}

pub(crate) fn draw_from<S: Strategy>(
    seed: [u8; 32],
    cases: usize,
    strategy: &S,
    mut test: impl FnMut(S::Value) -> bool,
) -> usize {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (0..cases).filter(|_| test(strategy.new_tree(&mut runner).unwrap().current())).count()
}

/// One of these, or anything.
pub(crate) fn or_any(good: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![1 => any::<String>(), 1 => "[a-z*?:\"\\\\$]{0,6}", 6 => select(good).prop_map(str::to_owned)]
}
