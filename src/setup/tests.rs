//! Drift and apply against a scripted account.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;

use super::apply::{Applier, ApplyError};
use super::difference::{Drift, DriftKind};
use super::drift::{Needs, drift};
use super::key_files::KeyFiles;
use super::key_situation::KeySituation;
use super::plan::{AccountPlan, PlanOptions, TrustedToken};
use super::state::AccountState;
use super::steps::steps;
use crate::config::{self, Mode};
use crate::ram::RamClient;
use crate::ram::scripted_account::{ACCOUNT, Contents, Interruption, NOW, ScriptedAccount};
use crate::telemetry::with_causes;
use appserver_domain::clock::Clock;

/// The demo's plan, with a network policy.
fn demo(egress: &[&str]) -> (AccountPlan, Needs) {
    planned("config/dev.toml", egress, None)
}

/// The plan of an identity without an AccessKey.
fn oidc() -> (AccountPlan, Needs) {
    let token = TrustedToken {
        issuer: "https://oidc.example.com/c0ffee".parse().unwrap(),
        audiences: vec!["sts.aliyuncs.com".parse().unwrap()],
        subject: "system:serviceaccount:default:appserver".parse().unwrap(),
    };
    planned("tests/setup/oidc.toml", &[], Some(token))
}

fn planned(file: &str, egress: &[&str], oidc: Option<TrustedToken>) -> (AccountPlan, Needs) {
    planned_of(&[Path::new(env!("CARGO_MANIFEST_DIR")).join(file)], egress, oidc)
}

/// The demo's plan, with this of its grants' configuration changed.
fn demo_with(grants: &str) -> (AccountPlan, Needs) {
    let folder = tempfile::tempdir().unwrap();
    let changed = folder.path().join("changed.toml");
    std::fs::write(&changed, grants).unwrap();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/dev.toml");
    planned_of(&[demo, changed], &[], None)
}

fn planned_of(
    files: &[PathBuf],
    egress: &[&str],
    oidc: Option<TrustedToken>,
) -> (AccountPlan, Needs) {
    let settings = config::load(files, &BTreeMap::new(), Mode::Demo).unwrap();
    let options = PlanOptions {
        account: ACCOUNT.parse().unwrap(),
        user: "appserver".parse().unwrap(),
        egress: egress.iter().map(|range| range.parse().unwrap()).collect(),
        oidc,
    };
    let plan = AccountPlan::of(&settings, &options).unwrap();
    (plan, Needs::of(&settings))
}

/// The account of `config/emulator.toml`.
fn seeds() -> Contents {
    let trust = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["acs:ram::11223344:root"]}}]}"#;
    let attached = |holder: &str, policy: &str| (holder.into(), "System".into(), policy.into());
    Contents {
        users: vec!["appserver".into()],
        keys: [("testid".into(), "appserver".into())].into(),
        roles: ["oss-readonly", "oss-readwrite"]
            .map(|name| (name.into(), (trust.into(), 3600)))
            .into(),
        attached: vec![
            attached("role/oss-readonly", "AliyunOSSReadOnlyAccess"),
            attached("role/oss-readwrite", "AliyunOSSFullAccess"),
            attached("user/appserver", "AliyunSTSAssumeRoleAccess"),
        ],
        ..Contents::default()
    }
}

/// One run of `setup apply`: the differences that remain.
async fn apply(
    ram: &RamClient,
    (plan, needs): &(AccountPlan, Needs),
    directory: &Path,
) -> Result<Vec<Drift>, ApplyError> {
    let files = KeyFiles::at(directory.to_owned());
    let found = files.found()?;
    let state = AccountState::read(ram, plan).await?;
    let keys = KeySituation::of(plan, &state, &found, true);
    let clock = Clock::manual(NOW.parse().unwrap());
    let applier = Applier { ram, files: Some(&files), clock };
    for step in steps(plan, &state, needs, keys.steps) {
        applier.carry_out(&step).await?;
    }
    if found.is_interrupted() && !keys.steps.creates {
        files.tidy()?;
    }
    let mut remaining = drift(plan, &AccountState::read(ram, plan).await?, needs);
    remaining.extend(keys.differences);
    Ok(remaining)
}

