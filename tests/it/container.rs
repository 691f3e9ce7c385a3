//! The documented start of the container, without a container: only the mount and the variables of its command.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::binary::{Running, appserver, emulated_sts, run, text};
use crate::ports::free_port;
use crate::stage::repository;

/// The environment that a `docker run` gives to the process inside.
#[derive(Debug, Eq, PartialEq)]
struct Start {
    /// A folder of the host, and its path in the container.
    mount: (String, String),
    /// Variables that are passed through.
    variables: Vec<String>,
}

/// The one documented command that starts the service.
fn documented(text: &str) -> Start {
    // In the Dockerfile it is a comment; either way its lines end in backslashes.
    let lines = text.lines().map(|line| line.trim_start_matches('#').trim());
    let joined: String = lines
        .map(|line| line.strip_suffix('\\').map_or(format!("{line}\n"), str::to_owned))
        .collect();
    let mut starts = joined.lines().filter(|line| line.starts_with("docker run --read-only"));
    let start = starts.next().expect("the command is documented");
    assert_eq!(starts.next(), None, "there is one command");
    let words: Vec<_> = start.split_whitespace().map(|word| word.trim_matches('"')).collect();
    let after = |flag: &str| -> Vec<&str> {
        words.windows(2).filter(|pair| pair[0] == flag).map(|pair| pair[1]).collect()
    };
    let mount = after("-v").first().expect("a folder is mounted").strip_suffix(":ro").unwrap();
    let (host, inside) = mount.split_once(':').unwrap();
    let host = host.strip_prefix("$PWD").expect("the folder is here");
    let host = host.trim_start_matches('/').to_owned();
    Start {
        mount: (host, inside.to_owned()),
        variables: after("-e").into_iter().map(str::to_owned).collect(),
    }
}

/// The documented lines that prepare the folder, run as they are in a folder beside `config`.
fn prepare(page: &str, folder: &Path) {
    let block = page.split("```").find(|block| block.contains("\nmkdir ")).unwrap();
    let lines = block.lines().filter(|line| line.starts_with("mkdir ") || line.starts_with("cp "));
    std::os::unix::fs::symlink(repository("config"), folder.join("config")).unwrap();
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.len(), 3, "{block}");
    let done = Command::new("sh").args(["-ec", &lines.join("\n")]).current_dir(folder).status();
    assert!(done.unwrap().success());
}

