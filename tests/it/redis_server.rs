//! A real redis-server of a test's own, on a free port, which can be killed, started again and stopped for a while.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::aio::MultiplexedConnection;

use crate::stage::PATIENCE;

/// It ends with the test.
pub(crate) struct RedisServer {
    child: Child,
    arguments: Vec<String>,
    port: u16,
    folder: tempfile::TempDir,
}

impl RedisServer {
    /// A server that keeps nothing on disk.
    pub(crate) async fn start() -> Self {
        // A port that was free a moment ago.
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().display().to_string();
        let port_text = port.to_string();
        let arguments = [
            "--bind",
            "127.0.0.1",
            "--port",
            &port_text,
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            &directory,
        ];
        let arguments = arguments.map(str::to_owned).to_vec();
        let server = Self { child: spawn(&arguments), arguments, port, folder };
        server.answers().await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Without a word to anybody.
    pub(crate) fn kill(&self) {
        self.signal("-KILL");
    }

    /// On the same port, and empty.
    pub(crate) async fn start_again(&mut self) {
        self.child.wait().unwrap();
        self.child = spawn(&self.arguments);
        self.answers().await;
    }

    /// Stops it from answering; connections stay.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    pub(crate) async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// Every key that ends so, with its value; only of plain text or bytes.
    pub(crate) async fn values(&self, ending: &str) -> Vec<(String, Vec<u8>)> {
        let mut connection = self.connection().await;
        let pattern = format!("*{ending}");
        let names: Vec<String> =
            redis::cmd("KEYS").arg(pattern).query_async(&mut connection).await.unwrap();
        let mut values = Vec::new();
        for name in names {
            let value = redis::cmd("GET").arg(&name).query_async(&mut connection).await.unwrap();
            values.push((name, value));
        }
        values
    }

    /// Puts another value in the place of one, for as long as that would have been there.
    pub(crate) async fn replace(&self, name: &str, value: &[u8]) {
        let mut connection = self.connection().await;
        let left: i64 = redis::cmd("PTTL").arg(name).query_async(&mut connection).await.unwrap();
        let mut set = redis::cmd("SET");
        let () = set
            .arg(name)
            .arg(value)
            .arg("PX")
            .arg(left)
            .query_async(&mut connection)
            .await
            .unwrap();
    }

    async fn answers(&self) {
        let client = redis::Client::open(self.url()).unwrap();
        let answers = async {
            while client.get_multiplexed_async_connection().await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let answers = tokio::time::timeout(PATIENCE, answers).await;
        assert!(answers.is_ok(), "redis-server does not answer after {PATIENCE:?}");
    }
}

fn spawn(arguments: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server is installed: `apt-get install redis-server`")
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The folder goes after the server that writes to it.
        let _ = &self.folder;
    }
}
