//! Pages of keys, by prefix and delimiter.

use std::collections::BTreeMap;
use std::ops::Bound;

/// The requested page.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageRequest<'a> {
    pub(crate) prefix: &'a str,
    /// Empty for none.
    pub(crate) delimiter: &'a str,
    /// Only keys after it, in byte order.
    pub(crate) after: &'a str,
    pub(crate) most: usize,
}

/// One page.
#[derive(Debug)]
pub(crate) struct Page<'a, T> {
    pub(crate) entries: Vec<&'a T>,
    pub(crate) prefixes: Vec<&'a str>,
    /// The last item of the page, if there are more; the next page starts after it.
    pub(crate) next: Option<String>,
}

/// Selects a page. A common prefix counts as one item and is on one page only.
pub(crate) fn page<'a, T>(all: &'a BTreeMap<String, T>, request: &PageRequest<'_>) -> Page<'a, T> {
    let mut page = Page { entries: Vec::new(), prefixes: Vec::new(), next: None };
    let mut last = "";
    let begin = Bound::Included(request.prefix.max(request.after));
    for (key, entry) in all.range::<str, _>((begin, Bound::Unbounded)) {
        if !key.starts_with(request.prefix) {
            // The keys are sorted: after the last one with the prefix there are no more.
            break;
        }
        let common = common_prefix(key, request);
        let item = common.unwrap_or(key);
        if item <= request.after || page.prefixes.last() == Some(&item) {
            continue;
        }
        if page.entries.len() + page.prefixes.len() == request.most {
            page.next = Some(last.to_owned());
            break;
        }
        match common {
            Some(prefix) => page.prefixes.push(prefix),
            None => page.entries.push(entry),
        }
        last = item;
    }
    page
}

/// The key up to and including the first delimiter after the prefix.
fn common_prefix<'a>(key: &'a str, request: &PageRequest<'_>) -> Option<&'a str> {
    if request.delimiter.is_empty() {
        return None;
    }
    let from = request.prefix.len();
    let at = key[from..].find(request.delimiter)?;
    Some(&key[..from + at + request.delimiter.len()])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn keys(names: &[&str]) -> BTreeMap<String, String> {
        names.iter().map(|&name| (name.to_owned(), name.to_owned())).collect()
    }

    #[test]
    fn a_delimiter_groups_keys_below_a_common_prefix() {
        let all = keys(&["a", "b/1", "b/2", "b0", "c/d/1", "é/1"]);
        let select = |request: &PageRequest<'_>| {
            let page = page(&all, request);
            let entries = page.entries.into_iter().cloned().collect::<Vec<_>>().join(" ");
            (entries, page.prefixes.join(" "), page.next)
        };
        let text = |text: &str| text.to_owned();
        let root = PageRequest { delimiter: "/", most: 10, ..PageRequest::default() };
        assert_eq!(select(&root), (text("a b0"), text("b/ c/ é/"), None));
        let below = PageRequest { prefix: "b/", ..root.clone() };
        assert_eq!(select(&below), (text("b/1 b/2"), text(""), None));
        let two = PageRequest { most: 2, ..root.clone() };
        assert_eq!(select(&two), (text("a"), text("b/"), Some(text("b/"))));
        let next = PageRequest { most: 2, after: "b/", ..root };
        assert_eq!(select(&next), (text("b0"), text("c/"), Some(text("c/"))));
    }

    proptest! {
        #[test]
        fn pages_of_any_size_together_are_one_large_page(
            names in proptest::collection::btree_set("[ab/é]{1,6}", 0..30),
            prefix in "[ab/]{0,2}",
            delimiter in "(|/|b|/a)",
            most in 1usize..7,
        ) {
            let all: BTreeMap<String, String> =
                names.into_iter().map(|name| (name.clone(), name)).collect();
            let whole = PageRequest { prefix: &prefix, delimiter: &delimiter, after: "", most: 1000 };
            let whole = page(&all, &whole);
            let (mut entries, mut prefixes) = (Vec::new(), Vec::new());
            let mut after = String::new();
            loop {
                let request =
                    PageRequest { prefix: &prefix, delimiter: &delimiter, after: &after, most };
                let page = page(&all, &request);
                entries.extend(page.entries);
                prefixes.extend(page.prefixes);
                prop_assert!(entries.len() + prefixes.len() <= all.len());
                match page.next {
                    Some(next) => after = next,
                    None => break,
                }
            }
            prop_assert_eq!(&entries, &whole.entries);
            prop_assert_eq!(&prefixes, &whole.prefixes);
            // Counted in another way: every key with the prefix is listed, or below a listed prefix.
            let listed: BTreeSet<&String> = entries.into_iter().collect();
            for key in all.keys() {
                let is_folded = prefixes.iter().any(|folded| key.starts_with(folded));
                prop_assert_eq!(key.starts_with(&prefix), listed.contains(key) || is_folded);
                prop_assert!(!(listed.contains(key) && is_folded));
            }
        }
    }
}
