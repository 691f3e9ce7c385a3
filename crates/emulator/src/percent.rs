//! Percent-encoding of signed strings: STS and OSS use the same. It is the emulator's own code, because a client's encoding that is wrong
//! would agree with itself.

/// RFC 3986: everything but the unreserved characters, hexadecimal digits in upper case.
pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(b).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect()
}
