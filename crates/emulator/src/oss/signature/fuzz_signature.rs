//! Fuzz target of signatures in headers and queries.

use axum::http::{HeaderName, HeaderValue, Request};

use super::{Scheme, Signed};
use crate::oss::head::Head;

/// A line with a method and a target, and lines with headers.
///
/// No signature of nonsense is valid, and a V4 signature that is read has all its terms.
pub(crate) fn oss_signature(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.lines();
    let Some((method, target)) = lines.next().and_then(|line| line.split_once(' ')) else { return };
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in lines.filter_map(|line| line.split_once(':')).take(32) {
        let [name, value] = [name.trim(), value.trim()];
        let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value))
        else {
            return;
        };
        request = request.header(name, value);
    }
    let Ok(request) = request.body(()) else { return };
    let head = Head::read(request.into_parts().0, |name| name == "photos", |_| None);
    let Ok(Some(signed)) = Signed::read(&head) else { return };
    assert!(!signed.access_key_id.is_empty(), "a signature of no AccessKey is read");
    if let Scheme::V4(terms) = &signed.scheme {
        let date = terms.at.format("%Y%m%d").to_string();
        assert!(terms.scope.to_string().starts_with(&date), "{} is not of {date}", terms.scope);
        let life = terms.expires.map(|expires| (expires - terms.at).num_seconds());
        assert!(life.is_none_or(|life| (1..=604_800).contains(&life)), "it lives {life:?} s");
    }
    let verified = signed.verify(&head, &"a secret that no input has".into());
    assert!(verified.is_err(), "a signature of nobody is valid");
}
