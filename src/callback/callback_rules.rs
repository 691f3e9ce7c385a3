//! What a grant's configuration says about callbacks of its uploads.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, de};
use serde_json::json;

use super::forward::BackendUrl;
use super::report::UPLOAD_VARIABLE;
use appserver_domain::{Invalid, ValueName, text_type};

/// What OSS reports in every callback: the agreement with the claims is decided by it.
const REPORTED: [&str; 5] = ["bucket", "object", "etag", "size", "mimeType"];
/// What it reports if the grant requests it.
const DETAILS: [&str; 9] = [
    "clientIp",
    "contentMd5",
    "crc64",
    "imageInfo.format",
    "imageInfo.height",
    "imageInfo.width",
    "operation",
    "reqId",
    "vpcId",
];
/// The longest value of a variable, in bytes.
pub(crate) const MAX_VARIABLE_BYTES: usize = 256;
/// The most variables of a grant.
pub(crate) const MAX_VARIABLES: usize = 16;

/// The callback of a grant's uploads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CallbackRules {
    /// What OSS reports beside the bucket, key, ETag, size and type.
    pub(crate) details: Vec<ReportedDetail>,
    pub(crate) vars: BTreeMap<VariableName, VariableTemplate>,
    pub(crate) forward: BackendUrl,
    /// For all that happens between the arrival of a callback and its answer.
    pub(crate) deadline: Duration,
    /// Whether objects are looked at before anything is forwarded.
    pub(crate) confirm: bool,
}

/// A variable of OSS in the body of a callback, such as `size`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct ReportedDetail(&'static str);

/// The name of a variable, without the `x:` before it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct VariableName(String);

text_type!(
    VariableName,
    |s| (1..=32).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && s.starts_with(|c: char| c.is_ascii_lowercase())
        && s != "upload",
    "a variable's name is 1 to 32 characters of a-z, 0-9 and `_`, begins with a letter and is not `upload`, which the \
     service itself uses"
);

/// The value of a variable with placeholders, such as `${subject}`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct VariableTemplate(Vec<Piece>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    Fixed(String),
    Value(VariableSource),
}

/// Where a placeholder's value comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum VariableSource {
    Client,
    Issuer,
    Subject,
    Claim(ValueName),
    Parameter(ValueName),
}

/// Why a variable has no value for a caller.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum NoVariable {
    #[error(
        "the variable `{0}` of the callback needs a value that the credential or the request does not have"
    )]
    Missing(VariableName),
    #[error(
        "the variable `{0}` of the callback would be longer than {MAX_VARIABLE_BYTES} bytes or have control characters"
    )]
    Invalid(VariableName),
    /// The same, and another value of a parameter may do.
    #[error(
        "with these the variable `{0}` of the callback would be longer than {MAX_VARIABLE_BYTES} bytes or have control \
         characters"
    )]
    OfParameters(VariableName),
}

impl TryFrom<String> for ReportedDetail {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        let known = REPORTED.into_iter().chain(DETAILS).find(|known| *known == raw);
        known.map(Self).ok_or(Invalid(
            "OSS reports bucket, object, etag, size, mimeType (these always), clientIp, contentMd5, crc64, \
             imageInfo.format, imageInfo.height, imageInfo.width, operation, reqId and vpcId",
        ))
    }
}

impl<'de> Deserialize<'de> for ReportedDetail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}

