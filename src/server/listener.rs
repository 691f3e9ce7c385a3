//! A listening socket: its backlog, and the connections that wait in it when the socket is closed.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// The kernel's own limit of a backlog.
const SOMAXCONN: &str = "/proc/sys/net/core/somaxconn";

/// Listens with a queue of `backlog` connections that wait to be accepted. Beyond it the kernel drops packets, and clients
/// try again after a second or more.
pub(crate) fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A restart need not wait for old connections in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(backlog)?;
    // The kernel lowers the backlog without an error.
    let most = std::fs::read_to_string(SOMAXCONN).ok().and_then(|text| text.trim().parse().ok());
    if let Some(most) = most.filter(|most: &u32| *most < backlog) {
        tracing::warn!(
            listen.address = %address,
            listen.backlog = backlog,
            listen.max_backlog = most,
            "kernel limit is lower than `server.listen_backlog`; fewer connections can wait, raise net.core.somaxconn"
        );
    }
    Ok(listener)
}

/// Closes the socket and returns the connections that were waiting. Their clients see them as open and may have sent a
/// request; closing the socket alone would reset them.
pub(super) fn close(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let mut waiting = Vec::new();
    let Ok(listener) = listener.into_std() else { return waiting };
    // It does not block; the error at the end is `WouldBlock`.
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
    async fn connections_in_the_backlog_are_accepted_when_the_socket_is_closed() {
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

    /// The kernel's limit applies; tokio's default of 1,024 does not.
    #[tokio::test]
    async fn the_backlog_is_as_long_as_requested() {
        let listener = listen(([127, 0, 0, 1], 0).into(), 1_500).unwrap();
        let address = listener.local_addr().unwrap();
        let most = std::fs::read_to_string(SOMAXCONN).unwrap().trim().parse().unwrap();
        let count = 1_400.min(most);
        let mut callers = Vec::new();
        for _ in 0..count {
            let connected = TcpStream::connect(address);
            let connected = tokio::time::timeout(std::time::Duration::from_secs(20), connected);
            callers.push(connected.await.expect("the backlog is full").unwrap());
        }
        assert_eq!(close(listener).len(), count);
    }
}