async fn check(contents: Contents, (plan, needs): &(AccountPlan, Needs)) -> Vec<Drift> {
    let account = ScriptedAccount::start(contents, None).await;
    let state = AccountState::read(&account.client(), plan).await.unwrap();
    drift(plan, &state, needs)
}

fn lines(found: &[Drift]) -> String {
    let line =
        |Drift { kind, subject, message, .. }: &Drift| format!("{kind:?} {subject}: {message}");
    found.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A directory for key files, which does not exist yet.
fn key_directory() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("keys");
    (folder, directory)
}

/// The account without what differs between runs of equal outcome.
fn outcome(contents: &Contents) -> Contents {
    let count = contents.keys.len();
    let keys = (0..count).map(|i| (i.to_string(), "appserver".into())).collect();
    let networks = contents.networks.values().cloned().map(|policy| (String::new(), policy));
    Contents { keys, keys_made: count, networks: networks.collect(), ..contents.clone() }
}

/// The one key of the account is the one in the files, and it alone has the network policy.
fn assert_key_is_kept(contents: &Contents, directory: &Path) {
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    let id = read("access-key-id");
    assert_eq!(contents.keys.keys().collect::<Vec<_>>(), [&id]);
    assert_eq!(contents.networks.keys().collect::<Vec<_>>(), [&id]);
    assert_eq!(read("access-key-secret"), format!("canary-new-secret-{}", &id[4..]));
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 2, "something unfinished is left");
}

#[tokio::test]
async fn an_empty_account_gets_what_is_planned_and_has_no_drift_then() {
    let demo = demo(&["203.0.113.0/24"]);
    let before = check(Contents::default(), &demo).await;
    assert!(before.iter().all(|drift| drift.kind == DriftKind::Missing), "{}", lines(&before));
    let account = ScriptedAccount::start(Contents::default(), None).await;
    let (_folder, directory) = key_directory();
    let remaining = apply(&account.client(), &demo, &directory).await.unwrap();
    assert_eq!(lines(&remaining), "");
    let actions = account.actions();
    let made: Vec<_> = actions
        .iter()
        .filter(|action| !action.starts_with("Get") && !action.starts_with("List"))
        .map(String::as_str)
        .collect();
    let expected = [
        "CreatePolicy",
        "CreatePolicy",
        "CreatePolicy",
        "CreateUser",
        "CreateRole",
        "CreateRole",
        "AttachPolicyToUser",
        "AttachPolicyToRole",
        "AttachPolicyToRole",
        "CreateAccessKey",
        "SetAccessKeyPolicy",
    ];
    assert_eq!(made, expected);
    assert_key_is_kept(&account.contents(), &directory);

    let calls = account.actions().len();
    let again = apply(&account.client(), &demo, &directory).await.unwrap();
    assert_eq!(lines(&again), "");
    let reads = |action: &String| action.starts_with("Get") || action.starts_with("List");
    assert!(account.actions()[calls..].iter().all(reads), "a second run changes something");
}

/// Each call of a whole run is interrupted in turn: its answer is lost; that and all later answers are lost, as if the
/// process had ended there; or it is refused. Run again, each account is the same; where a key was made whose secret is
/// lost, once the operator has deleted it.
#[tokio::test]
async fn a_run_that_is_interrupted_anywhere_and_repeated_ends_in_the_same_state() {
    let demo = demo(&["203.0.113.0/24"]);
    let whole = ScriptedAccount::start(Contents::default(), None).await;
    let (_folder, directory) = key_directory();
    apply(&whole.client(), &demo, &directory).await.unwrap();
    let (calls, expected) = (whole.actions().len(), outcome(&whole.contents()));
    let demo = &demo;
    let interruptions = (0..calls).flat_map(|at| {
        [
            Interruption::LoseAnswer(at),
            Interruption::LoseAllAnswers(at),
            Interruption::Refuse(at, 403, "NoPermission"),
        ]
    });
    let runs = interruptions.map(async |interruption| {
        let (_folder, directory) = key_directory();
        let first = ScriptedAccount::start(Contents::default(), Some(interruption)).await;
        let first_run = apply(&first.client(), demo, &directory).await;
        let mut contents = first.contents();
        let is_lost = !contents.keys.is_empty() && !directory.join("access-key-id").exists();
        if matches!(interruption, Interruption::LoseAnswer(_)) {
            assert_eq!(first_run.is_err(), is_lost, "{interruption:?}: {first_run:?}");
        }
        if is_lost {
            let again = ScriptedAccount::start(contents.clone(), None).await;
            let remaining = apply(&again.client(), demo, &directory).await.unwrap();
            let told = lines(&remaining);
            assert!(
                told.contains("interrupted after 2016-01-13T14:02:37Z may have made"),
                "{told}"
            );
            assert_eq!(again.contents().keys, contents.keys, "{interruption:?}");
            contents = again.contents();
            contents.keys.clear();
        }
        let second = ScriptedAccount::start(contents, None).await;
        let remaining = apply(&second.client(), demo, &directory).await;
        let remaining = remaining.unwrap_or_else(|error| panic!("{interruption:?}: {error:?}"));
        assert_eq!(lines(&remaining), "", "{interruption:?}");
        assert_eq!(outcome(&second.contents()), expected, "{interruption:?}");
        assert_key_is_kept(&second.contents(), &directory);
    });
    join_all(runs).await;
}

