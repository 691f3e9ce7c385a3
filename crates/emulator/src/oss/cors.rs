//! CORS. Every bucket has one rule, as an administrator would set it for development: any origin, any header. Signatures and policies
//! still decide; cookies are not used.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Response, header};

use super::head::Head;

/// The headers that pages can read besides those that browsers always expose.
const EXPOSED: &str = "ETag, Date, Content-Length, Content-Range, Accept-Ranges, Content-MD5, x-oss-request-id, \
    x-oss-hash-crc64ecma, x-oss-object-type, x-oss-next-append-position, x-oss-server-time, x-oss-ec, \
    x-emulator-decision";

/// The answer to a preflight, if the request is one.
pub(crate) fn preflight(head: &Head) -> Option<Response<Body>> {
    let is_preflight = head.method == Method::OPTIONS
        && head.headers.contains_key(header::ORIGIN)
        && head.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !is_preflight {
        return None;
    }
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, PUT, POST, DELETE, HEAD"),
    );
    // The requested headers rather than `*`, which does not include `Authorization`.
    if let Some(request) = head.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, request.clone());
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    Some(response)
}

/// Adds the headers that let a page read the answer.
pub(crate) fn allow_origin(request: &Head, response: &mut HeaderMap) {
    if request.headers.contains_key(header::ORIGIN) {
        let any = HeaderValue::from_static("*");
        response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
        response.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        response.insert(header::VARY, HeaderValue::from_static("Origin"));
    }
}
