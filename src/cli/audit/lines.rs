//! Reads the lines of all files, compressed or not, one at a time and merged by their times: files can be larger than memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;

use super::entry::Entry;
use crate::cli::output::note;

/// The longest audit line; a longer line is skipped without buffering it.
const LONGEST: u64 = 64 * 1024;

/// How a file that gzip has written begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

const DECOMPRESSED_AT_ONCE: usize = 64 * 1024;

/// The unreadable lines of a file that are reported by number; the rest are counted.
const REPORTED_LINES: usize = 10;

pub(super) struct Lines {
    files: Vec<OpenFile>,
    /// The file of the last line.
    current: usize,
    /// Files without any audit line, and with unreadable lines.
    wrong: Vec<String>,
}

struct OpenFile {
    name: String,
    reader: Box<dyn BufRead>,
    /// The next line, if it had to be read to compare its time with those of other files.
    ahead: Option<Line>,
    /// Of the next line, or of the last one with a time before it.
    time: Option<DateTime<Utc>>,
    /// Of the last line that was returned.
    number: u64,
    /// The lines that were read, empty ones and the next line included.
    read: u64,
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
    /// Opens all files before reading any. Of their next lines the one with the earliest time is read first, whatever the
    /// order of the arguments: a shell lists `audit.jsonl` before `audit.jsonl.1`, which is older, and refused requests
    /// have a file of their own.
    pub(super) fn of(paths: &[PathBuf]) -> io::Result<Self> {
        let mut files = Vec::new();
        for path in paths {
            let name = path.display().to_string();
            let reader = if path == Path::new("-") {
                decompressed(io::stdin())
            } else {
                File::open(path).and_then(decompressed)
            };
            let reader = reader.map_err(|error| of_file(&name, &error))?;
            files.push(OpenFile::new(name, reader));
        }
        // Of lines with equal times those of the older file come first.
        if files.len() > 1 {
            files.iter_mut().try_for_each(OpenFile::read_ahead)?;
            files.sort_by_key(|file| (file.time.is_none(), file.time));
        }
        Ok(Self { files, current: 0, wrong: Vec::new() })
    }

    /// The lines of one source.
    #[cfg(any(test, feature = "fuzz"))]
    pub(super) fn of_source(source: impl Read + 'static) -> io::Result<Self> {
        let file = OpenFile::new("source".to_owned(), decompressed(source)?);
        Ok(Self { files: vec![file], current: 0, wrong: Vec::new() })
    }

    /// Records the kind of the last line. Unreadable lines are reported, unless the file has no audit line at all.
    pub(super) fn note(&mut self, read: &LineKind<'_>) {
        let Some(file) = self.files.get_mut(self.current) else { return };
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

    /// Reads ahead in each file and chooses the one with the earliest line. The last file is read as it grows.
    fn choose(&mut self) -> io::Result<()> {
        if self.files.len() > 1 {
            let mut at = 0;
            while let Some(file) = self.files.get_mut(at) {
                file.read_ahead()?;
                if file.ahead.is_some() {
                    at += 1;
                } else {
                    self.end(at);
                }
            }
        }
        let earliest = self.files.iter().enumerate().min_by_key(|(_, file)| file.time);
        self.current = earliest.map_or(0, |(at, _)| at);
        Ok(())
    }

    fn end(&mut self, at: usize) {
        let OpenFile { name, is_audit, unreadable, .. } = self.files.remove(at);
        if unreadable > 0 && !is_audit {
            self.wrong.push(format!(
                "{name}: this is not an audit file: no line can be read as an audit line"
            ));
        } else if let Some(more @ 1..) = unreadable.checked_sub(REPORTED_LINES) {
            note(format_args!("{name}: {more} more lines cannot be read; skipping them"));
        }
    }
}

/// What gzip has written is recognized by its first bytes: standard input has no name.
fn decompressed(file: impl Read + 'static) -> io::Result<Box<dyn BufRead>> {
    let mut reader = BufReader::new(file);
    if reader.fill_buf()?.starts_with(&GZIP) {
        let decoder = MultiGzDecoder::new(reader);
        return Ok(Box::new(BufReader::with_capacity(DECOMPRESSED_AT_ONCE, decoder)));
    }
    Ok(Box::new(reader))
}

fn of_file(name: &str, error: &io::Error) -> io::Error {
    let why = match error.kind() {
        // The decoder says no more than that the end is missing.
        io::ErrorKind::UnexpectedEof => {
            "this compressed file is incomplete; everything up to here was read".to_owned()
        }
        _ => error.to_string(),
    };
    io::Error::new(error.kind(), format!("{name}: {why}"))
}

impl Iterator for Lines {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.choose().and_then(|()| match self.files.get_mut(self.current) {
            Some(file) => file.next(),
            None => Ok(None),
        });
        match line {
            Ok(Some(line)) => Some(Ok(line)),
            Ok(None) => {
                if !self.files.is_empty() {
                    self.end(self.current);
                }
                None
            }
            Err(error) => {
                self.files.clear();
                Some(Err(error))
            }
        }
    }
}

