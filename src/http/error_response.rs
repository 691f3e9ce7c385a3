//! The body of every failure.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::ToSchema;

use super::contract::codes::ErrorCode;
use super::public_error::Public;

/// A failure in the two vocabularies that SDKs know: `ErrorCode` and `ErrorMessage` of the mobile SDKs,
/// `Code` and `Message` of everyone else.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ErrorResponse<'a> {
    #[schema(minimum = 400, maximum = 599)]
    status_code: u16,
    #[schema(value_type = ErrorCode, inline)]
    code: Cow<'a, str>,
    #[schema(value_type = ErrorCode, inline)]
    error_code: Cow<'a, str>,
    error_message: &'a str,
    message: &'a str,
    #[schema(format = "uuid")]
    request_id: &'a str,
}

impl<'a> ErrorResponse<'a> {
    pub(crate) fn new(request_id: &'a str, public: &'a Public) -> Self {
        let code = public.code();
        Self {
            status_code: public.status.as_u16(),
            code: code.clone(),
            error_code: code,
            error_message: &public.message,
            message: &public.message,
            request_id,
        }
    }
}
