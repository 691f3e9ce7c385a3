//! Signs upload forms and URLs with signature V4 of OSS. Pure: the time and the credentials are parameters.
//!
//! What is signed lets its holder do one thing to one object. The secret that it is signed with never leaves the server.

mod object_key;
mod post_form;
mod presigned_url;
mod scope;

pub(crate) use object_key::ObjectKey;
pub(crate) use post_form::{PostForm, SignedForm};
pub(crate) use presigned_url::{PresignedUrl, UrlMethod};
pub(crate) use scope::{Scope, SessionKey};
