//! The emulator as a server.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::gateway::Gateway;
use super::handle::Handle;
use super::nonces::Nonces;
use super::settings::EmulatorSettings;
use super::sts::Sts;
use super::{control, sts, wire};
use crate::clock::Clock;

/// An emulated STS that listens, but does not answer before [`Emulator::serve`].
pub struct Emulator {
    listener: TcpListener,
    addr: SocketAddr,
    sts: Sts,
}

#[derive(Debug, thiserror::Error)]
#[error("the emulator listens on loopback only: anybody could change its faults")]
struct NotLoopback;

impl Emulator {
    /// Takes the address; port 0 takes a free one. Any but a loopback address is refused, because the control route
    /// asks nobody who they are.
    pub async fn bind(
        settings: EmulatorSettings,
        addr: SocketAddr,
        clock: Clock,
    ) -> io::Result<Self> {
        if !addr.ip().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, NotLoopback));
        }
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let EmulatorSettings { ram, token_key } = settings;
        let gateway = Gateway { ram, token_key, nonces: Nonces::default() };
        Ok(Self { listener, addr, sts: Sts { gateway, handle: Handle::new(clock) } })
    }

    /// Where STS listens: calls go to `http://<address>/`, control to `/_emulator/…`.
    pub fn sts_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Scripts faults and shows calls, also while the emulator serves.
    pub fn handle(&self) -> Handle {
        self.sts.handle.clone()
    }

    /// Answers until the shutdown; calls that run then have two seconds to end.
    pub async fn serve(self, shutdown: CancellationToken) {
        let router = control::routes(self.sts.handle.clone()).merge(sts::routes(self.sts));
        wire::serve(self.listener, router, shutdown).await;
    }
}
