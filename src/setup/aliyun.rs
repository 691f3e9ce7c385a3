//! Calls of Alibaba's command line, `aliyun`, as a shell takes them. Pure.

/// A call, such as `aliyun ram GetRole --RoleName oss-readonly`.
pub(crate) fn call(action: &str, parameters: &[(&str, &str)]) -> String {
    let mut call = format!("aliyun {action}");
    for (name, value) in parameters {
        call += &format!(" --{name} {}", quoted(value));
    }
    call
}

/// One word of a shell.
fn quoted(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@,".contains(&b);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_if_a_shell_could_read_it_otherwise() {
        for (word, expected) in [
            ("oss-readonly", "oss-readonly"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(id)`id`\"\\", "'$(id)`id`\"\\'"),
            ("it's", r"'it'\''s'"),
            ("a\nb", "'a\nb'"),
            ("*", "'*'"),
            ("~", "'~'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
