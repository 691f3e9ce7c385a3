//! Converts an error response of STS into an [`StsError`].

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::error::{InvalidResponse, StsError};
use super::refusal::{ErrorCode, Reason, Refusal};
use super::response_body::ResponseBody;
use super::sts_clock;

/// The longest throttling that is accepted from STS. It is passed on in `Retry-After`: a broken header must not send
/// apps away for a year.
const LONGEST_THROTTLING: Duration = Duration::from_mins(5);

/// The error of a response, by its `Code`; by its status only if the code is missing or unknown.
///
/// `string_to_sign` is ours, compared with the one that STS echoes.
pub(super) fn classify(
    status: StatusCode,
    headers: &HeaderMap,
    answer: Option<&ResponseBody<'_>>,
    string_to_sign: &str,
) -> StsError {
    let request_id = answer.and_then(ResponseBody::request_id);
    let Some(code) = answer.and_then(code) else {
        return by_status(status, headers, answer);
    };
    let reason = match code.as_str() {
        throttling if is_throttling(throttling) => {
            return StsError::Throttled { retry_after: time_left(headers), request_id };
        }
        "InternalError" | "ServiceUnavailable" | "UnknownError" => {
            return StsError::Unavailable { status: status.as_u16(), request_id };
        }
        "SignatureNonceUsed" => return StsError::NonceUsed { request_id },
        "InvalidTimeStamp.Expired" => {
            return StsError::ClockSkewed { sts_time: sts_clock::date_header(headers), request_id };
        }
        "InvalidAccessKeyId.Inactive" => Reason::KeyDisabled,
        "InvalidAccessKeyId.NetworkNotAllowed" => Reason::KeyNetwork,
        "InvalidAccessKeyId" | "InvalidAccessKeyId.NotFound" => Reason::KeyUnknown,
        key if key.starts_with("InvalidAccessKeyId.") => Reason::KeyRefused,
        "MissingSecurityToken" => Reason::SecurityToken,
        token if token.starts_with("InvalidSecurityToken") => Reason::SecurityToken,
        "AuthenticationFail.OIDCToken.Expired" => Reason::OidcTokenExpired,
        "AuthenticationFail.OIDCToken.AudienceNotMatch" => Reason::OidcAudience,
        token if token.starts_with("AuthenticationFail.OIDCToken.") => Reason::OidcToken,
        "SignatureDoesNotMatch" => signature_reason(answer, string_to_sign),
        "IncompleteSignature" | "InvalidTimeStamp.Format" => Reason::SigningBug,
        _ => match Reason::about_the_session(&code) {
            Some(reason) => reason,
            None if status.is_server_error() => {
                return StsError::Unavailable { status: status.as_u16(), request_id };
            }
            None => Reason::Unknown,
        },
    };
    StsError::Refused { refusal: Refusal::new(reason, code), request_id }
}

fn code(answer: &ResponseBody<'_>) -> Option<ErrorCode> {
    answer.text("/Code").or_else(|_| answer.text("/code")).ok()?.parse().ok()
}

fn is_throttling(code: &str) -> bool {
    matches!(code, "Throttling" | "Rejected.Throttling") || code.starts_with("Throttling.")
}

/// A response of a proxy, or an undocumented one of STS.
fn by_status(
    status: StatusCode,
    headers: &HeaderMap,
    answer: Option<&ResponseBody<'_>>,
) -> StsError {
    let request_id = answer.and_then(ResponseBody::request_id);
    if status == StatusCode::TOO_MANY_REQUESTS {
        StsError::Throttled { retry_after: time_left(headers), request_id }
    } else if status.is_server_error() {
        StsError::Unavailable { status: status.as_u16(), request_id }
    } else {
        let problem = InvalidResponse::Status(status.as_u16());
        StsError::InvalidResponse { problem, request_id }
    }
}

/// If STS signed the same string, the secrets differ. The echo is compared and not kept.
fn signature_reason(answer: Option<&ResponseBody<'_>>, string_to_sign: &str) -> Reason {
    let message =
        answer.and_then(|a| a.text("/Message").or_else(|_| a.text("/message")).ok()).unwrap_or("");
    match message.split_once("string to sign is:") {
        Some((_, theirs)) if theirs.trim() == string_to_sign => Reason::WrongSecret,
        Some(_) => Reason::SigningBug,
        None => Reason::Signature,
    }
}

