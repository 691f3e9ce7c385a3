//! A listening socket: how many connections may wait at it, and what becomes of them when it is closed.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// The most that the kernel lets wait, whatever a program asks for.
const SOMAXCONN: &str = "/proc/sys/net/core/somaxconn";

/// Listens; so many connections may wait to be accepted. With more, the kernel drops what callers send, and they try again
/// after a second or more.
pub(crate) fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A restart need not wait until the kernel has forgotten the connections of before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(backlog)?;
    // The kernel lowers it and does not say so.
    let most = std::fs::read_to_string(SOMAXCONN).ok().and_then(|text| text.trim().parse().ok());
    if let Some(most) = most.filter(|most: &u32| *most < backlog) {
        tracing::warn!(
            listen.address = %address,
            listen.backlog = backlog,
            listen.max_backlog = most,
            "the kernel lets fewer connections wait than `server.listen_backlog` says: raise net.core.somaxconn"
        );
    }
    Ok(listener)
}

/// Takes no more connections; answers those that were waiting. For their callers they are open, and may have brought
/// a request already: closing the socket alone would reset them.
pub(super) fn close(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let mut waiting = Vec::new();
    let Ok(listener) = listener.into_std() else { return waiting };
    // It does not block: an error is most likely that there are none left.
    while let Ok((stream, address)) = listener.accept() {
        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        waiting.extend(stream.ok().map(|stream| (stream, address)));
    }
    waiting
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn who_waits_when_the_socket_is_closed_is_taken_in() {
        let listener = listen(([127, 0, 0, 1], 0).into(), 64).unwrap();
        let address = listener.local_addr().unwrap();
        let mut callers = Vec::new();
        for byte in 0..20 {
            let mut caller = TcpStream::connect(address).await.unwrap();
            caller.write_u8(byte).await.unwrap();
            callers.push(caller);
        }
        let mut waiting = close(listener);
        assert_eq!(waiting.len(), 20);
        for (byte, (stream, _)) in (0..).zip(&mut waiting) {
            assert_eq!(stream.read_u8().await.unwrap(), byte);
        }
        assert!(TcpStream::connect(address).await.is_err());
    }

    /// As many as the kernel lets wait; before, there were 1,024 at the most.
    #[tokio::test]
    async fn as_many_may_wait_as_is_said() {
        let listener = listen(([127, 0, 0, 1], 0).into(), 1_500).unwrap();
        let address = listener.local_addr().unwrap();
        let most = std::fs::read_to_string(SOMAXCONN).unwrap().trim().parse().unwrap();
        let count = 1_400.min(most);
        let mut callers = Vec::new();
        for _ in 0..count {
            let connected = TcpStream::connect(address);
            let connected = tokio::time::timeout(std::time::Duration::from_secs(20), connected);
            callers.push(connected.await.expect("nobody waits").unwrap());
        }
        assert_eq!(close(listener).len(), count);
    }
}
