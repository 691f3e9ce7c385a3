//! `[grants.NAME.upload.callback]` and `[uploads]`.

use super::*;

const GRANT: &str = "[grants.album.oss]\nbucket = \"sample-bucket\"\nregion = \"cn-hangzhou\"\n\
                     [grants.album.upload]\nkey = \"${params.album}/${name}\"\nmax_bytes = \"10MiB\"\n\
                     content_types = [\"image/jpeg\"]\n";
const CALLBACK: &str = "[server]\npublic_url = \"https://vend.example.com\"\n\
                        [uploads]\nencryption_key_file = \"key\"\n\
                        [grants.album.upload.callback]\nforward = \"https://backend/uploads\"\nsecret_file = \"secret\"\n";
const WRITING: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:PutObject",
    "Resource":"acs:oss:*:*:sample-bucket/${params.album}/*"}]}"#;

fn with(text: &str, files: &[(&str, &str)], mode: Mode) -> Result<Settings, String> {
    let text = format!("{SOUND}\n{GRANT}{text}");
    let own = [("app.toml", text.as_str()), ("policies/album.json", WRITING)];
    let folder = folder(&[&own, files].concat());
    let root = folder.path().display().to_string();
    let shown = |problems: Problems| problems.to_string().replace(&root, "<folder>");
    let settings = load(&[folder.path().join("app.toml")], &Environment::new(), mode);
    let settings = settings.map_err(shown)?;
    settings.uploads.read().map_err(shown)?;
    Ok(settings)
}

fn refused(text: &str, files: &[(&str, &str)]) -> String {
    with(text, files, Mode::Production).err().unwrap_or_else(|| "(it loads)".to_owned())
}

