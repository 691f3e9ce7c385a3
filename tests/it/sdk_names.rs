//! The code of docs/connect/ that no test runs has the names of its SDKs: each name is in `tests/sdk/names.toml`, which
//! says where the SDK has it.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::str::Chars;

use regex::Regex;
use serde::Deserialize;

use crate::stage::{Stage, repository};

/// Pages whose code is run by tests/sdk or tests/readme.py, or that have no code of an SDK.
const RUN: [&str; 6] =
    ["README", "backend", "credentials-uri", "javascript", "mini-programs", "python"];

/// The source of the names that are AppServer's own.
const OURS: &str = "AppServer";

#[derive(Deserialize)]
struct Group {
    source: String,
    names: Vec<String>,
}

/// The table's groups by page.
fn table() -> BTreeMap<String, Vec<Group>> {
    let text = std::fs::read_to_string(repository("tests/sdk/names.toml")).unwrap();
    toml::from_str(&text).unwrap()
}

/// The words of a language, and the characters that begin and end code inside its strings.
fn syntax(language: &str) -> Option<(&'static str, Option<(&'static str, char)>)> {
    Some(match language {
        "java" => (
            "package import public final class private static interface new return this throws throw try catch for \
             while if else int boolean void long null true false synchronized extends implements",
            None,
        ),
        "kotlin" => (
            "package import class interface private fun val var return object override when for in if else throw \
             suspend null true false this",
            Some(("${", '}')),
        ),
        "swift" => (
            "import final class struct private let var init throws try as return guard else throw nil func static if \
             true false in async await self",
            Some(("\\(", ')')),
        ),
        "ts" => (
            "import from export class private constructor async await return if throw new try finally const catch \
             instanceof as interface undefined let this null true false",
            Some(("${", '}')),
        ),
        "go" => (
            "package import type struct func return const var if else for range defer nil true false map string bool int \
             error",
            None,
        ),
        "php" => ("use as function static return new if throw null require true false array", None),
        "csharp" => (
            "using var new return static class public readonly lock is if throw await string object null true false",
            Some(("{", '}')),
        ),
        "dart" => {
            ("import as class implements final await async if this throw return", Some(("${", '}')))
        }
        "js" => ("function const if return new", Some(("${", '}'))),
        _ => return None,
    })
}

/// The names in code, and the strings that are names, such as a member of an answer.
#[derive(Default)]
struct Names {
    found: BTreeSet<String>,
}

impl Names {
    fn of(language: &str, code: &str) -> BTreeSet<String> {
        let Some((words, interpolation)) = syntax(language) else { return BTreeSet::new() };
        let mut names = Self::default();
        names.scan(language, interpolation, &mut code.chars().peekable(), None);
        let words: BTreeSet<_> = words.split_whitespace().chain(["_"]).collect();
        names.found.retain(|name| !words.contains(name.as_str()));
        names.found
    }

    /// Up to `end` at the same depth of brackets, or to the end of the code.
    fn scan(
        &mut self,
        language: &str,
        interpolation: Option<(&str, char)>,
        code: &mut Peekable<Chars<'_>>,
        end: Option<char>,
    ) {
        let (mut depth, mut before) = (0_u32, ' ');
        while let Some(next) = code.next() {
            match next {
                _ if depth == 0 && Some(next) == end => return,
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                '/' if code.peek() == Some(&'/') => {
                    code.by_ref().take_while(|&c| c != '\n').for_each(drop);
                }
                '/' if code.peek() == Some(&'*') => {
                    let mut last = ' ';
                    while let Some(c) = code.next().filter(|&c| (last, c) != ('*', '/')) {
                        last = c;
                    }
                }
                '"' | '\'' | '`' => {
                    // Of C#'s strings those after a `$`, of JavaScript's those in backticks.
                    let has_code = match language {
                        "csharp" => before == '$',
                        "js" | "ts" => next == '`',
                        _ => true,
                    };
                    self.string(language, interpolation.filter(|_| has_code), code, next);
                }
                _ if next.is_ascii_alphanumeric() || next == '_' => {
                    let mut name = String::from(next);
                    while let Some(c) = code.next_if(|&c| c.is_ascii_alphanumeric() || c == '_') {
                        name.push(c);
                    }
                    if !next.is_ascii_digit() {
                        self.found.insert(name);
                    }
                }
                _ => {}
            }
            before = next;
        }
    }

