//! Checks the framing of a chunked HTTP/1 body: every line ends in CR LF, and no trailer field overrides the head.
//!
//! hyper decodes the body, but takes a bare LF as the end of a trailer line, any byte in a chunk extension, and any field
//! in the trailers. A proxy in front may read the same bytes as two requests. The check runs over the bytes before hyper
//! reads them; the limits of hyper (16 KiB of extensions, 16 KiB of trailers) still apply behind it.

use memchr::memchr;

/// More hexadecimal digits do not fit 64 bits.
const MAX_SIZE_DIGITS: u8 = 16;
/// Longer than every name in [`FORBIDDEN`].
const LONGEST_NAME: usize = 32;

/// Trailer fields that belong in the head (RFC 9110 §6.5.1): framing, routing, conditions, authentication, content.
const FORBIDDEN: [&[u8]; 24] = [
    b"authorization",
    b"cache-control",
    b"connection",
    b"cookie",
    b"expect",
    b"forwarded",
    b"host",
    b"keep-alive",
    b"max-forwards",
    b"origin",
    b"pragma",
    b"range",
    b"referer",
    b"te",
    b"traceparent",
    b"tracestate",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"user-agent",
    b"via",
    b"x-http-method-override",
    b"x-real-ip",
    b"x-request-id",
];
/// Prefixes of such fields.
const FORBIDDEN_PREFIXES: [&[u8]; 5] = [b"accept", b"content-", b"if-", b"proxy-", b"x-forwarded-"];

/// Why a chunked body is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ChunkedError {
    #[error("the size of a chunk must be 1 to 16 hexadecimal digits, followed by `;` or CR LF")]
    Size,
    #[error("a line of the chunked body contains a control character or does not end in CR LF")]
    Line,
    #[error("the data of a chunk is longer than its size")]
    Data,
    #[error("a trailer line of the chunked body is not a field name, `:` and a value")]
    Trailer,
    #[error("a trailer field of the chunked body is only allowed in the head of the request")]
    ForbiddenTrailer,
}

/// How far a chunked body has been checked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ChunkedCheck {
    state: State,
    /// The size of the current chunk while it is read, then the rest of its data.
    left: u64,
    name: [u8; LONGEST_NAME],
    /// The full length of the current trailer field's name, of which `name` holds the beginning.
    name_length: usize,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    #[default]
    SizeStart,
    Size {
        digits: u8,
    },
    Extension,
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLineFeed,
    LastLineFeed,
    /// Bytes after the body are ignored: the connection is closed after the answer.
    End,
}

