//! Looks at a reported object in its bucket, with a session of the grant that can only read there.
//!
//! OSS's signature covers no time and its key is short. What the bucket says about the object is what counts.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, HeaderName, LAST_MODIFIED};
use reqwest::{Client, Response, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::claims::UploadClaims;
use super::outcome::Obstacle;
use super::upload::ReportedUpload;
use crate::oss_bucket::OssBucket;
use crate::sign::{PresignedUrl, Scope, SessionKey, UrlMethod};
use crate::sts::{GrantSession, StsClient};
use crate::vend::{GrantHolder, VendError, Vendors};
use appserver_domain::{Fingerprint, ObjectKey, UpstreamName};

const OBJECT_TYPE: HeaderName = HeaderName::from_static("x-oss-object-type");
/// The type of an object that refers to another one. A form makes none.
const SYMLINK: &str = "Symlink";

/// The life of the signed request.
const LIFETIME_SECS: u32 = 60;

/// Both times are whole seconds, and STS's clock is known to a second.
const PRECISION: TimeDelta = TimeDelta::seconds(2);
/// The largest difference of clocks with which OSS takes a signed request.
const MAX_DIFFERENCE: TimeDelta = TimeDelta::minutes(15);

/// How objects of one grant are looked at.
#[derive(Clone, Debug)]
pub(crate) struct Confirmation {
    pub(crate) upstream: UpstreamName,
    /// Of the grant.
    pub(crate) fingerprint: Fingerprint,
    pub(crate) session: GrantSession,
    pub(crate) oss: OssBucket,
}

/// An object that an upload's form can have made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ConfirmedObject {
    pub(super) bytes: u64,
    /// Without quotes.
    pub(super) etag: String,
    /// When it was written, by OSS's clock.
    pub(super) modified_at: DateTime<Utc>,
}