impl TryFrom<String> for VariableTemplate {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "a variable's value is text with the placeholders `${client}`, `${issuer}`, `${subject}`, `${claims.<name>}` and \
             `${params.<name>}`, without other `$`, `{`, `}` and control characters",
        );
        let (mut pieces, mut rest) = (Vec::new(), raw.as_str());
        while let Some((fixed, after)) = rest.split_once("${") {
            let (written, after) = after.split_once('}').ok_or(RULE)?;
            pieces.push(Piece::Fixed(fixed.to_owned()));
            pieces.push(Piece::Value(VariableSource::parse(written).ok_or(RULE)?));
            rest = after;
        }
        pieces.push(Piece::Fixed(rest.to_owned()));
        let is_plain = pieces.iter().all(|piece| match piece {
            Piece::Fixed(text) => {
                !text.chars().any(|c| c.is_control() || matches!(c, '$' | '{' | '}'))
            }
            Piece::Value(_) => true,
        });
        if is_plain && raw.len() <= MAX_VARIABLE_BYTES { Ok(Self(pieces)) } else { Err(RULE) }
    }
}

impl VariableSource {
    fn parse(written: &str) -> Option<Self> {
        let name = |prefix| written.strip_prefix(prefix).and_then(|name: &str| name.parse().ok());
        match written {
            "client" => Some(Self::Client),
            "issuer" => Some(Self::Issuer),
            "subject" => Some(Self::Subject),
            _ => name("claims.").map(Self::Claim).or_else(|| name("params.").map(Self::Parameter)),
        }
    }
}

impl VariableTemplate {
    pub(crate) fn sources(&self) -> impl Iterator<Item = &VariableSource> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Fixed(_) => None,
            Piece::Value(source) => Some(source),
        })
    }
}

impl CallbackRules {
    /// The variables of an upload. `value` is that of the caller and the request.
    pub(crate) fn variables<'a>(
        &self,
        value: impl Fn(&VariableSource) -> Option<&'a str>,
    ) -> Result<BTreeMap<String, String>, NoVariable> {
        let variable = |(name, template): (&VariableName, &VariableTemplate)| {
            let piece = |piece: &Piece| match piece {
                Piece::Fixed(text) => Some(text.clone()),
                Piece::Value(source) => value(source).map(str::to_owned),
            };
            let text = template.0.iter().map(piece).collect::<Option<String>>();
            let text = text.ok_or_else(|| NoVariable::Missing(name.clone()))?;
            if text.len() > MAX_VARIABLE_BYTES || text.contains(char::is_control) {
                let is_requested =
                    |source: &VariableSource| matches!(source, VariableSource::Parameter(_));
                let problem = if template.sources().any(is_requested) {
                    NoVariable::OfParameters
                } else {
                    NoVariable::Invalid
                };
                return Err(problem(name.clone()));
            }
            Ok((name.to_string(), text))
        };
        self.vars.iter().map(variable).collect()
    }

    /// The names of what OSS reports beside what the agreement is decided by.
    pub(crate) fn requested_details(&self) -> BTreeSet<String> {
        let names = self.details.iter().map(|detail| detail.0);
        names.filter(|name| !REPORTED.contains(name)).map(str::to_owned).collect()
    }

    /// The field `callback`, which tells OSS where to report what.
    pub(super) fn callback_field(&self, url: &str) -> String {
        let details = self.details.iter().map(|detail| detail.0);
        let members: Vec<_> = REPORTED
            .into_iter()
            .chain(details.filter(|detail| !REPORTED.contains(detail)))
            .map(|name| format!("{name}=${{{name}}}"))
            .chain([variable_member(UPLOAD_VARIABLE)])
            .chain(self.vars.keys().map(|name| variable_member(&format!("x:{name}"))))
            .collect();
        STANDARD.encode(
            json!({
                "callbackUrl": url,
                "callbackBody": members.join("&"),
                "callbackBodyType": "application/x-www-form-urlencoded",
                // Without it OSS sends no host name in its TLS handshake.
                "callbackSNI": url.starts_with("https://"),
            })
            .to_string(),
        )
    }
}