impl ChunkedCheck {
    /// Checks the next bytes of the body. After an error the body is never valid again.
    pub(super) fn check(&mut self, mut bytes: &[u8]) -> Result<(), ChunkedError> {
        while let Some((&byte, rest)) = bytes.split_first() {
            match self.state {
                State::End => return Ok(()),
                State::Data => {
                    let data = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                    self.left -= data as u64;
                    bytes = &bytes[data..];
                    if self.left == 0 {
                        self.state = State::DataReturn;
                    }
                }
                _ => {
                    self.state = self.step(byte)?;
                    bytes = rest;
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, byte: u8) -> Result<State, ChunkedError> {
        match (self.state, byte) {
            (State::SizeStart, _) => {
                self.left = 0;
                self.digit(byte, 0)
            }
            (State::Size { .. }, b'\r') => Ok(State::SizeLineFeed),
            (State::Size { .. }, b';') => Ok(State::Extension),
            (State::Size { digits }, _) => self.digit(byte, digits),
            (State::Extension, b'\r') => Ok(State::SizeLineFeed),
            (State::Extension, b'\t' | b' '..=b'~') => Ok(State::Extension),
            (State::SizeLineFeed, b'\n') if self.left == 0 => Ok(State::TrailerStart),
            (State::SizeLineFeed, b'\n') => Ok(State::Data),
            (State::DataReturn, b'\r') => Ok(State::DataLineFeed),
            (State::DataLineFeed, b'\n') => Ok(State::SizeStart),
            (State::DataReturn | State::DataLineFeed, _) => Err(ChunkedError::Data),
            (State::TrailerStart, b'\r') => Ok(State::LastLineFeed),
            (State::TrailerStart, _) => {
                self.name_length = 0;
                self.name_byte(byte)
            }
            (State::TrailerName, b':') if self.is_forbidden() => {
                Err(ChunkedError::ForbiddenTrailer)
            }
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerName, _) => self.name_byte(byte),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLineFeed),
            (State::TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => Ok(State::TrailerValue),
            (State::TrailerLineFeed, b'\n') => Ok(State::TrailerStart),
            (State::LastLineFeed, b'\n') => Ok(State::End),
            (
                State::Extension
                | State::SizeLineFeed
                | State::TrailerValue
                | State::TrailerLineFeed
                | State::LastLineFeed,
                _,
            ) => Err(ChunkedError::Line),
            (State::Data | State::End, _) => Ok(self.state),
        }
    }

    fn digit(&mut self, byte: u8, digits: u8) -> Result<State, ChunkedError> {
        let digit = char::from(byte).to_digit(16).ok_or(ChunkedError::Size)?;
        if digits == MAX_SIZE_DIGITS {
            return Err(ChunkedError::Size);
        }
        self.left = (self.left << 4) | u64::from(digit);
        Ok(State::Size { digits: digits + 1 })
    }

    fn name_byte(&mut self, byte: u8) -> Result<State, ChunkedError> {
        // RFC 9110 §5.6.2.
        let is_token = byte.is_ascii_alphanumeric() || memchr(byte, b"!#$%&'*+-.^_`|~").is_some();
        if !is_token {
            return Err(ChunkedError::Trailer);
        }
        if let Some(kept) = self.name.get_mut(self.name_length) {
            *kept = byte.to_ascii_lowercase();
        }
        self.name_length += 1;
        Ok(State::TrailerName)
    }

    fn is_forbidden(&self) -> bool {
        let name = &self.name[..self.name_length.min(LONGEST_NAME)];
        FORBIDDEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || (self.name_length <= LONGEST_NAME && FORBIDDEN.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_in_pieces(body: &[u8], size: usize) -> Result<(), ChunkedError> {
        let mut check = ChunkedCheck::default();
        body.chunks(size).try_for_each(|piece| check.check(piece))
    }

    #[test]
    fn a_chunked_body_is_checked_the_same_however_it_arrives() {
        for body in [
            "0\r\n\r\n",
            "2\r\n{}\r\n0\r\n\r\n",
            "2;x=\"y;z\";\tq\r\n{}\r\n000000000000000A\r\n\r\n\0\n345678\r\n0;last\r\n\r\n",
            "0\r\nT: x\r\nExpires:\r\nServer-Timing: a, b\r\n\r\nGET / HTTP/1.1\n\0",
        ] {
            for size in 1..=body.len() {
                assert_eq!(check_in_pieces(body.as_bytes(), size), Ok(()), "{size}: {body:?}");
            }
        }
        for (body, expected) in [
            ("\r\n", ChunkedError::Size),
            ("2\n{}\r\n", ChunkedError::Size),
            ("0x2\r\n{}\r\n", ChunkedError::Size),
            ("+2\r\n{}\r\n", ChunkedError::Size),
            ("2 \r\n{}\r\n", ChunkedError::Size),
            ("2\0\r\n{}\r\n", ChunkedError::Size),
            ("00000000000000002\r\n{}\r\n", ChunkedError::Size),
            ("2\r{}\r\n", ChunkedError::Line),
            ("2;x\n{}\r\n", ChunkedError::Line),
            ("2;x\ry\r\n{}\r\n", ChunkedError::Line),
            ("2;x\0\r\n{}\r\n", ChunkedError::Line),
            ("2;\x7f\r\n{}\r\n", ChunkedError::Line),
            ("2\r\n{}0\r\n\r\n", ChunkedError::Data),
            ("2\r\n{}\n0\r\n\r\n", ChunkedError::Data),
            ("2\r\n{}\r0\r\n\r\n", ChunkedError::Data),
            ("0\r\n\n", ChunkedError::Trailer),
            ("0\r\n\r\r\n", ChunkedError::Line),
            ("0\r\nT: x\n\r\n", ChunkedError::Line),
            ("0\r\nT: x\ry\r\n\r\n", ChunkedError::Line),
            ("0\r\nT: \0\r\n\r\n", ChunkedError::Line),
            ("0\r\nT: x\r\n folded\r\n\r\n", ChunkedError::Trailer),
            ("0\r\nT : x\r\n\r\n", ChunkedError::Trailer),
            ("0\r\n: x\r\n\r\n", ChunkedError::Trailer),
            ("0\r\nGET / HTTP/1.1\r\n\r\n", ChunkedError::Trailer),
            ("0\r\nContent-Length: 2\r\n\r\n", ChunkedError::ForbiddenTrailer),
            ("0\r\nTRANSFER-ENCODING: chunked\r\n\r\n", ChunkedError::ForbiddenTrailer),
            ("0\r\nT: x\r\nhost: b\r\n\r\n", ChunkedError::ForbiddenTrailer),
            ("0\r\nAuthorization: Basic eDp5\r\n\r\n", ChunkedError::ForbiddenTrailer),
            ("0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n", ChunkedError::ForbiddenTrailer),
        ] {
            for size in 1..=body.len() {
                let outcome = check_in_pieces(body.as_bytes(), size);
                assert_eq!(outcome, Err(expected), "{size}: {body:?}");
            }
        }
    }

    #[test]
    fn every_forbidden_name_fits_the_name_buffer() {
        for name in FORBIDDEN.iter().chain(&FORBIDDEN_PREFIXES) {
            assert!(name.len() < LONGEST_NAME && name.to_ascii_lowercase() == *name);
        }
    }
}
