//! Who may hold a grant.

use appserver_domain::{ClientId, IssuerName};

/// The clients that hold a grant and the issuers of its users. An empty list stands for any.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the type's description names both")]
pub struct Callers {
    pub clients: Vec<ClientId>,
    pub issuers: Vec<IssuerName>,
}
