//! Fuzz targets of revocations: the file, and the values that replicas share.

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;

use super::state::RevocationState;
use super::{RevocationList, parse_file, write_row};

/// The file of revocations. What is read of it is read again from the rows that would be written, and problems are of its lines.
pub(crate) fn revocation_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let now: DateTime<Utc> = "2016-01-13T14:02:37Z".parse().expect("it is a time");
    let lines = text.matches('\n').count() + 1;
    match parse_file(text, now) {
        Ok(file) => {
            let rows: String = file.list.iter().map(|one| write_row(one)).collect();
            let again = parse_file(&rows, now).expect("what was written is read");
            assert_eq!(described(&again.list), described(&file.list), "{rows}");
            let ended = file.ended_lines;
            assert!(ended.iter().all(|line| (1..=lines).contains(line)), "{ended:?}");
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "it is refused without a problem");
            for problem in problems {
                let shown = problem.to_string();
                let line = shown.split(':').next().and_then(|line| line.parse::<usize>().ok());
                assert!(line.is_some_and(|line| (1..=lines).contains(&line)), "{shown}");
            }
        }
    }
}

/// Three states of one name, a line each. What is written is read as it was, and it makes no difference in which order states are
/// joined or how often.
pub(crate) fn shared_states(bytes: &[u8]) {
    let states: Vec<_> = bytes
        .split(|byte| *byte == b'\n')
        .take(3)
        .filter_map(|line| RevocationState::read(&line.to_vec().into()))
        .collect();
    for state in &states {
        let written = state.write();
        let again = RevocationState::read(&written).expect("what is written is read");
        assert_eq!(&again, state);
        assert_eq!(again.write().expose_secret(), written.expose_secret());
        assert_eq!(&state.undo().join(state), &state.undo(), "what was taken back comes back");
    }
    let [one, two, rest @ ..] = &states[..] else { return };
    assert_eq!(one.join(two).kept_until(), two.join(one).kept_until());
    assert_eq!(until(&one.join(two)), until(&two.join(one)), "the order makes a difference");
    if let [three] = rest {
        let [left, right] = [one.join(two).join(three), one.join(&two.join(three))];
        assert_eq!(until(&left), until(&right), "the grouping makes a difference");
    }
}

fn until(state: &RevocationState) -> Option<DateTime<Utc>> {
    state.revocation().map(|revocation| revocation.until())
}

fn described(list: &RevocationList) -> Vec<String> {
    let mut all: Vec<_> =
        list.iter().map(|one| format!("{} {one} {}", one.what(), one.until())).collect();
    all.sort();
    all
}