fn variable_member(name: &str) -> String {
    format!("{name}=${{{name}}}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::callback) fn rules() -> CallbackRules {
        let names = ["size", "imageInfo.height"].map(|name| name.to_owned().try_into().unwrap());
        let vars = [("user", "${subject}"), ("from", "${client}/${params.album}")];
        let vars =
            vars.map(|(name, text)| (name.parse().unwrap(), text.to_owned().try_into().unwrap()));
        CallbackRules {
            details: names.into(),
            vars: vars.into(),
            forward: "http://127.0.0.1:9/uploads".to_owned().try_into().unwrap(),
            deadline: Duration::from_secs(3),
            confirm: true,
        }
    }

    #[test]
    fn the_callback_requests_what_is_decided_by_and_each_member_once() {
        let field = rules().callback_field("https://vend.example.com/v1/oss/callback");
        let json = String::from_utf8(STANDARD.decode(field).unwrap()).unwrap();
        insta::assert_snapshot!(json, @r#"{"callbackBody":"bucket=${bucket}&object=${object}&etag=${etag}&size=${size}&mimeType=${mimeType}&imageInfo.height=${imageInfo.height}&x:upload=${x:upload}&x:from=${x:from}&x:user=${x:user}","callbackBodyType":"application/x-www-form-urlencoded","callbackSNI":true,"callbackUrl":"https://vend.example.com/v1/oss/callback"}"#);
    }

    #[test]
    fn variables_have_the_values_of_the_caller_or_the_upload_is_refused() {
        let value = |source: &VariableSource| match source {
            VariableSource::Subject => Some("alice"),
            VariableSource::Client => Some("photo-app"),
            VariableSource::Parameter(name) if name.as_str() == "album" => Some("2015"),
            _ => None,
        };
        let variables = rules().variables(value).unwrap();
        let written: Vec<_> =
            variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(written, ["from=photo-app/2015", "user=alice"]);
        let missing = rules().variables(|source| value(source).filter(|text| *text != "alice"));
        assert_eq!(missing, Err(NoVariable::Missing("user".parse().unwrap())));
        let long = "a".repeat(MAX_VARIABLE_BYTES + 1);
        for bad in [long.as_str(), "a\nb"] {
            let invalid = rules().variables(|_| Some(bad)).unwrap_err();
            assert_eq!(invalid, NoVariable::OfParameters("from".parse().unwrap()));
            let mut rules = rules();
            rules.vars.remove(&"from".parse().unwrap());
            let invalid = rules.variables(|_| Some(bad)).unwrap_err();
            assert_eq!(invalid, NoVariable::Invalid("user".parse().unwrap()));
        }
    }

    #[test]
    fn a_variable_has_at_most_its_longest_bytes_and_may_name_the_issuer() {
        let template = |text: &str| VariableTemplate::try_from(text.to_owned());
        let mut rules = rules();
        rules.vars = [("by".parse().unwrap(), template("${issuer}").unwrap())].into();
        let value =
            |source: &VariableSource| matches!(source, VariableSource::Issuer).then_some("company");
        assert_eq!(rules.variables(value).unwrap()["by"], "company");
        let longest = "a".repeat(MAX_VARIABLE_BYTES);
        assert_eq!(rules.variables(|_| Some(longest.as_str())).unwrap()["by"], longest);
        assert!(template(&longest).is_ok() && template(&format!("{longest}a")).is_err());
    }

    #[test]
    fn the_details_are_those_that_oss_does_not_report_in_any_case() {
        let details: Vec<_> = rules().requested_details().into_iter().collect();
        assert_eq!(details, ["imageInfo.height"]);
    }

    #[test]
    fn templates_names_and_details_are_of_closed_sets() {
        for bad in ["${", "${subject", "${password}", "$x", "a}", "{", "${claims.}", "a\n"] {
            assert!(VariableTemplate::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        for bad in ["", "upload", "User", "1a", "x:user", "a-b", &"a".repeat(33)] {
            assert!(bad.parse::<VariableName>().is_err(), "{bad}");
        }
        for bad in ["", "Size", "x:user", "imageInfo", "${size}"] {
            assert!(ReportedDetail::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
