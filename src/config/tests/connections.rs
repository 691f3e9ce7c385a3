//! The bounds of connections, what a stop waits for, and pipes in place of files.

use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use super::*;

#[test]
fn the_defaults_fit_dockers_grace_period_and_limit_each_address() {
    let settings = loaded(SOUND, &[], Mode::Production).unwrap();
    let server = settings.server;
    assert_eq!((settings.lame_duck.as_secs(), server.drain_timeout.as_secs()), (3, 5));
    assert_eq!((settings.listen_backlog, server.max_connections), (4_096, 10_000));
    assert_eq!(server.max_connection_memory, 512 << 20);
    assert_eq!(server.unauthenticated_idle_timeout.as_secs(), 5);
    assert_eq!((server.max_connections_per_address, server.knows_addresses), (Some(1_000), true));
}

/// All connections of a load balancer have its address, unless it sends the PROXY protocol.
#[test]
fn connections_per_address_are_unlimited_where_the_address_is_the_balancers() {
    let bound = |server: &str| {
        let text = format!("{SOUND}\n[server]\n{server}");
        let server = loaded(&text, &[], Mode::Production).unwrap().server;
        (server.max_connections_per_address, server.knows_addresses)
    };
    let trusting = "behind_proxy = true\ntrusted_proxies = [\"10.0.0.0/8\"]\n";
    assert_eq!(bound("max_connections_per_address = 0"), (None, true));
    assert_eq!(bound("behind_proxy = true"), (None, false));
    let forwarded = format!("{trusting}forwarded_header = \"forwarded\"");
    assert_eq!(bound(&forwarded), (None, false));
    assert_eq!(bound(&format!("{trusting}proxy_protocol = true")), (Some(1_000), true));
}

#[test]
fn connection_limits_out_of_range_are_reported() {
    let wrong = "[server]\nlisten_backlog = 0\nmax_connection_memory_bytes = 5\n\
                 max_connections_per_address = 1000001\nunauthenticated_idle_timeout_ms = 1";
    insta::assert_snapshot!(problems(wrong), @r"
server.listen_backlog: 0 is not between 1 and 65535 connections
server.max_connection_memory_bytes: 5 is not between 1048576 and 1099511627776 bytes
server.max_connections_per_address: 1000001 is not between 0 and 1000000 connections
server.unauthenticated_idle_timeout_ms: 1 is not between 100 and 3600000 milliseconds
");
}

/// Every file that a configuration names, and the configuration file itself.
#[test]
fn a_pipe_in_place_of_any_file_is_a_problem_without_a_wait() {
    let issuer = "[issuers.one]\nissuer = \"https://login.example.com/\"\n\
                  audiences.photos = [\"app-one\"]\n";
    let tls = "[server.tls]\ncertificate_file = \"policies/album.json\"\n\
               key_file = \"policies/album.json\"\nclient_certificates = \"required\"\n\
               client_ca_file = \"policies/album.json\"\nclient_crl_file = \"policies/album.json\"\n";
    let redis = "[store]\nkind = \"redis\"\n[store.redis]\nurl = \"rediss://cache\"\n\
                 encryption_key_file = \"key\"\n";
    let seal_key = "b2xkIGtleSBvbGQga2V5IG9sZCBrZXkgb2xkIGtleSE=";
    let in_place = |table: &str, key: &str| {
        let line = format!("\n{key} = \"policies/album.json\"\n");
        assert!(table.contains(&line), "{key}");
        table.replace(&line, &format!("\n{key} = \"pipe\"\n"))
    };
    let key = "[sts.identity.access_key]\nsource = \"files\"\n";
    let public = "[server]\npublic_url = \"https://vend.example.com\"\n[tickets]\n";
    let tables = [
        ("policy", "[grants.two]\nrole = \"reader\"\npolicy = \"pipe\"".to_owned()),
        ("jwks_file", format!("{issuer}algorithms = [\"ES256\"]\njwks_file = \"pipe\"")),
        ("secret_file", format!("{issuer}algorithms = [\"HS256\"]\nsecret_file = \"pipe\"")),
        ("certificate_file", in_place(tls, "certificate_file")),
        ("key_file", in_place(tls, "key_file")),
        ("client_ca_file", in_place(tls, "client_ca_file")),
        ("client_crl_file", in_place(tls, "client_crl_file")),
        ("id_file", format!("{key}id_file = \"pipe\"\nsecret_file = \"policies/album.json\"")),
        ("secret_file", format!("{key}id_file = \"policies/album.json\"\nsecret_file = \"pipe\"")),
        ("key_file", format!("{public}key_file = \"pipe\"")),
        (
            "previous_key_file",
            format!("{public}key_file = \"policies/album.json\"\nprevious_key_file = \"pipe\""),
        ),
        ("encryption_key_file", redis.replace("\"key\"", "\"pipe\"")),
        ("previous_encryption_key_file", format!("{redis}previous_encryption_key_file = \"pipe\"")),
        ("password_file", format!("{redis}password_file = \"pipe\"")),
        (
            "headers_file",
            "[tracing]\notlp_endpoint = \"http://127.0.0.1:4318\"\nheaders_file = \"pipe\""
                .to_owned(),
        ),
    ];
    for (named, table) in tables {
        let text = format!("{SOUND}\n{table}");
        let files = [("policies/album.json", POLICY), ("key", seal_key)];
        let folder = folder(&[&files[..], &[("app.toml", text.as_str())]].concat());
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for file in ["app.toml", "pipe"] {
            let file = folder.path().join(file);
            let (reported, problems) = mpsc::channel();
            std::thread::spawn(move || {
                let loaded = load(&[file], &Environment::new(), Mode::Demo);
                let read = loaded.and_then(|settings| settings.read_secrets());
                let _ = reported.send(read.map(|_| ()).unwrap_err().to_string());
            });
            let problems = problems.recv_timeout(Duration::from_secs(30));
            let problems = problems.unwrap_or_else(|_| panic!("{named}: a pipe is waited for"));
            let pipe = "it must be a regular file, and is a pipe";
            let line = problems.lines().find(|line| line.contains(pipe));
            assert!(line.is_some(), "{named}: {problems}");
        }
    }
}
