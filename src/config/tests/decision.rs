//! `[decision]`.

use super::*;

const HOOK: &str =
    "[decision]\nurl = \"https://hook.example.com/decide\"\nsecret_file = \"secret\"\n";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn with(text: &str, files: &[(&str, &str)]) -> String {
    let text = format!("{SOUND}\n{text}");
    let own = [("app.toml", text.as_str()), ("policies/album.json", POLICY)];
    let folder = folder(&[&own, files].concat());
    let root = folder.path().display().to_string();
    let settings = load(&[folder.path().join("app.toml")], &Environment::new(), Mode::Production);
    let read = settings.and_then(|settings| {
        let hook = settings.decision.as_ref();
        hook.map(crate::config::DecisionSource::read).transpose().map(|_| ())
    });
    read.map_or_else(
        |problems| problems.to_string().replace(&root, "<folder>"),
        |()| "(it loads)".to_owned(),
    )
}

#[test]
fn each_invalid_setting_of_the_hook_is_refused_with_the_way_out() {
    let more = |line: &str| with(&format!("{HOOK}{line}\n"), &[("secret", SECRET)]);
    let many = (0..17).map(|i| format!("\"x-{i}\"")).collect::<Vec<_>>().join(", ");
    let found = [
        with("[decision]\nurl = \"https://hook.example.com/decide\"\n", &[]),
        with("[decision]\nurl = \"http://hook.example.com/decide\"\n", &[]),
        with(HOOK, &[("secret", "short")]),
        with(HOOK, &[("secret", "appserver-demo-callback-secret-0001")]),
        with(&format!("{HOOK}[tickets]\nkey_file = \"secret\"\n"), &[("secret", SECRET)]),
        more("timeout_ms = 9"),
        more("on_error = \"ignore\""),
        more("mode = \"off\""),
        more("cache_secs = 301"),
        more("headers = [\"X-App-Attest\", \"authorization\"]"),
        more("headers = [\"Cookie\"]"),
        more("headers = [\"a b\", \"X-App-Attest\", \"Cookie\"]"),
        more("headers = [\"X-A\", \"x-a\"]"),
        more(&format!("headers = [{many}]")),
        more("grants = [\"no-such\"]"),
        more("retries = 3"),
    ];
    insta::assert_snapshot!(found.join("\n"), @r"
    decision.secret_file: the hook recognises requests of this service by it: name a file that holds a secret; `openssl rand -hex 32` makes one
    decision.secret_file: the hook recognises requests of this service by it: name a file that holds a secret; `openssl rand -hex 32` makes one
    decision.url: a hook's URL reads `https://<host>/<path>`, without user and fragment; `http` is admitted on `localhost` and loopback addresses only
    decision.secret_file: a secret has at least 32 characters; `openssl rand -hex 32` makes one
    decision.secret_file: this is the demo's secret, which is published; make your own with `openssl rand -hex 32`
    decision.secret_file: it is the file of `tickets.key_file`, too, and the hook has the secret in it: name a file of its own; `openssl rand -hex 32` makes a secret
    server.public_url: a ticket is a URL, and a request's Host is not trusted for it: set it to the URL at which callers reach this service, such as `https://vend.example.com`
    decision.timeout_ms: 9 is not between 10 and 10000 milliseconds
    decision.on_error: it must be `deny` or `allow`
    decision.mode: it must be `enforce` or `shadow`
    decision.cache_secs: 301 is not between 0 and 300 seconds
    decision.headers: item 2: `Authorization`, `Proxy-Authorization` and `Cookie` are credentials, which no hook gets: remove it; the hook gets the client and the user that they prove
    decision.headers: `Authorization`, `Proxy-Authorization` and `Cookie` are credentials, which no hook gets: remove it; the hook gets the client and the user that they prove
    decision.headers: item 1: it is the name of a header, such as `X-App-Attest`; item 3: `Authorization`, `Proxy-Authorization` and `Cookie` are credentials, which no hook gets: remove it; the hook gets the client and the user that they prove
    decision.headers: `x-a` is listed more than once, and the case of letters makes no difference: remove the repetition
    decision.headers: a hook gets at most 16 headers; list fewer
    decision.grants: there is no grant `no-such`; each is a key of `grants`
    decision.retries: there is no such key; `appserver check --defaults` prints all keys
    ");
    // Without a URL nothing is asked, and nothing else is needed: an empty one takes the hook back.
    for sound in ["[decision]\nheaders = [\"X-App-Attest\"]\n", "[decision]\nurl = \"\"\n"] {
        assert_eq!(with(sound, &[]), "(it loads)");
    }
    assert_eq!(more("grants = [\"album\"]\nheaders = [\"X-A\", \"x-b\"]"), "(it loads)");
}
