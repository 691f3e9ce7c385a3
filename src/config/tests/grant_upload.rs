//! `[grants.NAME.upload]` and `signed_urls`.

use super::*;

const OSS: &str = "[grants.album.oss]\nbucket = \"sample-bucket\"\nregion = \"cn-hangzhou\"\n";
const UPLOAD: &str = "[grants.album.upload]\nkey = \"${params.album}/${name}\"\nmax_bytes = \"10MiB\"\n\
                      content_types = [\"image/jpeg\"]\n";
const WRITING: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:PutObject","oss:GetObject"],
    "Resource":"acs:oss:*:*:sample-bucket/${params.album}/*"}]}"#;

/// The grant `album` with this policy, lines of its own and tables.
fn with(policy: &str, lines: &str, tables: &str) -> Result<Settings, String> {
    let grant = format!("[grants.album]\n{lines}\n");
    let text = format!("{}\n{tables}", SOUND.replace("[grants.album]\n", &grant));
    let folder = folder(&[("app.toml", &text), ("policies/album.json", policy)]);
    let root = folder.path().display().to_string();
    load(&[folder.path().join("app.toml")], &Environment::new(), Mode::Production)
        .map_err(|problems| problems.to_string().replace(&root, "<folder>"))
}

fn refused(policy: &str, lines: &str, tables: &str) -> String {
    with(policy, lines, tables).err().unwrap_or_else(|| "(it loads)".to_owned())
}