impl OpenFile {
    fn new(name: String, reader: Box<dyn BufRead>) -> Self {
        let (ahead, time, is_audit, unnamed) = (None, None, false, Vec::new());
        let (number, read) = (0, 0);
        Self { name, reader, ahead, time, number, read, is_audit, unnamed, unreadable: 0 }
    }

    /// Reads the next line's time, unless it is known.
    fn read_ahead(&mut self) -> io::Result<()> {
        if self.ahead.is_none() {
            self.ahead = self.read()?;
            let text = self.ahead.as_ref().and_then(|Line(text)| text.as_deref());
            let when = text.and_then(|text| serde_json::from_str::<When>(text).ok());
            self.time = when.map(|When { time }| time).or(self.time);
        }
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<Line>> {
        let line = match self.ahead.take() {
            Some(line) => Some(line),
            None => self.read()?,
        };
        self.number = self.read;
        Ok(line)
    }

    /// The next line that is not empty.
    fn read(&mut self) -> io::Result<Option<Line>> {
        self.skip_white_space().map_err(|error| of_file(&self.name, &error))?;
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(LONGEST).read_until(b'\n', &mut bytes);
        let read = read.map_err(|error| of_file(&self.name, &error))?;
        if read == 0 {
            return Ok(None);
        }
        self.read += 1;
        let whole = bytes.pop_if(|last| *last == b'\n').is_some() || (read as u64) < LONGEST;
        if !whole {
            self.reader.skip_until(b'\n').map_err(|error| of_file(&self.name, &error))?;
        }
        Ok(Some(Line(String::from_utf8(bytes).ok().filter(|_| whole))))
    }
}

impl OpenFile {
    /// Skips empty lines, and white space before a line, without a step for each: a small compressed file may have billions.
    fn skip_white_space(&mut self) -> io::Result<()> {
        loop {
            let bytes = self.reader.fill_buf()?;
            let is_white = |byte: &u8| matches!(byte, b'\n' | b'\r' | b' ' | b'\t');
            let length = bytes.iter().position(|byte| !is_white(byte)).unwrap_or(bytes.len());
            let (is_last, skipped) = (length < bytes.len() || bytes.is_empty(), &bytes[..length]);
            self.read += skipped.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
            self.reader.consume(length);
            if is_last {
                return Ok(());
            }
        }
    }
}

impl Line {
    pub(super) fn read(&self) -> LineKind<'_> {
        let Some(text) = self.0.as_deref().map(str::trim) else { return LineKind::Unreadable };
        // Nothing else is an object of JSON, and a small compressed file may have many such lines.
        if !text.starts_with('{') {
            return if text.is_empty() { LineKind::Other } else { LineKind::Unreadable };
        }
        if let Ok(entry) = serde_json::from_str(text) {
            return LineKind::Audit(Box::new(entry), text);
        }
        if is_of_others(text) { LineKind::Other } else { LineKind::Unreadable }
    }
}

fn is_of_others(text: &str) -> bool {
    serde_json::from_str::<Mark>(text).is_ok_and(|mark| mark.decision.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A gigabyte of them is a megabyte of a compressed file.
    #[test]
    fn empty_lines_are_counted_and_take_no_step_each() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        // Twice as many as are read at once.
        let empty = "\n".repeat(2 * DECOMPRESSED_AT_ONCE);
        std::fs::write(&path, format!("\n \r\n\t\n x y\n{empty}{{\"A\":1}}\r\n\nz")).unwrap();
        let mut lines = Lines::of(&[path]).unwrap();
        let mut found = Vec::new();
        while let Some(Ok(line)) = lines.next() {
            found.push((line.0.unwrap(), lines.files[0].number));
        }
        let after = 5 + 2 * DECOMPRESSED_AT_ONCE as u64;
        let expected = [("x y", 4), ("{\"A\":1}\r", after), ("z", after + 2)];
        assert_eq!(found, expected.map(|(text, number)| (text.to_owned(), number)));
    }
}
