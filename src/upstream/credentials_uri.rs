//! Credentials of a URL, in the shape that the official libraries read.

use reqwest::{Client, Response, StatusCode};

use super::error::FetchError;
use super::settings::CredentialsUri;

/// The answer of the URL. A redirect is not followed: it could lead to another host.
pub(super) async fn ask(uri: &CredentialsUri, http: &Client) -> Result<Response, FetchError> {
    let response = http.get(uri.url().clone()).send().await?;
    match response.status() {
        StatusCode::OK => Ok(response),
        other => Err(FetchError::Status(other.as_u16())),
    }
}
