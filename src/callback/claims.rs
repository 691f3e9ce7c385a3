//! What the service seals into a form, to recognise the upload when OSS reports it.
//!
//! OSS signs the callbacks of all its customers with one key, and the customer writes the body. So nothing about the
//! upload is taken from the body: these claims alone say whose it is, where the object is and what it may be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::seal::{Seal, SealKey};
use appserver_domain::{Bucket, ClientId, GrantName, IssuerName, Subject};

/// The longest claims, in characters: with the escaped key they fit into a callback's body.
const LONGEST: usize = 8 << 10;
/// The associated data of encrypted claims.
const NAME: &str = "upload";
/// How much later than the form's end a report may come: an upload that was complete in time is reported after it.
pub(crate) const REPORT_GRACE: TimeDelta = TimeDelta::seconds(60);

/// Identifies one signed upload: 32 hexadecimal digits, in the answer, the audit and the forwarded report.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct UploadId(Uuid);

impl UploadId {
    pub(crate) fn fresh() -> Self {
        Self(uuid::Builder::from_random_bytes(rand::random()).into_uuid())
    }
}

#[cfg(test)]
impl UploadId {
    pub(super) fn for_tests(text: &str) -> Self {
        Self(Uuid::parse_str(text).unwrap())
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// One signed upload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct UploadClaims {
    pub(crate) id: UploadId,
    pub(crate) client: ClientId,
    pub(crate) issuer: Option<IssuerName>,
    pub(crate) subject: Option<Subject>,
    pub(crate) grant: GrantName,
    pub(crate) bucket: Bucket,
    pub(crate) key: String,
    pub(crate) max_bytes: u64,
    pub(crate) content_type: String,
    /// The variables of the callback, without `x:`.
    pub(crate) vars: BTreeMap<String, String>,
    /// What the form has OSS report beside them.
    pub(crate) details: BTreeSet<String>,
    /// When the form was signed, by STS's clock, in whole seconds.
    pub(crate) signed_at: DateTime<Utc>,
    /// When the form ends, in whole seconds.
    pub(crate) expires_at: DateTime<Utc>,
}

/// Why a text contains no valid claims.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ClaimsProblem {
    #[error("it was not sealed by this service, or by a key that is no longer configured")]
    Unsealed,
    #[error("the form of the upload has expired")]
    Expired,
}

/// The claims are too long for a callback's body.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the key and the variables are too long for a callback")]
pub(crate) struct ClaimsTooLong;

/// The claims as they are sealed. A new member needs a default, so that replicas of two versions can read each other's.
#[derive(Deserialize, Serialize)]
struct Record {
    id: String,
    client: String,
    issuer: Option<String>,
    subject: Option<String>,
    grant: String,
    bucket: String,
    key: String,
    max_bytes: u64,
    content_type: String,
    vars: BTreeMap<String, String>,
    #[serde(default)]
    details: BTreeSet<String>,
    #[serde(default)]
    signed_at: i64,
    expires_at: i64,
}

/// Seals claims and unseals them.
#[derive(Debug)]
pub(crate) struct ClaimsSeal(Seal);

impl ClaimsSeal {
    /// The first key seals, all unseal.
    pub(crate) fn new(keys: &[SealKey]) -> Self {
        Self(Seal::new("appserver upload claims 1", keys))
    }

    /// The claims as text that needs no escaping.
    pub(crate) fn seal(&self, claims: &UploadClaims) -> Result<String, ClaimsTooLong> {
        let text = URL_SAFE_NO_PAD.encode(self.0.seal(NAME, &claims.to_json()));
        if text.len() > LONGEST { Err(ClaimsTooLong) } else { Ok(text) }
    }

    /// The claims, if they are authentic and the form has not expired.
    pub(crate) fn open(
        &self,
        text: &str,
        now: DateTime<Utc>,
    ) -> Result<UploadClaims, ClaimsProblem> {
        if text.len() > LONGEST {
            return Err(ClaimsProblem::Unsealed);
        }
        // Strict: claims have exactly one text.
        let sealed = URL_SAFE_NO_PAD.decode(text).map_err(|_| ClaimsProblem::Unsealed)?;
        let plain = self.0.open(NAME, &sealed).ok_or(ClaimsProblem::Unsealed)?;
        let claims =
            UploadClaims::from_json(plain.expose_secret()).ok_or(ClaimsProblem::Unsealed)?;
        if claims.report_until() <= now {
            return Err(ClaimsProblem::Expired);
        }
        Ok(claims)
    }
}

impl UploadClaims {
    /// Until when the upload can be reported. A form may end with the calendar.
    pub(crate) fn report_until(&self) -> DateTime<Utc> {
        self.expires_at.checked_add_signed(REPORT_GRACE).unwrap_or(self.expires_at)
    }

    pub(super) fn to_json(&self) -> SecretSlice<u8> {
        let record = Record {
            id: self.id.to_string(),
            client: self.client.to_string(),
            issuer: self.issuer.as_ref().map(ToString::to_string),
            subject: self.subject.as_ref().map(|subject| subject.as_str().to_owned()),
            grant: self.grant.to_string(),
            bucket: self.bucket.to_string(),
            key: self.key.clone(),
            max_bytes: self.max_bytes,
            content_type: self.content_type.clone(),
            vars: self.vars.clone(),
            details: self.details.clone(),
            signed_at: self.signed_at.timestamp(),
            expires_at: self.expires_at.timestamp(),
        };
        serde_json::to_vec(&record).expect("text and numbers can be written").into()
    }

