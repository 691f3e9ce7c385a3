//! What `config/default.toml` says about each key: it documents all of them, also those that it comments out.

use std::collections::BTreeMap;

use super::layers::DEFAULTS;
use super::node::below;
use super::tables;

/// A line of the documented file, read for its documentation.
enum Line<'a> {
    /// The entry of the tables that the header is one of.
    Table(Option<&'static str>),
    Key(&'static str),
    Comment(&'a str),
    Other,
}

/// The keys of a table.
pub(super) fn keys_of(table: &'static str) -> impl Iterator<Item = &'static str> {
    let mut current = Some("");
    lines().filter_map(move |line| match line {
        Line::Table(header) => {
            current = header;
            None
        }
        Line::Key(key) => (current == Some(table)).then_some(key),
        Line::Comment(_) | Line::Other => None,
    })
}

/// The comments above keys and tables, by their paths, where `*` is a name that the operator chooses.
pub(super) fn comments() -> BTreeMap<String, String> {
    let (mut current, mut comment) = (Some(""), Vec::new());
    let mut comments = BTreeMap::new();
    for line in lines() {
        let path = match line {
            Line::Comment(text) => {
                comment.push(text);
                continue;
            }
            Line::Table(header) => {
                current = header;
                header.map(str::to_owned)
            }
            Line::Key(key) => current.map(|table| below(table, key)),
            Line::Other => None,
        };
        let text = std::mem::take(&mut comment).join("\n");
        if let Some(path) = path.filter(|_| !text.is_empty()) {
            // The first example of a table is the documented one.
            comments.entry(path).or_insert(text);
        }
    }
    comments
}

fn lines() -> impl Iterator<Item = Line<'static>> {
    DEFAULTS.lines().map(|line| {
        let text = line.strip_prefix("# ").unwrap_or(line);
        if let Some(header) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            let path: Vec<_> = header.split('.').collect();
            return Line::Table(tables::table_of(&path));
        }
        let is_key = |key: &str| {
            key.bytes().all(|c| c == b'_' || c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        match text.split_once(" = ") {
            Some((key, _)) if is_key(key) => Line::Key(key),
            _ if line == "#" => Line::Comment(""),
            _ if line.starts_with("# ") => Line::Comment(text),
            _ => Line::Other,
        }
    })
}
