//! Measurements of the server's process, by the kernel.

use std::fs;
use std::net::SocketAddr;

/// Microseconds of CPU that the process's threads have used.
pub(crate) fn cpu_micros(pid: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let nanos: f64 = threads
        .map(|thread| {
            let path = thread.expect("a thread of the process").path().join("schedstat");
            // Nanoseconds on the CPU are its first number. A thread may just have ended.
            let text = fs::read_to_string(path).unwrap_or_default();
            text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0)
        })
        .sum();
    nanos / 1000.0
}

/// The process's resident memory in megabytes (10^6 bytes): now, and at its highest.
pub(crate) fn memory_mb(pid: u32) -> (f64, f64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let megabytes = |name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .expect("the status has the memory");
        let kibibytes = line.trim().trim_end_matches(" kB").parse::<f64>();
        kibibytes.expect("a number of kB") * 1.024 / 1000.0
    };
    (megabytes("VmRSS:"), megabytes("VmHWM:"))
}

/// The number of TCP connections to the address, including recently closed ones.
pub(crate) fn connections_to(address: SocketAddr) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux");
    let port = format!(":{:04X}", address.port());
    let remote = |line: &&str| line.split_whitespace().nth(2).is_some_and(|it| it.ends_with(&port));
    table.lines().filter(remote).count()
}
