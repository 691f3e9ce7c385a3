//! The fuzz targets of the emulator; only with the feature `fuzz`, and in the tests.

use crate::oss::{fuzz_forms, fuzz_signature};

/// A function that takes any bytes, and panics if they show a fault.
pub type FuzzTarget = fn(&[u8]);

/// All targets by their names, which are those of their corpora.
pub const TARGETS: &[(&str, FuzzTarget)] = &[
    ("oss-form", fuzz_forms::oss_form),
    ("oss-form-policy", fuzz_forms::oss_form_policy),
    ("oss-signature", fuzz_signature::oss_signature),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_of_every_corpus_has_the_properties_of_its_target() {
        for (name, target) in TARGETS {
            let corpus = format!("{}/../../fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
            for input in std::fs::read_dir(&corpus).unwrap().map(Result::unwrap) {
                println!("{}", input.path().display());
                target(&std::fs::read(input.path()).unwrap());
            }
        }
    }
}
