//! The lines of all files, one at a time: files may be longer than memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::entry::Entry;
use crate::cli::output::note;

/// No line of ours is longer; what is, is passed over without being kept.
const LONGEST: u64 = 64 * 1024;

/// So many lines of a file that cannot be read are named by their numbers; the rest are counted.
const NAMED: usize = 10;

pub(super) struct Lines {
    /// The oldest first.
    files: VecDeque<OpenFile>,
    /// Files in which no line is the audit's, and some line is nobody's.
    wrong: Vec<String>,
}

struct OpenFile {
    name: String,
    reader: Box<dyn BufRead>,
    number: u64,
    /// Whether a line of it was the audit's.
    is_audit: bool,
    /// The numbers of lines that cannot be read, and are not named yet.
    unnamed: Vec<u64>,
    unreadable: usize,
}

/// A line; none if it was too long or no text.
pub(super) struct Line(Option<String>);

/// What a line is.
pub(super) enum LineKind<'a> {
    Audit(Box<Entry<'a>>, &'a str),
    /// Somebody else's, or empty.
    Other,
    Unreadable,
}

/// Of a line that somebody else wrote, as where the log and the audit were collected together.
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
    /// Opens all files before anything is read. They are read in the order of their first lines' times, whatever
    /// order they are named in: a shell names `audit.jsonl` before `audit.jsonl.1`, which is older.
    pub(super) fn of(paths: &[PathBuf]) -> io::Result<Self> {
        let mut files = Vec::new();
        for path in paths {
            let name = path.display().to_string();
            let (reader, begins): (Box<dyn BufRead>, _) = if path == Path::new("-") {
                // What is piped in cannot be looked at twice, and is mostly the newest.
                (Box::new(BufReader::new(io::stdin())), None)
            } else {
                let named =
                    |error: io::Error| io::Error::new(error.kind(), format!("{name}: {error}"));
                let file = File::open(path).map_err(named)?;
                // What comes out of a pipe, as the shell's `<(…)` is, cannot be read twice either.
                let begins = match file.metadata().map_err(named)?.is_file() {
                    true => begins(File::open(path).map_err(named)?).map_err(named)?,
                    false => None,
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

    /// What the last line was found to be. Lines that cannot be read are reported, unless the whole file is wrong.
    pub(super) fn note(&mut self, read: &LineKind<'_>) {
        let Some(file) = self.files.front_mut() else { return };
        match read {
            LineKind::Other => {}
            LineKind::Audit(..) => file.is_audit = true,
            LineKind::Unreadable => {
                file.unreadable += 1;
                if file.unreadable <= NAMED {
                    file.unnamed.push(file.number);
                }
            }
        }
        if file.is_audit {
            for number in file.unnamed.drain(..) {
                let name = &file.name;
                note(format_args!("{name}:{number}: this line cannot be read, and is passed over"));
            }
        }
    }

    /// The files that are no audit, once all are read: a line for each.
    pub(super) fn wrong(&self) -> &[String] {
        &self.wrong
    }

    fn end(&mut self) {
        let Some(OpenFile { name, is_audit, unreadable, .. }) = self.files.pop_front() else {
            return;
        };
        if unreadable > 0 && !is_audit {
            self.wrong.push(format!("{name}: this is no audit: no line of it can be read as one"));
        } else if let Some(more @ 1..) = unreadable.checked_sub(NAMED) {
            note(format_args!("{name}: {more} more lines cannot be read, and are passed over"));
        }
    }
}

/// The time of the first line that has one.
fn begins(file: File) -> io::Result<Option<DateTime<Utc>>> {
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
