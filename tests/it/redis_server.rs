//! A real redis-server of a test's own, on a free port, which can be killed, started again and stopped for a while.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::aio::MultiplexedConnection;

use crate::ports::free_port;
use crate::stage::TIME_LIMIT;

/// Exactly the permissions that AppServer needs, from docs/operate/redis.md.
pub(crate) const RIGHTS: &str = "~appserver:* resetchannels -@all +ping +select +evalsha +script|load +time +get +set +del +pttl \
                      +pexpire +expire +hmget +hset +hdel +zadd +zcard +zrangebyscore +zrem +zremrangebyscore";

/// Those that a cluster needs besides them.
pub(crate) const CLUSTER_RIGHTS: &str = "+cluster|slots +asking";
/// That which a master of Sentinels needs besides them.
pub(crate) const MASTER_RIGHTS: &str = "+role";
/// Those of the user at the Sentinels.
pub(crate) const SENTINEL_RIGHTS: &str = "-@all +role +sentinel|masters";

/// Stopped on drop.
pub(crate) struct RedisServer {
    child: Child,
    arguments: Vec<String>,
    port: u16,
    tls_port: u16,
    folder: tempfile::TempDir,
}

impl RedisServer {
    /// A server without persistence.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with more arguments.
    pub(crate) async fn start_with(more: &[String]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), 0, more).await
    }

    /// The same, also by TLS with a certificate of an authority of its own, for one more user.
    pub(crate) async fn start_with_tls(user: &str, password: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path());
        let tls_port = free_port();
        let user = format!("--user {user} on >{password} {RIGHTS}");
        let more = [tls_arguments(folder.path(), tls_port), words(&user)].concat();
        Self::start_in(folder, tls_port, &more).await
    }

    /// The same with the certificate in this folder, and with more arguments.
    pub(crate) async fn start_with_certificate(certificate: &Path, more: &[String]) -> Self {
        let tls_port = free_port();
        let more = [tls_arguments(certificate, tls_port), more.to_vec()].concat();
        Self::start_in(tempfile::tempdir().unwrap(), tls_port, &more).await
    }

    async fn start_in(folder: tempfile::TempDir, tls_port: u16, more: &[String]) -> Self {
        let port = free_port();
        let (directory, port_text) = (folder.path().display().to_string(), port.to_string());
        let own = [
            ["--bind", "127.0.0.1"],
            ["--port", &port_text],
            ["--save", ""],
            ["--appendonly", "no"],
            ["--dir", &directory],
        ];
        let own = own.concat().into_iter().map(str::to_owned);
        let arguments: Vec<_> = own.chain(more.iter().cloned()).collect();
        let server = Self { child: spawn(&arguments), arguments, port, tls_port, folder };
        server.answers().await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn tls_port(&self) -> u16 {
        self.tls_port
    }

    pub(crate) fn tls_url(&self) -> String {
        format!("rediss://localhost:{}", self.tls_port)
    }

    /// The file of the certificate to trust.
    pub(crate) fn authority(&self) -> String {
        self.folder.path().join("authority.pem").display().to_string()
    }

    /// Kills it without closing connections.
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
        self.try_connection().await.unwrap()
    }

    pub(crate) async fn try_connection(&self) -> redis::RedisResult<MultiplexedConnection> {
        redis::Client::open(self.url()).unwrap().get_multiplexed_async_connection().await
    }

    /// Every string whose key ends like this.
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

    pub(crate) async fn until_there_is(&self, ending: &str) {
        let there = async {
            while self.values(ending).await.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let there = tokio::time::timeout(TIME_LIMIT, there).await;
        assert!(there.is_ok(), "nothing is called `{ending}` after {TIME_LIMIT:?}");
    }

    /// Replaces a value and keeps its time to live.
    pub(crate) async fn replace(&self, name: &str, value: &[u8]) {
        let mut connection = self.connection().await;
        let left: i64 = redis::cmd("PTTL").arg(name).query_async(&mut connection).await.unwrap();
        let mut set = redis::cmd("SET");
        set.arg(name).arg(value).arg("PX").arg(left);
        let () = set.query_async(&mut connection).await.unwrap();
    }

    pub(crate) async fn delete(&self, name: &str) {
        let () =
            redis::cmd("DEL").arg(name).query_async(&mut self.connection().await).await.unwrap();
    }

    /// Sets a string with a time to live in milliseconds.
    pub(crate) async fn put(&self, name: &str, text: &str, millis: u64) {
        let mut set = redis::cmd("SET");
        set.arg(name).arg(text).arg("PX").arg(millis);
        let () = set.query_async(&mut self.connection().await).await.unwrap();
    }

    async fn answers(&self) {
        let client = redis::Client::open(self.url()).unwrap();
        let answers = async {
            while client.get_multiplexed_async_connection().await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let answers = tokio::time::timeout(TIME_LIMIT, answers).await;
        assert!(answers.is_ok(), "redis-server does not answer after {TIME_LIMIT:?}");
    }
}

pub(crate) fn spawn(arguments: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server is installed: `apt-get install redis-server`")
}

/// The arguments in a line of a command.
pub(crate) fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// What serves TLS with the certificate in this folder. Nodes of a cluster also verify each other.
pub(crate) fn tls_arguments(certificate: &Path, port: u16) -> Vec<String> {
    let folder = certificate.display();
    words(&format!(
        "--tls-port {port} --tls-cert-file {folder}/server.pem --tls-key-file {folder}/server.key --tls-ca-cert-file \
         {folder}/authority.pem --tls-auth-clients no"
    ))
}

/// An authority, and a certificate of it for `localhost` and its address.
pub(crate) fn certify(folder: &Path) {
    let script = "
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority \
            -keyout authority.key -out authority.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
            -keyout server.key -out server.csr
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > server.ext
        openssl x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 \
            -extfile server.ext -out server.pem
    ";
    let done = Command::new("sh").args(["-ec", script]).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
