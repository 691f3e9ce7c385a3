//! Text from outside for terminals: no character of it controls the terminal, changes the order of the text or is not shown.

use std::borrow::Cow;
use std::fmt::Write;

/// Text for one line, with what a terminal does not simply show in the form of JSON: `\u202e`.
///
/// A text of JSON stays JSON with the same values, because such characters occur in its strings alone.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    escaped_but(text, |_| false)
}

/// The same for text that has line ends of its own.
pub(crate) fn escaped_lines(text: &str) -> Cow<'_, str> {
    escaped_but(text, |c| c == '\n')
}

fn escaped_but(text: &str, is_kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    // Nearly all text is printable ASCII.
    let is_plain = |byte| matches!(byte, b' '..=b'~') || is_kept(char::from(byte));
    if text.bytes().all(is_plain) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if !is_hidden(c) || is_kept(c) {
            escaped.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            write!(escaped, "\\u{unit:04x}").expect("a string takes every text");
        }
    }
    escaped.into()
}

/// Whether a terminal obeys the character, orders text by it or does not show it: Unicode's controls (Cc), formats (Cf), and
/// separators of lines and paragraphs (Zl, Zp).
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}'
            | '\u{e0020}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_unicodes_controls_formats_and_separators_are_hidden() {
        let hidden = regex::Regex::new(r"^[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]$").unwrap();
        let differ: Vec<_> = ('\0'..=char::MAX)
            .filter(|&c| is_hidden(c) != hidden.is_match(c.encode_utf8(&mut [0; 4])))
            .collect();
        assert_eq!(differ, Vec::<char>::new());
    }

    #[test]
    fn text_that_is_shown_stays_and_json_keeps_its_values() {
        for text in ["", "plain ~", "Zoë 照片 é \u{301}", "\\u202e"] {
            assert!(matches!(escaped(text), Cow::Borrowed(_)) || escaped(text) == text, "{text}");
        }
        assert_eq!(escaped("a\nb\t\u{1b}[2J\u{202e}"), r"a\u000ab\u0009\u001b[2J\u202e");
        assert_eq!(escaped_lines("a\nb\r\n\u{e0041}"), "a\nb\\u000d\n\\udb40\\udc41");
        let value = serde_json::json!({"\u{202e}": "\u{e0041}\u{7f}\n\u{2028}"});
        let json = value.to_string();
        assert_ne!(escaped(&json), json);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped(&json)).unwrap(), value);
    }
}
