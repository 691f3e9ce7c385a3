//! What a token may do: RAM policies, the templates they are rendered from, and their proofs. Pure, no I/O.

mod session;

pub(crate) use session::SessionPolicy;