/// Why a report is not confirmed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfirmError {
    #[error("the object is not the reported one: {0}")]
    Differs(&'static str),
    #[error("the bucket of the grant is another one now")]
    OtherBucket,
    #[error("no credentials could be obtained to look at the object")]
    NoCredentials(#[source] VendError),
    #[error("OSS cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("OSS answered HEAD of the object with HTTP status {0}")]
    Status(u16),
    #[error("OSS did not answer in time")]
    TimedOut,
}

impl ConfirmError {
    /// What another attempt may overcome; `None` if the report is false.
    pub(super) fn obstacle(&self) -> Option<Obstacle> {
        match self {
            Self::Differs(_) => None,
            Self::TimedOut => Some(Obstacle::TimedOut),
            Self::OtherBucket | Self::NoCredentials(_) | Self::Unreachable(_) | Self::Status(_) => {
                Some(Obstacle::Unconfirmed)
            }
        }
    }
}

impl ConfirmedObject {
    /// Whether it is the reported one.
    pub(super) fn is_that_of(&self, upload: &ReportedUpload) -> Result<(), ConfirmError> {
        if self.bytes != upload.bytes {
            Err(ConfirmError::Differs("it has another size"))
        } else if self.etag != upload.etag {
            Err(ConfirmError::Differs("it has another ETag"))
        } else {
            Ok(())
        }
    }
}

impl Confirmation {
    /// The object that is in the bucket, if the form of these claims can have made it.
    pub(super) async fn look(
        &self,
        http: &Client,
        vendors: &Arc<Vendors<StsClient>>,
        claims: &UploadClaims,
        deadline: Instant,
    ) -> Result<ConfirmedObject, ConfirmError> {
        if self.oss.bucket() != &claims.bucket {
            return Err(ConfirmError::OtherBucket);
        }
        let client = claims.client.clone();
        let holder = GrantHolder { client, grant: self.fingerprint, user: None };
        let credentials = vendors
            .grant_credentials(&self.upstream, &holder, &self.session, deadline)
            .await
            .map_err(ConfirmError::NoCredentials)?;
        let key = ObjectKey::try_from(claims.key.clone())
            .map_err(|_| ConfirmError::Differs("its key is not one that is signed"))?;
        let url = PresignedUrl {
            method: UrlMethod::Head,
            bucket: self.oss.bucket(),
            base: &self.oss.url(),
            key: &key,
            headers: &[],
            parameters: &[],
            lifetime_secs: LIFETIME_SECS,
        };
        let session_key = SessionKey {
            access_key_id: credentials.access_key_id(),
            secret: credentials.signing_secret(),
            security_token: credentials.security_token(),
        };
        let url = url.sign(session_key, &Scope::new(credentials.now(), self.oss.region()));
        let sent = timeout_at(deadline, http.head(url).send()).await;
        let response = sent
            .map_err(|_| ConfirmError::TimedOut)?
            // Without the URL: it is signed.
            .map_err(|error| ConfirmError::Unreachable(error.without_url()))?;
        match response.status() {
            StatusCode::OK => of_form(&response, claims, credentials.now()),
            StatusCode::NOT_FOUND => Err(ConfirmError::Differs("there is none")),
            other => Err(ConfirmError::Status(other.as_u16())),
        }
    }
}

/// `now` is the time of the request by STS's clock, which the form was signed by.
fn of_form(
    object: &Response,
    claims: &UploadClaims,
    now: DateTime<Utc>,
) -> Result<ConfirmedObject, ConfirmError> {
    let header = |name: HeaderName| {
        object.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    let bytes = header(CONTENT_LENGTH).parse().ok().filter(|bytes| *bytes <= claims.max_bytes);
    if header(CONTENT_TYPE) != claims.content_type {
        Err(ConfirmError::Differs("it has another type"))
    } else if header(OBJECT_TYPE) == SYMLINK {
        Err(ConfirmError::Differs("it is a symbolic link"))
    } else {
        let bytes = bytes.ok_or(ConfirmError::Differs("it has another size"))?;
        let time = |name| DateTime::parse_from_rfc2822(header(name)).ok().map(|time| time.to_utc());
        let modified_at = time(LAST_MODIFIED)
            .ok_or(ConfirmError::Differs("OSS does not say when it was written"))?;
        if is_older(modified_at, claims.signed_at, now, time(DATE)) {
            return Err(ConfirmError::Differs("it is older than the upload's form"));
        }
        let etag = header(ETAG).trim_matches('"').to_owned();
        Ok(ConfirmedObject { bytes, etag, modified_at })
    }
}

/// Whether an object was written before its form was signed. The object's time is OSS's, `signed_at` and `now` are STS's;
/// OSS's `Date` tells how much the two clocks differ.
fn is_older(
    modified_at: DateTime<Utc>,
    signed_at: DateTime<Utc>,
    now: DateTime<Utc>,
    date: Option<DateTime<Utc>>,
) -> bool {
    let difference = date.map(|date| date - now).filter(|other| other.abs() <= MAX_DIFFERENCE);
    modified_at + PRECISION < signed_at + difference.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::claims::tests::now;

    #[test]
    fn an_object_is_older_than_a_form_by_the_clock_of_oss() {
        let secs = TimeDelta::seconds;
        let signed_at = now();
        let later = signed_at + secs(60);
        for (modified, date, is) in [
            (0, None, false),
            (-2, None, false),
            (-3, None, true),
            // OSS's clock is 30 seconds slow: it says 30 seconds when STS says 60.
            (-30, Some(30), false),
            (-33, Some(30), true),
            // It is 30 seconds fast.
            (27, Some(90), true),
            (30, Some(90), false),
            // No clock of OSS's.
            (0, Some(60 + 16 * 60), false),
        ] {
            let (modified, date) =
                (signed_at + secs(modified), date.map(|date| signed_at + secs(date)));
            assert_eq!(is_older(modified, signed_at, later, date), is, "{modified} {date:?}");
        }
    }
}