/// The rest of the throttling, by the longer of its headers: `Limit:1,Remain:0,TimeLeft:2000,Reset:1234`.
fn time_left(headers: &HeaderMap) -> Option<Duration> {
    let millis = |value: &str| -> Option<u64> {
        value.split(',').find_map(|part| part.trim().strip_prefix("TimeLeft:")?.trim().parse().ok())
    };
    let values = ["x-ratelimit-user-api", "x-ratelimit-user"].map(|name| headers.get(name));
    let longest =
        values.into_iter().flatten().filter_map(|value| millis(value.to_str().ok()?)).max();
    longest.map(|millis| Duration::from_millis(millis).min(LONGEST_THROTTLING))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const REQUEST_ID: &str = "7463B73D-35CC-4D19-A010-6B8D65D242EF";
    const OURS: &str = "POST&%2F&AccessKeyId%3Dcanary";

    fn classified(status: u16, body: &str, headers: &[(&'static str, &str)]) -> StsError {
        let headers = headers.iter().map(|(name, value)| {
            (reqwest::header::HeaderName::from_static(name), value.parse().unwrap())
        });
        let answer = ResponseBody::parse(body.as_bytes()).ok();
        let status = StatusCode::from_u16(status).unwrap();
        classify(status, &headers.collect(), answer.as_ref(), OURS)
    }

    fn error(status: u16, code: &str, message: &str) -> StsError {
        let body = json!({
            "RequestId": REQUEST_ID,
            "HostId": "sts.aliyuncs.com",
            "Code": code,
            "Message": message,
            "Recommend": "https://api.aliyun.com/troubleshoot",
        });
        classified(status, &body.to_string(), &[])
    }

    #[test]
    fn throttling_by_http_400_is_not_a_permission_error() {
        for (status, code) in [
            (400, "Throttling"),
            (400, "Throttling.User"),
            (400, "Throttling.Api"),
            (403, "Throttling.User"),
            (503, "Rejected.Throttling"),
        ] {
            let error = error(status, code, "Request was denied due to user flow control.");
            assert!(matches!(error, StsError::Throttled { retry_after: None, .. }), "{error:?}");
            assert!(error.is_transient());
        }
    }

    #[test]
    fn every_documented_code_is_classified_regardless_of_its_status() {
        let table = [
            ("InvalidParameter", "bad_parameter", false),
            ("InvalidParameter.RoleArn", "bad_parameter", false),
            ("InvalidParameter.DurationSeconds", "bad_parameter", false),
            ("InvalidParameter.PolicyGrammar", "bad_policy", false),
            ("InvalidParameter.PolicySize", "bad_policy", false),
            ("MissingAction", "bad_parameter", false),
            ("NoPermission", "no_permission", false),
            ("AuthenticationFail.NoPermission", "no_permission", false),
            ("EntityNotExist.Role", "no_such_role", false),
            ("InvalidAccessKeyId.NotFound", "key_unknown", false),
            ("InvalidAccessKeyId.Inactive", "key_disabled", false),
            ("InvalidAccessKeyId.NetworkNotAllowed", "key_network", false),
            ("InvalidAccessKeyId.Novelty", "key_refused", false),
            ("InvalidSecurityToken.Expired", "bad_security_token", false),
            ("InvalidSecurityToken.MismatchWithAccessKey", "bad_security_token", false),
            ("MissingSecurityToken", "bad_security_token", false),
            ("IncompleteSignature", "signing_bug", false),
            ("InvalidTimeStamp.Format", "signing_bug", false),
            ("InvalidTimeStamp.Expired", "clock_skewed", true),
            ("SignatureNonceUsed", "nonce_used", true),
            ("InternalError", "unavailable", true),
            ("ServiceUnavailable", "unavailable", true),
            ("InvalidProtocol.NeedSsl", "refused", false),
            ("InvalidApi.NotFound", "refused", false),
        ];
        for (code, kind, transient) in table {
            for status in [400, 403, 404] {
                let error = error(status, code, "canary");
                assert_eq!((error.kind(), error.is_transient()), (kind, transient), "{code}");
                assert_eq!(error.request_id(), Some(REQUEST_ID));
            }
        }
    }

    #[test]
    fn an_unknown_code_with_a_5xx_means_unavailable() {
        assert_eq!(error(500, "Novelty", "canary").kind(), "unavailable");
        assert_eq!(error(400, "Novelty", "canary").kind(), "refused");
    }

    #[test]
    fn the_echoed_string_distinguishes_a_wrong_secret_from_a_signing_bug() {
        let prefix = "Specified signature is not matched with our calculation.";
        let message = |rest: &str| error(400, "SignatureDoesNotMatch", &format!("{prefix}{rest}"));
        let wrong_secret = message(&format!(" server string to sign is:{OURS}"));
        let signing_bug = message(" server string to sign is:POST&%2F&AccessKeyId%3Dcanary%2B");
        assert_eq!(wrong_secret.kind(), "wrong_secret");
        assert_eq!(signing_bug.kind(), "signing_bug");
        assert_eq!(message("").kind(), "bad_signature");
        for error in [wrong_secret, signing_bug] {
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("canary"), "{shown}");
        }
    }

    #[test]
    fn an_error_message_never_contains_text_of_sts() {
        let error = error(403, "NoPermission", "canary");
        let told = "STS refused: the identity may not assume the role, \
                    or the role does not trust it (NoPermission)";
        assert_eq!(error.to_string(), told);
        assert!(!format!("{error:?}").contains("canary"));
    }

    #[test]
    fn the_longest_time_left_is_used() {
        let body = r#"{"Code":"Throttling.User","RequestId":"1"}"#;
        let both = [
            ("x-ratelimit-user-api", "Limit:1,Remain:0,TimeLeft:2000,Reset:1234"),
            ("x-ratelimit-user", "Limit:1, Remain:0, TimeLeft:500, Reset:1234"),
        ];
        let left = |headers| classified(400, body, headers).retry_after();
        assert_eq!(left(&both), Some(Duration::from_secs(2)));
        assert_eq!(left(&both[1..]), Some(Duration::from_millis(500)));
        assert_eq!(left(&[]), None);
        assert_eq!(left(&[("x-ratelimit-user", "Limit:1,TimeLeft:soon")]), None);
        assert_eq!(left(&[("x-ratelimit-user", "TimeLeft:-1")]), None);
    }

    #[test]
    fn throttling_is_limited_to_five_minutes() {
        for (millis, secs) in
            [(299_000, 299), (300_001, 300), (i64::MAX as u64, 300), (u64::MAX, 300)]
        {
            let header = format!("Limit:1,Remain:0,TimeLeft:{millis},Reset:1");
            let error =
                classified(400, r#"{"Code":"Throttling"}"#, &[("x-ratelimit-user", &header)]);
            assert_eq!(error.retry_after(), Some(Duration::from_secs(secs)), "{millis}");
        }
    }

    #[test]
    fn lower_case_error_bodies_are_parsed() {
        let body = r#"{"requestId":"1-A","code":"EntityNotExist.Role","message":"canary"}"#;
        let error = classified(404, body, &[]);
        assert_eq!((error.kind(), error.request_id()), ("no_such_role", Some("1-A")));
    }

    #[test]
    fn a_foreign_response_body_is_classified_by_its_status() {
        for body in ["<html>canary</html>", "", "{}", r#"{"Code":"can ary"}"#, r#"{"Code":7}"#] {
            let kinds = [500, 502, 503, 429, 403, 302].map(|s| classified(s, body, &[]).kind());
            let expected = [
                "unavailable",
                "unavailable",
                "unavailable",
                "throttled",
                "invalid_response",
                "invalid_response",
            ];
            assert_eq!(kinds, expected, "{body}");
        }
    }

    #[test]
    fn a_clock_skew_error_contains_the_time_of_sts() {
        let body = r#"{"Code":"InvalidTimeStamp.Expired"}"#;
        let time = |headers| match classified(400, body, headers) {
            StsError::ClockSkewed { sts_time, .. } => sts_time,
            other => panic!("{other:?}"),
        };
        let expected = "2016-01-13T14:02:37Z".parse().unwrap();
        assert_eq!(time(&[("date", "Wed, 13 Jan 2016 14:02:37 GMT")]), Some(expected));
        assert_eq!(time(&[("date", "today")]), None);
        assert_eq!(time(&[]), None);
    }
}
