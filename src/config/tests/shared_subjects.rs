//! Which grants users of different issuers may get.

use super::*;

/// Issuers `a` to …, each for its client, and a grant `own` with this policy.
fn with(issuers: &[(&str, &str)], grant: &str, path: &str) -> Result<Vec<String>, String> {
    with_other_path(issuers, grant, path, "elsewhere")
}

/// The same with a file `other.json` for a second grant.
fn with_other_path(
    issuers: &[(&str, &str)],
    grant: &str,
    path: &str,
    other: &str,
) -> Result<Vec<String>, String> {
    with_policies(issuers, grant, &one_action("PutObject", path), &one_action("GetObject", other))
}

/// The same with whole policies.
fn with_policies(
    issuers: &[(&str, &str)],
    grant: &str,
    own: &str,
    other: &str,
) -> Result<Vec<String>, String> {
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
    let secret = "x".repeat(32);
    let folder = folder(&[
        ("app.toml", &text),
        ("own.json", own),
        ("near.json", &one_action("GetObject", "users/${subject}/inbox")),
        ("far.json", &one_action("GetObject", "inbox/${subject}")),
        ("other.json", other),
        ("secret", &secret),
    ]);
    let settings = load(&[folder.path().join("app.toml")], &Environment::new(), Mode::Production);
    let reported = |settings: Settings| {
        let warnings = settings.warnings.iter().filter(|one| one.path.ends_with("shared_subjects"));
        warnings.map(|one| format!("{}: {}", one.path, one.message)).collect()
    };
    settings.map(reported).map_err(|problems| problems.to_string())
}