    pub(super) fn from_json(json: &[u8]) -> Option<Self> {
        let record: Record = serde_json::from_slice(json).ok()?;
        Some(Self {
            id: UploadId(Uuid::parse_str(&record.id).ok()?),
            client: record.client.parse().ok()?,
            issuer: record.issuer.map(|issuer| issuer.parse()).transpose().ok()?,
            subject: record.subject.map(|subject| subject.parse()).transpose().ok()?,
            grant: record.grant.parse().ok()?,
            bucket: record.bucket.parse().ok()?,
            key: record.key,
            max_bytes: record.max_bytes,
            content_type: record.content_type,
            vars: record.vars,
            details: record.details,
            signed_at: DateTime::from_timestamp(record.signed_at, 0)?,
            expires_at: DateTime::from_timestamp(record.expires_at, 0)?,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::callback) fn now() -> DateTime<Utc> {
        "2016-01-13T14:02:37Z".parse().unwrap()
    }

    pub(in crate::callback) fn claims() -> UploadClaims {
        UploadClaims {
            id: UploadId::fresh(),
            client: "photo-app".parse().unwrap(),
            issuer: Some("company".parse().unwrap()),
            subject: Some("alice".parse().unwrap()),
            grant: "photo-upload".parse().unwrap(),
            bucket: "sample-bucket".parse().unwrap(),
            key: "users/alice/cat.jpg".to_owned(),
            max_bytes: 10 << 20,
            content_type: "image/jpeg".to_owned(),
            vars: [("user".to_owned(), "alice".to_owned())].into(),
            details: ["imageInfo.height".to_owned()].into(),
            signed_at: now(),
            expires_at: now() + TimeDelta::minutes(15),
        }
    }

    fn seal(keys: &[u8]) -> ClaimsSeal {
        ClaimsSeal::new(&keys.iter().map(|key| SealKey::for_tests(*key)).collect::<Vec<_>>())
    }

    #[test]
    fn claims_are_sealed_and_opened_by_any_of_the_keys_until_the_form_has_ended() {
        let claims = claims();
        let text = seal(&[1]).seal(&claims).unwrap();
        assert!(!text.contains("alice"));
        for keys in [&[1][..], &[2, 1]] {
            assert_eq!(seal(keys).open(&text, now()), Ok(claims.clone()));
        }
        assert_eq!(seal(&[2]).open(&text, now()), Err(ClaimsProblem::Unsealed));
        let last = claims.expires_at + REPORT_GRACE;
        let second = TimeDelta::seconds(1);
        assert!(seal(&[1]).open(&text, last - second).is_ok());
        assert_eq!(seal(&[1]).open(&text, last), Err(ClaimsProblem::Expired));
    }

    #[test]
    fn a_form_that_ends_with_the_calendar_is_reported_until_then() {
        let claims = UploadClaims { expires_at: DateTime::<Utc>::MAX_UTC, ..claims() };
        assert_eq!(claims.report_until(), DateTime::<Utc>::MAX_UTC);
    }

    #[test]
    fn a_changed_text_and_a_ticket_contain_no_claims() {
        let text = seal(&[1]).seal(&claims()).unwrap();
        for i in 0..text.len() {
            let other = if text.as_bytes()[i] == b'A' { "B" } else { "A" };
            let changed = format!("{}{other}{}", &text[..i], &text[i + 1..]);
            // The last character has bits that base64 does not use; a strict decoder refuses them, too.
            assert_eq!(seal(&[1]).open(&changed, now()), Err(ClaimsProblem::Unsealed), "{i}");
        }
        let ticket = Seal::new("appserver ticket seal 1", &[SealKey::for_tests(1)]);
        let ticket = URL_SAFE_NO_PAD.encode(ticket.seal(NAME, &claims().to_json()));
        for other in ["", "canary", &ticket, &"A".repeat(LONGEST + 1)] {
            assert_eq!(seal(&[1]).open(other, now()), Err(ClaimsProblem::Unsealed));
        }
    }

    #[test]
    fn claims_that_no_body_could_carry_are_refused_when_they_are_made() {
        let key = "k".repeat(LONGEST);
        assert_eq!(seal(&[1]).seal(&UploadClaims { key, ..claims() }), Err(ClaimsTooLong));
        let sealed = |bytes: usize| {
            let claims = UploadClaims { key: "k".repeat(bytes), ..claims() };
            (
                seal(&[1]).seal(&claims),
                URL_SAFE_NO_PAD.encode(seal(&[1]).0.seal(NAME, &claims.to_json())),
            )
        };
        let (_, shortest) = sealed(0);
        // Three bytes are four characters.
        let fitting = (LONGEST - shortest.len()) * 3 / 4;
        let (longest, _) = (fitting - 2..=fitting + 2)
            .map(sealed)
            .find(|(_, text)| text.len() == LONGEST)
            .unwrap();
        assert!(seal(&[1]).open(&longest.unwrap(), now()).is_ok());
        let (refused, longer) = sealed(fitting + 4);
        assert_eq!(refused, Err(ClaimsTooLong));
        assert_eq!(seal(&[1]).open(&longer, now()), Err(ClaimsProblem::Unsealed));
        let key = "k".repeat(1023);
        assert!(seal(&[1]).seal(&UploadClaims { key, ..claims() }).is_ok());
    }
}
