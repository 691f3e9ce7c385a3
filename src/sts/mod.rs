//! The Security Token Service: RPC signing, the client and its errors.

mod role_session;

pub(crate) use role_session::RoleSession;