fn warnings(policy: &str, lines: &str, tables: &str) -> String {
    let settings = with(policy, lines, tables).unwrap();
    let own = settings
        .warnings
        .iter()
        .filter(|one| one.path.contains(".upload") || one.path.contains("signed_urls"));
    own.map(|one| format!("{}: {}", one.path, one.message)).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_upload_grant_has_the_documented_defaults() {
    let settings = with(WRITING, "", &format!("{OSS}{UPLOAD}")).unwrap();
    let grant = &settings.rules.grants.entitlements[&"album".parse().unwrap()];
    let rules = grant.upload.as_ref().unwrap();
    assert_eq!(rules.max_bytes.get(), 10 << 20);
    assert!(!rules.overwrite && !rules.also_tokens);
    assert_eq!((rules.storage_class.as_str(), rules.lifetime.longest_secs()), ("Standard", 900));
    assert!(rules.check_name("IMG_0001.jpg").is_ok() && rules.check_name("a/b").is_err());
    insta::assert_snapshot!(grant.signing.as_ref().unwrap().policy.as_str(), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:PutObject","Resource":"acs:oss:*:*:sample-bucket/*/*"}]}"#);
    let urls = with(WRITING, "signed_urls = [\"GET\", \"HEAD\"]", OSS).unwrap();
    let grant = &urls.rules.grants.entitlements[&"album".parse().unwrap()];
    insta::assert_snapshot!(grant.signing.as_ref().unwrap().policy.as_str(), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/*/*"}]}"#);
    assert!(
        with(WRITING, "", OSS).unwrap().rules.grants.entitlements[&"album".parse().unwrap()]
            .signing
            .is_none()
    );
    let short = format!("{OSS}{UPLOAD}");
    let short = with(WRITING, "max_duration_secs = 900", &short).unwrap();
    let rules = short.rules.grants.entitlements[&"album".parse().unwrap()].upload.clone();
    assert_eq!(rules.unwrap().lifetime.longest_secs(), 450);
}

#[test]
fn each_invalid_rule_of_uploads_is_refused_with_the_way_out() {
    let upload = |from: &str, to: &str| {
        assert!(UPLOAD.contains(from), "{from}");
        refused(WRITING, "", &format!("{OSS}{}", UPLOAD.replace(from, to)))
    };
    let more = |line: &str| refused(WRITING, "", &format!("{OSS}{UPLOAD}{line}\n"));
    let found = [
        refused(WRITING, "", &format!("{OSS}[grants.album.upload]\n")),
        refused(WRITING, "", UPLOAD),
        refused(WRITING, "signed_urls = [\"GET\"]", ""),
        refused(WRITING, "signed_urls = [\"DELETE\"]", OSS),
        upload("${name}", "*/${filename}"),
        upload("${name}", "${name}/${params.album}"),
        upload("10MiB", "10MB"),
        upload("\"10MiB\"", "10485760"),
        upload("10MiB", "6GiB"),
        upload("\"image/jpeg\"", "\"image/*\""),
        upload("\"image/jpeg\"", "\"image/jpeg\", \"image/*\""),
        upload("\"image/jpeg\"", "\"image/jpeg\", 7"),
        upload("\"image/jpeg\"", ""),
        more("name_pattern = \"(\""),
        more("name_pattern = \"\""),
        upload("${name}\"", "${uuid}\"\nname_pattern = \"[a-z]+\""),
        more("storage_class = \"Cold\""),
        more("overwrite = \"maybe\""),
        more("max_lifetime_secs = 59"),
        more("max_lifetime_secs = 1801"),
        more("colour = \"red\""),
    ];
    insta::assert_snapshot!(found.join("\n\n"), @r#"
grants.album.upload.content_types: is missing
grants.album.upload.key: is missing
grants.album.upload.max_bytes: is missing

grants.album.oss: `upload` needs the bucket and its region, which are part of what is signed: add `[grants.album.oss]`

grants.album.oss: `signed_urls` needs the bucket and its region, which are part of what is signed: add `[grants.album.oss]`

grants.album.signed_urls: it must be `GET`, `HEAD` or `PUT`

grants.album.upload.key: `${filename}` is no placeholder of a key: there are `${name}`, `${uuid}`, `${client}`, `${issuer}`, `${subject}`, `${subject.encoded}`, `${subject.hash}`, `${claims.NAME}`, `${params.NAME}` and `${now:%Y/%m/%d}`

grants.album.upload.key: `${name}` is chosen by the caller, so nothing may follow its path segment: move it to the end

grants.album.upload.max_bytes: a size is a number with `B`, `KiB`, `MiB` or `GiB`, such as "10MiB", and at most 5GiB, the most that OSS takes by a form

grants.album.upload.max_bytes: it must be text in quotes, such as "10MiB"

grants.album.upload.max_bytes: 6442450944 bytes is not between 1 byte and 5GiB, the most that OSS takes by a form; larger files are uploaded with a token

grants.album.upload.content_types: a content type reads `image/jpeg`: a type and a subtype, without wildcards and parameters

grants.album.upload.content_types: item 2: a content type reads `image/jpeg`: a type and a subtype, without wildcards and parameters

grants.album.upload.content_types: item 2: it must be text in quotes

grants.album.upload.content_types: it must not be empty: list the types that callers may upload

grants.album.upload.name_pattern: the pattern is no regular expression, or too large a one: regex parse error: ( ^ error: unclosed group

grants.album.upload.name_pattern: it must not be empty: write a regular expression for the whole text, or remove the key

grants.album.upload.name_pattern: `key` contains no `${name}`, so callers choose no name: add it there, or remove the pattern

grants.album.upload.storage_class: it must be `Standard`, `IA`, `Archive`, `ColdArchive` or `DeepColdArchive`

grants.album.upload.overwrite: it must be `true` or `false`, without quotes

grants.album.upload.max_lifetime_secs: 59 is not between 60 and 1800 seconds, half of the grant's max_duration_secs (3600): as much is left of each session that signs

grants.album.upload.max_lifetime_secs: 1801 is not between 60 and 1800 seconds, half of the grant's max_duration_secs (3600): as much is left of each session that signs

grants.album.upload.colour: there is no such key; `appserver check --defaults` prints all keys
"#);
}

/// One session signs for all callers, so no caller's value can be in its conditions or denials.
#[test]
fn a_policy_that_no_session_of_all_callers_can_have_is_refused() {
    let also = |statement: &str| {
        let policy = WRITING.replace("]}", &format!(",{statement}]}}"));
        let policy = policy.replace("[\"oss:PutObject\",\"oss:GetObject\"],", "\"oss:PutObject\",");
        refused(&policy, "", &format!("{OSS}{UPLOAD}"))
    };
    let found = [
        also(
            r#"{"Effect":"Deny","Action":"oss:*","Resource":"acs:oss:*:*:sample-bucket/${params.album}/raw/*"}"#,
        ),
        also(
            r#"{"Effect":"Allow","Action":"oss:PutObject","Resource":"acs:oss:*:*:sample-bucket/a","Condition":{"StringEquals":{"acs:SourceVpc":"${params.album}"}}}"#,
        ),
        refused(POLICY, "", &format!("{OSS}{UPLOAD}")),
    ];
    insta::assert_snapshot!(found.join("\n\n"), @r"
grants.album.policy: `Statement[1].Resource` uses `${params.album}` in a Deny: one session signs for all callers of the grant, so it would be denied to all of them; leave what is denied out of the Allow instead

grants.album.policy: `Statement[1].Condition.StringEquals.acs:SourceVpc` uses `${params.album}`: one session signs for all callers of the grant, so no caller's value can be put there; use the placeholder in the `Resource` of an Allow instead

grants.album.policy: no Allow of the policy has the action `oss:PutObject`, which the grant signs: add it, or do not sign for it
");
}

#[test]
fn what_is_not_enforced_and_what_is_never_allowed_is_warned_of() {
    let all = format!("{OSS}{UPLOAD}");
    assert_eq!(warnings(WRITING, "signed_urls = [\"GET\"]", &all), "");
    // A URL that writes is not bound by the rules of a form that the grant does not have.
    assert_eq!(warnings(WRITING, "signed_urls = [\"PUT\"]", OSS), "");
    // A caller may write its album in the name.
    let in_name = "${name}\"\nname_pattern = '[a-z/]+\\.jpg'";
    assert_eq!(warnings(WRITING, "", &all.replace("${params.album}/${name}\"", in_name)), "");
    let elsewhere = WRITING.replace("${params.album}/*", "albums/${params.album}/*");
    let found = [
        warnings(WRITING, "", &format!("{all}also_tokens = true\n")),
        warnings(WRITING, "signed_urls = [\"PUT\"]", &all),
        warnings(WRITING, "", &all.replace("image/jpeg", "image/svg+xml")),
        warnings(&elsewhere, "", &all),
        warnings(WRITING, "", &all.replace("${params.album}/", "")),
        warnings(
            WRITING,
            "",
            &all.replace(
                "${params.album}/${name}\"",
                "${name}\"\nname_pattern = '[a-z0-9-]+\\.jpg'",
            ),
        ),
        warnings(
            &WRITING.replace("${params.album}/*", "${params.album}/*.jpg"),
            "",
            &format!("{all}name_pattern = '[a-z]+\\.png'\n"),
        ),
        warnings(
            WRITING,
            "signed_urls = [\"HEAD\"]",
            &all.replace("sample-bucket", "other-bucket"),
        ),
    ];
    insta::assert_snapshot!(found.join("\n\n"), @r"
grants.album.upload.also_tokens: size, type and overwrite are then not enforced, as OSS cannot limit them for the holder of a token: leave it out unless callers need tokens, too

grants.album.signed_urls: size, type and overwrite are then not enforced, as OSS cannot limit them for the holder of a URL: leave `PUT` out, and `POST /v1/uploads` signs forms

grants.album.upload.content_types: browsers run the scripts in files of the type `image/svg+xml` that they open from the bucket's domain: leave it out unless you trust your callers with that domain

grants.album.upload.key: the policy allows callers to write no such key in `sample-bucket`, so each upload is refused: allow `oss:PutObject` on it, or change the key

grants.album.upload.key: the policy allows callers to write no such key in `sample-bucket`, so each upload is refused: allow `oss:PutObject` on it, or add `${params.album}` to the key, as it is in the policy

grants.album.upload.key: the policy allows callers to write no such key in `sample-bucket`, so each upload is refused: allow `oss:PutObject` on it, or add `${params.album}` to the key, as it is in the policy

grants.album.upload.key: the policy allows callers to write no such key in `sample-bucket`, so each upload is refused: allow `oss:PutObject` on it, or change the key or `name_pattern`

grants.album.upload.key: the policy allows callers to write no such key in `other-bucket`, so each upload is refused: allow `oss:PutObject` on it, or change the key
grants.album.signed_urls: the policy allows `oss:GetObject` on nothing in `other-bucket`, so each `HEAD` is refused: allow it, or leave the method out
");
}

/// A form has its caller's key; what a URL or a token reaches is up to the policy.
#[test]
fn keys_of_users_below_a_policy_for_all_of_them_are_warned_of() {
    let with = |policy: &str, key: &str, lines: &str, also: &str| {
        let upload = UPLOAD.replace("${params.album}/", key);
        let settings = with(policy, lines, &format!("{OSS}{upload}{also}")).unwrap();
        let found = settings.warnings.iter().filter(|one| one.path == "grants.album.upload.key");
        found.map(|one| one.message.clone()).collect::<Vec<_>>().join("\n")
    };
    let shared = WRITING.replace("${params.album}/*", "users/*");
    let own = WRITING.replace("${params.album}/*", "users/${subject}/*");
    let key = "users/${subject}/";
    let get = "signed_urls = [\"GET\"]";
    let also_tokens = "also_tokens = true\n";
    assert_eq!(with(&own, key, get, also_tokens), "");
    assert_eq!(with(&shared, "users/", get, also_tokens), "");
    assert_eq!(with(&shared, key, "", ""), "");
    let found = [with(&shared, key, get, ""), with(&shared, key, "", also_tokens)];
    insta::assert_snapshot!(found.join("\n"), @r"
    the key is its user's own and the policy is not, as no `${subject}` and no `${claims.NAME}` is in it: a signed URL reaches the objects of all users; use the key's placeholders in the policy, too
    the key is its user's own and the policy is not, as no `${subject}` and no `${claims.NAME}` is in it: a token reaches the objects of all users; use the key's placeholders in the policy, too
    ");
}

#[test]
fn a_key_that_can_be_written_once_and_an_object_that_cannot_be_read_are_warned_of() {
    let get = "signed_urls = [\"GET\"]";
    let once = UPLOAD.replace("${params.album}/${name}", "avatars/${subject}");
    let policy = WRITING.replace("${params.album}/*", "avatars/${subject}");
    let tables = format!("{OSS}{once}");
    assert_eq!(warnings(&policy, "", &format!("{tables}overwrite = true\n")), "");
    for varies in ["${subject}/${uuid}", "${subject}/${params.album}", "${subject}/${now:%Y/%m/%d}"]
    {
        let policy = WRITING.replace("${params.album}/*", "avatars/${subject}/*");
        assert_eq!(warnings(&policy, "", &tables.replace("${subject}", varies)), "", "{varies}");
    }
    let archived = format!("{OSS}{UPLOAD}storage_class = \"Archive\"\n");
    assert_eq!(warnings(WRITING, "signed_urls = [\"HEAD\"]", &archived), "");
    assert_eq!(warnings(WRITING, get, &archived.replace("Archive", "IA")), "");
    let found = [
        warnings(&policy, "", &tables),
        warnings(WRITING, get, &archived),
        warnings(WRITING, get, &archived.replace("Archive", "ColdArchive")),
    ];
    insta::assert_snapshot!(found.join("\n"), @r"
    grants.album.upload.overwrite: the key of a caller is always the same, and no upload may replace its object, so a caller uploads once and never again: add `${name}` or `${uuid}` to `key`, or set `overwrite = true`
    grants.album.upload.storage_class: OSS serves an object of the class `Archive` only once it is restored, or by real-time access, so signed `GET` URLs of new uploads fail: choose `Standard` or `IA`, or remove `GET` from `signed_urls`
    grants.album.upload.storage_class: OSS serves an object of the class `ColdArchive` only once it is restored, so signed `GET` URLs of new uploads fail: choose `Standard` or `IA`, or remove `GET` from `signed_urls`
    ");
}

/// What is signed changes no token.
#[test]
fn rules_of_uploads_are_no_part_of_the_grants_fingerprint() {
    let fingerprint = |lines: &str, tables: &str| {
        let settings = with(WRITING, lines, tables).unwrap();
        settings.rules.grants.entitlements[&"album".parse().unwrap()].fingerprint
    };
    let also = format!("{OSS}{UPLOAD}also_tokens = true\n");
    assert_eq!(fingerprint("", ""), fingerprint("signed_urls = [\"GET\"]", &also));
}

#[test]
fn only_a_grant_that_vends_tokens_is_warned_of_uploads_in_parts() {
    let of_policy = |tables: &str| {
        let settings = with(WRITING, "", tables).unwrap();
        settings.warnings.iter().filter(|one| one.path == "grants.album.policy").count()
    };
    let also = format!("{OSS}{UPLOAD}also_tokens = true\n");
    assert_eq!([OSS, &format!("{OSS}{UPLOAD}"), &also].map(of_policy), [1, 0, 1]);
}
