//! The headers of W3C Trace Context: the caller's span, and the vendors' state.

use reqwest::header::HeaderMap;

/// The longest `tracestate` that is propagated; W3C requires at least this.
const MAX_STATE_LENGTH: usize = 512;

/// The caller's span in `traceparent`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Parent {
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    /// Whether the caller records the trace.
    pub(super) sampled: bool,
}

impl Parent {
    /// `None` if the header is missing, occurs twice or is invalid.
    pub(super) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all("traceparent").iter();
        match (all.next(), all.next()) {
            (Some(only), None) => Self::parse(only.as_bytes()),
            (Some(_), Some(_)) | (None, _) => None,
        }
    }

    /// Parses `00-<trace id>-<span id>-<flags>`. Later versions may add fields after another dash.
    fn parse(text: &[u8]) -> Option<Self> {
        let (head, rest) = text.split_at_checked(55)?;
        let dashes = [2, 35, 52].into_iter().all(|at| head[at] == b'-');
        let [version] = bytes(&head[..2])?;
        let known = version == 0 && rest.is_empty();
        let later = (1..255).contains(&version) && rest.first().is_none_or(|next| *next == b'-');
        if !dashes || !(known || later) {
            return None;
        }
        let (trace_id, span_id) = (bytes(&head[3..35])?, bytes(&head[36..52])?);
        let [flags]: [u8; 1] = bytes(&head[53..])?;
        let named = trace_id != [0; 16] && span_id != [0; 8];
        named.then_some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }
}

/// Decodes hexadecimal digits, which must be in lower case.
fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if digits.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

/// The members of all `tracestate` headers; empty if they are invalid or too long.
pub(super) fn state(headers: &HeaderMap) -> String {
    let mut list = String::new();
    for header in headers.get_all("tracestate") {
        let Ok(text) = header.to_str() else { return String::new() };
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(text.trim());
        if list.len() > MAX_STATE_LENGTH {
            return String::new();
        }
    }
    let members = list.split(',').map(str::trim).filter(|member| !member.is_empty());
    if members.clone().all(|member| member.contains('=')) { list } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        let name = reqwest::header::HeaderName::from_static(name);
        values.iter().map(|value| (name.clone(), value.parse().unwrap())).collect()
    }

    fn parent(values: &[&str]) -> Option<Parent> {
        Parent::from_headers(&headers("traceparent", values))
    }

    #[test]
    fn a_traceparent_names_the_span_and_the_sampling_decision() {
        let got = parent(&[GOOD]).unwrap();
        assert_eq!(hex::encode(got.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((hex::encode(got.span_id).as_str(), got.sampled), ("00f067aa0ba902b7", true));
        for (flags, sampled) in [("00", false), ("02", false), ("03", true), ("ff", true)] {
            let text = format!("{}{flags}", &GOOD[..53]);
            assert_eq!(parent(&[&text]).map(|parent| parent.sampled), Some(sampled), "{flags}");
        }
        // A later version begins with the fields of this one.
        assert_eq!(parent(&[&format!("cc{}", &GOOD[2..])]), Some(got));
        assert_eq!(parent(&[&format!("cc{}-what-comes", &GOOD[2..])]), Some(got));
    }

    #[test]
    fn an_invalid_missing_or_repeated_traceparent_is_ignored() {
        let bad = [
            String::new(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-more"),
            format!("{GOOD}0"),
            format!("ff{}", &GOOD[2..]),
            format!("cc{}.more", &GOOD[2..]),
            GOOD.to_uppercase(),
            GOOD.replace('-', "_"),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GOOD.replace("4bf9", "4bg9"),
            GOOD.replace("-01", "-0x"),
        ];
        for bad in &bad {
            assert_eq!(parent(&[bad]), None, "{bad}");
        }
        assert_eq!(parent(&[GOOD, GOOD]), None);
        assert_eq!(parent(&[]), None);
    }

    #[test]
    fn tracestate_headers_are_joined_and_bounded() {
        let state = |values: &[&str]| super::state(&headers("tracestate", values));
        assert_eq!(
            state(&["rojo=00f067aa0ba902b7", " congo=t61rcWkgMzE"]),
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
        );
        assert_eq!(state(&[]), "");
        assert_eq!(state(&["no list"]), "");
        let long = format!("a={}", "b".repeat(MAX_STATE_LENGTH - 2));
        assert_eq!(state(&[&long]), long);
        assert_eq!(state(&[&long, "c=d"]), "");
    }
}
