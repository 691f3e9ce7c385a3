//! The members of a line about one object, for which a form or a URL is signed.
//!
//! OSS's own log names the session of the grant, so these members are what joins an object to a user.

use chrono::{DateTime, Utc};

use super::line::unescaped_member;
use super::names::UserNames;
use crate::json_member::member;
use crate::vend::TokenSource;
use appserver_domain::clock::Stamp;
use appserver_domain::{Bucket, RoleArn, SessionName};

/// One object, and what may be done with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ObjectRecord<'a> {
    /// Of a URL.
    pub(crate) method: Option<&'static str>,
    pub(crate) bucket: &'a Bucket,
    pub(crate) key: &'a str,
    pub(crate) content_type: Option<&'a str>,
    /// The largest file that a form takes.
    pub(crate) max_bytes: Option<u64>,
    pub(crate) upload_id: Option<&'a str>,
}

/// The session that signed, and when its signature ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignatureRecord<'a> {
    pub(crate) role: &'a RoleArn,
    /// Of the grant's session, which has no user's name.
    pub(crate) session_name: &'a SessionName,
    pub(crate) access_key_id: &'a str,
    /// Where its credentials came from.
    pub(crate) source: TokenSource,
    pub(crate) expires_at: DateTime<Utc>,
}

impl ObjectRecord<'_> {
    pub(crate) fn members(&self, names: &UserNames) -> String {
        let mut members = String::with_capacity(512);
        if let Some(method) = self.method {
            unescaped_member(&mut members, r#","Method":""#, method);
        }
        unescaped_member(&mut members, r#","Bucket":""#, self.bucket.as_str());
        member(&mut members, r#","Key":"#, &names.key(self.key));
        if let Some(content_type) = self.content_type {
            member(&mut members, r#","ContentType":"#, content_type);
        }
        if let Some(bytes) = self.max_bytes {
            members.push_str(&format!(r#","MaxBytes":{bytes}"#));
        }
        if let Some(id) = self.upload_id {
            unescaped_member(&mut members, r#","UploadId":""#, id);
        }
        members
    }
}

impl SignatureRecord<'_> {
    /// Appends its members to those of the object.
    pub(crate) fn push_onto(&self, members: &mut String) {
        member(members, r#","Role":"#, self.role.as_str());
        member(members, r#","SessionName":"#, self.session_name.as_str());
        member(members, r#","StsAccessKeyId":"#, self.access_key_id);
        unescaped_member(members, r#","Source":""#, self.source.as_str());
        unescaped_member(members, r#","ExpiresAt":""#, Stamp::of(self.expires_at).as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_a_type_are_escaped_and_what_is_unknown_is_left_out() {
        let object = ObjectRecord {
            method: None,
            bucket: &"sample-bucket".parse().unwrap(),
            key: "users/alice/\"cat\".jpg",
            content_type: Some("image/\"jpeg\""),
            max_bytes: Some(10_485_760),
            upload_id: Some("0123456789abcdef0123456789abcdef"),
        };
        let url = ObjectRecord {
            method: Some("GET"),
            content_type: None,
            max_bytes: None,
            upload_id: None,
            ..object
        };
        let mut members = [object, url].map(|record| record.members(&UserNames::Plain));
        let signature = SignatureRecord {
            role: &"acs:ram::11223344:role/oss".to_owned().try_into().unwrap(),
            session_name: &"grant@photo-upload".parse().unwrap(),
            access_key_id: "STS.1",
            source: TokenSource::Cached,
            expires_at: "2016-01-13T14:17:37Z".parse().unwrap(),
        };
        signature.push_onto(&mut members[0]);
        insta::assert_snapshot!(members.join("\n"), @r#"
        ,"Bucket":"sample-bucket","Key":"users/alice/\"cat\".jpg","ContentType":"image/\"jpeg\"","MaxBytes":10485760,"UploadId":"0123456789abcdef0123456789abcdef","Role":"acs:ram::11223344:role/oss","SessionName":"grant@photo-upload","StsAccessKeyId":"STS.1","Source":"Cached","ExpiresAt":"2016-01-13T14:17:37Z"
        ,"Method":"GET","Bucket":"sample-bucket","Key":"users/alice/\"cat\".jpg"
        "#);
    }
}
