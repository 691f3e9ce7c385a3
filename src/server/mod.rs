//! Sockets, TLS and HTTP connections up to a request with its client's address. This layer knows no route.
//!
//! `accept` takes connections from the listener and bounds them, `connection` reads the PROXY header and does the TLS
//! handshake, `http1` or `http2` serves the requests through a [`ConnectionHandler`].

mod accept;
mod client_address;
mod connection;
mod connection_table;
mod fd_limit;
mod framing;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz_http2;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz_server;
mod handler;
mod http1;
mod http2;
mod listener;
mod memory_limit;
mod peer;
mod settings;
mod tls;

pub(crate) use accept::serve;
pub(crate) use client_address::{ForwardedHeader, TrustedNetwork, TrustedProxies};
pub(crate) use fd_limit::affordable_connections;
pub(crate) use framing::FramingError;
pub(crate) use handler::ConnectionHandler;
pub(crate) use http1::ChunkedError;
pub(crate) use listener::listen;
pub(crate) use memory_limit::affordable_memory;
pub(crate) use peer::Peer;
pub(crate) use settings::ServerSettings;
pub(crate) use tls::{ClientAuth, ClientTrust, Tls, TlsFile, TlsIdentity};
