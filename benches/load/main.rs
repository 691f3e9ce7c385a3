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

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Parser, Subcommand};

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
    /// The path; `{}` in it becomes another number in each request
    #[arg(long, default_value = "/v1/token")]
    path: String,
    /// `id:secret`, sent as Basic authentication
    #[arg(long, default_value = "nobody:nothing")]
    user: String,
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
        let path = self.path.replace("{}", &number.to_string());
        let Self { address, user, .. } = self;
        let credential = STANDARD.encode(user);
        format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Basic {credential}\r\n\r\n"
        )
        .into()
    }

    /// The requests, each with a number of its own.
    fn requests(&self) -> impl Iterator<Item = Vec<u8>> {
        // A constant request is written once.
        let fixed = (!self.path.contains("{}")).then(|| self.request(0));
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
