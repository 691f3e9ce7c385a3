//! Fields of the log have one form, and one page lists them.

use std::collections::BTreeSet;

use regex::Regex;

use crate::sources::rust_files;
use crate::stage::repository;

/// The arguments of each logging macro in a source, up to its message.
fn fields(source: &str) -> Vec<String> {
    let call = Regex::new(
        r"tracing::(error|warn|info|debug|trace|event|(?:error|warn|info|debug|trace)_span)!\(|\blog_request!\(",
    );
    let mut fields = Vec::new();
    for found in call.unwrap().captures_iter(source) {
        // The level, the name of a span, or the level and the context.
        let before = match found.get(1).map(|name| name.as_str()) {
            None => 2,
            Some("event") => 1,
            Some(name) if name.ends_with("_span") => 1,
            Some(_) => 0,
        };
        let arguments = arguments(&source[found.get(0).unwrap().end()..]);
        let arguments = arguments.into_iter().skip(before);
        let arguments = arguments.take_while(|argument| !argument.starts_with('"'));
        fields.extend(arguments.filter(|argument| !argument.starts_with('$')));
    }
    fields
}

/// The arguments up to the parenthesis that ends the call.
fn arguments(rest: &str) -> Vec<String> {
    let mut arguments = vec![String::new()];
    let (mut depth, mut in_text, mut escaped) = (0, false, false);
    for c in rest.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            _ if in_text => {}
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                arguments.push(String::new());
                continue;
            }
            _ => {}
        }
        arguments.last_mut().unwrap().push(c);
    }
    arguments.iter().map(|argument| argument.trim().to_owned()).filter(|a| !a.is_empty()).collect()
}

#[test]
fn every_field_of_the_log_is_dotted_and_on_the_page_of_logs() {
    let page = std::fs::read_to_string(repository("docs/operate/logs.md")).unwrap();
    let (_, table) = page.split_once("## Fields").unwrap();
    let name = Regex::new(r"`([a-z_]+(?:\.[a-z_]+)+)`").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let listed = rows.flat_map(|row| name.captures_iter(row));
    let listed: BTreeSet<_> = listed.map(|found| found[1].to_owned()).collect();

    let field = Regex::new(r"^([a-z_]+(?:\.[a-z_]+)+) = ").unwrap();
    let (mut used, mut malformed) = (BTreeSet::new(), Vec::new());
    for (file, source) in rust_files(&["src"]) {
        // Fields in tests of the format are not the product's.
        let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
        for argument in fields(code) {
            match field.captures(&argument) {
                Some(found) => drop(used.insert(found[1].to_owned())),
                None => malformed.push(format!("{file}: {argument}")),
            }
        }
    }
    assert!(used.len() > 30, "the sources were not read: {used:?}");
    assert_eq!(malformed, [""; 0], "a field is `thing.property = value`");
    let difference = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
        one.difference(other).cloned().collect::<Vec<_>>()
    };
    assert_eq!(difference(&used, &listed), [""; 0], "used and not listed");
    assert_eq!(difference(&listed, &used), [""; 0], "listed and not used");
}

#[test]
fn fields_are_found_before_the_message() {
    let source = r#"
        tracing::warn!(request.id = id(a, "b, c"), kind, "a, {b}", c = 1);
        tracing::debug_span!("request", request.route = route);
        log_request!(DEBUG, context, response.status = 499, "gone");
    "#;
    let expected =
        [r#"request.id = id(a, "b, c")"#, "kind", "request.route = route", "response.status = 499"];
    assert_eq!(fields(source), expected);
}