#[test]
fn a_callback_needs_a_backend_a_secret_a_key_and_a_public_url() {
    let vars = |line: &str| {
        refused(&format!("{CALLBACK}[grants.album.upload.callback.vars]\n{line}\n"), &[])
    };
    let more = |line: &str| refused(&format!("{CALLBACK}{line}\n"), &[]);
    let found = [
        refused("[grants.album.upload.callback]\n", &[]),
        refused(&CALLBACK.replace("https://backend/uploads", "ftp://backend/"), &[]),
        refused(&CALLBACK.replace("https://backend/uploads", "http://backend/uploads"), &[]),
        more("deadline_secs = 5"),
        more("body = [\"size\", \"colour\"]"),
        more("vars = { Upload = \"a\" }"),
        vars("upload = \"a\""),
        vars("user = \"${password}\""),
        vars("user = \"${claims.department}\""),
    ];
    insta::assert_snapshot!(found.join("\n"), @r"
    grants.album.upload.callback.forward: is missing
    grants.album.upload.callback.secret_file: the backend recognises reports by it: name a file that holds a secret; `openssl rand -hex 32` makes one
    server.public_url: OSS sends its callbacks there: set it to the URL at which OSS reaches this service, such as `https://vend.example.com`
    uploads.encryption_key_file: forms of grants with `upload.callback` carry what only the service may read: name a file that holds a key; `openssl rand -base64 32` makes one
    grants.album.upload.callback.forward: a backend's URL reads `https://<host>/<path>`, without user and fragment; `http` is admitted on `localhost` and loopback addresses only; it takes no placeholders, as the body has the user
    grants.album.upload.callback.forward: a backend's URL reads `https://<host>/<path>`, without user and fragment; `http` is admitted on `localhost` and loopback addresses only; it takes no placeholders, as the body has the user
    grants.album.upload.callback.deadline_secs: 5 is not between 1 and 4 seconds
    grants.album.upload.callback.body: item 2: OSS reports bucket, object, etag, size, mimeType (these always), clientIp, contentMd5, crc64, imageInfo.format, imageInfo.height, imageInfo.width, operation, reqId and vpcId
    grants.album.upload.callback.vars.Upload: a variable's name is 1 to 32 characters of a-z, 0-9 and `_`, begins with a letter and is not `upload`, which the service itself uses
    grants.album.upload.callback.vars.upload: a variable's name is 1 to 32 characters of a-z, 0-9 and `_`, begins with a letter and is not `upload`, which the service itself uses
    grants.album.upload.callback.vars.user: a variable's value is text with the placeholders `${client}`, `${issuer}`, `${subject}`, `${claims.<name>}` and `${params.<name>}`, without other `$`, `{`, `}` and control characters
    grants.album.upload.callback.vars.user: `${claims.department}` needs the claim in the grant's `claims`: declare it there
    ");
}

#[test]
fn the_key_and_the_secret_of_callbacks_are_not_the_demos_and_long_enough() {
    let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let secret = "0123456789abcdef0123456789abcdef";
    let of = |key: &str, secret: &str| refused(CALLBACK, &[("key", key), ("secret", secret)]);
    assert_eq!(of(key, secret), "(it loads)");
    let found = [of("short", "short"), of(key, "appserver-demo-callback-secret-0001")];
    insta::assert_snapshot!(found.join("\n"), @r"
    grants.album.upload.callback.secret_file: a secret has at least 32 characters; `openssl rand -hex 32` makes one
    uploads.encryption_key_file: a key is 32 random bytes in base64, as `openssl rand -base64 32` prints them
    grants.album.upload.callback.secret_file: this is the demo's secret, which is published; make your own with `openssl rand -hex 32`
    ");
    // The same key under another path.
    insta::assert_snapshot!(of(key, key), @"grants.album.upload.callback.secret_file: it holds a key of `[uploads]`, and the backend has the secret in it: `openssl rand -hex 32` makes another");
    // The demo has its own, and listens where OSS reports to.
    let demo = "[grants.album.upload.callback]\nforward = \"https://backend/uploads\"\n";
    assert!(with(demo, &[], Mode::Demo).is_ok());
}

#[test]
fn the_secret_of_a_callback_is_in_no_file_of_another_key() {
    let with_secret = |path: &str| CALLBACK.replace("\"secret\"", &format!("\"{path}\""));
    let tickets = CALLBACK.replace("\"key\"", "\"other\"").replace("\"secret\"", "\"key\"");
    let tickets = format!("{tickets}[tickets]\nkey_file = \"key\"\n");
    let found = [
        refused(&with_secret("key"), &[]),
        refused(&with_secret("./key"), &[("key", "a")]),
        refused(&tickets, &[]),
    ];
    insta::assert_snapshot!(found.join("\n"), @r"
    grants.album.upload.callback.secret_file: it is the file of `uploads.encryption_key_file`, too, and the backend has the secret in it: name a file of its own; `openssl rand -hex 32` makes a secret
    grants.album.upload.callback.secret_file: it is the file of `uploads.encryption_key_file`, too, and the backend has the secret in it: name a file of its own; `openssl rand -hex 32` makes a secret
    grants.album.upload.callback.secret_file: it is the file of `tickets.key_file`, too, and the backend has the secret in it: name a file of its own; `openssl rand -hex 32` makes a secret
    ");
}

#[test]
fn a_backend_is_a_place_that_can_listen_and_its_url_takes_no_placeholder() {
    let to = |url: &str| refused(&CALLBACK.replace("https://backend/uploads", url), &[]);
    let found = [to("http://127.0.0.1:0/uploads"), to("https://backend/${subject}")];
    insta::assert_snapshot!(found.join("\n"), @r"
    grants.album.upload.callback.forward: nothing listens on port 0: only `dev` puts its own backend there
    grants.album.upload.callback.forward: a backend's URL reads `https://<host>/<path>`, without user and fragment; `http` is admitted on `localhost` and loopback addresses only; it takes no placeholders, as the body has the user
    ");
}

#[test]
fn a_request_that_ends_before_the_deadline_of_its_report_is_warned_of() {
    let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let files = [("key", key), ("secret", "0123456789abcdef0123456789abcdef")];
    let warning = |millis: u32| {
        let text =
            CALLBACK.replace("[uploads]", &format!("request_timeout_ms = {millis}\n[uploads]"));
        let settings = with(&text, &files, Mode::Production).unwrap();
        let own = settings.warnings.iter().find(|one| one.path == "server.request_timeout_ms");
        own.map(|one| one.message.clone()).unwrap_or_default()
    };
    assert_eq!(warning(3000), "");
    assert!(warning(2999).starts_with("a report of an upload may take 3 s"), "{}", warning(2999));
}

/// `dev` has both.
#[test]
fn callbacks_of_an_emulated_oss_are_warned_of() {
    let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let files = [("key", key), ("secret", "0123456789abcdef0123456789abcdef")];
    let warnings = |text: &str, mode: Mode| {
        let settings = with(text, &files, mode).unwrap();
        let own = ["server.public_url", "uploads.callback_key_url"];
        let own = settings.warnings.iter().filter(|one| own.contains(&&*one.path));
        own.map(|one| format!("{}: {}", one.path, one.message)).collect::<Vec<_>>().join("\n")
    };
    let local = CALLBACK.replace("https://vend.example.com", "http://127.0.0.1:8080");
    let emulated =
        "encryption_key_file = \"key\"\ncallback_key_url = \"http://127.0.0.1:8091/key.pem\"";
    let local = local.replace("encryption_key_file = \"key\"", emulated);
    assert_eq!(warnings(CALLBACK, Mode::Production), "");
    assert_eq!(warnings(&local, Mode::Demo), "");
    // Tickets may be used on the machine alone.
    let tickets = "[server]\npublic_url = \"http://127.0.0.1:8080\"\n";
    assert_eq!(warnings(tickets, Mode::Production), "");
    insta::assert_snapshot!(warnings(&local, Mode::Production), @r"
    uploads.callback_key_url: callbacks of OSS itself are refused, and whatever has this key can report uploads: remove it, unless this is a test with an emulated OSS
    ");
}

#[test]
fn the_public_url_of_a_callback_is_one_that_oss_calls() {
    let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let files = [("key", key), ("secret", "0123456789abcdef0123456789abcdef")];
    let of = |url: &str, more: &str| {
        let text = CALLBACK.replace("https://vend.example.com", url);
        refused(&text.replace("[uploads]", &format!("[uploads]\n{more}")), &files)
    };
    for url in
        ["http://127.0.0.1:8080", "https://10.1.2.3", "https://[2001:db8::1]", "https://vend"]
    {
        assert_eq!(
            of(url, ""),
            "server.public_url: OSS sends its callbacks there, and refuses `localhost`, loopback and private addresses, IPv6 and \
             what does not resolve: set it to an https URL with a public host name",
            "{url}"
        );
        // An emulated OSS is not so particular.
        let emulated = "callback_key_url = \"http://127.0.0.1:8091/callback_pub_key_v1.pem\"";
        assert_eq!(of(url, emulated), "(it loads)");
    }
    // With what is wrong as a public URL, so that the next one is right.
    insta::assert_snapshot!(of("http://192.168.1.5:8080", ""), @r"
server.public_url: a public URL reads `https://<host>`, with a port and the beginning of a path if need be, without user, query or fragment, at most 256 characters; `http` is admitted on `localhost` and loopback addresses only
server.public_url: OSS sends its callbacks there, and refuses `localhost`, loopback and private addresses, IPv6 and what does not resolve: set it to an https URL with a public host name
");
}
