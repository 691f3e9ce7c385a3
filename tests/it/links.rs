//! Links inside the repository's Markdown have a target: a file, and a heading if they name one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use regex::Regex;

use crate::stage::repository;

/// The Markdown files of the repository, from its root.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(repository(folder.to_str().unwrap())).unwrap() {
            let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
            let path = folder.join(&name);
            if entry.unwrap().file_type().unwrap().is_dir() {
                // Built or downloaded files, which are not in the repository.
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A page without its blocks of code.
fn prose(text: &str) -> String {
    let mut lines = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        if !in_code && !fence {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen = BTreeMap::<String, usize>::new();
    let mut anchors = BTreeSet::new();
    let link = Regex::new(r"\[([^\]]*)\]\([^)]*\)").unwrap();
    for line in prose(text).lines() {
        let heading = line.trim_start_matches('#');
        let depth = line.len() - heading.len();
        let (1..=6, Some(heading)) = (depth, heading.strip_prefix(' ')) else { continue };
        // Of a link in a heading its text counts.
        let heading = link.replace_all(heading, "$1");
        let slug: String = heading
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let earlier = seen.entry(slug.clone()).or_default();
        anchors.insert(if *earlier == 0 { slug } else { format!("{slug}-{earlier}") });
        *earlier += 1;
    }
    anchors
}

/// The targets of a page's links: those in brackets, the definitions of named ones, and the images of HTML.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let text = Regex::new("`[^`\n]*`").unwrap().replace_all(&prose, "");
    let link = r#"(?m)\]\(<?([^)>\s]*)|^\[[^\]]+\]:\s*(\S+)|(?:src|srcset|href)="([^"]*)""#;
    let found = Regex::new(link).unwrap();
    let target = |found: regex::Captures<'_>| {
        found.iter().skip(1).flatten().next().unwrap().as_str().to_owned()
    };
    found.captures_iter(&text).map(target).collect()
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                assert!(plain.pop(), "{} leaves the repository", path.display());
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// Why a page's link has no target.
fn broken(page: &Path, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = match path {
        "" => page.to_owned(),
        path => plain(&page.parent().unwrap().join(path)),
    };
    let file = repository(path.to_str().unwrap());
    if !file.exists() {
        return Some(format!("{}: there is no {}", page.display(), path.display()));
    }
    if anchor.is_empty() {
        return None;
    }
    let has_anchor =
        std::fs::read_to_string(file).is_ok_and(|text| anchors(&text).contains(anchor));
    (!has_anchor)
        .then(|| format!("{}: {} has no heading for #{anchor}", page.display(), path.display()))
}

#[test]
fn every_link_and_anchor_of_the_markdown_files_has_a_target() {
    let mut count = 0;
    let mut found = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(repository(page.to_str().unwrap())).unwrap();
        for target in links(&text) {
            count += 1;
            found.extend(broken(&page, &target));
        }
    }
    assert!(count > 30, "the links were not read");
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn links_to_a_missing_file_or_heading_are_found() {
    let text = "# The `one` [page](a.md): here_it is!\n## Twice\n## Twice\n```\n# no heading\n[no](link.md)\n```\n`[x](y.md)`\n\
                [a](b.md#c) [d](<e f.md>) ![g](h.png)\n[i]: j.md\n<img src=\"k.svg\">";
    assert_eq!(
        anchors(text),
        ["the-one-page-here_it-is", "twice", "twice-1"].map(str::to_owned).into()
    );
    assert_eq!(links(text), ["a.md", "b.md#c", "e", "h.png", "j.md", "k.svg"]);
    let readme = Path::new("README.md");
    assert_eq!(broken(readme, "https://example.com/nowhere#at-all"), None);
    assert_eq!(broken(readme, "src/../Cargo.toml"), None);
    assert!(broken(readme, "docs/nowhere.md").is_some());
    assert!(broken(readme, "#no-such-heading").is_some());
    assert!(broken(Path::new("docs/x.md"), "../README.md#no-such-heading").is_some());
}
