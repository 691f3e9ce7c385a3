//! The state that `--data` keeps.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::server::RamProblem;

async fn bind(folder: &Path) -> Result<Emulator, String> {
    let text = include_str!("../../../../../config/emulator.empty.toml");
    let settings = EmulatorSettings::from_toml(text).unwrap();
    let addr = "127.0.0.1:0".parse().unwrap();
    let emulator = Emulator::bind(settings, addr, Clock::manual(start())).await.unwrap();
    let emulator = emulator.with_oss(addr, Some(folder)).await.unwrap();
    match emulator.with_ram(addr, Some(folder)).await {
        Ok(emulator) => Ok(emulator),
        Err(RamProblem::Data(problem)) => Err(problem.to_string()),
        Err(RamProblem::Listen(error)) => panic!("{error}"),
    }
}

/// Runs calls against an emulator with the folder, and ends it.
async fn answers(folder: &Path, calls: Vec<Caller<'_>>) -> Vec<Value> {
    let emulator = bind(folder).await.unwrap();
    let url = format!("http://{}", emulator.ram_addr().unwrap());
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(emulator.serve(shutdown.clone()));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut answers = Vec::new();
    for caller in calls {
        let form: Vec<String> = caller
            .signed()
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        let request =
            http.post(&url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let sent = request.body(form.join("&")).send().await.unwrap();
        let mut body = answered(sent).await.body;
        body.as_object_mut().unwrap().remove("RequestId");
        answers.push(body);
    }
    drop(http);
    shutdown.cancel();
    serving.await.unwrap();
    answers
}

#[tokio::test]
async fn every_change_survives_a_restart_in_a_file_that_only_its_owner_reads() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ram.json");
    let reads = || {
        vec![
            ram("GetUser", &[("UserName", "worker")]),
            ram("ListAccessKeys", &[("UserName", "worker")]),
            ram("GetRole", &[("RoleName", "photos")]),
            ram("GetPolicy", &[("PolicyName", "p"), ("PolicyType", "Custom")]),
            ram("ListPoliciesForRole", &[("RoleName", "photos")]),
            ims("GetOIDCProvider", &[("OIDCProviderName", "cluster")]),
        ]
    };
    answers(folder.path(), vec![ram("ListUsers", &[])]).await;
    assert!(!file.exists(), "no change, no file");
    let attached = [("PolicyName", "p"), ("PolicyType", "Custom"), ("RoleName", "photos")];
    let provider = [
        ("OIDCProviderName", "cluster"),
        ("IssuerUrl", "https://login.demo.invalid/"),
        ("ClientIds", "sts.aliyuncs.com"),
    ];
    let changes = vec![
        ram("CreateUser", &[("UserName", "worker")]),
        ram("CreateAccessKey", &[("UserName", "worker")]),
        ram("CreateRole", &[("RoleName", "photos"), ("AssumeRolePolicyDocument", TRUST_ACCOUNT)]),
        ram("CreatePolicy", &[("PolicyName", "p"), ("PolicyDocument", READ_PHOTOS)]),
        ram("AttachPolicyToRole", &attached),
        ims("CreateOIDCProvider", &provider),
    ];
    let changed = answers(folder.path(), changes.into_iter().chain(reads()).collect()).await;
    let (made, before) = changed.split_at(6);
    assert!(made.iter().all(|body| body.get("Code").is_none()), "{made:?}");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let after = answers(folder.path(), reads()).await;
    assert_eq!(after, before);
    // The kept key signs, and the configured one still does.
    let key = &made[1]["AccessKey"];
    let (id, secret) = (key["AccessKeyId"].as_str().unwrap(), key["AccessKeySecret"].as_str());
    let signed = ram("GetUser", &[("UserName", "worker")]).by(id, secret.unwrap());
    assert_eq!(answers(folder.path(), vec![signed]).await[0]["Code"], json!("NoPermission"));
}

#[tokio::test]
async fn a_broken_file_or_one_of_another_version_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ram.json");
    let create = ram("CreateUser", &[("UserName", "worker")]);
    answers(folder.path(), vec![create]).await;
    let good = std::fs::read_to_string(&file).unwrap();
    let broken = [
        String::new(),
        good[..good.len() / 2].to_owned(),
        good.replace("\"format\":1", "\"format\":2"),
        good.replace("\"created\"", "\"creatid\""),
        "[]".to_owned(),
    ];
    for text in broken {
        std::fs::write(&file, &text).unwrap();
        let problem = bind(folder.path()).await.map(|_| ()).unwrap_err();
        let name = format!("`{}`", file.display());
        assert!(problem.starts_with(&name) && problem.contains("remove it"), "{problem}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "the file is untouched");
    }
    std::fs::write(&file, good).unwrap();
    assert!(bind(folder.path()).await.is_ok());
}

#[tokio::test]
async fn a_change_that_cannot_be_kept_does_not_happen() {
    let folder = tempfile::tempdir().unwrap();
    // A folder in the way of the file's next version.
    std::fs::create_dir(folder.path().join("ram.json.new")).unwrap();
    let worker = [("UserName", "worker")];
    let calls = vec![ram("CreateUser", &worker), ram("GetUser", &worker)];
    let codes = answers(folder.path(), calls).await.into_iter().map(|body| body["Code"].clone());
    assert_eq!(codes.collect::<Vec<_>>(), [json!("InternalError"), json!("EntityNotExist.User")]);
}
