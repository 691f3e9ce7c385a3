//! The lines of all files, one at a time: files may be longer than memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::entry::Entry;

/// No line of ours is longer; what is, is passed over without being kept.
const LONGEST: u64 = 64 * 1024;

pub(super) struct Lines {
    /// The oldest first.
    files: VecDeque<OpenFile>,
}

struct OpenFile {
    name: String,
    reader: Box<dyn BufRead>,
    number: u64,
}

/// A line, and where it stands.
pub(super) struct Line {
    file: String,
    number: u64,
    /// None if it was too long or no text.
    text: Option<String>,
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
                let begins = begins(File::open(path).map_err(named)?).map_err(named)?;
                (Box::new(BufReader::new(File::open(path).map_err(named)?)), begins)
            };
            files.push((begins, OpenFile { name, reader, number: 0 }));
        }
        // A file without a time is read last.
        files.sort_by_key(|(begins, _)| (begins.is_none(), *begins));
        Ok(Self { files: files.into_iter().map(|(_, file)| file).collect() })
    }
}

/// The time of the first line that has one.
fn begins(file: File) -> io::Result<Option<DateTime<Utc>>> {
    let mut file =
        OpenFile { name: String::new(), reader: Box::new(BufReader::new(file)), number: 0 };
    while let Some(line) = file.next()? {
        let when = line.text.and_then(|text| serde_json::from_str::<When>(&text).ok());
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
                Ok(None) => drop(self.files.pop_front()),
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
        let text = String::from_utf8(bytes).ok().filter(|_| whole);
        Ok(Some(Line { file: self.name.clone(), number: self.number, text }))
    }
}

impl Line {
    /// The line, if it is the audit's. One that cannot be read is reported.
    pub(super) fn read(&self) -> Option<(Entry<'_>, &str)> {
        let text = self.text.as_deref().map(str::trim);
        if text == Some("") {
            return None;
        }
        let entry = text.and_then(|text| serde_json::from_str::<Entry<'_>>(text).ok());
        if entry.is_none() && !text.is_some_and(is_of_others) {
            eprintln!(
                "{}:{}: this line cannot be read, and is passed over",
                self.file, self.number
            );
        }
        entry.zip(text)
    }
}

fn is_of_others(text: &str) -> bool {
    serde_json::from_str::<Mark>(text).is_ok_and(|mark| mark.decision.is_none())
}