    fn string(
        &mut self,
        language: &str,
        interpolation: Option<(&str, char)>,
        code: &mut Peekable<Chars<'_>>,
        quote: char,
    ) {
        let mut text = String::new();
        while let Some(next) = code.next().filter(|&next| next != quote) {
            text.push(next);
            if next == '\\' {
                text.extend(code.next());
            }
            if let Some((_, end)) = interpolation.filter(|(begin, _)| text.ends_with(begin)) {
                self.scan(language, interpolation, code, Some(end));
            }
        }
        let is_name = text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.len() > 1
            && text.chars().all(|c| c.is_ascii_alphabetic());
        if is_name {
            self.found.insert(text);
        }
    }
}

/// The names in a page's blocks.
fn names_of(page: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(repository(&format!("docs/connect/{page}.md"))).unwrap();
    let block = Regex::new(r"(?ms)^```(\w+)\n(.*?)^```$").unwrap();
    block.captures_iter(&text).flat_map(|block| Names::of(&block[1], &block[2])).collect()
}

#[test]
fn names_are_read_from_code_strings_and_the_code_inside_strings() {
    let read = |language: &str, code: &str| -> Vec<String> {
        Names::of(language, code).into_iter().collect()
    };
    let kotlin = r#"val answer = json("Code") // Comment "x"
        throw Refused("${answer.optString("Message")}: http://host/") /* gone */"#;
    assert_eq!(
        read("kotlin", kotlin),
        ["Code", "Message", "Refused", "answer", "json", "optString"]
    );
    assert_eq!(read("swift", r#"set("Bearer \(jwt)", "a\"b")"#), ["jwt", "set"]);
    assert_eq!(read("csharp", r#"$"{a.Get("Code")}" + "{b}""#), ["Code", "Get", "a"]);
    assert_eq!(read("ts", "call(`x ${this.jwt()}`, '${no}', 1000)"), ["call", "jwt"]);
    assert_eq!(read("sh", "export NAME=1"), [""; 0]);
}

#[test]
fn the_code_that_is_not_run_has_the_names_of_the_sdks_and_no_others() {
    let mut differences = Vec::new();
    for (page, groups) in table() {
        let named: BTreeSet<_> = groups.into_iter().flat_map(|group| group.names).collect();
        let there = names_of(&page);
        assert!(there.len() > 20, "{page}.md was not read");
        let unknown = there.difference(&named).map(|name| format!("{page}: {name} is in no group"));
        let unused = named.difference(&there).map(|name| format!("{page}: {name} is unused"));
        differences.extend(unknown.chain(unused));
    }
    assert_eq!(differences, Vec::<String>::new());
}

#[test]
fn each_page_of_an_sdk_is_run_or_has_its_names_in_the_table() {
    let files = std::fs::read_dir(repository("docs/connect")).unwrap();
    let pages: BTreeSet<_> = files
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let known: BTreeSet<_> = table().into_keys().chain(RUN.map(str::to_owned)).collect();
    assert_eq!(pages, known);
}

/// What the code reads from an answer is in the contract.
#[tokio::test]
async fn the_members_that_the_code_reads_are_those_of_the_answers() {
    fn members(document: &serde_json::Value, found: &mut BTreeSet<String>) {
        if let Some(properties) = document["properties"].as_object() {
            found.extend(properties.keys().cloned());
        }
        let inner = document.as_object().into_iter().flat_map(|object| object.values());
        for value in inner.chain(document.as_array().into_iter().flatten()) {
            members(value, found);
        }
    }
    let stage = Stage::demo().await;
    let document = stage.get("client-001", "/openapi.json").await.body;
    stage.close().await;
    let mut known = BTreeSet::new();
    members(&document, &mut known);
    let groups = table().into_values().flatten().filter(|group| group.source == OURS);
    let named: BTreeSet<_> = groups.flat_map(|group| group.names).collect();
    assert!(named.contains("AccessKeyId") && named.contains("Oss"), "{named:?}");
    assert_eq!(named.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
}
