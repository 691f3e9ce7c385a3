//! The body of a form: its fields up to the file.

use std::collections::BTreeMap;

use axum::body::Body;
use http_body_util::BodyDataStream;
use multer::{Field, Multipart};

use crate::oss::error::OssError;
use crate::oss::form_problem::FormProblem;
use crate::oss::state::Oss;
use crate::oss::store::{Limits, Spool, Spooled};

const LONGEST_NAME_BYTES: usize = 8 << 10;
const LONGEST_VALUE_BYTES: usize = 2 << 20;
/// The total length of the fields before the file, with their names. The real OSS documents no such limit.
const MOST_FIELD_BYTES: usize = 4 << 20;

/// The fields before the file by lower-case name, and the file.
pub(super) struct Form<'m> {
    pub(super) fields: BTreeMap<String, String>,
    pub(super) file: Field<'m>,
    rest: Multipart<'m>,
}

impl<'m> Form<'m> {
    /// Reads up to the file. The name of the bucket is among the fields, because conditions refer to it.
    pub(super) async fn read(
        content_type: &str,
        body: &'m mut Body,
        bucket: &str,
    ) -> Result<Self, FormProblem> {
        let boundary = multer::parse_boundary(content_type).map_err(|_| FormProblem::Malformed)?;
        let mut multipart = Multipart::new(BodyDataStream::new(body), boundary);
        let mut fields = BTreeMap::new();
        let mut left = MOST_FIELD_BYTES;
        let cut = |_| FormProblem::Malformed;
        while let Some(mut field) = multipart.next_field().await.map_err(cut)? {
            let name = field.name().unwrap_or_default().to_lowercase();
            if name == "file" {
                // No field can take the bucket's place.
                fields.insert("bucket".to_owned(), bucket.to_owned());
                return Ok(Self { fields, file: field, rest: multipart });
            }
            if name.len() > LONGEST_NAME_BYTES {
                return Err(FormProblem::FieldTooLong);
            }
            let mut value = Vec::new();
            while let Some(chunk) = field.chunk().await.map_err(cut)? {
                value.extend_from_slice(&chunk);
                if value.len() > LONGEST_VALUE_BYTES.min(left) {
                    return Err(FormProblem::FieldTooLong);
                }
            }
            left = left.saturating_sub(name.len() + value.len());
            let value = String::from_utf8(value).map_err(|_| FormProblem::Malformed)?;
            fields.insert(name, value);
        }
        Err(FormProblem::NotOneFile)
    }

    /// Receives the file. What follows it is ignored, unless it is another file.
    pub(super) async fn take_file(
        mut self,
        oss: &Oss,
        limits: Limits,
    ) -> Result<Spooled, OssError> {
        let of_file = |error| match error {
            OssError::EntityTooLarge => FormProblem::FileTooLarge.into(),
            OssError::PartTooSmall => FormProblem::FileTooSmall.into(),
            other => other,
        };
        let mut spool = Spool::new(oss.store.backend(), limits).await?;
        while let Some(chunk) = self.file.chunk().await.map_err(|_| OssError::IncompleteBody)? {
            spool.write(&chunk).await.map_err(of_file)?;
        }
        drop(self.file);
        let spooled = spool.finish().await.map_err(of_file)?;
        while let Ok(Some(field)) = self.rest.next_field().await {
            if field.name().is_some_and(|name| name.eq_ignore_ascii_case("file")) {
                return Err(FormProblem::NotOneFile.into());
            }
        }
        Ok(spooled)
    }
}
