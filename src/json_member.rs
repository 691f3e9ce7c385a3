//! Members of JSON objects that are written by hand.

/// Appends a member with any text. `name` is everything before the text's opening quote.
///
/// Nearly every text needs no escape, and is copied as a whole; serde examines and copies each byte of it.
pub(crate) fn member(json: &mut String, name: &str, text: &str) {
    json.push_str(name);
    if needs_escapes(text) {
        json.push_str(&serde_json::to_string(text).expect("a text is plain JSON"));
    } else {
        json.push('"');
        json.push_str(text);
        json.push('"');
    }
}

/// Without an early end, so that many bytes are compared at once.
fn needs_escapes(text: &str) -> bool {
    text.bytes().fold(false, |found, b| found || b < b' ' || b == b'"' || b == b'\\')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_member_is_what_serde_writes_for_each_character() {
        for c in ('\0'..='\u{ff}').chain(['\u{7ff}', '\u{2028}', '\u{ffff}', '\u{10ffff}']) {
            let text = format!("a{c}b");
            let mut json = String::from("{");
            member(&mut json, r#""name":"#, &text);
            assert_eq!(json, format!(r#"{{"name":{}"#, serde_json::to_string(&text).unwrap()));
        }
    }

    proptest! {
        #[test]
        fn a_member_is_what_serde_writes(text: String) {
            let mut json = String::new();
            member(&mut json, "", &text);
            prop_assert_eq!(json, serde_json::to_string(&text).unwrap());
        }
    }
}
