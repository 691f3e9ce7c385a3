//! The load tool of `benches/load.sh`: it sends requests and measures the server.
//!
//! It spins and never sleeps. A tool that sleeps lets the server run dry between two requests, and on a virtual machine
//! each wake-up that follows counts as the server's CPU. So give it a core of its own. Every command prints one line of
//! `name=value` words.
#![expect(clippy::print_stdout, reason = "this is what the tool is for")]
#![expect(clippy::disallowed_methods, reason = "what is measured is real time")]

mod connection;
mod process;
mod runs;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Parser, Subcommand};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::connection::Connection;

#[derive(Debug, Parser)]
#[command(about = "Sends requests to a server and tells how it fared")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The server and the request.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// The server's address
    #[arg(long)]
    address: SocketAddr,
    /// The path; `{}` in it becomes another number in each request, and requests use several paths in turn
    #[arg(long, default_value = "/v1/token")]
    path: Vec<String>,
    /// `id:secret`, sent as Basic authentication
    #[arg(long, default_value = "nobody:nothing")]
    user: String,
    /// A user's token, sent as Bearer authentication in place of the secret
    #[arg(long)]
    bearer: Option<String>,
    /// The file of a certificate in PEM: speaks TLS, and trusts this certificate only
    #[arg(long)]
    trust: Option<PathBuf>,
    /// The first number for `{}`
    #[arg(long, default_value_t = 0)]
    first: u64,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sends requests for a time, each connection one after the other
    Closed {
        #[command(flatten)]
        target: Target,
        #[arg(long)]
        connections: usize,
        #[arg(long)]
        seconds: f64,
        /// The server's process, whose CPU and memory are measured
        #[arg(long)]
        pid: u32,
    },
    /// Sends so many requests on one connection, to count instructions
    Count {
        #[command(flatten)]
        target: Target,
        #[arg(long)]
        requests: u64,
    },
    /// Sends requests with so many different numbers, and all of them once more, and measures the memory
    Churn {
        #[command(flatten)]
        target: Target,
        #[arg(long)]
        connections: usize,
        #[arg(long)]
        keys: u64,
        #[arg(long)]
        pid: u32,
    },
    /// Sends one request on each of many open connections at once
    Herd {
        #[command(flatten)]
        target: Target,
        #[arg(long)]
        connections: usize,
    },
    /// Sends one request from each of many new clients, at a fixed rate
    Fleet {
        #[command(flatten)]
        target: Target,
        #[arg(long)]
        clients: u64,
        #[arg(long)]
        per_second: f64,
    },
    /// Opens connections, sends one request on each, and leaves them idle
    Idle {
        #[command(flatten)]
        target: Target,
        #[arg(long)]
        connections: usize,
        #[arg(long)]
        pid: u32,
    },
    /// Starts a command, and waits for its first 200
    Start {
        #[command(flatten)]
        target: Target,
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Saves one answer, head and body
    Save {
        #[command(flatten)]
        target: Target,
        #[arg(long)]
        file: PathBuf,
    },
    /// Counts the TCP connections to the address
    ConnectionsTo {
        #[arg(long)]
        address: SocketAddr,
    },
}

impl Target {
    /// The bytes of the request with this number.
    fn request(&self, number: u64) -> Vec<u8> {
        let path = &self.path[usize::try_from(number).expect("numbers fit") % self.path.len()];
        let path = path.replace("{}", &number.to_string());
        let Self { address, user, bearer, .. } = self;
        let authorization = match bearer {
            Some(token) => format!("Bearer {token}"),
            None => format!("Basic {}", STANDARD.encode(user)),
        };
        format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: {authorization}\r\n\r\n")
            .into()
    }

    /// So many connections to the server.
    fn open(&self, connections: usize) -> Vec<Connection> {
        let tls = self.tls();
        (0..connections).map(|_| Connection::open(self.address, tls.as_ref())).collect()
    }

    fn tls(&self) -> Option<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(self.trust.as_ref()?);
        roots.add(certificate.expect("a certificate in PEM")).expect("a valid certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Some(Arc::new(config))
    }

    /// The requests, each with a number of its own.
    fn requests(&self) -> impl Iterator<Item = Vec<u8>> {
        // A constant request is written once.
        let fixed = matches!(&*self.path, [path] if !path.contains("{}")).then(|| self.request(0));
        (self.first..).map(move |number| fixed.clone().unwrap_or_else(|| self.request(number)))
    }
}

fn main() {
    // For thousands of connections; our own code for it would be unsafe.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let line = match Cli::parse().command {
        Command::Closed { target, connections, seconds, pid } => {
            runs::closed(&target, connections, seconds, pid)
        }
        Command::Churn { target, connections, keys, pid } => {
            runs::churn(&target, connections, keys, pid)
        }
        Command::Count { target, requests } => runs::count(&target, requests),
        Command::Herd { target, connections } => runs::herd(&target, connections),
        Command::Fleet { target, clients, per_second } => runs::fleet(&target, clients, per_second),
        Command::Idle { target, connections, pid } => runs::idle(&target, connections, pid),
        Command::Start { target, command } => runs::start(&target, &command),
        Command::Save { target, file } => {
            let answer = runs::one(&target);
            std::fs::write(file, &answer.bytes).expect("the file can be written");
            format!("status={}", answer.status)
        }
        Command::ConnectionsTo { address } => {
            format!("connections={}", process::connections_to(address))
        }
    };
    println!("{line}");
}
