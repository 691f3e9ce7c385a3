//! Fuzz target of `audit find`: every line is read once, whatever is between them, and none of it reaches the terminal as it is.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::lines::{LineKind, Lines};
use super::listed::Listed;
use super::token::Token;
use super::undelivered::Undelivered;
use crate::telemetry::is_hidden;

/// An audit file.
pub(crate) fn audit_lines(bytes: &[u8]) {
    let (kinds, shown) = read(bytes);
    let plain: Vec<_> = bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.iter().all(|byte| matches!(byte, b'\r' | b' ' | b'\t')))
        .collect();
    // What is compressed is read as what it contains.
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        assert_eq!(kinds.len(), plain.len(), "a line is lost or read twice");
        let mut compressed = GzEncoder::new(Vec::new(), Compression::fast());
        compressed.write_all(bytes).expect("memory takes every byte");
        let compressed = compressed.finish().expect("memory takes every byte");
        assert_eq!(read(&compressed), (kinds, shown.clone()), "the compressed file differs");
    }
    if let Some(hidden) = shown.chars().find(|c| *c != '\n' && is_hidden(*c)) {
        panic!("the terminal gets {hidden:?}: {shown:?}");
    }
}

/// Of each line the first character of its kind, and all that is printed of the file.
fn read(bytes: &[u8]) -> (String, String) {
    let mut lines = Lines::of_source(Cursor::new(bytes.to_vec())).expect("memory can be read");
    let mut kinds = String::new();
    let (mut listed, mut token) = (Listed::default(), Token::new("STS.a".to_owned()));
    let mut undelivered = Undelivered::default();
    let mut out = Vec::new();
    // A compressed file may be damaged, which ends it.
    while let Some(Ok(line)) = lines.next() {
        match line.read() {
            LineKind::Audit(entry, text) => {
                assert!(text.starts_with('{'), "an entry is no object");
                kinds.push('A');
                listed.policies.remember(&entry);
                listed.write(&mut out, &entry).expect("memory takes every byte");
                token.policies.remember(&entry);
                token.note(&entry);
                undelivered.note(&entry, true, None).expect("memory takes every byte");
            }
            LineKind::Other => kinds.push('O'),
            LineKind::Unreadable => kinds.push('U'),
        }
    }
    listed.policies.write(&mut out).expect("memory takes every byte");
    token.write(&mut out).expect("memory takes every byte");
    undelivered.write(&mut out).expect("memory takes every byte");
    (kinds, String::from_utf8(out).expect("what is printed is text"))
}
