//! Text in HTML.

use serde_json::Value;

/// The text, with all markup escaped.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

/// The same, with text between two backticks as code.
pub(super) fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate().map(|(i, part)| match i % 2 {
        0 => escaped(part),
        _ => format!("<code>{}</code>", escaped(part)),
    });
    parts.collect()
}

/// A member's text; empty where there is none.
pub(super) fn of<'a>(tree: &'a Value, name: &str) -> &'a str {
    tree[name].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_markup() {
        let html = prose("a <b> & `<script>\"'` c");
        assert_eq!(html, "a &lt;b&gt; &amp; <code>&lt;script&gt;&quot;&#39;</code> c");
    }
}
