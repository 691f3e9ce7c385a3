//! The documented formats of AssumeRole's parameters.

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

/// The documented forbidden prefixes (such as `acs:`) contain a `:`, which is not allowed anyway.
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
    fn each_format_has_the_documented_limits() {
        let long = |n| "x".repeat(n);
        let role = |n| format!("acs:ram::1:role/{}", long(n));
        let good = [
            is_role_arn("acs:ram::11223344:role/oss-readonly"),
            is_role_arn(&role(64)),
            is_session_name("ab"),
            is_session_name(&long(64)),
            is_session_name("alice@example.com"),
            is_external_id("a:/b"),
            is_external_id(&long(1224)),
            is_source_identity("Alice=1"),
            is_source_identity(&long(64)),
        ];
        let bad = [
            is_role_arn(&role(65)),
            is_role_arn("acs:ram::1:user/x"),
            is_role_arn("acs:ram:::role/x"),
            is_role_arn("acs:ram::1:role/"),
            is_role_arn("acs:ram::1:role/*"),
            is_session_name("a"),
            is_session_name(&long(65)),
            is_session_name("alice+b"),
            is_session_name("alice/b"),
            is_external_id("a"),
            is_external_id(&long(1225)),
            is_external_id("a b"),
            is_source_identity("acs:alice"),
            is_source_identity(&long(65)),
        ];
        assert_eq!((good, bad), ([true; 9], [false; 14]));
    }
}
