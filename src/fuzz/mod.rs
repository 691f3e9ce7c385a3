//! The fuzz targets: everything that reads bytes from outside, each with what holds for all bytes; only with the feature
//! `fuzz`, and in the tests, which run every target with the inputs in `fuzz/corpus`.
//!
//! A target panics if the property of its name does not hold. It is beside the code that it calls, in a file `fuzz_*.rs`.

mod fuzz_policy;

use crate::app::fuzz_http2;
use crate::auth::{fuzz_jwt, fuzz_ticket};
use crate::callback::fuzz_callback;
use crate::cli::fuzz_audit;
use crate::decision::fuzz_decision;
use crate::http::fuzz_token_request;
use crate::revocation::fuzz_revocation;
use crate::server::fuzz_server;
use crate::store::fuzz_records;
use crate::sts::fuzz_sts;
use crate::upstream::fuzz_upstream;

/// A function that takes any bytes, and panics if they show a fault.
pub type FuzzTarget = fn(&[u8]);

/// All targets by their names, which are those of their corpora.
pub const TARGETS: &[(&str, FuzzTarget)] = &[
    ("audit-lines", fuzz_audit::audit_lines),
    ("callback", fuzz_callback::callback),
    ("client-address", fuzz_server::client_address),
    ("credentials-document", fuzz_upstream::credentials_document),
    ("decision-answer", fuzz_decision::decision_answer),
    ("http1", fuzz_server::http1),
    ("http2", fuzz_http2::http2),
    ("jwks", fuzz_jwt::jwks),
    ("jwt", fuzz_jwt::jwt),
    ("policy", fuzz_policy::policy),
    ("proxy-header", fuzz_server::proxy_header),
    ("redis-values", redis_values),
    ("revocation-file", fuzz_revocation::revocation_file),
    ("sts-answer", fuzz_sts::sts_answer),
    ("template", fuzz_policy::template),
    ("ticket", fuzz_ticket::ticket),
    ("token-request", fuzz_token_request::token_request),
];

/// A decrypted value of any kind.
fn redis_values(bytes: &[u8]) {
    fuzz_records::record(bytes);
    fuzz_revocation::shared_states(bytes);
    fuzz_callback::kept_upload(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_of_every_corpus_has_the_properties_of_its_target() {
        for (name, target) in TARGETS {
            let corpus = format!("{}/fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
            let inputs: Vec<_> = std::fs::read_dir(&corpus).unwrap().map(Result::unwrap).collect();
            assert!((1..=30).contains(&inputs.len()), "{name} has {} inputs", inputs.len());
            for input in inputs {
                let bytes = std::fs::read(input.path()).unwrap();
                assert!(bytes.len() <= 4096, "{} is too long", input.path().display());
                println!("{}", input.path().display());
                target(&bytes);
            }
        }
    }
}
