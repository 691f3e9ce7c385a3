//! Strict percent-decoding. An incomplete escape is an error, because two readers could repair it differently.

/// What a `+` stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Plus {
    /// Itself, as in a path.
    Literal,
    /// A space, as in a form.
    Space,
}

/// The decoded bytes; `None` if an escape is incomplete.
pub(super) fn decode(text: &str, plus: Plus) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        decoded.push(match byte {
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                let mut value = [0];
                hex::decode_to_slice(digits, &mut value).ok()?;
                value[0]
            }
            b'+' if plus == Plus::Space => b' ',
            byte => byte,
        });
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_complete_and_a_plus_is_a_space_in_forms_alone() {
        let decoded =
            |text, plus| decode(text, plus).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(decoded("a%2fb%2F+", Plus::Literal).as_deref(), Some("a/b/+"));
        assert_eq!(decoded("a%20b+c", Plus::Space).as_deref(), Some("a b c"));
        for bad in ["%", "%2", "%zz", "a%+1", "%%41"] {
            assert_eq!(decode(bad, Plus::Space), None, "{bad}");
        }
    }
}
