//! Names in a policy that OSS does not have, as far as is known here: actions, and condition keys of its requests.

use crate::document::operator::ConditionOperator;
use crate::document::tree::{Actions, Statement, Strings};
use crate::evaluate::request::Request;
use crate::lint::finding::Finding;
use crate::lint::services;
use crate::lint::warning::LintWarning;
use crate::oss::catalogue::{self, Holders};
use crate::oss::operation::{Operation, oss_name};

/// Everything that is named in the statement and exists under another name, elsewhere, or nowhere.
pub(crate) fn warnings(at: &str, statement: &Statement<String>) -> Vec<LintWarning> {
    let actions = statement.actions.patterns().iter();
    let mut warnings: Vec<_> =
        actions.filter_map(|action| of_action(at, action, statement)).collect();
    warnings.extend(of_resources(at, statement));
    for (&operator, keys) in &statement.condition {
        let of_key = |key: &String| of_key(at, operator, key, statement);
        warnings.extend(keys.keys().filter_map(of_key));
    }
    warnings
}

fn of_action(at: &str, action: &str, statement: &Statement<String>) -> Option<LintWarning> {
    let Some(name) = oss_name(action) else { return of_service(at, action, statement) };
    let (finding, meant) = match Operation::named(action) {
        Operation::AllowedBy(by) => {
            (Finding::NoAction { action: action.to_owned(), by }, Some(by.to_owned()))
        }
        Operation::Copies => (Finding::Copy { action: action.to_owned() }, None),
        Operation::Action if name.contains(['*', '?']) => matching_nothing(action)?,
        Operation::Action if catalogue::knows(name) => return None,
        Operation::Action => {
            let near = catalogue::nearest_action(name);
            (Finding::UnknownAction { action: action.to_owned(), near: near.clone() }, near)
        }
    };
    let meant = meant.map(|meant| with(statement, action, &meant));
    Some(LintWarning::new(format!("{at}.{}", field(statement)), finding, meant.as_ref()))
}

fn field(statement: &Statement<String>) -> &'static str {
    match statement.actions {
        Actions::Action(_) => "Action",
        Actions::NotAction(_) => "NotAction",
    }
}

/// An action of a service that is none, or is another than the one whose action it names.
fn of_service(at: &str, action: &str, statement: &Statement<String>) -> Option<LintWarning> {
    let (service, name) = action.split_once(':')?;
    let near = services::nearest_service(service);
    let slip = near == Some("oss") && catalogue::knows(name);
    if services::knows_service(service) && !slip {
        return None;
    }
    let meant = near.map(|near| with(statement, action, &format!("{near}:{name}")));
    let finding = Finding::UnknownService { service: service.to_owned(), near };
    Some(LintWarning::new(format!("{at}.{}", field(statement)), finding, meant.as_ref()))
}

/// Resources of a service that is none.
fn of_resources(at: &str, statement: &Statement<String>) -> Vec<LintWarning> {
    let all = statement.resource.as_slice();
    let warnings = |resource: &String| {
        let service = resource.strip_prefix("acs:")?.split(':').next()?;
        if services::knows_service(service) {
            return None;
        }
        let near = services::nearest_service(service);
        let meant = near.map(|near| {
            let meant = resource.replacen(service, near, 1);
            let all = all.iter().map(|one| if one == resource { &meant } else { one }.clone());
            Statement { resource: Strings::of(all.collect()), ..statement.clone() }
        });
        let finding = Finding::UnknownService { service: service.to_owned(), near };
        Some(LintWarning::new(format!("{at}.Resource"), finding, meant.as_ref()))
    };
    all.iter().filter_map(warnings).collect()
}

/// What a pattern is about that matches no action, with the action that was probably meant.
fn matching_nothing(pattern: &str) -> Option<(Finding, Option<String>)> {
    let matches = |name: &&str| one(pattern).cover(&format!("oss:{name}"));
    if catalogue::actions().any(|name| matches(&name)) {
        return None;
    }
    let pattern = pattern.to_owned();
    let Some(operation) = Operation::names().find(matches) else {
        return Some((Finding::MatchesNoAction { pattern }, None));
    };
    let by = match Operation::named(&format!("oss:{operation}")) {
        Operation::AllowedBy(by) => Some(by),
        Operation::Copies | Operation::Action => None,
    };
    Some((Finding::OnlyOperation { pattern, operation, by }, by.map(str::to_owned)))
}

