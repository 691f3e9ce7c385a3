//! Where traces are exported.

use super::*;

#[test]
fn tracing_is_off_unless_a_collector_is_set() {
    assert!(loaded(SOUND, &[], Mode::Production).unwrap().tracing.is_none());
    let endpoint = [("APPSERVER__TRACING__OTLP_ENDPOINT", "http://127.0.0.1:4318")];
    let settings = loaded(SOUND, &endpoint, Mode::Production).unwrap();
    let tracing = settings.tracing.unwrap().read().unwrap();
    assert_eq!((tracing.sample_ratio, tracing.trust_remote_parent), (0.05, true));
    assert_eq!((tracing.service_name.as_str(), tracing.headers.len()), ("appserver", 0));
}

#[test]
fn each_problem_of_tracing_is_reported_with_the_way_out() {
    let wrong = r#"
        [tracing]
        otlp_endpoint = "grpc://collector:4317"
        sample_ratio = 5
        service_name = ""
        timeout_ms = 0
        max_queued_spans = 0
        sampler = "always_on"
    "#;
    insta::assert_snapshot!(problems(wrong), @r"
tracing.max_queued_spans: 0 is not between 1 and 1000000 spans
tracing.otlp_endpoint: a collector's address is `https://<host>:<port>` or `http://<host>:<port>`, with or without a path, without user and query; `/v1/traces` is appended
tracing.sample_ratio: 5 is not between 0 and 1 of all requests
tracing.sampler: there is no such key; `appserver check --defaults` prints all keys
tracing.service_name: it must have 1 to 255 characters
tracing.timeout_ms: 0 is not between 100 and 60000 milliseconds
");
    let readable = "[tracing]\notlp_endpoint = \"http://collector:4318\"\nheaders_file = \"key\"";
    insta::assert_snapshot!(problems(readable),  @"tracing.headers_file: the key in it would cross the network in the clear: `tracing.otlp_endpoint` must begin with `https://`");
}

/// The file holds a secret: its problems are reported without its content.
#[test]
fn headers_are_read_from_their_file_and_never_printed() {
    let read = |headers: &str| {
        let config =
            "[tracing]\notlp_endpoint = \"https://otlp.example.com\"\nheaders_file = \"headers\"";
        let text = format!("{SOUND}\n{config}");
        let folder = folder(&[
            ("app.toml", text.as_str()),
            ("policies/album.json", POLICY),
            ("headers", headers),
        ]);
        let settings =
            load(&[folder.path().join("app.toml")], &Environment::new(), Mode::Production).unwrap();
        let root = folder.path().display().to_string();
        let read = settings.tracing.unwrap().read();
        read.map_err(|problems| problems.to_string().replace(&root, "<folder>"))
    };
    let settings = read("Authorization = Bearer canary=\n\nx-tenant=one\n").unwrap();
    assert_eq!(settings.headers["authorization"], "Bearer canary=");
    assert_eq!(settings.headers["x-tenant"], "one");
    assert!(!format!("{settings:?}").contains("canary"), "{settings:?}");
    for (bad, reported) in [
        ("", "the file is empty"),
        ("canary", "line 1 is not `name=value`, as a header can be"),
        ("a=1\nno name=canary", "line 2 is not `name=value`, as a header can be"),
        ("a=1\ncontent-type=canary", "line 2 is not `name=value`, as a header can be"),
        ("a=", "line 1 is not `name=value`, as a header can be"),
    ] {
        let problem = read(bad).unwrap_err();
        assert_eq!(problem, format!("tracing.headers_file: <folder>/headers: {reported}"));
    }
}
