//! The key of a cached token: exactly what STS saw of the request, hashed once.

use std::borrow::Cow;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use foldhash::quality::RandomState;
use quick_cache::Equivalent;

use super::grant_holder::GrantHolder;
use crate::sts::RoleSession;

/// A role session with its hash. The policy alone may have 2 KB; lookups compare it once and never hash it again.
#[derive(Debug)]
pub(in crate::vend) struct Key {
    hash: u64,
    session: RoleSession,
    /// The first caller's. It is no part of the key's identity: equal sessions share a token.
    holder: GrantHolder,
}

/// A borrowed key for lookups, so that a hit allocates nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LookupKey<'a> {
    hash: u64,
    session: &'a RoleSession,
    holder: &'a GrantHolder,
}

/// Hashes sessions with a secret of this process: callers choose parts of them, and must not choose collisions.
///
/// A collision would only make lookups slower and never return another session's token, because sessions are compared
/// whole. Searching for one is impractical: each attempt is an STS call, limited by the budget.
#[derive(Debug, Default)]
pub(crate) struct KeyHashing(RandomState);

/// For maps by key: uses the key's hash as it is.
pub(in crate::vend) type Prehashed = BuildHasherDefault<Identity>;

#[derive(Clone, Copy, Debug, Default)]
pub(in crate::vend) struct Identity(u64);

impl KeyHashing {
    pub(crate) fn key_of<'a>(
        &self,
        session: &'a RoleSession,
        holder: &'a GrantHolder,
    ) -> LookupKey<'a> {
        LookupKey { hash: self.0.hash_one(session), session, holder }
    }
}

impl LookupKey<'_> {
    #[cfg(feature = "bench")]
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(in crate::vend) fn to_key(self) -> Arc<Key> {
        let Self { hash, session, holder } = self;
        Arc::new(Key { hash, session: session.clone(), holder: holder.clone() })
    }
}

impl Eq for Key {}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.session == other.session
    }
}

impl Key {
    pub(in crate::vend) fn holder(&self) -> &GrantHolder {
        &self.holder
    }

    pub(in crate::vend) fn session(&self) -> &RoleSession {
        &self.session
    }

    /// The whole session as text, with the kind of its policy, which replicas agree on: their hashes differ, since each has its own secret.
    pub(in crate::vend) fn parts(&self) -> [Cow<'_, str>; 7] {
        let RoleSession { role, name, policy, duration, external_id, source_identity } =
            &self.session;
        // An absent value differs from an empty one, although neither of the two can be empty.
        let given = |text: Option<&str>| {
            text.map_or(Cow::Borrowed("-"), |text| Cow::Owned(format!("+{text}")))
        };
        [
            role.as_str().into(),
            name.as_str().into(),
            policy.kind().into(),
            policy.as_str().into(),
            duration.as_secs().to_string().into(),
            given(external_id.as_ref().map(appserver_domain::ExternalId::as_str)),
            given(source_identity.as_ref().map(appserver_domain::SourceIdentity::as_str)),
        ]
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Hash for LookupKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<Arc<Key>> for LookupKey<'_> {
    fn equivalent(&self, key: &Arc<Key>) -> bool {
        self.hash == key.hash && *self.session == key.session
    }
}

impl Hasher for Identity {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a key writes its hash and nothing else")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vend::tests::{holder, session};

    #[test]
    fn sessions_whose_hashes_are_equal_by_chance_have_different_keys() {
        let (one, other, holder) = (session("one"), session("other"), holder("app-one"));
        let [one, other] = [&one, &other].map(|session| LookupKey {
            hash: 7,
            session: session.role_session(),
            holder: &holder,
        });
        assert!(one.equivalent(&one.to_key()) && one.to_key() == one.to_key());
        assert!(!one.equivalent(&other.to_key()) && one.to_key() != other.to_key());
    }
}