/// The statement with another action in one's place.
fn with(statement: &Statement<String>, action: &str, meant: &str) -> Statement<String> {
    let rename = |other: &String| if other == action { meant } else { other }.to_owned();
    let actions = Strings::of(statement.actions.patterns().iter().map(rename).collect());
    let actions = match &statement.actions {
        Actions::Action(_) => Actions::Action(actions),
        Actions::NotAction(_) => Actions::NotAction(actions),
    };
    Statement { actions, ..statement.clone() }
}

fn one(action: &str) -> Actions {
    Actions::Action(Strings::One(action.to_owned()))
}

fn of_key(
    at: &str,
    operator: ConditionOperator,
    key: &str,
    statement: &Statement<String>,
) -> Option<LintWarning> {
    let at = format!("{at}.Condition.{operator:?}.{key}");
    let Some(holders) = Holders::of(key) else {
        // Of other services' keys, and of RAM's own that OSS does not list, only a slip is told.
        let near = catalogue::nearest_key(key);
        let told = near.is_some() || key.starts_with("oss:");
        return told.then(|| {
            LintWarning::new(at, Finding::UnknownKey { key: key.to_owned(), near }, None)
        });
    };
    let Actions::Action(actions) = &statement.actions else { return None };
    // Of an action that is unknown itself, that is told.
    let known = |action: &&String| {
        oss_name(action).is_none()
            || catalogue::actions().any(|name| one(action).cover(&format!("oss:{name}")))
    };
    let lacks = |action: &&String| !holders.meet(|name| one(action).cover(name));
    let actions: Vec<_> = actions.as_slice().iter().filter(known).filter(lacks).cloned().collect();
    if actions.is_empty() {
        return None;
    }
    let finding = Finding::KeyOfOthers {
        key: key.to_owned(),
        actions,
        holders,
        negated: operator.is_negated(),
    };
    Some(LintWarning::new(at, finding, None))
}

