//! Readers that close a pipe early, or are gone. Every command ends normally, and reports no panic.

use std::io::pipe;
use std::process::{Output, Stdio};
use std::time::Duration;

use crate::binary::{Running, Service, appserver, emulated_sts, run, text};
use crate::ports::free_port;
use crate::stage::until;

/// The streams without a reader.
#[derive(Clone, Copy, Debug)]
enum Closed {
    Stdout,
    Both,
}

fn into_nothing(arguments: &[&str], environment: &[(&str, &str)], closed: Closed) -> Output {
    let mut command = appserver(arguments, environment);
    let closed_pipe = || {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    command.stdout(closed_pipe());
    if let Closed::Both = closed {
        command.stderr(closed_pipe());
    }
    let mut running = Running::start(&mut command);
    // Dropped here, because the command would keep the pipe's end open.
    drop(command);
    running.child();
    running.ended()
}

/// The commands that `--help` lists.
fn commands(of: &[&str]) -> Vec<String> {
    let help = text(&run(&[of, &["--help"]].concat(), &[]).stdout);
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let list = list.take_while(|line| line.starts_with("  "));
    list.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_ends_with_a_closed_pipe_as_it_would_with_a_reader() {
    let (sts, _) = emulated_sts().await;
    let service = Service::new(sts, "11223344");
    let config = service.config();
    let key = [
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret"),
    ];
    let demo = ["--config", "config/dev.toml", "--client", "client-002"];
    let action = ["--action", "oss:GetObject", "--resource", "acs:oss:*:*:sample-bucket/a"];
    let vector = "tests/vectors/audit/audit.jsonl";
    let account = ["--config", &config, "--account", "11223344"];
    let port = format!("http://127.0.0.1:{}", free_port());
    let nowhere = ["--ram-endpoint", &port, "--ims-endpoint", &port];
    let table: Vec<Vec<&str>> = vec![
        vec!["--help"],
        vec!["help"],
        vec!["--version"],
        vec!["no-such-command"],
        vec!["check", "--config", &config],
        vec!["check", "--config", "config/dev.toml"],
        vec!["check", "--config", "/no/such/file"],
        vec!["doctor", "--config", &config],
        vec!["doctor", "--json", "--config", &config],
        [&["policy", "render"], &demo[..]].concat(),
        [&["policy", "explain"], &demo[..], &action].concat(),
        [&["policy", "explain", "--json"], &demo[..], &action].concat(),
        vec!["policy", "lint", "config/policies/daily-photos.json"],
        vec!["policy", "lint", "config/dev.toml"],
        vec![
            "policy",
            "compare",
            "config/policies/daily-photos.json",
            "config/policies/read-all.json",
        ],
        vec!["policy", "compare", "config/dev.toml", "config/dev.toml"],
        vec!["client", "new", "photo-app-ios"],
        vec!["config", "schema"],
        vec!["audit", "find", vector],
        vec!["audit", "find", "--json", vector],
        vec!["audit", "find", "--subject", "nobody", vector],
        vec!["audit", "find", "config/dev.toml"],
        vec!["plan-capacity", "--users", "1000000"],
        vec!["plan-capacity", "--users", "1000000", "--json"],
        vec!["plan-capacity", "--users", "1", "--grants", "album=1"],
        vec!["revoke", "--list", "--config", &config],
        vec!["revoke", "client", "client-002", "--for", "1h", "--config", &config],
        vec!["revoke", "client", "client-002", "--config", &config, "--audit", vector],
        vec!["healthcheck", "--config", &config],
        [&["setup", "plan"], &account[..]].concat(),
        [&["setup", "check"], &account[..], &nowhere].concat(),
        [&["setup", "apply", "--yes"], &account[..], &nowhere].concat(),
    ];
    // Every command is tested here, or below as a server.
    let servers = ["serve", "dev", "emulator"];
    for of in [&[][..], &["policy"], &["client"], &["config"], &["audit"], &["setup"]] {
        for command in commands(of) {
            let is_tried = table.iter().any(|row| row.starts_with(&[of, &[&command[..]]].concat()));
            let is_server = of.is_empty() && servers.contains(&command.as_str());
            assert!(is_tried || is_server || command == "help", "{of:?} {command}");
        }
    }
    for row in table {
        let expected = run(&row, &key);
        for closed in [Closed::Stdout, Closed::Both] {
            let ended = into_nothing(&row, &key, closed);
            assert_eq!(ended.status.code(), expected.status.code(), "{row:?} {closed:?}");
            if let Closed::Stdout = closed {
                assert_eq!(text(&ended.stderr), text(&expected.stderr), "{row:?}");
            }
        }
    }
}

/// A lost result is a failure.
#[test]
fn a_full_disk_is_reported_with_an_exit_code_of_its_own() {
    let audit = "tests/vectors/audit/audit.jsonl";
    for row in [
        &["client", "new", "photo-app"][..],
        &["policy", "lint", "config/dev.toml"],
        &["audit", "find", "--client", "photo-app", audit],
        &["audit", "find", "--client", "photo-app", "--json", audit],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = Running::start(appserver(row, &[]).stdout(full)).ended();
        let printed = text(&output.stderr);
        assert_eq!(printed, "appserver: standard output: No space left on device (os error 28)\n");
        assert_eq!(output.status.code(), Some(74), "{row:?} {printed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_continue_without_a_reader_and_end_cleanly() {
    let (sts, _) = emulated_sts().await;
    let service = Service::new(sts, "11223344");
    let ports: Vec<_> = (0..6).map(|_| free_port().to_string()).collect();
    let serve = appserver(
        &["serve", "--config", &service.config()],
        &[
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret"),
        ],
    );
    let [port, admin, sts, oss, sts_alone, oss_alone] = &ports[..] else { unreachable!() };
    let any = ["--ram-port", "0", "--metadata-port", "0"];
    let dev = ["dev", "--port", port, "--admin-port", admin, "--sts-port", sts, "--oss-port", oss];
    let dev = [&dev[..], &any].concat();
    let emulator = ["emulator", "--sts-port", sts_alone, "--oss-port", oss_alone];
    let emulator = [&emulator[..], &any].concat();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (mut command, url) in [
        (serve, format!("http://127.0.0.1:{}/readyz", service.admin())),
        (appserver(&dev, &[]), format!("http://127.0.0.1:{admin}/readyz")),
        (appserver(&emulator, &[]), format!("http://127.0.0.1:{sts_alone}/")),
    ] {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut running = Running::start(command.stdout(writer));
        drop(command);
        let answers = async || match http.get(&url).send().await {
            Ok(answer) => !url.ends_with("readyz") || answer.status() == 200,
            Err(_) => false,
        };
        until("it serves", answers).await;
        // The start message has been written by now.
        tokio::time::sleep(Duration::from_millis(200)).await;
        running.terminate();
        let output = running.ended();
        let printed = text(&output.stderr);
        assert!(output.status.success(), "{printed}");
        assert!(!printed.contains("panicked") && !printed.contains("bug"), "{printed}");
    }
}
