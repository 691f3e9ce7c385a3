//! `[tickets]` and `server.public_url`.

use super::*;

#[test]
fn tickets_need_a_key_and_a_public_url_and_each_problem_names_the_way_out() {
    let reported = |text: &str| {
        loaded(&format!("{SOUND}\n{text}"), &[], Mode::Production).map(|_| ()).unwrap_err()
    };
    let url = "[server]\npublic_url = \"https://vend.example.com\"\n";
    let all = [
        reported("[tickets]\nkey_file = \"key\"\n"),
        reported(&format!("{url}[tickets]\nprevious_key_file = \"key\"\n")),
        reported(&format!("{url}[tickets]\nkey_file = \"key\"\nmax_lifetime_secs = 86401\n")),
        reported(
            "[server]\npublic_url = \"http://canary.example.com\"\n[tickets]\nkey_file = \"key\"\n",
        ),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
server.public_url: a ticket is a URL, and a request's Host is not trusted for it: set it to the URL at which callers reach this service, such as `https://vend.example.com`
tickets.key_file: a previous key goes with a new one: name a file that holds a key; `openssl rand -base64 32` makes one
tickets.max_lifetime_secs: 86401 is not between 60 and 86400 seconds
server.public_url: a public URL reads `https://<host>`, with a port and the beginning of a path if need be, without user, query or fragment, at most 256 characters; `http` is admitted on `localhost` and loopback addresses only
");
    // Without a key there are no tickets, which is no problem; other keys may be set.
    for sound in ["", url, "[tickets]\nmax_lifetime_secs = 60\n"] {
        let settings = loaded(&format!("{SOUND}\n{sound}"), &[], Mode::Production).unwrap();
        assert!(settings.tickets.read().unwrap().is_none());
    }
    // In the demo the listener's own address is used, and a published key.
    let settings = loaded(SOUND, &[], Mode::Demo).unwrap();
    assert!(settings.tickets.read().unwrap().is_some());
}

#[test]
fn problems_of_both_ticket_keys_are_reported_at_once() {
    let text = format!(
        "{SOUND}\n[server]\npublic_url = \"https://vend.example.com\"\n\
         [tickets]\nkey_file = \"new\"\nprevious_key_file = \"old\"\n"
    );
    let read = |new: &str, old: &str| {
        let files = [
            ("app.toml", text.as_str()),
            ("policies/album.json", POLICY),
            ("new", new),
            ("old", old),
        ];
        let folder = folder(&files);
        let settings =
            load(&[folder.path().join("app.toml")], &Environment::new(), Mode::Production).unwrap();
        let read = settings.tickets.read().map(|seal| seal.is_some());
        read.map_err(|problems| {
            problems.to_string().replace(&folder.path().display().to_string(), "<folder>")
        })
    };
    let key = |letter: &str| format!("{}=\n", letter.repeat(43));
    assert_eq!(read(&key("A"), &key("I")), Ok(true));
    insta::assert_snapshot!(read("canary", " \n").unwrap_err(), @r"
tickets.key_file: a key is 32 random bytes in base64, as `openssl rand -base64 32` prints them
tickets.previous_key_file: <folder>/old: the file is empty
");
}
