//! `[admin]`: the admin listener.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::config::field::Field;
use crate::config::problems::Problems;

#[derive(Debug, Deserialize)]
pub(crate) struct RawAdmin {
    /// Default 127.0.0.1:9090.
    pub(crate) listen: Field<ListenAddress>,
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct ListenAddress(SocketAddr);

impl TryFrom<String> for ListenAddress {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self).map_err(|_| {
            "it must be an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`"
        })
    }
}

impl From<ListenAddress> for SocketAddr {
    fn from(ListenAddress(address): ListenAddress) -> Self {
        address
    }
}

/// The address, which differs from the public listener's unless the port is 0: then the system picks two.
pub(crate) fn resolve(
    raw: RawAdmin,
    public: Option<SocketAddr>,
    problems: &mut Problems,
) -> Option<SocketAddr> {
    let listen = problems.require(raw.listen).map(SocketAddr::from)?;
    if public == Some(listen) && listen.port() != 0 {
        problems.add("admin.listen", "it must be another address than `server.listen`");
    }
    Some(listen)
}
