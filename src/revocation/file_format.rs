//! The file of revocations: one TOML table for each.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use toml::{Spanned, Table, Value};

use super::entry::{Reason, Revocation};
use super::list::RevocationList;
use super::revoked::{Revoked, RevokedKind};
use crate::telemetry::is_hidden;

/// The most problems that are listed.
const LISTED: usize = 100;

/// A problem of a row, or of the file as a whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FileProblem {
    line: usize,
    message: String,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.message)
    }
}

/// The revocations of a file.
#[derive(Debug, Default)]
pub(crate) struct FileRevocations {
    pub(crate) list: RevocationList,
    /// The lines at which the rows begin that have ended.
    pub(crate) ended_lines: Vec<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    revoked: Vec<Spanned<Table>>,
}

/// The revocations of the file, or every problem that it has. Rows that have ended are valid.
pub(crate) fn parse_file(
    text: &str,
    now: DateTime<Utc>,
) -> Result<FileRevocations, Vec<FileProblem>> {
    let lines =
        |range: std::ops::Range<usize>| text.get(range).unwrap_or_default().matches('\n').count();
    let RawFile { revoked } = toml::from_str(text).map_err(|error| {
        let line = lines(0..error.span().map_or(0, |span| span.start)) + 1;
        let message = error.message().lines().map(str::trim).collect::<Vec<_>>().join(": ");
        let message = format!("{message}; each revocation is a table `[[revoked]]`");
        vec![FileProblem { line, message }]
    })?;
    let mut problems = Problems { found: Vec::new(), line: 1 };
    if revoked.len() > RevocationList::MOST {
        let (most, found) = (RevocationList::MOST, revoked.len());
        problems.add(format!("a file has at most {most} revocations, and this one has {found}"));
        return Err(problems.found);
    }
    let mut read = FileRevocations::default();
    // Rows are in their order: each is counted from the one before it.
    let mut counted = 0;
    for row in revoked {
        let start = row.span().start;
        problems.line += lines(counted..start);
        counted = start;
        if let Some(revocation) = revocation(row.into_inner(), now, &mut problems) {
            if !revocation.is_active(now) {
                read.ended_lines.push(problems.line);
            }
            read.list.insert(Arc::new(revocation));
        }
    }
    problems.into_result(read)
}

/// The row that [`parse_file`] reads as this revocation.
pub(crate) fn write_row(revocation: &Revocation) -> String {
    let what = revocation.what();
    // With its fraction of a second, if it has one: the row must not end earlier.
    let until = revocation.until().to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let mut row = format!(
        "[[revoked]]\n{} = {}\nuntil = {until}\n",
        what.kind().as_str(),
        quoted(&what.name())
    );
    let reason = revocation.reason().as_str();
    if !reason.is_empty() {
        row += &format!("reason = {}\n", quoted(reason));
    }
    row
}