/// Neither a user nor a key is made; the roles trust the identity's role, which exists before them.
#[tokio::test]
async fn an_identity_of_an_oidc_provider_needs_no_key() {
    let oidc = oidc();
    let account = ScriptedAccount::start(Contents::default(), None).await;
    let (_folder, directory) = key_directory();
    let remaining = apply(&account.client(), &oidc, &directory).await.unwrap();
    assert_eq!(lines(&remaining), "");
    let actions = account.actions();
    let made: Vec<_> = actions.iter().filter(|action| action.starts_with("Create")).collect();
    let expected =
        ["CreatePolicy", "CreatePolicy", "CreateOIDCProvider", "CreateRole", "CreateRole"];
    assert_eq!(made, expected);
    let roles: Vec<_> =
        account.forms().iter().filter_map(|form| form.get("RoleName").cloned()).collect();
    assert_eq!(
        roles.iter().collect::<BTreeSet<_>>().len(),
        2,
        "a role of another account is touched"
    );
    assert!(!directory.exists());

    // Another condition in place of `oidc:sub`.
    let mut contents = account.contents();
    let name = contents.providers.keys().next().unwrap().clone();
    contents.providers.insert(name, ("https://other.example.com".into(), "another".into()));
    let (trust, max) = contents.roles["appserver"].clone();
    let other = trust.replace("oidc:sub", "oidc:aud");
    assert_ne!(other, trust);
    contents.roles.insert("appserver".into(), (other, max));
    insta::assert_snapshot!(lines(&check(contents, &oidc).await), @r#"
    NarrowerThanNeeded oidc-provider/ack-rrsa-c0ffee: its issuer is https://other.example.com, and the plan's is https://oidc.example.com/c0ffee
    WiderThanNeeded oidc-provider/ack-rrsa-c0ffee: it admits tokens for the audience another, which the plan does not name
    NarrowerThanNeeded oidc-provider/ack-rrsa-c0ffee: it does not admit tokens for the audience sts.aliyuncs.com
    NarrowerThanNeeded role/appserver: it trusts the identity of the plan only under conditions or for actions other than the plan's: {"Action":"sts:AssumeRole","Condition":{"StringEquals":{"oidc:aud":"system:serviceaccount:default:appserver","oidc:iss":"https://oidc.example.com/c0ffee"}},"Effect":"Allow","Principal":{"Federated":["acs:ram::11223344:oidc-provider/ack-rrsa-c0ffee"]}}
    WiderThanNeeded role/appserver: it trusts `acs:ram::11223344:oidc-provider/ack-rrsa-c0ffee` under other conditions than the plan does: {"Action":"sts:AssumeRole","Condition":{"StringEquals":{"oidc:aud":"system:serviceaccount:default:appserver","oidc:iss":"https://oidc.example.com/c0ffee"}},"Effect":"Allow","Principal":{"Federated":["acs:ram::11223344:oidc-provider/ack-rrsa-c0ffee"]}}
    "#);
}

/// The seeds give their user and roles more than the demo's grants need, and lack nothing.
#[tokio::test]
async fn the_demo_account_differs_from_the_plan_only_by_system_policies_and_root_trust() {
    let found = check(seeds(), &demo(&[])).await;
    insta::assert_snapshot!(lines(&found), @r#"
    WiderThanNeeded user/appserver: AliyunSTSAssumeRoleAccess allows sts:AssumeRole on acs:ram:::role/x, which no role needs: {"Action":"sts:AssumeRole","Effect":"Allow","Resource":"*"}
    WiderThanNeeded role/oss-readonly: it trusts `acs:ram::11223344:root`, every user and role of that account: {"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"RAM":["acs:ram::11223344:root"]}}
    WiderThanNeeded role/oss-readwrite: it trusts `acs:ram::11223344:root`, every user and role of that account: {"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"RAM":["acs:ram::11223344:root"]}}
    WiderThanNeeded role/oss-readwrite: AliyunOSSFullAccess allows oss:GetObjectAcl on acs:oss:*:*:bucket/object, which no grant needs: {"Action":"oss:*","Effect":"Allow","Resource":"*"}
    "#);
}

#[tokio::test]
async fn apply_changes_nothing_in_an_account_that_only_allows_more() {
    let account = ScriptedAccount::start(seeds(), None).await;
    let (_folder, directory) = key_directory();
    let remaining = apply(&account.client(), &demo(&[]), &directory).await.unwrap();
    assert_eq!(account.contents(), seeds());
    let last = remaining.last().unwrap();
    assert!(
        last.message.contains("created 2016-01-13T14:02:37Z), and --key-dir has no files"),
        "{last:?}"
    );
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_trust_policy_with_a_condition_or_a_denial_is_named_with_it() {
    let trust = r#"{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["acs:ram::11223344:user/appserver"]}}"#;
    let condition = trust.replace("]}}", r#"]},"Condition":{"Bool":{"acs:MFAPresent":"true"}}}"#);
    let denial = format!("{trust},{}", trust.replace("Allow", "Deny"));
    for (statements, told) in [
        (
            condition,
            r#"conditions or for actions other than the plan's: {"Action":"sts:AssumeRole","Condition":{"Bool":{"acs:MFAPresent":"true"}}"#,
        ),
        (
            denial,
            r#"it denies the identity of the plan: {"Action":"sts:AssumeRole","Effect":"Deny""#,
        ),
    ] {
        let mut contents = seeds();
        let document = format!(r#"{{"Version":"1","Statement":[{statements}]}}"#);
        contents.roles.insert("oss-readonly".into(), (document, 3600));
        let found = check(contents, &demo(&[])).await;
        let one = found.iter().find(|one| one.kind == DriftKind::NarrowerThanNeeded).unwrap();
        assert_eq!(one.subject, "role/oss-readonly");
        assert!(one.message.contains(told), "{one:?}");
    }
}

/// Attaching the planned policy could not help.
#[tokio::test]
async fn a_denial_of_what_a_grant_needs_is_named_and_nothing_is_attached_for_it() {
    let demo = demo(&["203.0.113.0/24"]);
    let account = ScriptedAccount::start(Contents::default(), None).await;
    let (_folder, directory) = key_directory();
    apply(&account.client(), &demo, &directory).await.unwrap();
    let mut contents = account.contents();
    let deny = r#"{"Version":"1","Statement":[{"Effect":"Deny","Action":"oss:PutObject","Resource":"*"}]}"#;
    let own = contents.policies["oss-readwrite-appserver"].clone();
    contents.policies.insert("no-writes".into(), deny.into());
    contents.policies.insert("own".into(), own);
    contents.attached.retain(|(_, _, name)| name != "oss-readwrite-appserver");
    for name in ["no-writes", "own"] {
        contents.attached.push(("role/oss-readwrite".into(), "Custom".into(), name.into()));
    }
    let account = ScriptedAccount::start(contents.clone(), None).await;
    let remaining = apply(&account.client(), &demo, &directory).await.unwrap();
    assert_eq!(account.contents(), contents);
    let [one] = remaining.as_slice() else { panic!("{}", lines(&remaining)) };
    assert_eq!(
        (one.kind, one.subject.as_str()),
        (DriftKind::NarrowerThanNeeded, "role/oss-readwrite")
    );
    assert!(
        one.message.starts_with("no-writes denies what is needed, for example oss:PutObject on"),
        "{one:?}"
    );
    assert!(
        one.message.ends_with(r#"{"Action":"oss:PutObject","Effect":"Deny","Resource":"*"}"#),
        "{one:?}"
    );
}

/// Attaching it would give the role what the plan does not.
#[tokio::test]
async fn a_policy_of_a_planned_name_that_allows_something_else_is_not_attached() {
    let wide =
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"*"}]}"#;
    let name = "oss-readonly-appserver";
    let contents =
        Contents { policies: [(name.into(), wide.into())].into(), ..Contents::default() };
    let account = ScriptedAccount::start(contents, None).await;
    let (_folder, directory) = key_directory();
    let remaining = apply(&account.client(), &demo(&[]), &directory).await.unwrap();
    assert_eq!(account.contents().policies[name], wide);
    assert!(!account.contents().attached.iter().any(|(_, _, attached)| attached == name));
    let [one] = remaining.as_slice() else { panic!("{}", lines(&remaining)) };
    assert_eq!((one.kind, one.subject.as_str()), (DriftKind::Missing, "role/oss-readonly"));
    assert!(one.fix.contains("a policy of this name exists and allows something else"), "{one:?}");
    // It is not attached with what it allows.
    assert!(one.fix.contains("AttachPolicyToRole") && !one.fix.contains(r#""oss:*""#), "{one:?}");
}

#[tokio::test]
async fn a_role_that_lacks_something_is_narrower_than_a_grant_needs() {
    let demo = demo(&["203.0.113.0/24", "198.51.100.1/32"]);
    let account = ScriptedAccount::start(Contents::default(), None).await;
    let (_folder, directory) = key_directory();
    apply(&account.client(), &demo, &directory).await.unwrap();
    let mut contents = account.contents();
    let narrow = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:GetObject","oss:ListObjects"],"Resource":"*"}]}"#;
    contents.policies.insert("oss-readwrite-appserver".into(), narrow.into());
    let trust = contents.roles["oss-readonly"].0.replace("user/appserver", "user/someone");
    contents.roles.insert("oss-readonly".into(), (trust, 900));
    contents.keys.insert("LTAI9".into(), "appserver".into());
    for policy in contents.networks.values_mut() {
        *policy = policy.replace("198.51.100.1", "192.0.2.1");
    }
    let found = check(contents, &demo).await;
    insta::assert_snapshot!(lines(&found), @r#"
    WiderThanNeeded user/appserver: AccessKey LTAI1 may be used from 192.0.2.1/32, which --egress does not name
    NarrowerThanNeeded user/appserver: AccessKey LTAI1 may not be used from 198.51.100.1/32, which --egress names
    Missing user/appserver: AccessKey LTAI9 has no network policy and may be used from everywhere
    NarrowerThanNeeded role/oss-readonly: it does not trust the identity of the plan; grant daily-photos and 3 more need it
    WiderThanNeeded role/oss-readonly: it trusts `acs:ram::11223344:user/someone`, which the plan does not name: {"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"RAM":["acs:ram::11223344:user/someone"]}}
    NarrowerThanNeeded role/oss-readonly: its longest session is 900 seconds, and its grants ask for 3600
    NarrowerThanNeeded role/oss-readwrite: it does not allow what grant album-guest needs, for example oss:PutObject on acs:oss:*:*:sample-bucket/albums/x/object
    NarrowerThanNeeded role/oss-readwrite: it does not allow what grant my-photos needs, for example oss:PutObject on acs:oss:*:*:sample-bucket/users/x/object
    NarrowerThanNeeded role/oss-readwrite: it does not allow what grant photo-upload needs, for example oss:PutObject on acs:oss:*:*:sample-bucket/users/x/object
    WiderThanNeeded role/oss-readwrite: oss-readwrite-appserver allows oss:GetObject on acs:oss:*:*:bucket/object, which no grant needs: {"Action":["oss:GetObject","oss:ListObjects"],"Effect":"Allow","Resource":"*"}
    "#);
}

/// A deployment that runs may use what is there until it has moved.
#[tokio::test]
async fn no_fix_takes_away_what_is_used_before_it_says_when_that_is_safe() {
    let demo = demo(&["203.0.113.0/24"]);
    let account = ScriptedAccount::start(Contents::default(), None).await;
    let (_folder, directory) = key_directory();
    apply(&account.client(), &demo, &directory).await.unwrap();
    let mut contents = account.contents();
    let narrow = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:GetObject","oss:ListObjects"],"Resource":"*"}]}"#;
    contents.policies.insert("oss-readwrite-appserver".into(), narrow.into());
    let trust = contents.roles["oss-readonly"].0.replace("user/appserver", "user/old");
    contents.roles.insert("oss-readonly".into(), (trust, 900));
    for policy in contents.networks.values_mut() {
        *policy = policy.replace("203.0.113.0/24", "192.0.2.1");
    }
    let found = check(contents, &demo).await;
    for Drift { kind, subject, fix, .. } in &found {
        assert!(fix.contains("`aliyun ") && !fix.contains(" with the "), "{subject}: {fix}");
        let [kept, added] = match subject.as_str() {
            "user/appserver" => ["192.0.2.1", "203.0.113.0/24"],
            "role/oss-readonly" => ["user/old", "user/appserver"],
            _ => [r#"["oss:GetObject","oss:ListObjects"]"#, "oss:PutObject"],
        };
        assert!(fix.contains(added), "{subject}: {fix}");
        let (call, when) = (&fix[fix.find('`').unwrap()..], fix.contains("once nothing"));
        if *kind == DriftKind::WiderThanNeeded {
            assert!(when && !call.contains(&format!("{kept}\"")), "{fix}");
        } else {
            assert!(!when && call.contains(kept), "{fix}");
        }
    }
    let wider = |subject: &str| {
        let is_wider =
            |one: &&Drift| one.kind == DriftKind::WiderThanNeeded && one.subject == subject;
        found.iter().find(is_wider).unwrap().fix.clone()
    };
    let safe = "after the fix above, and once nothing but the identity of the plan assumes the role by \
                `acs:ram::11223344:user/old` any more: `aliyun ram UpdateRole";
    assert!(wider("role/oss-readonly").starts_with(safe), "{}", wider("role/oss-readonly"));
    assert!(found.len() >= 8, "{}", lines(&found));
}

/// The files of another user's key, or of one that was deleted.
#[tokio::test]
async fn files_of_a_foreign_key_are_answered_with_what_makes_a_new_one() {
    let (_folder, directory) = key_directory();
    std::fs::create_dir(&directory).unwrap();
    std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o700)).unwrap();
    for (name, text) in [("access-key-id", "LTAI0"), ("access-key-secret", "canary")] {
        std::fs::write(directory.join(name), text).unwrap();
    }
    let demo = demo(&[]);
    let other = ScriptedAccount::start(seeds(), None).await;
    let remaining = apply(&other.client(), &demo, &directory).await.unwrap();
    let fix = &remaining.last().unwrap().fix;
    assert!(fix.contains("testid") && !fix.contains("makes a key"), "{fix}");

    let account = ScriptedAccount::start(Contents::default(), None).await;
    let remaining = apply(&account.client(), &demo, &directory).await.unwrap();
    let fix = &remaining.last().unwrap().fix;
    assert!(fix.contains("move the files away") && fix.contains("makes a key"), "{fix}");
    for name in ["access-key-id", "access-key-secret"] {
        std::fs::remove_file(directory.join(name)).unwrap();
    }
    assert_eq!(apply(&account.client(), &demo, &directory).await.unwrap(), []);
    assert_eq!(account.contents().keys.len(), 1);
}

#[tokio::test]
async fn a_grant_for_uploads_needs_only_what_it_signs() {
    const UPLOADS: &str = r#"
        [grants.photo-upload]
        signed_urls = []
        [grants.photo-upload.upload.callback]
        confirm = false
        [grants.my-photos]
        signed_urls = []
        [grants.my-photos.upload]
        key = "users/${subject}/${name}"
        name_pattern = "[a-z]{1,9}"
        max_bytes = "1MiB"
        content_types = ["image/png"]
        "#;
    let uploads = |more: &str| demo_with(&format!("{UPLOADS}{more}"));
    let role = |(plan, _): &(AccountPlan, Needs)| {
        let role = plan.roles.iter().find(|role| role.arn.name() == "oss-readwrite").unwrap();
        role.policies.iter().map(|policy| policy.document.clone()).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(role(&uploads("")), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":"albums/*/*"}}},{"Effect":"Allow","Action":"oss:PutObject","Resource":"acs:oss:*:*:sample-bucket/users/*/*"},{"Effect":"Allow","Action":["oss:AbortMultipartUpload","oss:GetObject","oss:ListParts","oss:PutObject"],"Resource":"acs:oss:*:*:sample-bucket/albums/*/*"}]}"#);
    let reads = "[grants.my-photos]\n        signed_urls";
    let reads = UPLOADS.replace(&format!("{reads} = []"), &format!("{reads} = [\"HEAD\"]"));
    let reads = demo_with(&reads);
    insta::assert_snapshot!(role(&reads), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":"albums/*/*"}}},{"Effect":"Allow","Action":["oss:AbortMultipartUpload","oss:GetObject","oss:ListParts","oss:PutObject"],"Resource":"acs:oss:*:*:sample-bucket/albums/*/*"},{"Effect":"Allow","Action":["oss:GetObject","oss:PutObject"],"Resource":"acs:oss:*:*:sample-bucket/users/*/*"}]}"#);
    // An upload is looked at after OSS has reported it.
    let callback = "[grants.my-photos.upload.callback]\nforward = \"http://127.0.0.1:9000/\"\n";
    let confirms = uploads(callback);
    assert_eq!(role(&confirms), role(&reads));
    assert_eq!(role(&uploads(&format!("{callback}confirm = false"))), role(&uploads("")));
    assert_eq!(role(&uploads("also_tokens = true")), role(&demo(&[])));

    let account = ScriptedAccount::start(Contents::default(), None).await;
    let (_folder, directory) = key_directory();
    let remaining = apply(&account.client(), &uploads(""), &directory).await.unwrap();
    assert_eq!(lines(&remaining), "");
    let found = check(account.contents(), &reads).await;
    assert_eq!(lines(&check(account.contents(), &confirms).await), lines(&found));
    insta::assert_snapshot!(lines(&found), @r#"NarrowerThanNeeded role/oss-readwrite: it does not allow what grant my-photos needs, for example oss:GetObject on acs:oss:*:*:sample-bucket/users/x/object"#);
}

#[tokio::test]
async fn a_key_whose_files_cannot_be_written_is_deleted_again() {
    let (_folder, directory) = key_directory();
    let in_the_way = directory.join("access-key-id");
    let account = ScriptedAccount::start_with(Contents::default(), None, move |form, _| {
        if form["Action"] == "CreateAccessKey" {
            std::fs::write(&in_the_way, "mine").unwrap();
        }
    })
    .await;
    let error = apply(&account.client(), &demo(&[]), &directory).await.unwrap_err();
    let message = with_causes(&error);
    assert!(
        message.starts_with("AccessKey LTAI1 was made, and its files could not be written"),
        "{message}"
    );
    assert!(!format!("{message} {error:?}").contains("canary"), "{error:?}");
    let contents = account.contents();
    assert_eq!((contents.keys.len(), contents.keys_made), (0, 1));
    assert_eq!(std::fs::read_to_string(directory.join("access-key-id")).unwrap(), "mine");
    assert!(!directory.join("access-key-secret").exists());
}

/// RAM's answers do not say who made a key.
#[tokio::test]
async fn no_key_is_deleted_whose_id_was_not_in_the_answer() {
    let demo = demo(&[]);
    let whole = ScriptedAccount::start(Contents::default(), None).await;
    let (_folder, directory) = key_directory();
    apply(&whole.client(), &demo, &directory).await.unwrap();
    let at = whole.actions().iter().position(|action| action == "CreateAccessKey").unwrap();
    let (_folder, directory) = key_directory();
    let lost = Some(Interruption::LoseAnswer(at));
    let account = ScriptedAccount::start_with(Contents::default(), lost, |form, contents| {
        if form["Action"] == "CreateAccessKey" {
            contents.keys.insert("LTAI9".into(), "appserver".into());
        }
    })
    .await;
    let error = apply(&account.client(), &demo, &directory).await.unwrap_err();
    let message = with_causes(&error);
    for told in ["AccessKey LTAI1 (active, ", "AccessKey LTAI9 (active, ", "Nothing is deleted"] {
        assert!(message.contains(told), "{message}");
    }
    let both = account.contents().keys;
    assert_eq!(both.len(), 2);
    // Nor by the next run.
    let account = ScriptedAccount::start(account.contents(), None).await;
    let remaining = apply(&account.client(), &demo, &directory).await.unwrap();
    assert!(lines(&remaining).contains("AccessKey LTAI9"), "{}", lines(&remaining));
    assert_eq!(account.contents().keys, both);
    assert!(!account.actions().iter().any(|action| action == "DeleteAccessKey"));
}

/// Two runs at once with different directories.
#[tokio::test]
async fn no_second_key_is_made_beside_one_that_appeared_meanwhile() {
    let account = ScriptedAccount::start_with(Contents::default(), None, |form, contents| {
        if form["Action"] == "CreateUser" {
            contents.keys.insert("LTAI9".into(), "appserver".into());
        }
    })
    .await;
    let (_folder, directory) = key_directory();
    let error = apply(&account.client(), &demo(&[]), &directory).await.unwrap_err();
    assert!(error.to_string().contains("AccessKey LTAI9 (active"), "{error}");
    assert_eq!(account.contents().keys.keys().collect::<Vec<_>>(), ["LTAI9"]);
}

/// `setup apply` makes no key for a user who has one, and only a person knows why it is inactive.
#[tokio::test]
async fn an_inactive_key_is_named_with_both_ways_and_is_not_promised_to_be_made() {
    let demo = demo(&[]);
    let mut contents = Contents { inactive: vec!["testid".into()], ..seeds() };
    let found = check(contents.clone(), &demo).await;
    let drift = found.iter().find(|drift| drift.kind == DriftKind::Missing).unwrap();
    assert!(
        drift.message.contains("AccessKey testid (inactive, created 2016-01-13T14:02:37Z)"),
        "{drift:?}"
    );
    assert!(drift.fix.contains("--UserAccessKeyId testid --Status Active"), "{drift:?}");
    assert!(drift.fix.contains("aliyun ram CreateAccessKey"), "{drift:?}");
    assert!(!drift.fix.contains("makes it"), "{drift:?}");

    // Of two, no key is chosen for the operator.
    contents.keys.insert("LTAI9".into(), "appserver".into());
    let account = ScriptedAccount::start(contents, None).await;
    let (_folder, directory) = key_directory();
    let remaining = apply(&account.client(), &demo, &directory).await.unwrap();
    let last = remaining.last().unwrap();
    assert!(last.message.contains("LTAI9 (active, created"), "{last:?}");
    assert!(last.message.contains("testid (inactive, created"), "{last:?}");
    assert!(last.fix.contains("--UserAccessKeyId ID"), "{last:?}");
}

/// A key of someone else is never deleted, however an interrupted run ended.
#[tokio::test]
async fn a_key_that_an_interrupted_run_did_not_make_is_kept() {
    let (_folder, directory) = key_directory();
    let demo = demo(&[]);
    let account = ScriptedAccount::start(
        Contents::default(),
        Some(Interruption::RefuseAction("CreateAccessKey", 403, "NoPermission")),
    )
    .await;
    apply(&account.client(), &demo, &directory).await.unwrap_err();
    let mut contents = account.contents();
    contents.keys.insert("LTAI9".into(), "appserver".into());
    let account = ScriptedAccount::start(contents.clone(), None).await;
    let remaining = apply(&account.client(), &demo, &directory).await.unwrap();
    assert_eq!(account.contents().keys, contents.keys);
    assert!(lines(&remaining).contains("it has AccessKey LTAI9"), "{}", lines(&remaining));
}

#[tokio::test]
async fn a_limit_of_ram_is_named_with_what_to_delete() {
    let refusal = Interruption::RefuseAction("CreatePolicy", 409, "LimitExceeded.Policy");
    let account = ScriptedAccount::start(Contents::default(), Some(refusal)).await;
    let (_folder, directory) = key_directory();
    let error = apply(&account.client(), &demo(&[]), &directory).await.unwrap_err();
    let message = with_causes(&error);
    assert!(
        message
            .contains("as many custom policies as RAM admits (LimitExceeded.Policy); delete one"),
        "{message}"
    );
}
