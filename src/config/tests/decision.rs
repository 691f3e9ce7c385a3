//! `[decision]`.

use super::*;

const HOOK: &str =
    "[decision]\nurl = \"https://hook.example.com/decide\"\nsecret_file = \"secret\"\n";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn with(text: &str, files: &[(&str, &str)]) -> String {
    let text = format!("{SOUND}\n{text}");
    let own = [("app.toml", text.as_str())];
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
        more("headers = [\"a b\"]"),
        more(&format!("headers = [{many}]")),
        more("grants = [\"no-such\"]"),
        more("retries = 3"),
    ];
    insta::assert_snapshot!(found.join("\n"), @r"");
    // Without a URL nothing is asked, and nothing else is needed.
    for sound in ["[decision]\nheaders = [\"X-App-Attest\"]\n", "[decision]\nurl = \"\"\n"] {
        assert_eq!(with(sound, &[]), "(it loads)");
    }
    assert_eq!(more("grants = [\"album\"]\nheaders = [\"X-A\", \"x-a\"]"), "(it loads)");
}