/// Editors find it beside the file, in the image as in the repository.
#[test]
fn the_schema_that_a_file_of_the_image_names_is_in_the_image() {
    let read = |name: &str| std::fs::read_to_string(repository(name)).unwrap();
    let (dockerfile, admitted) = (read("Dockerfile"), read(".dockerignore"));
    let copied = dockerfile.lines().filter(|line| line.starts_with("COPY "));
    let copied = copied.filter_map(|line| line.strip_suffix(" /etc/appserver/"));
    let copied: Vec<_> =
        copied.flat_map(str::split_whitespace).filter(|word| word.starts_with("config/")).collect();
    let mut named = 0;
    for file in copied.iter().filter(|file| Path::new(file).extension() == Some("toml".as_ref())) {
        let text = read(file);
        let schema = text.lines().next().unwrap().strip_prefix("#:schema ").unwrap();
        let schema = format!("config/{schema}");
        assert!(copied.contains(&schema.as_str()), "{file} names {schema}: {copied:?}");
        assert!(admitted.lines().any(|line| line == format!("!{schema}")), "{schema}");
        assert!(repository(&schema).is_file(), "{schema}");
        named += 1;
    }
    assert_eq!(named, 2, "{copied:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_container_start_vends_a_token() {
    let read = |name: &str| std::fs::read_to_string(repository(name)).unwrap();
    let (page, dockerfile) = (read("docs/operate/deploy.md"), read("Dockerfile"));
    let start = documented(&page);
    assert_eq!(start, documented(&dockerfile), "docs/operate/deploy.md and the Dockerfile differ");
    let folder = tempfile::tempdir().unwrap();
    prepare(&page, folder.path());
    let (host, inside) = &start.mount;
    let host = folder.path().join(host);

    // The one edit that the page asks for: the hash of a secret of one's own.
    let printed = text(&run(&["client", "new", "photo-app-ios"], &[]).stdout);
    let secret = printed.lines().find(|line| line.trim().len() == 43).unwrap().trim();
    let hash = printed.lines().find(|line| line.contains("secret_sha256")).unwrap().trim();
    let file = host.join("appserver.toml");
    let example = std::fs::read_to_string(&file).unwrap();
    let nobodys = format!("secret_sha256 = [\"{}\"]", "0".repeat(64));
    assert_eq!(example.matches(&nobodys).count(), 1);
    std::fs::write(&file, example.replace(&nobodys, hash)).unwrap();

    let command = dockerfile.lines().find_map(|line| line.strip_prefix("CMD ")).unwrap();
    let command: Vec<String> = serde_json::from_str(command).unwrap();
    let in_host = |word: &String| word.replacen(inside, &host.display().to_string(), 1);
    let command: Vec<_> = command.iter().map(in_host).collect();
    let command: Vec<_> = command.iter().map(String::as_str).collect();

    // In place of the cloud and of the container's network.
    let (sts, _) = emulated_sts().await;
    let (port, admin) = (free_port(), free_port());
    let elsewhere = [
        ("APPSERVER__STS__REGION", String::new()),
        ("APPSERVER__STS__ENDPOINTS", format!("http://{sts}")),
        ("APPSERVER__SERVER__LISTEN", format!("127.0.0.1:{port}")),
        ("APPSERVER__ADMIN__LISTEN", format!("127.0.0.1:{admin}")),
    ];
    let mut environment: Vec<_> =
        elsewhere.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for variable in &start.variables {
        let value = match variable.as_str() {
            "ALIBABA_CLOUD_ACCESS_KEY_ID" => "testid",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET" => "testsecret",
            other => panic!("the command hands {other} through, which nothing is known of"),
        };
        environment.push((variable, value));
    }
    let check = [&["check"], &command[1..]].concat();
    let checked = run(&check, &environment);
    assert!(checked.status.success(), "{}", text(&checked.stdout));

    let mut running = Running::start(&mut appserver(&command, &environment));
    let ready = async {
        let url = format!("http://127.0.0.1:{admin}/readyz");
        while !reqwest::get(&url).await.is_ok_and(|answer| answer.status() == 200) {
            if let Some(status) = running.child().try_wait().unwrap() {
                panic!("it has ended: {status}");
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
    };
    tokio::time::timeout(crate::stage::TIME_LIMIT, ready).await.expect("it is ready in time");
    let url = format!("http://127.0.0.1:{port}/v1/token?Parameters.album=2015");
    let request = reqwest::Client::new().get(url).basic_auth("photo-app-ios", Some(secret));
    let answer = request.send().await.unwrap().text().await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        (answer["Code"].as_str(), answer["Grant"].as_str()),
        (Some("Success"), Some("one-album")),
        "{answer}"
    );
    running.signal("KILL");
}

/// Step 10 of the page with the file of step 3: all that it names is in the mounted folder.
#[test]
fn the_container_of_the_quickstart_starts_with_its_configuration() {
    let read = |name: &str| std::fs::read_to_string(repository(name)).unwrap();
    let page = read("docs/quickstart-production.md");
    let start = documented(&page);
    assert_eq!(
        start,
        Start { mount: (String::new(), "/etc/appserver".to_owned()), variables: vec![] }
    );
    let (_, content) = page.split_once("$ cat > appserver.toml <<'EOF'\n").unwrap();
    let (content, _) = content.split_once("\nEOF\n").unwrap();

    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(repository("config/policies"), folder.path().join("policies"))
        .unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let file = write("appserver.toml", content);
    // 32 bytes in base64.
    write("ticket-key", &format!("{}=", "A".repeat(43)));
    write("keys/access-key-id", "testid");
    write("keys/access-key-secret", "testsecret");
    let checked = run(&["check", "--config", &file], &[]);
    let printed = text(&checked.stdout) + &text(&checked.stderr);
    // The warnings are of what the page tells to replace, and of the secret that step 4 adds.
    insta::assert_snapshot!(printed, @r"
    The configuration is valid.
    warning: clients.photo-backend: it has no way to authenticate, so each of its requests is refused with 401: set `secret_sha256` (`appserver client new` makes a secret), set `certificates`, or list it in `audiences` of an issuer
    warning: roles.photo-app.arn: 11223344 is the account of the example: put the number of yours there
    warning: server.public_url: vend.example.com is the host of the example: put the URL there at which apps reach this service; URLs of tickets begin with it
    warning: grants.album-guest.policy: sample-bucket is the bucket of the example: put the name of yours there
    ");
    assert!(checked.status.success());
}
