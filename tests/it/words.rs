//! Names and words that the field does not use stay away.

use regex::Regex;

use crate::sources::{files, rust_files};

/// Whole words. A name is added when its last use is gone.
const DENIED: &[&str] = &[
    // Metrics and readiness.
    "access_key_unproven",
    "audit_broken",
    "config_refused",
    "config_in_force",
    "connections_unproxied",
    "store_unopened",
    "vend_joined",
    "vend_keys",
    // Keys of the configuration.
    "bound_by_token",
    "flight_timeout_ms",
    "follow_callers",
    "remember_refusals_secs",
    "seal_key_file",
    // Vending.
    "Flight",
    "Flights",
    "Holders",
    "PATIENCE",
    "Pace",
    "Passengers",
    "deserted",
    "Boarding",
    "Departure",
    "Fare",
    "Landed",
    "Passenger",
    "ProvenKey",
    "Sought",
    "keep_for",
    "look_around",
    "pass_on",
    "pump",
    "pumping",
    "take_spare",
    "turn_away",
    // STS, authentication and the store.
    "Cadence",
    "Keeper",
    "Remembered",
    "examine",
    "is_alone",
    "withdraw",
    "IssuerClock",
    "KeyRing",
    "RawView",
    "Knocked",
    "UnverifiableIssuers",
    "Unintelligible",
    "believe_until",
    "imagined",
    "is_wanted",
    "is_the_endpoints",
    "knock",
    "shown_by",
    "unopened",
    // Policies.
    "Excess",
    "AskedPolicy",
    "Narrowed",
    "Narrowing",
    "narrowing_violations",
    "narrowed_or_split",
    "second lock",
    // The server, the audit, traces and the configuration.
    "InForce",
    "in force",
    "Phase",
    "Told",
    "look_at",
    "KeyKeeper",
    "TokenPart",
    "Unproxied",
    "Unrecorded",
    "Watched",
    "sought_part",
    "unmet",
    "unasked",
    "RawSource",
    "of_table",
    // The emulator.
    "painting",
    // English that has to be decoded.
    "come by",
    "is told",
    "said for nothing",
    "believed",
    "believes",
    "mend",
    "mended",
    "mends",
    "mood",
    "moods",
];

/// Ordinary words that say nothing as the name of a type.
const DENIED_TYPES: &[&str] = &[
    "Answers",
    "Asked",
    "Brings",
    "Demand",
    "Fixed",
    "Holder",
    "Kept",
    "Link",
    "Place",
    "Keys",
    "Presented",
    "Refusals",
    "Returns",
    "Shown",
    "Source",
    "Supply",
    "View",
    "Visit",
    "Visitor",
    "Whose",
    "Wrong",
];

/// Comments say a fact themselves; `T12:` needs a list that the repository does not have.
const NUMBERED_FACT: &str = r"//[/!]? T[0-9]{1,3}[.,:]";

#[test]
fn denied_names_are_not_used() {
    let denied = Regex::new(&format!(
        r"(\b(?:{}|(?:struct|enum|trait|type) (?:{}))\b|{NUMBERED_FACT})",
        DENIED.join("|"),
        DENIED_TYPES.join("|")
    ))
    .unwrap();
    let mut texts = rust_files(&["src", "crates", "tests/it", "benches"]);
    texts.retain(|(file, _)| file != "tests/it/words.rs");
    let sources = texts.len();
    texts.extend(files(&["README.md", "docs", "config"], &["md", "toml"]));
    assert!(sources > 100 && texts.len() > sources + 20, "the files were not read");
    let uses: Vec<_> = texts
        .iter()
        .flat_map(|(file, text)| {
            denied.captures_iter(text).map(move |found| format!("{file}: {}", &found[1]))
        })
        .collect();
    assert_eq!(uses, [""; 0]);
}