fn one_action(action: &str, path: &str) -> String {
    format!(r#"{{"Version":"1","Statement":[{}]}}"#, allow(action, path))
}

fn allow(action: &str, path: &str) -> String {
    format!(
        r#"{{"Effect":"Allow","Action":"oss:{action}","Resource":"acs:oss:*:*:sample-bucket/{path}/*"}}"#
    )
}

const THREE: [(&str, &str); 3] = [("company", "photo"), ("partner", "photo"), ("social", "photo")];

#[test]
fn issuers_of_one_client_are_refused_unless_the_grant_distinguishes_their_users() {
    insta::assert_snapshot!(with(&THREE, "", "users/${subject}").unwrap_err(), @r"
grants.own.policy: users of the issuers `company`, `partner`, `social` whose subjects or claims are alike would be one user in `acs:oss:*:*:sample-bucket/users/${subject}/*`: write `${issuer}` beside them, as in `users/${issuer}/${subject}/` (paths move with it: objects that are there stay under the old ones), write `${subject.hash}`, or say in `shared_subjects` why they are the same people
grants.own.session_name: users of the issuers `company`, `partner`, `social` whose subjects or claims are alike would be one user in `${client}.${subject}`: write `${issuer}` beside them, as in `${issuer}.${subject}`, write `${subject.hash}`, or say in `shared_subjects` why they are the same people
");
    for path in ["users/${issuer}/${subject}", "users/${subject.hash}", "shared", "${client}"] {
        assert_eq!(with(&THREE, "", path), Ok(vec![]), "{path}");
    }
    // Each text with a subject or a claim.
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
    // Users of a single issuer cannot be confused.
    assert_eq!(with(&THREE[..1], "", "users/${subject}"), Ok(vec![]));
}

#[test]
fn issuers_of_different_clients_with_one_grant_are_checked_like_those_of_one_client() {
    let two = [("company", "photo"), ("partner", "video")];
    insta::assert_snapshot!(with(&two, "", "users/${subject}").unwrap_err(), @r"
grants.own.policy: users of the issuers `company`, `partner` whose subjects or claims are alike would be one user in `acs:oss:*:*:sample-bucket/users/${subject}/*`: write `${issuer}` or `${client}` beside them, as in `users/${issuer}/${subject}/` (paths move with it: objects that are there stay under the old ones), write `${subject.hash}`, or say in `shared_subjects` why they are the same people
");
    assert_eq!(with(&two, "", "${client}/${subject}"), Ok(vec![]));
    // If one of the clients has both issuers, its id does not identify the issuer.
    let mixed = [("company", "photo"), ("partner", "video"), ("social", "video")];
    assert!(with(&mixed, "", "${client}/${subject}").is_err());
}

/// One app that writes a user's objects and another that reads them: each with a grant and an issuer of its own.
#[test]
fn grants_for_the_same_objects_are_checked_together() {
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

/// The grants `own` of users of `company` and `other` of users of `partner`.
fn second_grant(own: &str, keys: &str, other: &str) -> String {
    let team =
        |path: &str| if path.contains("team") { "claims.team.kind = \"segment\"" } else { "" };
    format!(
        "session_name = \"${{client}}\"\n{keys}\n{}\n\
         [grants.other]\nrole = \"writer\"\npolicy = \"other.json\"\nsession_name = \"${{client}}\"\n{}\n\
         [clients.video]\ngrants = [\"other\"]\n\
         [issuers.partner]\nissuer = \"https://partner.example.com/\"\nalgorithms = [\"HS256\"]\n\
         secret_file = \"secret\"\naudiences.videos = [\"video\"]\n",
        team(own),
        team(other)
    )
}

/// A listing reaches the objects under its prefix and the listings of longer prefixes.
#[test]
fn grants_of_different_issuers_are_refused_where_one_lists_what_the_other_reaches() {
    let policy = |statements: &[String]| {
        format!(r#"{{"Version":"1","Statement":[{}]}}"#, statements.join(","))
    };
    let objects = |path: &str| allow("GetObject", path);
    let listing = |operator: &str, prefix: &str| {
        format!(
            r#"{{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{{"{operator}":{{"oss:Prefix":"{prefix}"}}}}}}"#
        )
    };
    let (like, equals) = ("StringLike", "StringEquals");
    let between = |own: &[String], other: &[String]| {
        let (own, other) = (policy(own), policy(other));
        with_policies(&THREE[..1], &second_grant(&own, "", &other), &own, &other)
    };
    let of_issuer =
        [objects("users/${issuer}/${subject}"), listing(equals, "users/${issuer}/${subject}/")];
    for (own, other) in [
        // The objects of one that the other lists.
        (&[objects("users/${subject}")][..], &[listing(like, "users/${subject}/*")][..]),
        (&[objects("users/${subject}")], &[listing(like, "users/${claims.team}/*")]),
        (&[objects("users/${issuer}/${subject}")], &[listing(equals, "users/${subject}/")]),
        // A subject that is called like the other issuer lists all its users.
        (&of_issuer, &[objects("other/${subject}"), listing(equals, "users/${subject}/")]),
        (&of_issuer[1..], &[listing(equals, "users/${subject}/")]),
    ] {
        for (own, other) in [(own, other), (other, own)] {
            let refused = between(own, other).expect_err(&format!("{own:?} beside {other:?}"));
            assert!(refused.starts_with("grants."), "{refused}");
            assert!(refused.lines().all(|line| line.contains(".policy: ")), "{refused}");
        }
    }
    for (own, other) in [
        (&of_issuer[..], &of_issuer[..]),
        (&of_issuer, &[listing(like, "other/${issuer}/${subject}/*")]),
        (&[objects("users/${subject}")], &[listing(equals, "other/${subject}/")]),
        // A listing that the operator opened to everybody.
        (&of_issuer, &[listing(equals, "users/")]),
    ] {
        assert_eq!(between(own, other), Ok(vec![]), "{own:?} beside {other:?}");
    }
}

/// Users of `company` get the grant `own`, those of `partner` get `other`; a value of one must not equal a name of the
/// other.
#[test]
fn grants_of_different_issuers_are_refused_where_a_users_value_may_equal_a_name_in_the_other() {
    let between = |own: &str, keys: &str, path: &str| {
        with_other_path(&THREE[..1], &second_grant(own, keys, path), own, path)
    };
    for (own, other) in [
        // A subject that is the issuer's name, whichever of the two is qualified.
        ("users/${subject}", "users/${issuer}/${subject}"),
        ("users/${issuer}/${subject}", "users/${subject}"),
        ("users/${issuer}/${subject}", "users/${subject}/${issuer}"),
        // A fixed segment that is the issuer's name, and one in the place of a subject.
        ("users/partner/${subject}", "users/${issuer}/${subject}"),
        ("users/shared", "users/${subject}"),
        ("users/shared", "users/${subject}/${issuer}"),
        // A claim that is the issuer's name, or a client's.
        ("${claims.team}/${issuer}", "${issuer}/${subject}"),
        ("${client}", "${subject}/${issuer}"),
        ("u/${issuer}", "u/${subject}/${issuer}"),
        ("users/${subject.hash}", "users/${subject}/${issuer}"),
        // A hash that a subject spells together with the fixed digits beside it.
        ("users/b${subject}", "users/${subject.hash}"),
        ("users/${subject.hash}", "users/${subject}3"),
    ] {
        let refused = between(own, "", other).expect_err(&format!("{own} beside {other}"));
        assert!(refused.starts_with("grants."), "{refused}");
        assert!(refused.lines().all(|line| line.contains(".policy: ")), "{refused}");
    }
    for (own, other) in [
        ("users/${issuer}/${subject}", "users/${issuer}/${subject}"),
        ("company/${subject}", "partner/${subject}"),
        ("users/${subject.hash}", "users/${subject.hash}"),
        ("users/videos/${subject}", "users/${issuer}/${subject}"),
        ("users/${issuer}/${subject}", "users/${issuer}/${claims.team}"),
        ("x/${subject}/y", "users/${subject}/z"),
        // Objects that the operator shares with everybody are not a confusion of values.
        ("users", "users/${issuer}/${subject}"),
        ("shared", "shared"),
    ] {
        assert_eq!(between(own, "", other), Ok(vec![]), "{own} beside {other}");
    }
    insta::assert_snapshot!(between("users/${issuer}/${subject}", "", "users/${subject}/${issuer}").unwrap_err(), @r"
grants.other.policy: a user of the issuer `partner` and one of `company` could reach the same objects, by `acs:oss:*:*:sample-bucket/users/${subject}/${issuer}/*` and, in the grant `own`, `acs:oss:*:*:sample-bucket/users/${issuer}/${subject}/*`, where a subject or a claim of one reads like a name in the other: begin them with different fixed segments, write `${issuer}` at the same place in both, or say in `shared_subjects` why they are the same people
");
    // A `shared_subjects` without effect is a warning.
    let shared = "shared_subjects = \"one directory feeds both\"";
    assert_eq!(between("users/${subject}", shared, "users/${issuer}/${subject}"), Ok(vec![]));
}

#[test]
fn shared_subjects_needs_a_reason_and_a_use() {
    let shared = "shared_subjects = \"one directory feeds all three\"";
    assert_eq!(with(&THREE, shared, "users/${subject}"), Ok(vec![]));
    for no_reason in ["\"true\"", "\"yes\"", "\"1\"", "\"...\""] {
        let refused = with(&THREE, &format!("shared_subjects = {no_reason}"), "users/${subject}");
        assert!(refused.unwrap_err().contains("shared_subjects: say why"), "{no_reason}");
    }
    insta::assert_snapshot!(with(&THREE, "shared_subjects = \" \"", "users/${subject}").unwrap_err(), @"grants.own.shared_subjects: say why users of different issuers are the same people");
    insta::assert_snapshot!(with(&THREE[..1], shared, "users/${subject}").unwrap().join("\n"), @"grants.own.shared_subjects: this grant serves users of at most one issuer: remove it, or the next issuer's users would silently share");
}

/// The advice works: it names the form of the subject that the text has, and the text that is to change.
#[test]
fn the_suggestion_fits_the_text_that_merges_users() {
    let encoded = with(&THREE, "session_name = \"${client}\"", "users/${subject.encoded}");
    insta::assert_snapshot!(encoded.unwrap_err(), @"grants.own.policy: users of the issuers `company`, `partner`, `social` whose subjects or claims are alike would be one user in `acs:oss:*:*:sample-bucket/users/${subject.encoded}/*`: write `${issuer}` beside them, as in `users/${issuer}/${subject.encoded}/` (paths move with it: objects that are there stay under the old ones), write `${subject.hash}`, or say in `shared_subjects` why they are the same people");
    let name = with(&THREE, "session_name = \"${subject.encoded}\"", "shared").unwrap_err();
    assert!(name.contains("as in `${issuer}.${subject.encoded}`, write"), "{name}");
    assert!(!name.contains("paths"), "{name}");
}

/// The problem is reported beside others.
#[test]
fn shared_subjects_are_checked_in_a_configuration_with_other_problems() {
    let faults = "min_duration_secs = 1\nexternal_id = \"*\"\n[clients.photo]\nenabled = \"perhaps\"\n\
                  [issuers.company]\nleeway_secs = 1000";
    let text = |issuer: &str| {
        format!(
            "issuer = \"https://{issuer}.example.com/\"\nalgorithms = [\"HS256\"]\nsecret_file = \"lost\"\n\
             audiences.photos = [\"photo\"]\n"
        )
    };
    let toml = format!(
        "[roles.writer]\narn = \"acs:ram::11223344:role/oss-readwrite\"\n[grants.own]\nrole = \"writer\"\n\
         policy = \"own.json\"\nsession_name = \"${{client}}\"\n{faults}\n{}[issuers.partner]\n{}",
        text("company"),
        text("partner")
    )
    .replace("[clients.photo]", "[clients.photo]\ngrants = [\"own\"]");
    let policy = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject",
        "Resource":"acs:oss:*:*:sample-bucket/users/${subject}/*"}]}"#;
    let folder = folder(&[("app.toml", &toml), ("own.json", policy)]);
    let wrong = load(&[folder.path().join("app.toml")], &Environment::new(), Mode::Production);
    let wrong = wrong.unwrap_err();
    let paths: Vec<_> = wrong.iter().map(|problem| problem.path.as_str()).collect();
    let expected = [
        "clients.photo.enabled",
        "grants.own.external_id",
        "grants.own.min_duration_secs",
        "grants.own.policy",
        "issuers.company.leeway_secs",
        "issuers.company.secret_file",
        "issuers.partner.secret_file",
    ];
    assert_eq!(paths, expected);
}
