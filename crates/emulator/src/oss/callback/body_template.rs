//! The body of a callback: constants and variables, such as `size=${size}`.

use serde_json::Value;

use crate::percent::encode;

/// A body whose variables are all known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct BodyTemplate(Vec<Piece>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    Constant(String),
    Variable(Variable),
}

/// A variable of a callback's body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Variable {
    Bucket,
    Object,
    ETag,
    Size,
    MimeType,
    ImageHeight,
    ImageWidth,
    ImageFormat,
    Crc64,
    ContentMd5,
    VpcId,
    ClientIp,
    RequestId,
    Operation,
    /// A variable of the uploader, with its `x:`.
    Custom(String),
}

/// The format of a callback's body.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum BodyType {
    #[default]
    Form,
    Json,
}

impl BodyType {
    pub(super) fn parse(name: &str) -> Option<Self> {
        [Self::Form, Self::Json].into_iter().find(|body_type| body_type.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Form => "application/x-www-form-urlencoded",
            Self::Json => "application/json",
        }
    }
}

impl BodyTemplate {
    /// `None` if a variable is unknown or has no end.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((constant, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}')?;
            pieces.push(Piece::Constant(constant.to_owned()));
            pieces.push(Piece::Variable(Variable::parse(name)?));
            rest = after;
        }
        pieces.push(Piece::Constant(rest.to_owned()));
        Some(Self(pieces))
    }

    /// Whether it has a variable of the image's size or format.
    pub(super) fn needs_image_info(&self) -> bool {
        self.0.iter().any(|piece| {
            matches!(
                piece,
                Piece::Variable(
                    Variable::ImageHeight | Variable::ImageWidth | Variable::ImageFormat
                )
            )
        })
    }

    /// Values are percent-encoded in a form, and JSON values in JSON; constants stay as they are.
    pub(super) fn fill(&self, body_type: BodyType, value: impl Fn(&Variable) -> Value) -> String {
        let filled = self.0.iter().map(|piece| match piece {
            Piece::Constant(text) => text.clone(),
            Piece::Variable(variable) => match (body_type, value(variable)) {
                (BodyType::Json, value) => value.to_string(),
                (BodyType::Form, Value::String(text)) => encode(&text),
                (BodyType::Form, value) => encode(&value.to_string()),
            },
        });
        filled.collect()
    }
}

impl Variable {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "bucket" => Self::Bucket,
            "object" => Self::Object,
            "etag" => Self::ETag,
            "size" => Self::Size,
            "mimeType" => Self::MimeType,
            "imageInfo.height" => Self::ImageHeight,
            "imageInfo.width" => Self::ImageWidth,
            "imageInfo.format" => Self::ImageFormat,
            "crc64" => Self::Crc64,
            "contentMd5" => Self::ContentMd5,
            "vpcId" => Self::VpcId,
            "clientIp" => Self::ClientIp,
            "reqId" => Self::RequestId,
            "operation" => Self::Operation,
            _ if name.len() > 2 && name.starts_with("x:") => Self::Custom(name.to_owned()),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str, body_type: BodyType) -> Option<String> {
        let value = |variable: &Variable| match variable {
            Variable::Size => Value::from(5),
            Variable::MimeType => Value::from("text/plain"),
            Variable::Custom(name) => Value::from(format!("{name} \"é\"")),
            _ => Value::from(""),
        };
        BodyTemplate::parse(template).map(|template| template.fill(body_type, value))
    }

    #[test]
    fn values_are_written_as_the_body_type_needs() {
        let form = filled("a=1&size=${size}&type=${mimeType}&u=${x:u}&$=}", BodyType::Form);
        assert_eq!(
            form.as_deref(),
            Some("a=1&size=5&type=text%2Fplain&u=x%3Au%20%22%C3%A9%22&$=}")
        );
        let json = filled(r#"{"size":${size},"u":${x:u},"w":${imageInfo.width}}"#, BodyType::Json);
        assert_eq!(json.as_deref(), Some(r#"{"size":5,"u":"x:u \"é\"","w":""}"#));
    }

    #[test]
    fn an_unknown_or_malformed_variable_makes_no_template() {
        for template in
            ["${Size}", "${size", "${}", "${x:}", "${imageInfo}", "${y:a}", "${${size}}"]
        {
            assert_eq!(filled(template, BodyType::Form), None, "{template}");
        }
    }
}
