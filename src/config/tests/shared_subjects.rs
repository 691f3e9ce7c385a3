//! T41: which grants users of different issuers may come by.

use super::*;

/// Issuers `a` to …, each for its client, and a grant `own` with this policy.
fn with(issuers: &[(&str, &str)], grant: &str, path: &str) -> Result<Vec<String>, String> {
    let mut text = format!(
        "[roles.writer]\narn = \"acs:ram::11223344:role/oss-readwrite\"\n\
         [grants.own]\nrole = \"writer\"\npolicy = \"own.json\"\n{grant}\n"
    );
    let clients: std::collections::BTreeSet<_> = issuers.iter().map(|(_, client)| client).collect();
    for client in clients {
        text += &format!("[clients.{client}]\ngrants = [\"own\"]\n");
    }
    for (name, client) in issuers {
        text += &format!(
            "[issuers.{name}]\nissuer = \"https://{name}.example.com/\"\nalgorithms = [\"HS256\"]\n\
             secret_file = \"secret\"\naudiences.photos = [\"{client}\"]\n"
        );
    }
    let policy = |action: &str, path: &str| {
        format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:{action}","Resource":"acs:oss:*:*:sample-bucket/{path}/*"}}]}}"#
        )
    };
    let secret = "x".repeat(32);
    let folder = folder(&[
        ("app.toml", &text),
        ("own.json", &policy("PutObject", path)),
        ("near.json", &policy("GetObject", "users/${subject}/inbox")),
        ("far.json", &policy("GetObject", "inbox/${subject}")),
        ("secret", &secret),
    ]);
    let settings = load(&[folder.path().join("app.toml")], &Environment::new(), Mode::Production);
    let told = |settings: Settings| {
        let advice = settings.advice.iter().filter(|one| one.path.ends_with("shared_subjects"));
        advice.map(|one| format!("{}: {}", one.path, one.message)).collect()
    };
    settings.map(told).map_err(|problems| problems.to_string())
}

const THREE: [(&str, &str); 3] = [("company", "photo"), ("partner", "photo"), ("social", "photo")];

#[test]
fn issuers_of_one_client_are_refused_unless_the_grant_tells_their_users_apart() {
    insta::assert_snapshot!(with(&THREE, "", "users/${subject}").unwrap_err(), @r"
grants.own.policy: users of the issuers `company`, `partner`, `social` whose subjects or claims are alike would be one user in `acs:oss:*:*:sample-bucket/users/${subject}/*`: write `${issuer}` beside them, as in `users/${issuer}/${subject}/` (paths move with it: objects that are there stay under the old ones), write `${subject.hash}`, or say in `shared_subjects` why they are the same people
grants.own.session_name: users of the issuers `company`, `partner`, `social` whose subjects or claims are alike would be one user in `${client}.${subject}`: write `${issuer}` beside them, as in `users/${issuer}/${subject}/` (paths move with it: objects that are there stay under the old ones), write `${subject.hash}`, or say in `shared_subjects` why they are the same people
");
    for path in ["users/${issuer}/${subject}", "users/${subject.hash}", "shared", "${client}"] {
        assert_eq!(with(&THREE, "", path), Ok(vec![]), "{path}");
    }
    // Each text that takes a subject or a claim.
    for (grant, key) in [
        ("session_name = \"${client}.${subject}\"", "session_name"),
        ("source_identity = \"${subject}\"", "source_identity"),
        ("session_name = \"${claims.team}\"\nclaims.team.kind = \"segment\"", "session_name"),
    ] {
        for path in ["users/${issuer}/${subject}", "shared"] {
            let refused = with(&THREE, grant, path).unwrap_err();
            assert!(
                refused.starts_with(&format!("grants.own.{key}: users of the issuers")),
                "{refused}"
            );
            assert_eq!(refused.lines().count(), 1, "{refused}");
        }
        let qualified = grant.replace("= \"$", "= \"${issuer}.$");
        assert_eq!(with(&THREE, &qualified, "users/${issuer}/${subject}"), Ok(vec![]));
    }
    // One issuer has no other to be mistaken for.
    assert_eq!(with(&THREE[..1], "", "users/${subject}"), Ok(vec![]));
}

#[test]
fn issuers_of_different_clients_with_one_grant_are_as_those_of_one() {
    let two = [("company", "photo"), ("partner", "video")];
    insta::assert_snapshot!(with(&two, "", "users/${subject}").unwrap_err(), @r"
grants.own.policy: users of the issuers `company`, `partner` whose subjects or claims are alike would be one user in `acs:oss:*:*:sample-bucket/users/${subject}/*`: write `${issuer}` or `${client}` beside them, as in `users/${issuer}/${subject}/` (paths move with it: objects that are there stay under the old ones), write `${subject.hash}`, or say in `shared_subjects` why they are the same people
");
    assert_eq!(with(&two, "", "${client}/${subject}"), Ok(vec![]));
    // But where one of the clients has both, its id tells nothing.
    let mixed = [("company", "photo"), ("partner", "video"), ("social", "video")];
    assert!(with(&mixed, "", "${client}/${subject}").is_err());
}

/// One app that writes a user's objects and another that reads them: each with a grant and an issuer of its own.
#[test]
fn grants_by_which_users_reach_the_same_objects_are_looked_at_together() {
    let with_other = |policy: &str| {
        let other = format!(
            "[grants.other]\nrole = \"writer\"\npolicy = \"{policy}\"\n\
             [clients.video]\ngrants = [\"other\"]\n\
             [issuers.partner]\nissuer = \"https://partner.example.com/\"\nalgorithms = [\"HS256\"]\n\
             secret_file = \"secret\"\naudiences.videos = [\"video\"]\n"
        );
        with(&THREE[..1], &other, "users/${subject}")
    };
    for meeting in ["own.json", "near.json"] {
        let refused = with_other(meeting).unwrap_err();
        let paths: Vec<_> = refused.lines().filter_map(|line| line.split_once(": ")).collect();
        let paths: Vec<_> = paths.iter().map(|(path, _)| *path).collect();
        assert_eq!(paths, ["grants.other.policy", "grants.own.policy"], "{meeting}");
    }
    assert_eq!(with_other("far.json"), Ok(vec![]));
}

#[test]
fn an_operator_says_why_users_are_the_same_people_and_not_for_nothing() {
    let shared = "shared_subjects = \"one directory feeds all three\"";
    assert_eq!(with(&THREE, shared, "users/${subject}"), Ok(vec![]));
    for no_reason in ["true", "\"yes\"", "1", "\"...\""] {
        let refused = with(&THREE, &format!("shared_subjects = {no_reason}"), "users/${subject}");
        assert!(refused.unwrap_err().contains("shared_subjects: say why"), "{no_reason}");
    }
    insta::assert_snapshot!(with(&THREE, "shared_subjects = \" \"", "users/${subject}").unwrap_err(), @"grants.own.shared_subjects: say why users of different issuers are the same people");
    insta::assert_snapshot!(with(&THREE[..1], shared, "users/${subject}").unwrap().join("\n"), @"grants.own.shared_subjects: users of one issuer at the most come by this grant: take it out, or the next issuer's would silently share");
}