/// The text in quotes, with an escape for each character that is not shown: the row is copied from a terminal.
fn quoted(text: &str) -> String {
    if !text.contains(is_hidden) {
        return Value::from(text).to_string();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if is_hidden(c) => quoted += &format!("\\U{:08X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// The problems so far, and the line of the row that is read.
struct Problems {
    found: Vec<FileProblem>,
    line: usize,
}

impl Problems {
    fn add(&mut self, message: impl fmt::Display) {
        self.found.push(FileProblem { line: self.line, message: message.to_string() });
    }

    fn into_result<T>(mut self, value: T) -> Result<T, Vec<FileProblem>> {
        if self.found.is_empty() {
            return Ok(value);
        }
        let more = self.found.len().saturating_sub(LISTED);
        self.found.truncate(LISTED);
        if more > 0 {
            self.add(format!("{more} more problems"));
        }
        Err(self.found)
    }
}

fn revocation(mut row: Table, now: DateTime<Utc>, problems: &mut Problems) -> Option<Revocation> {
    let named: Vec<_> = RevokedKind::ALL
        .into_iter()
        .filter_map(|kind| Some((kind, row.remove(kind.as_str())?)))
        .collect();
    let what = if let [(kind, name)] = named.as_slice() {
        revoked(*kind, name, problems)
    } else {
        problems.add("write exactly one of `user`, `client`, `ticket`, `jti` and `issuer`");
        None
    };
    let until = if let Some(until) = row.remove("until") {
        end(&until, problems)
    } else {
        problems.add("`until` is missing: write when the revocation ends, as 2016-01-13T14:02:37Z");
        None
    };
    let reason = match row.remove("reason") {
        None => Some(Reason::try_from(String::new()).expect("a reason may be empty")),
        Some(Value::String(text)) => {
            Reason::try_from(text).map_err(|rule| problems.add(format!("`reason`: {rule}"))).ok()
        }
        Some(_) => {
            problems.add("`reason`: write a text in quotes");
            None
        }
    };
    for key in row.keys() {
        problems.add(format!(
            "`{key}` is unknown: a row has one of `user`, `client`, `ticket`, `jti` and `issuer`, and `until` and `reason`"
        ));
    }
    let revocation = Revocation::new(what?, until?, reason?, now);
    revocation.map_err(|problem| problems.add(format!("`until`: {problem}"))).ok()
}

fn revoked(kind: RevokedKind, name: &Value, problems: &mut Problems) -> Option<Revoked> {
    let key = kind.as_str();
    let Some(name) = name.as_str() else {
        problems.add(format!("`{key}`: write a text in quotes"));
        return None;
    };
    Revoked::parse(kind, name).map_err(|rule| problems.add(format!("`{key}`: {rule}"))).ok()
}

fn end(until: &Value, problems: &mut Problems) -> Option<DateTime<Utc>> {
    let text = match until {
        Value::String(text) => text.clone(),
        Value::Datetime(time) => time.to_string(),
        _ => String::new(),
    };
    let end = DateTime::parse_from_rfc3339(&text).map(|time| time.to_utc());
    let rule = "`until`: write a time with its offset, as 2016-01-13T14:02:37Z";
    end.map_err(|_| problems.add(rule)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2016-01-13T14:02:37Z".parse().unwrap()
    }

    fn problems(text: &str) -> String {
        let found = parse_file(text, now()).unwrap_err();
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_kind_of_row_is_read_and_written_as_it_was() {
        let text = r#"
# One stolen phone, and others.
[[revoked]]
user = "company/auth0|alice"
until = 2016-01-14T00:00:00Z
reason = "stolen \"phone\""

[[revoked]]
client = "photo-app"
until = "2016-01-14T08:00:00+08:00"

[[revoked]]
ticket = "00ff00ff00ff00ff"
until = 2016-01-14 00:00:00Z

[[revoked]]
jti = "f81d4fae"
until = 2017-01-13T14:02:37Z

[[revoked]]
issuer = "company"
until = 2015-01-01T00:00:00Z
"#;
        let FileRevocations { list, ended_lines } = parse_file(text, now()).unwrap();
        assert_eq!((list.iter().count(), list.count(now()), ended_lines), (5, 4, vec![20]));
        let mut rows: Vec<_> = list.iter().map(|one| write_row(one)).collect();
        let again = parse_file(&rows.concat(), now()).unwrap();
        assert_eq!(again.list.iter().count(), 5);
        rows.sort_unstable();
        insta::assert_snapshot!(rows.concat(), @r#"
        [[revoked]]
        client = "photo-app"
        until = 2016-01-14T00:00:00Z
        [[revoked]]
        issuer = "company"
        until = 2015-01-01T00:00:00Z
        [[revoked]]
        jti = "f81d4fae"
        until = 2017-01-13T14:02:37Z
        [[revoked]]
        ticket = "00ff00ff00ff00ff"
        until = 2016-01-14T00:00:00Z
        [[revoked]]
        user = "company/auth0|alice"
        until = 2016-01-14T00:00:00Z
        reason = 'stolen "phone"'
        "#);
    }

    /// A row that ended earlier would be lifted before the revocation that it is written for.
    #[test]
    fn a_revocation_that_ends_within_a_second_is_written_with_its_fraction() {
        let text = "[[revoked]]\nclient = \"photo-app\"\nuntil = 2016-01-14T00:00:00.250Z\n";
        let read = parse_file(text, now()).unwrap().list;
        assert_eq!(read.iter().map(|one| write_row(one)).collect::<String>(), text);
    }

    #[test]
    fn the_file_on_the_page_is_valid() {
        let page = include_str!("../../docs/operate/revoke.md");
        let block = page.split("\n```text\n").nth(1).unwrap().split("\n```").next().unwrap();
        assert_eq!(parse_file(block, now()).unwrap().list.count(now()), 2);
    }

    #[test]
    fn a_file_without_rows_is_an_empty_list() {
        for text in ["", "# nobody\n", "revoked = []\n"] {
            assert_eq!(parse_file(text, now()).unwrap().list.iter().count(), 0, "{text:?}");
        }
    }

    #[test]
    fn every_problem_of_a_file_is_listed_with_its_line() {
        let text = r#"
[[revoked]]
user = "alice"
until = 2016-01-14T00:00:00

[[revoked]]
client = "photo-app"
issuer = "company"
for = "12h"

[[revoked]]
ticket = 17
until = 2018-01-14T00:00:00Z
reason = 3

[[revoked]]
client = "photo-app"
until = 2018-01-14T00:00:00Z
"#;
        insta::assert_snapshot!(problems(text), @"
        2: `user`: a user is `ISSUER/SUBJECT`: the key of `issuers`, a slash, and the user's subject
        2: `until`: write a time with its offset, as 2016-01-13T14:02:37Z
        6: write exactly one of `user`, `client`, `ticket`, `jti` and `issuer`
        6: `until` is missing: write when the revocation ends, as 2016-01-13T14:02:37Z
        6: `for` is unknown: a row has one of `user`, `client`, `ticket`, `jti` and `issuer`, and `until` and `reason`
        11: `ticket`: write a text in quotes
        11: `reason`: write a text in quotes
        16: `until`: a revocation ends within 366 days: write an earlier time; what is to end for good is removed from the configuration or at the issuer
        ");
        let long = format!(
            "[[revoked]]\nclient = \"a-b\"\nuntil = 2016-01-14T00:00:00Z\nreason = \"{}\"\n",
            "é".repeat(201)
        );
        assert_eq!(problems(&long), "1: `reason`: a reason is at most 200 characters on one line");
    }

    #[test]
    fn what_is_no_list_of_rows_is_refused_with_its_line() {
        let shown = [
            "[[revoke]]\nclient = \"a-b\"",
            "a = 1\n[[revoked]\n",
            "[revoked]\nclient = \"a-b\"",
            "revoked = 1",
        ];
        insta::assert_snapshot!(shown.map(problems).join("\n---\n"), @"
        1: unknown field `revoke`, expected `revoked`; each revocation is a table `[[revoked]]`
        ---
        2: unclosed array table, expected `]`; each revocation is a table `[[revoked]]`
        ---
        1: invalid type: map, expected a sequence; each revocation is a table `[[revoked]]`
        ---
        1: invalid type: integer `1`, expected a sequence; each revocation is a table `[[revoked]]`
        ");
    }

    #[test]
    fn a_file_has_a_bounded_number_of_rows() {
        let row = "[[revoked]]\nclient = \"a-b\"\nuntil = 2016-01-14T00:00:00Z\n";
        let problem = problems(&row.repeat(RevocationList::MOST + 1));
        assert_eq!(problem, "1: a file has at most 100000 revocations, and this one has 100001");
        let wrong = "[[revoked]]\nclient = \"a-b\"\n".repeat(300);
        assert_eq!(problems(&wrong).lines().count(), 101);
    }
}
