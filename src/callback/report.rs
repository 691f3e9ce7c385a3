//! The body of a callback: what OSS reports about an upload, and its agreement with the sealed claims.

use std::collections::BTreeMap;

use super::claims::UploadClaims;
use super::percent::{self, Plus};

/// The parameter that carries the sealed claims.
pub(crate) const UPLOAD_VARIABLE: &str = "x:upload";
/// A body with more members is refused; the template that the service writes has far fewer.
const MAX_MEMBERS: usize = 64;

/// A report whose form is valid. Its sender is not proven.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct UploadReport {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) etag: String,
    pub(crate) bytes: u64,
    pub(crate) content_type: String,
    /// The sealed claims.
    pub(crate) upload: String,
    /// Those of `vars`, without `x:`.
    pub(crate) vars: BTreeMap<String, String>,
    /// The others that the grant requests, such as `imageInfo.height`.
    pub(crate) details: BTreeMap<String, String>,
}

/// Why a body is no report.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ReportProblem {
    #[error("it is not a form in percent-encoded UTF-8")]
    NotForm,
    #[error("a name in it is empty, or a name or value has control characters")]
    NotPlain,
    #[error("it repeats a member or has too many")]
    Repeated,
    #[error("it has no `{0}`")]
    Missing(&'static str),
    #[error("its `size` is not a number of bytes")]
    Size,
}

/// What a report says that the sealed claims exclude.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Contradiction {
    #[error("the report names another bucket than the upload's form")]
    Bucket,
    #[error("the report names another key than the upload's form")]
    Key,
    #[error("the object is larger than the form allows")]
    Size,
    #[error("the object's type is not the form's")]
    ContentType,
    #[error("a variable is not the form's")]
    Variable,
    #[error("it has a member that the form does not request")]
    Unrequested,
}

