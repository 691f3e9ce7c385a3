//! Signals to a process that has just started.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use tokio::time::Instant;

use crate::binary::{Running, Service, appserver, emulated_sts, text};

const KEY: [(&str, &str); 2] =
    [("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret")];
const HANGUP: i32 = 1;
const TERMINATE: i32 = 15;
/// The difference between the delays of two processes' signals: 40 of them cover 20 ms.
const STEP: Duration = Duration::from_micros(500);

/// Whether the process catches the signal, according to the system.
fn catches(process: u32, signal: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    // It catches none once it has ended.
    let caught = u64::from_str_radix(caught.unwrap_or("0").trim(), 16).unwrap();
    caught >> (signal - 1) & 1 == 1
}

/// Whether the process waits for signals: its handlers are then complete. A signal that arrives while they are being installed
/// can be lost.
fn waits(process: u32) -> bool {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{process}/task")) else { return false };
    let names =
        tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.into_iter().any(|name| name.trim() == "signals")
}

fn threads(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/task")).unwrap().count()
}

fn sent(number: u32, name: &str, arguments: &[&str]) -> (bool, Running) {
    let signal = if name == "HUP" { HANGUP } else { TERMINATE };
    let mut running = Running::start(&mut appserver(arguments, &KEY));
    let (process, began) = (running.child().id(), Instant::now());
    while began.elapsed() < number * STEP {
        std::hint::spin_loop();
    }
    let is_caught = catches(process, signal) && waits(process);
    running.signal(name);
    if !is_caught {
        running.terminate();
    }
    (is_caught, running)
}

/// The runtime's threads take milliseconds to start, the configuration longer.
#[test]
fn signal_handlers_are_installed_first() {
    let service = Service::new("127.0.0.1:1".parse().unwrap(), "11223344");
    let config = service.config();
    let ports = ["--sts-port", "0", "--oss-port", "0", "--ram-port", "0", "--metadata-port", "0"];
    let dev = [&["dev", "--port", "0", "--admin-port", "0"], &ports[..]].concat();
    let emulator = [&["emulator"], &ports[..]].concat();
    for command in [&["serve", "--config", &config][..], &dev, &emulator] {
        for _ in 0..5 {
            let mut running = Running::start(&mut appserver(command, &KEY));
            let process = running.child().id();
            let began = Instant::now();
            loop {
                // In this order: the second check is the later one.
                let threads = threads(process);
                let is_caught = [HANGUP, TERMINATE].iter().all(|&signal| catches(process, signal));
                // The main thread, and that of the allocator, which blocks all signals.
                assert!(is_caught || threads <= 2, "{command:?}: {threads} threads before");
                if is_caught && waits(process) {
                    break;
                }
                assert!(began.elapsed() < crate::stage::TIME_LIMIT);
            }
            running.signal("HUP");
            running.terminate();
            let output = running.ended();
            assert_eq!(output.status.code(), Some(0), "{command:?}: {}", text(&output.stderr));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_in_the_first_milliseconds_kills_no_server() {
    let (sts, _) = emulated_sts().await;
    let service = Service::new(sts, "11223344");
    let config = service.config();
    let arguments = ["serve", "--config", &config];
    for number in 0..40 {
        let (is_caught, running) = sent(number, "TERM", &arguments);
        let output = running.ended();
        let log = text(&output.stderr);
        assert!(
            !is_caught || output.status.code() == Some(0),
            "{number}: {:?} {log}",
            output.status
        );

        let (is_caught, mut running) = sent(number, "HUP", &arguments);
        running.terminate();
        let output = running.ended();
        let (killed, log) = (output.status.signal(), text(&output.stderr));
        assert!(!is_caught || killed.is_none(), "{number}: {:?} {log}", output.status);
    }
}

/// Ctrl-C ends commands without an orderly shutdown.
#[test]
fn other_commands_leave_signals_to_the_system() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe").display().to_string();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // It waits for a writer of the pipe.
    let mut running = Running::start(&mut appserver(&["policy", "lint", &pipe], &[]));
    assert!(!catches(running.child().id(), TERMINATE));
    running.terminate();
    assert_eq!(running.ended().status.signal(), Some(TERMINATE));
}
