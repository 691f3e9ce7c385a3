//! The RAM role of an ECS instance, from the instance metadata.

use std::str;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Response, StatusCode};

use super::error::FetchError;
use super::settings::EcsRamRole;
use crate::outbound::read_body;
use appserver_domain::RamRoleName;

const TOKEN_PATH: &str = "/latest/api/token";
const CREDENTIALS_PATH: &str = "/latest/meta-data/ram/security-credentials/";
const TOKEN_HEADER: &str = "x-aliyun-ecs-metadata-token";
const LIFE_HEADER: &str = "x-aliyun-ecs-metadata-token-ttl-seconds";
/// Each renewal takes a new metadata token, which only has to last for it: none is kept that could leak.
const LIFE_SECS: &str = "60";
/// The longest metadata token and the longest name of a role, with room.
const LONGEST_TEXT: usize = 4096;

/// The answer with the credentials of the role.
pub(super) async fn ask(settings: &EcsRamRole, http: &Client) -> Result<Response, FetchError> {
    let mut headers = HeaderMap::new();
    if !settings.imds_v1 {
        headers.insert(TOKEN_HEADER, metadata_token(settings, http).await?);
    }
    let role = match &settings.role {
        Some(role) => role.clone(),
        None => role_of_instance(settings, http, &headers).await?,
    };
    get(settings, http, &headers, &format!("{CREDENTIALS_PATH}{role}")).await
}

async fn metadata_token(settings: &EcsRamRole, http: &Client) -> Result<HeaderValue, FetchError> {
    let request = http.put(settings.endpoint.at(TOKEN_PATH)).header(LIFE_HEADER, LIFE_SECS);
    let mut response = request.send().await?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::NoMetadataToken(response.status().as_u16()));
    }
    let token = read_body(&mut response, LONGEST_TEXT).await?;
    let mut token = HeaderValue::from_bytes(token.trim_ascii())
        .ok()
        .filter(|token| !token.is_empty())
        .ok_or(FetchError::Malformed(TOKEN_PATH))?;
    token.set_sensitive(true);
    Ok(token)
}

async fn role_of_instance(
    settings: &EcsRamRole,
    http: &Client,
    headers: &HeaderMap,
) -> Result<RamRoleName, FetchError> {
    let mut response = get(settings, http, headers, CREDENTIALS_PATH).await?;
    let name = read_body(&mut response, LONGEST_TEXT).await?;
    let name = str::from_utf8(name.trim_ascii()).ok().and_then(|name| name.parse().ok());
    name.ok_or(FetchError::Malformed(CREDENTIALS_PATH))
}

async fn get(
    settings: &EcsRamRole,
    http: &Client,
    headers: &HeaderMap,
    path: &str,
) -> Result<Response, FetchError> {
    let response = http.get(settings.endpoint.at(path)).headers(headers.clone()).send().await?;
    match response.status() {
        StatusCode::OK => Ok(response),
        StatusCode::NOT_FOUND => Err(FetchError::NoRole),
        other => Err(FetchError::Status(other.as_u16())),
    }
}
