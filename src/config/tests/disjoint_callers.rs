//! Which grants may be held by different callers, and what `allow_shared` exempts.

use super::*;

/// A grant for users whose policy allows their own folder and `paths`. The warnings about `allow_shared`, or the problems.
fn with(grant: &str, paths: &[&str]) -> Result<Vec<String>, String> {
    let text = format!(
        "[roles.writer]\narn = \"acs:ram::11223344:role/oss-readwrite\"\n\
         [grants.own]\nrole = \"writer\"\npolicy = \"own.json\"\n{grant}\n\
         [clients.photo]\ngrants = [\"own\"]\n\
         [issuers.company]\nissuer = \"https://company.example.com/\"\nalgorithms = [\"HS256\"]\n\
         secret_file = \"secret\"\naudiences.photos = [\"photo\"]\n"
    );
    let all = std::iter::once(&"users/${subject}/*").chain(paths);
    let resources: Vec<_> =
        all.map(|path| format!("\"acs:oss:*:*:sample-bucket/{path}\"")).collect();
    let policy = format!(
        r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject","Resource":[{}]}}]}}"#,
        resources.join(",")
    );
    let secret = "x".repeat(32);
    let folder = folder(&[("app.toml", &text), ("own.json", &policy), ("secret", &secret)]);
    let settings = load(&[folder.path().join("app.toml")], &Environment::new(), Mode::Production);
    let warnings = |settings: Settings| {
        let warnings = settings.warnings.iter().filter(|one| one.path.ends_with("allow_shared"));
        warnings.map(|one| format!("{}: {}", one.path, one.message)).collect()
    };
    settings.map(warnings).map_err(|problems| problems.to_string())
}

const PUBLIC: &str =
    r#"allow_shared = [{ resource = "acs:oss:*:*:sample-bucket/public/*", reason = "a test" }]"#;

#[test]
fn a_grant_by_which_two_callers_reach_one_object_is_refused_with_both_and_the_request() {
    assert_eq!(with("", &[]), Ok(vec![]));
    insta::assert_snapshot!(with("", &["public/*"]).unwrap_err(), @"grants.own.policy: a caller with ${subject}=`alice` and one with ${subject}=`bob` are both allowed `oss:GetObject` on `acs:oss:*:*:sample-bucket/public/`; give each caller a path segment of its own at the same place of every resource and prefix, or, where sharing is meant, list the resource with a reason in `allow_shared`");
}

#[test]
fn what_allow_shared_lists_is_exempt_and_nothing_else() {
    assert_eq!(with(PUBLIC, &["public/*"]), Ok(vec![]));
    for wider in ["pub*", "public?*", "users/*", "*"] {
        let problems = with(PUBLIC, &[wider]).unwrap_err();
        assert!(problems.starts_with("grants.own.policy: "), "{wider}: {problems}");
    }
}

#[test]
fn an_entry_that_the_policy_does_not_need_is_a_warning() {
    insta::assert_snapshot!(with(PUBLIC, &[]).unwrap().join("\n"), @"grants.own.allow_shared: no callers of the grant share `acs:oss:*:*:sample-bucket/public/*`: remove the entry, or a later change of the policy would share it unnoticed");
}

#[test]
fn each_invalid_entry_is_named_with_the_way_out() {
    for entry in [
        r#"{ resource = "acs:oss:*:*:sample-bucket/public/*" }"#,
        r#"{ resource = "acs:oss:*:*:sample-bucket/public/*", reason = " " }"#,
        r#"{ resource = "acs:oss:*:*:sample-bucket/public/*", reason = "true" }"#,
    ] {
        let problems = with(&format!("allow_shared = [{entry}]"), &["public/*"]).unwrap_err();
        assert_eq!(
            problems,
            "grants.own.allow_shared: `acs:oss:*:*:sample-bucket/public/*`: say in `reason` why callers may share it",
            "{entry}"
        );
    }
    let placeholder = r#"allow_shared = [{ resource = "acs:oss:*:*:sample-bucket/${subject}/*", reason = "a test" }]"#;
    insta::assert_snapshot!(with(placeholder, &["public/*"]).unwrap_err(), @"grants.own.allow_shared: `acs:oss:*:*:sample-bucket/${subject}/*`: a shared resource reads `acs:oss:*:*:sample-bucket/public/*`: the bucket is named, wildcards may follow the first `/`, and there is no placeholder");
}
