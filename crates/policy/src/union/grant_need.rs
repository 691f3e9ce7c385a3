//! What one grant needs of its role.

use std::borrow::Cow;

use appserver_domain::Bucket;

use crate::document::tree::Document;
use crate::session::grant_session_policy::{ObjectActions, reading};
use crate::session::grant_template::GrantTemplate;
use crate::union::widen;

/// What a grant needs of its role: one policy for each kind of session that it has, because a denial in one of them takes
/// nothing from the others.
#[derive(Clone, Copy, Debug)]
pub struct GrantNeed<'a> {
    template: &'a GrantTemplate,
    vends_tokens: bool,
    signs: Option<ObjectActions>,
    confirms_in: Option<&'a Bucket>,
}

impl<'a> GrantNeed<'a> {
    /// The need of a grant that vends tokens or does not, signs these actions, and looks at its uploads in this bucket.
    pub fn new(
        template: &'a GrantTemplate,
        vends_tokens: bool,
        signs: Option<ObjectActions>,
        confirms_in: Option<&'a Bucket>,
    ) -> Self {
        Self { template, vends_tokens, signs, confirms_in }
    }

    /// The policies, to be compared with those of a role. No value is empty, so a role may require a character, and they
    /// may be longer than RAM takes.
    pub fn policies(&self) -> Vec<String> {
        self.widest("?*").iter().map(Document::minified).collect()
    }

    /// The bytes that they take of the role's policies, if nothing is shared with other grants.
    pub fn bytes(&self) -> usize {
        self.widest("*").iter().map(|document| document.minified().len()).sum()
    }

    /// The policies, with this pattern for a value that is not listed.
    pub(super) fn widest(&self, any: &str) -> Vec<Document<String>> {
        let mut widest = Vec::new();
        // What a grant signs is part of what its tokens allow.
        if self.vends_tokens {
            widest.push(widen::widest(self.template.document(), any));
        } else if let Some(actions) = self.signs {
            // A template of which no session can be made is refused with the configuration.
            widest.extend(self.template.reduced_to(actions, any).map(Document::of));
        }
        if let Some((bucket, keys)) = self.confirms_in.zip(self.template.object_key.as_ref()) {
            let keys = keys.fill(any, any, |_| Cow::Borrowed(any));
            widest.push(Document::of(vec![reading(bucket, &keys)]));
        }
        widest
    }
}

/// The need of a grant that only vends tokens.
impl<'a> From<&'a GrantTemplate> for GrantNeed<'a> {
    fn from(template: &'a GrantTemplate) -> Self {
        Self::new(template, true, None, None)
    }
}
