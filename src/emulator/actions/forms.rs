//! The forms that AssumeRole's parameters must have.

/// `acs:ram::<account id>:role/<role name>`, the name of at most 64 characters.
pub(crate) fn is_role_arn(text: &str) -> bool {
    let parts = text.strip_prefix("acs:ram::").and_then(|rest| rest.split_once(":role/"));
    parts.is_some_and(|(account, name)| {
        !account.is_empty()
            && account.bytes().all(|b| b.is_ascii_digit())
            && (1..=64).contains(&name.len())
            && only(name, ".-_")
    })
}

pub(crate) fn is_session_name(text: &str) -> bool {
    (2..=64).contains(&text.len()) && only(text, ".@-_")
}

pub(crate) fn is_external_id(text: &str) -> bool {
    (2..=1224).contains(&text.len()) && only(text, "_+=,.@:/-")
}

/// The documented prefixes that it must not have (`acs:` and so on) hold a `:`, which it cannot have anyway.
pub(crate) fn is_source_identity(text: &str) -> bool {
    (2..=64).contains(&text.len()) && only(text, "_+=,.@-")
}

fn only(text: &str, besides_letters_and_digits: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || besides_letters_and_digits.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_ends_where_the_documentation_says() {
        let long = |n| "x".repeat(n);
        let table: [(fn(&str) -> bool, String, bool); 19] = [
            (is_role_arn, "acs:ram::11223344:role/oss-readonly".into(), true),
            (is_role_arn, format!("acs:ram::1:role/{}", long(64)), true),
            (is_role_arn, format!("acs:ram::1:role/{}", long(65)), false),
            (is_role_arn, "acs:ram::1:user/x".into(), false),
            (is_role_arn, "acs:ram:::role/x".into(), false),
            (is_role_arn, "acs:ram::1:role/".into(), false),
            (is_role_arn, "acs:ram::1:role/*".into(), false),
            (is_session_name, "ab".into(), true),
            (is_session_name, "a".into(), false),
            (is_session_name, long(64), true),
            (is_session_name, long(65), false),
            (is_session_name, "alice+b".into(), false),
            (is_session_name, "alice@example.com".into(), true),
            (is_external_id, "a:/b".into(), true),
            (is_external_id, long(1225), false),
            (is_external_id, "a b".into(), false),
            (is_source_identity, "Alice=1".into(), true),
            (is_source_identity, "acs:alice".into(), false),
            (is_source_identity, long(65), false),
        ];
        for (is_formed, text, expected) in table {
            assert_eq!(is_formed(&text), expected, "{text}");
        }
    }
}
