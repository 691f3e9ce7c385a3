//! Sockets, TLS and HTTP connections up to a parsed request. It knows no route.

mod accept;
mod chunked;
mod connection;
mod connection_table;
mod fd_limit;
mod forwarded;
mod framing;
mod heads;
mod http1;
mod http2;
mod listener;
mod memory;
mod peer;
mod proxies;
mod proxy_protocol;
mod streams;
mod tls;

pub(crate) use accept::{Answers, ServerSettings, serve};
pub(crate) use chunked::ChunkedError;
pub(crate) use fd_limit::affordable_connections;
pub(crate) use framing::FramingError;
pub(crate) use listener::listen;
pub(crate) use memory::affordable_memory;
pub(crate) use peer::Peer;
pub(crate) use proxies::{ForwardedHeader, Proxies, TrustedNetwork};
pub(crate) use tls::{ClientAuth, ClientTrust, Tls, TlsFile, TlsIdentity};
