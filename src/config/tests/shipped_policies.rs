//! The tasks that the shipped policies allow.

use std::collections::BTreeMap;

use appserver_policy::{
    Breadth, Explanation, GrantTemplate, GrantTexts, RawValues, Request, Shape, ValueRule,
    ValueRules, lint_file,
};

const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/policies");

/// Tasks of SDKs, with the operations that they call for each.
const TASKS: [(&str, &[&str]); 7] = [
    ("get", &["oss:GetObject", "oss:HeadObject"]),
    ("put", &["oss:PutObject"]),
    (
        "multipart",
        &["oss:InitiateMultipartUpload", "oss:UploadPart", "oss:CompleteMultipartUpload"],
    ),
    ("resume", &["oss:ListParts", "oss:UploadPart", "oss:CompleteMultipartUpload"]),
    ("abort", &["oss:AbortMultipartUpload"]),
    ("delete", &["oss:DeleteObject", "oss:DeleteMultipleObjects"]),
    ("list", &["oss:ListObjects", "oss:ListObjectsV2"]),
];

/// The tasks that a shipped policy allows in a folder.
fn tasks(policy: &str, folder: &str) -> String {
    let json = std::fs::read_to_string(format!("{POLICIES}/{policy}.json")).unwrap();
    let album = || ("album".parse().unwrap(), ValueRule::text(Shape::Segment, None, 64).unwrap());
    let rules = ValueRules {
        params: json.contains("params.album").then(album).into_iter().collect(),
        claims: BTreeMap::new(),
        subject_max_bytes: 64,
    };
    let texts = GrantTexts {
        policy: &json,
        breadth: if policy == "read-all" { Breadth::Broad } else { Breadth::Narrow },
        session_name: None,
        source_identity: None,
    };
    let template = GrantTemplate::parse(texts, rules).unwrap();
    let params = template.rules().params.keys();
    let raw = RawValues {
        issuer: None,
        client: &"photo-app".parse().unwrap(),
        subject: Some(&"alice".parse().unwrap()),
        claims: &BTreeMap::new(),
        params: &params.map(|name| (name.to_string(), "2015".to_owned())).collect(),
        now: "2015-01-01T03:04:05Z".parse().unwrap(),
    };
    let rendered = template.render(raw).unwrap().policy;
    let allows = |operation: &str| {
        let listing = operation.contains("List") && !operation.contains("Parts");
        let key = if listing { String::new() } else { format!("/{folder}a.jpg") };
        let conditions = listing.then(|| ("oss:Prefix".to_owned(), folder.to_owned()));
        let resource = format!("acs:oss:oss-cn-hangzhou:11223344:sample-bucket{key}");
        let request = Request::new(operation, &resource, conditions.into_iter().collect());
        Explanation::of(&rendered, vec![], &request.unwrap()).allowed
    };
    let may = TASKS.iter().filter(|(_, operations)| operations.iter().all(|one| allows(one)));
    let may: Vec<_> = may.map(|(task, _)| *task).collect();
    if may.is_empty() { "nothing".to_owned() } else { may.join(" ") }
}

#[test]
fn the_shipped_policies_allow_their_purpose_and_nothing_beside_it() {
    let mut lines = Vec::new();
    for (policy, own, next) in [
        ("read-all", "2015/", "bob/"),
        ("daily-photos", "2015/01/01/", "2015/01/02/"),
        ("todays-photos", "2015/01/01/", "2015/01/02/"),
        ("one-album", "albums/2015/", "albums/2016/"),
        ("album-guest", "albums/2015/", "albums/2015/originals/"),
        ("shared-album", "albums/2015/", "albums/20150/"),
        ("list-only", "albums/2015/", "albums/"),
        ("my-photos", "users/alice/", "users/alice0/"),
        ("photo-upload", "users/alice/", "users/alice0/"),
        ("upload-only", "uploads/photo-app/", "uploads/photo/"),
    ] {
        lines.push(format!("{policy}: {} | {}", tasks(policy, own), tasks(policy, next)));
    }
    let shipped = std::fs::read_dir(POLICIES).unwrap().count();
    assert_eq!(lines.len(), shipped, "a policy is shipped that is not tried here");
    insta::assert_snapshot!(lines.join("\n"), @r"
read-all: get list | get list
daily-photos: get | nothing
todays-photos: get | nothing
one-album: get | nothing
album-guest: get put multipart resume abort list | get abort list
shared-album: get list | nothing
list-only: list | nothing
my-photos: get put multipart resume abort delete list | nothing
photo-upload: get put multipart | nothing
upload-only: put multipart resume abort | nothing
");
}

#[test]
fn the_shipped_policies_cause_no_warnings() {
    for file in std::fs::read_dir(POLICIES).unwrap() {
        let path = file.unwrap().path();
        // It is broad on purpose, and its grant allows that.
        let broad = path.ends_with("read-all.json");
        let breadth = if broad { Breadth::Broad } else { Breadth::Narrow };
        let linted = lint_file(&std::fs::read_to_string(&path).unwrap(), breadth, &[]);
        assert!(linted.problems.is_empty() && linted.not_disjoint.is_none(), "{linted:?}");
        // Its grant vends no token, and a form uploads a file as a whole.
        if path.ends_with("photo-upload.json") {
            continue;
        }
        let said: Vec<_> = linted.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(said, Vec::<String>::new(), "{}", path.display());
    }
}