impl UploadReport {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ReportProblem> {
        let text = std::str::from_utf8(body).map_err(|_| ReportProblem::NotForm)?;
        let mut members = BTreeMap::new();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').ok_or(ReportProblem::NotForm)?;
            let [name, value] = [name, value].map(decoded);
            let (name, value) = name.zip(value).ok_or(ReportProblem::NotForm)?;
            if name.is_empty() || [&name, &value].iter().any(|text| text.contains(char::is_control))
            {
                return Err(ReportProblem::NotPlain);
            }
            if members.len() == MAX_MEMBERS || members.insert(name, value).is_some() {
                return Err(ReportProblem::Repeated);
            }
        }
        let mut take =
            |name: &'static str| members.remove(name).ok_or(ReportProblem::Missing(name));
        let (bucket, key, etag) = (take("bucket")?, take("object")?, take("etag")?);
        let (size, content_type) = (take("size")?, take("mimeType")?);
        let upload = take(UPLOAD_VARIABLE)?;
        let is_number = !size.is_empty() && size.bytes().all(|digit| digit.is_ascii_digit());
        let bytes = size.parse().ok().filter(|_| is_number).ok_or(ReportProblem::Size)?;
        let (vars, details): (BTreeMap<_, _>, _) =
            members.into_iter().partition(|(name, _)| name.starts_with("x:"));
        let vars = vars.into_iter().map(|(name, value)| (name[2..].to_owned(), value)).collect();
        Ok(Self { bucket, key, etag, bytes, content_type, upload, vars, details })
    }

    /// Whether the report is about the upload of these claims.
    pub(crate) fn agree(&self, claims: &UploadClaims) -> Result<(), Contradiction> {
        if self.bucket != claims.bucket.as_str() {
            Err(Contradiction::Bucket)
        } else if self.key != claims.key {
            Err(Contradiction::Key)
        } else if self.bytes > claims.max_bytes {
            Err(Contradiction::Size)
        } else if self.content_type != claims.content_type {
            Err(Contradiction::ContentType)
        } else if self.vars != claims.vars {
            Err(Contradiction::Variable)
        } else if self.details.keys().any(|name| !claims.details.contains(name)) {
            Err(Contradiction::Unrequested)
        } else {
            Ok(())
        }
    }
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(percent::decode(text, Plus::Space)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::claims::tests::claims;

    const BODY: &str = "bucket=sample-bucket&object=users%2Falice%2Fcat.jpg&etag=9A0364B9&size=1024\
                        &mimeType=image%2Fjpeg&imageInfo.height=480&x:upload=c2VhbGVk&x:user=alice";

    fn parse(body: &str) -> Result<UploadReport, ReportProblem> {
        UploadReport::parse(body.as_bytes())
    }

    #[test]
    fn a_report_is_read_from_the_form_that_the_service_requested() {
        let report = parse(BODY).unwrap();
        insta::assert_debug_snapshot!(report, @r#"
        UploadReport {
            bucket: "sample-bucket",
            key: "users/alice/cat.jpg",
            etag: "9A0364B9",
            bytes: 1024,
            content_type: "image/jpeg",
            upload: "c2VhbGVk",
            vars: {
                "user": "alice",
            },
            details: {
                "imageInfo.height": "480",
            },
        }
        "#);
        assert_eq!(parse(&BODY.replace("x:", "x%3a")), Ok(report.clone()));
        assert_eq!(report.agree(&claims()), Ok(()));
    }

    #[test]
    fn repeated_missing_and_malformed_members_are_refused() {
        let missing = |name: &str| {
            let members = BODY.split('&').filter(|member| !member.starts_with(name));
            parse(&members.collect::<Vec<_>>().join("&"))
        };
        for name in ["bucket", "object", "etag", "size", "mimeType", "x:upload"] {
            assert_eq!(missing(name), Err(ReportProblem::Missing(name)));
        }
        let many: String = (0..=MAX_MEMBERS).map(|i| format!("&m{i}=")).collect();
        for (bad, problem) in [
            (BODY.to_owned() + "&object=other", ReportProblem::Repeated),
            (BODY.to_owned() + "&%6fbject=other", ReportProblem::Repeated),
            (BODY.to_owned() + &many, ReportProblem::Repeated),
            (BODY.replace("1024", ""), ReportProblem::Size),
            (BODY.replace("1024", "%2B1"), ReportProblem::Size),
            (BODY.replace("1024", "-1"), ReportProblem::Size),
            (BODY.replace("1024", "99999999999999999999"), ReportProblem::Size),
            (BODY.replace("%2F", "%2"), ReportProblem::NotForm),
            (BODY.replace("alice", "%ff"), ReportProblem::NotForm),
            (BODY.to_owned() + "&", ReportProblem::NotForm),
            (BODY.to_owned() + "&=", ReportProblem::NotPlain),
            (BODY.to_owned() + "&%0a=", ReportProblem::NotPlain),
            (BODY.replace("9A0364B9", "9A%1b"), ReportProblem::NotPlain),
            (BODY.replace("cat.jpg", "cat.jpg%00"), ReportProblem::NotPlain),
            (BODY.replace("=480", "=4%C2%85"), ReportProblem::NotPlain),
            (String::new(), ReportProblem::NotForm),
            (r#"{"bucket":"sample-bucket"}"#.to_owned(), ReportProblem::NotForm),
        ] {
            assert_eq!(parse(&bad), Err(problem), "{bad}");
        }
    }

    #[test]
    fn a_report_that_contradicts_the_claims_is_not_about_their_upload() {
        for (from, to, contradiction) in [
            ("sample-bucket", "other-bucket", Contradiction::Bucket),
            ("alice%2Fcat", "bob%2Fcat", Contradiction::Key),
            ("1024", "10485761", Contradiction::Size),
            ("image%2Fjpeg", "text%2Fhtml", Contradiction::ContentType),
            ("image%2Fjpeg", "image%2Fjpeg;a", Contradiction::ContentType),
            ("x:user=alice", "x:user=bob", Contradiction::Variable),
            ("&x:user=alice", "", Contradiction::Variable),
            ("x:user=alice", "x:user=alice&x:role=admin", Contradiction::Variable),
            ("x:user=alice", "x:user=alice&imageInfo.width=9", Contradiction::Unrequested),
            ("x:user=alice", "x:user=alice&Admin=true", Contradiction::Unrequested),
        ] {
            let report = parse(&BODY.replace(from, to)).unwrap();
            assert_eq!(report.agree(&claims()), Err(contradiction), "{from} {to}");
        }
        assert_eq!(parse(&BODY.replace("1024", "10485760")).unwrap().agree(&claims()), Ok(()));
    }
}