/// The same of a request, in words: a policy may well answer it, and OSS would never ask.
pub(crate) fn of_request(request: &Request) -> Vec<String> {
    let action = request.action();
    let Some(name) = oss_name(action) else {
        let (service, _) = action.split_once(':').unwrap_or_default();
        return vec![format!(
            "the actions of `{service}` are not known here: `{action}` is taken as it stands"
        )];
    };
    let known = catalogue::knows(name);
    let mut notes = Vec::new();
    if !known {
        let near = catalogue::nearest_action(name);
        notes.push(Finding::UnknownAction { action: action.to_owned(), near }.to_string());
    }
    for key in request.keys() {
        let finding = match Holders::of(key) {
            None => Finding::UnknownKey { key: key.to_owned(), near: catalogue::nearest_key(key) },
            Some(holders) if known && !holders.meet(|name| name.eq_ignore_ascii_case(action)) => {
                Finding::LacksKey { key: key.to_owned(), action: action.to_owned(), holders }
            }
            Some(_) => continue,
        };
        notes.push(finding.to_string());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::tree::Document;

    fn told(effect: &str, actions: &str, condition: &str) -> String {
        let json = format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"{effect}",{actions},"Resource":"*"{condition}}}]}}"#
        );
        let document = Document::read(&json, |_, raw| Ok(raw.to_owned())).unwrap();
        let lines = warnings("Statement[0]", &document.statements[0]);
        lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn names_that_are_no_actions_are_told_with_what_was_meant() {
        let lines = [
            told("Allow", r#""Action":["oss:GetObject","oss:HeadObject","oss:CopyObject"]"#, ""),
            told("Allow", r#""Action":"oss:GetObjct""#, ""),
            told("Deny", r#""Action":["oss:GetObjects","oss:ListBuckets"]"#, ""),
            told("Deny", r#""NotAction":"oss:PutObejct""#, ""),
            told("Allow", r#""Action":"oss:Frobnicate""#, ""),
            told("Allow", r#""Action":"oss:Head*""#, ""),
            told("Allow", r#""Action":"OSS:upload*""#, ""),
            told("Allow", r#""Action":"oss:Copy*""#, ""),
            told("Allow", r#""Action":"oss:Frob*""#, ""),
            told("Allow", r#""Action":["os:GetObject","oss:PutObject"]"#, ""),
            told("Deny", r#""NotAction":"ots:GetObject""#, ""),
            told("Allow", r#""Action":"frobnicator:Get*""#, ""),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r#"
Statement[0].Action: `oss:HeadObject` is an operation and no action of RAM: `oss:GetObject` allows it; perhaps {"Effect":"Allow","Action":["oss:GetObject","oss:CopyObject"],"Resource":"*"}
Statement[0].Action: `oss:CopyObject` is an operation and no action of RAM: `oss:GetObject` on the source and `oss:PutObject` on the target allow it
Statement[0].Action: `oss:GetObjct` is no action of OSS that is known here, so it probably matches nothing: `oss:GetObject` is one; perhaps {"Effect":"Allow","Action":"oss:GetObject","Resource":"*"}
Statement[0].Action: `oss:GetObjects` is no action of OSS that is known here, so it probably matches nothing: `oss:GetObject` is one; perhaps {"Effect":"Deny","Action":["oss:GetObject","oss:ListBuckets"],"Resource":"*"}
Statement[0].NotAction: `oss:PutObejct` is no action of OSS that is known here, so it probably matches nothing: `oss:PutObject` is one; perhaps {"Effect":"Deny","NotAction":"oss:PutObject","Resource":"*"}
Statement[0].Action: `oss:Frobnicate` is no action of OSS that is known here, so it probably matches nothing
Statement[0].Action: `oss:Head*` matches no action of RAM that is known here: `HeadObject` is an operation, which `oss:GetObject` allows; perhaps {"Effect":"Allow","Action":"oss:GetObject","Resource":"*"}
Statement[0].Action: `OSS:upload*` matches no action of RAM that is known here: `UploadPart` is an operation, which `oss:PutObject` allows; perhaps {"Effect":"Allow","Action":"oss:PutObject","Resource":"*"}
Statement[0].Action: `oss:Copy*` matches no action of RAM that is known here: `CopyObject` is an operation, which `oss:GetObject` on the source and `oss:PutObject` on the target allow
Statement[0].Action: `oss:Frob*` matches no action of OSS that is known here
Statement[0].Action: `os` is no service of RAM that is known here, or none with such an action, so this probably matches nothing: `oss` is one; perhaps {"Effect":"Allow","Action":["oss:GetObject","oss:PutObject"],"Resource":"*"}
Statement[0].NotAction: `ots` is no service of RAM that is known here, or none with such an action, so this probably matches nothing: `oss` is one; perhaps {"Effect":"Deny","NotAction":"oss:GetObject","Resource":"*"}
Statement[0].Action: `frobnicator` is no service of RAM that is known here, or none with such an action, so this probably matches nothing
"#);
        for fine in [
            r#""Action":["oss:GetObject","OSS:putobject","oss:Get*","oss:*","*"]"#,
            r#""Action":["ram:GetUzer","kms:*","*:GetObjct","o?s:Head*"]"#,
            r#""NotAction":"oss:DeleteObject""#,
        ] {
            assert_eq!(told("Allow", fine, ""), "", "{fine}");
        }
    }

    #[test]
    fn a_resource_of_an_unknown_service_is_told_with_the_nearest() {
        let told = |resource: &str| {
            let json = format!(
                r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject","Resource":"{resource}"}}]}}"#
            );
            let document = Document::read(&json, |_, raw| Ok(raw.to_owned())).unwrap();
            let lines = warnings("Statement[0]", &document.statements[0]);
            lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(told("acs:os:*:*:sample-bucket/a"), @r#"Statement[0].Resource: `os` is no service of RAM that is known here, or none with such an action, so this probably matches nothing: `oss` is one; perhaps {"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/a"}"#);
        assert!(
            told("acs:oxx*:*:*:x").contains("`oxx*` is no service"),
            "{}",
            told("acs:oxx*:*:*:x")
        );
        for fine in
            ["*", "acs:*", "acs:oss:*", "acs:o?s:*:*:x", "acs:OSS:*:*:x", "acs:ram::1:role/x"]
        {
            assert_eq!(told(fine), "", "{fine}");
        }
    }

    #[test]
    fn a_condition_on_a_key_that_its_actions_have_not_is_told() {
        let when = |effect: &str, actions: &str, condition: &str| {
            told(
                effect,
                &format!("\"Action\":{actions}"),
                &format!(",\"Condition\":{{{condition}}}"),
            )
        };
        let prefix = r#""StringLike":{"oss:Prefix":"a/*"}"#;
        let lines = [
            when("Allow", r#""oss:GetObject""#, prefix),
            when(
                "Deny",
                r#"["oss:GetObject","oss:ListObjects","oss:Put*"]"#,
                &prefix.replace("Like", "NotLike"),
            ),
            when(
                "Allow",
                r#""oss:ListObjects""#,
                r#""StringEquals":{"oss:ExistingObjectTag/owner":"a"}"#,
            ),
            when(
                "Allow",
                r#""oss:GetObject""#,
                r#""StringEquals":{"oss:x-oss-object-acl":"private"}"#,
            ),
            when("Allow", r#""oss:ListObjects""#, &prefix.replace("Prefix", "prefix")),
            when("Allow", r#""oss:ListObjects""#, &prefix.replace("Prefix", "Colour")),
            when("Allow", r#""oss:GetObject""#, r#""IpAddress":{"acs:SourceIP":"10.0.0.0/8"}"#),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r#"
Statement[0].Condition.StringLike.oss:Prefix: requests for `oss:GetObject` have no `oss:Prefix`, so for them this never holds: only those for `oss:ListObjects`, `oss:ListObjectVersions`, `oss:ListMultipartUploads` have it
Statement[0].Condition.StringNotLike.oss:Prefix: requests for `oss:GetObject`, `oss:Put*` have no `oss:Prefix`, so for them this always holds: only those for `oss:ListObjects`, `oss:ListObjectVersions`, `oss:ListMultipartUploads` have it
Statement[0].Condition.StringEquals.oss:ExistingObjectTag/owner: requests for `oss:ListObjects` have no `oss:ExistingObjectTag/owner`, so for them this never holds: only those for the actions on objects have it
Statement[0].Condition.StringEquals.oss:x-oss-object-acl: requests for `oss:GetObject` have no `oss:x-oss-object-acl`, so for them this never holds: only those for `oss:PutObject`, `oss:PutObjectAcl`, `oss:PutObjectVersionAcl` have it
Statement[0].Condition.StringLike.oss:prefix: `oss:prefix` is no condition key of OSS that is known here: `oss:Prefix` is one
Statement[0].Condition.StringLike.oss:Colour: `oss:Colour` is no condition key of OSS that is known here
Statement[0].Condition.IpAddress.acs:SourceIP: `acs:SourceIP` is no condition key of OSS that is known here: `acs:SourceIp` is one
"#);
        for (actions, condition) in [
            (r#""oss:ListObjects""#, prefix),
            (r#"["oss:List*","oss:ListMultipartUploads"]"#, prefix),
            (r#""*""#, prefix),
            (r#""oss:GetObjct""#, r#""IpAddress":{"acs:SourceIp":"10.0.0.0/8"}"#),
            (r#""oss:GetObject""#, r#""StringEquals":{"oss:ExistingObjectTag/owner":"a"}"#),
            (
                r#"["oss:PutObject","oss:GetBucketInfo"]"#,
                r#""StringEquals":{"oss:BucketTag/team":"a"}"#,
            ),
            (
                r#""kms:Decrypt""#,
                r#""StringEquals":{"kms:tag/team":"a","acs:RequestTag/team":"a"}"#,
            ),
        ] {
            let lines = when("Allow", actions, condition);
            assert!(!lines.contains(".Condition."), "{lines}");
        }
    }
}
