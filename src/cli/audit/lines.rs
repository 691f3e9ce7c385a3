//! Reads the lines of all files one at a time: files can be larger than memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::entry::Entry;
use crate::cli::output::note;

/// The longest audit line; a longer line is skipped without buffering it.
const LONGEST: u64 = 64 * 1024;

/// The unreadable lines of a file that are reported by number; the rest are counted.
const REPORTED_LINES: usize = 10;

pub(super) struct Lines {
    /// The oldest first.
    files: VecDeque<OpenFile>,
    /// Files without any audit line, and with unreadable lines.
    wrong: Vec<String>,
}

struct OpenFile {
    name: String,
    reader: Box<dyn BufRead>,
    number: u64,
    /// Whether it has an audit line.
    is_audit: bool,
    /// The numbers of unreadable lines that are not reported yet.
    unnamed: Vec<u64>,
    unreadable: usize,
}

/// A line; `None` if it is too long or not UTF-8.
pub(super) struct Line(Option<String>);

/// What a line is.
pub(super) enum LineKind<'a> {
    Audit(Box<Entry<'a>>, &'a str),
    /// A line of another log, or empty.
    Other,
    Unreadable,
}

/// Recognizes a line of another log, as when log and audit are collected together.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mark {
    decision: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct When {
    time: DateTime<Utc>,
}

impl Lines {
    /// Opens all files before reading any. They are read in the order of their first times, whatever the order of the arguments: a
    /// shell lists `audit.jsonl` before `audit.jsonl.1`, which is older.
    pub(super) fn of(paths: &[PathBuf]) -> io::Result<Self> {
        let mut files = Vec::new();
        for path in paths {
            let name = path.display().to_string();
            let (reader, begins): (Box<dyn BufRead>, _) = if path == Path::new("-") {
                // Standard input cannot be read twice, and is usually the newest.
                (Box::new(BufReader::new(io::stdin())), None)
            } else {
                let named =
                    |error: io::Error| io::Error::new(error.kind(), format!("{name}: {error}"));
                let file = File::open(path).map_err(named)?;
                // A pipe, such as the shell's `<(…)`, cannot be read twice either.
                let begins = if file.metadata().map_err(named)?.is_file() {
                    first_time(File::open(path).map_err(named)?).map_err(named)?
                } else {
                    None
                };
                (Box::new(BufReader::new(file)), begins)
            };
            files.push((begins, OpenFile::new(name, reader)));
        }
        // A file without a time is read last.
        files.sort_by_key(|(begins, _)| (begins.is_none(), *begins));
        let files = files.into_iter().map(|(_, file)| file).collect();
        Ok(Self { files, wrong: Vec::new() })
    }

    /// Records the kind of the last line. Unreadable lines are reported, unless the file has no audit line at all.
    pub(super) fn note(&mut self, read: &LineKind<'_>) {
        let Some(file) = self.files.front_mut() else { return };
        match read {
            LineKind::Other => {}
            LineKind::Audit(..) => file.is_audit = true,
            LineKind::Unreadable => {
                file.unreadable += 1;
                if file.unreadable <= REPORTED_LINES {
                    file.unnamed.push(file.number);
                }
            }
        }
        if file.is_audit {
            for number in file.unnamed.drain(..) {
                let name = &file.name;
                note(format_args!("{name}:{number}: this line cannot be read; skipping it"));
            }
        }
    }

    /// A message for each file that is not an audit file, once all are read.
    pub(super) fn wrong(&self) -> &[String] {
        &self.wrong
    }

    fn end(&mut self) {
        let Some(OpenFile { name, is_audit, unreadable, .. }) = self.files.pop_front() else {
            return;
        };
        if unreadable > 0 && !is_audit {
            self.wrong.push(format!(
                "{name}: this is not an audit file: no line can be read as an audit line"
            ));
        } else if let Some(more @ 1..) = unreadable.checked_sub(REPORTED_LINES) {
            note(format_args!("{name}: {more} more lines cannot be read; skipping them"));
        }
    }
}

/// The time of the first line that has one.
fn first_time(file: File) -> io::Result<Option<DateTime<Utc>>> {
    let mut file = OpenFile::new(String::new(), Box::new(BufReader::new(file)));
    while let Some(Line(text)) = file.next()? {
        let when = text.and_then(|text| serde_json::from_str::<When>(&text).ok());
        if let Some(When { time }) = when {
            return Ok(Some(time));
        }
    }
    Ok(None)
}

impl Iterator for Lines {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(file) = self.files.front_mut() {
            match file.next() {
                Ok(None) => self.end(),
                Ok(Some(line)) => return Some(Ok(line)),
                Err(error) => {
                    let error = io::Error::new(error.kind(), format!("{}: {error}", file.name));
                    self.files.clear();
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl OpenFile {
    fn new(name: String, reader: Box<dyn BufRead>) -> Self {
        let (is_audit, unnamed) = (false, Vec::new());
        Self { name, reader, number: 0, is_audit, unnamed, unreadable: 0 }
    }

    fn next(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(LONGEST).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let whole = bytes.pop_if(|last| *last == b'\n').is_some() || (read as u64) < LONGEST;
        if !whole {
            self.reader.skip_until(b'\n')?;
        }
        Ok(Some(Line(String::from_utf8(bytes).ok().filter(|_| whole))))
    }
}

impl Line {
    pub(super) fn read(&self) -> LineKind<'_> {
        let Some(text) = self.0.as_deref().map(str::trim) else { return LineKind::Unreadable };
        if let Ok(entry) = serde_json::from_str(text) {
            return LineKind::Audit(Box::new(entry), text);
        }
        if text.is_empty() || is_of_others(text) { LineKind::Other } else { LineKind::Unreadable }
    }
}

fn is_of_others(text: &str) -> bool {
    serde_json::from_str::<Mark>(text).is_ok_and(|mark| mark.decision.is_none())
}
