//! The AccessKey comes from the one source that the configuration names.

use crate::binary::{Service, emulated_sts, text};

/// Variables that are set by chance, such as those of another tool, have no effect if files are configured.
#[tokio::test(flavor = "multi_thread")]
async fn configured_key_files_take_precedence_over_variables_and_the_log_names_the_source() {
    let (sts, control) = emulated_sts().await;
    let service = Service::new(sts, "11223344");
    let folder = tempfile::tempdir().unwrap();
    let [id, secret] = [("id", "testid\n"), ("secret", "testsecret\n")].map(|(name, text)| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    });
    let files = [
        ("APPSERVER__STS__IDENTITY__ACCESS_KEY__SOURCE", "files"),
        ("APPSERVER__STS__IDENTITY__ACCESS_KEY__ID_FILE", &id),
        ("APPSERVER__STS__IDENTITY__ACCESS_KEY__SECRET_FILE", &secret),
    ];
    // Another user of the emulated account, whose key STS would accept, too.
    let mut running = service.start_with(("internid", "internsecret"), &files);
    service.ready().await;
    running.terminate();
    let log = text(&running.ended().stderr);
    assert!(log.contains(&format!("files ({id})")), "the source is logged: {log}");
    assert!(log.contains("testid") && !log.contains("internid"), "{log}");
    let signed_by: Vec<_> =
        control.calls().into_iter().map(|call| call.parameters["AccessKeyId"].clone()).collect();
    assert_eq!(signed_by, ["testid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_environment_is_logged_with_the_keys_id() {
    let (sts, _) = emulated_sts().await;
    let service = Service::new(sts, "11223344");
    let mut running = service.start(("testid", "testsecret"));
    service.ready().await;
    running.terminate();
    let log = text(&running.ended().stderr);
    assert!(log.contains("environment (ALIBABA_CLOUD_ACCESS_KEY_ID)"), "{log}");
    assert!(log.contains("testid") && !log.contains("testsecret"), "{log}");
}
