//! Warnings about names that OSS does not have, as far as is known here: actions, services and condition keys.

use crate::document::operator::ConditionOperator;
use crate::document::tree::{Actions, Statement, Strings};
use crate::lint::finding::Finding;
use crate::lint::resources;
use crate::lint::warning::LintWarning;
use crate::matching::pattern::Pattern;
use crate::oss::catalogue::{self, KeyScope};
use crate::oss::operation::{Operation, oss_name};

/// Names in the statement that are unknown, misspelt or belong elsewhere.
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
    let meant = meant.map(|meant| match &statement.actions {
        Actions::Action(_) => resources::moved_to_its_level(statement, &meant)
            .unwrap_or_else(|| with(statement, action, &meant)),
        Actions::NotAction(_) => with(statement, action, &meant),
    });
    Some(LintWarning::new(format!("{at}.{}", field(statement)), finding, meant.as_ref()))
}

fn field(statement: &Statement<String>) -> &'static str {
    match statement.actions {
        Actions::Action(_) => "Action",
        Actions::NotAction(_) => "NotAction",
    }
}

/// An action of an unknown service, or of a misspelt one.
fn of_service(at: &str, action: &str, statement: &Statement<String>) -> Option<LintWarning> {
    let (service, name) = action.split_once(':')?;
    let near = nearest_service(service);
    let slip = near == Some("oss") && catalogue::knows(name);
    if knows_service(service) && !slip {
        return None;
    }
    let meant = near.map(|near| with(statement, action, &format!("{near}:{name}")));
    let finding = Finding::UnknownService { service: service.to_owned(), near };
    Some(LintWarning::new(format!("{at}.{}", field(statement)), finding, meant.as_ref()))
}

/// Resources of an unknown service.
fn of_resources(at: &str, statement: &Statement<String>) -> Vec<LintWarning> {
    let all = statement.resource.as_slice();
    let warnings = |resource: &String| {
        let service = resource.strip_prefix("acs:")?.split(':').next()?;
        // The letter case of a resource counts, unlike that of an action.
        if knows_service(service) && service == service.to_ascii_lowercase() {
            return None;
        }
        let mut known = SERVICES.split_ascii_whitespace();
        let near = known
            .find(|known| known.eq_ignore_ascii_case(service))
            .or_else(|| nearest_service(service));
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

/// The finding about a pattern that matches no action, with the action that was probably meant.
fn matching_nothing(pattern: &str) -> Option<(Finding, Option<String>)> {
    let matches = |name: &&str| one(pattern).covers(&format!("oss:{name}"));
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

/// The statement with the action replaced.
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
    let Some(scope) = KeyScope::of(key) else {
        // For keys of other services, and of RAM's that OSS does not list, only a misspelling is reported.
        let near = catalogue::nearest_key(key);
        let reported = near.is_some() || key.starts_with("oss:");
        return reported.then(|| {
            LintWarning::new(at, Finding::UnknownKey { key: key.to_owned(), near }, None)
        });
    };
    let Actions::Action(actions) = &statement.actions else { return None };
    // Unknown actions are reported on their own.
    let known = |action: &&String| {
        oss_name(action).is_none()
            || catalogue::actions().any(|name| one(action).covers(&format!("oss:{name}")))
    };
    let lacks = |action: &&String| !scope.includes_any(|name| one(action).covers(name));
    let actions: Vec<_> = actions.as_slice().iter().filter(known).filter(lacks).cloned().collect();
    if actions.is_empty() {
        return None;
    }
    let finding = Finding::KeyOfOthers {
        key: key.to_owned(),
        actions,
        scope,
        negated: operator.is_negated(),
    };
    Some(LintWarning::new(at, finding, None))
}

/// The notes about a request: policies evaluate it, but OSS would never receive it.
pub(crate) fn of_request<'a>(action: &str, keys: impl Iterator<Item = &'a str>) -> Vec<String> {
    let Some(name) = oss_name(action) else {
        let (service, _) = action.split_once(':').unwrap_or_default();
        return vec![format!(
            "the actions of `{service}` are not known here: `{action}` is taken literally"
        )];
    };
    let known = catalogue::knows(name);
    let mut notes = Vec::new();
    if !known {
        let near = catalogue::nearest_action(name);
        notes.push(Finding::UnknownAction { action: action.to_owned(), near }.to_string());
    }
    for key in keys {
        let finding = match KeyScope::of(key) {
            None => Finding::UnknownKey { key: key.to_owned(), near: catalogue::nearest_key(key) },
            Some(scope)
                if known && !scope.includes_any(|name| name.eq_ignore_ascii_case(action)) =>
            {
                Finding::LacksKey { key: key.to_owned(), action: action.to_owned(), scope }
            }
            Some(_) => continue,
        };
        notes.push(finding.to_string());
    }
    notes
}

/// The names of services, OSS first: those that applications use beside OSS. The list is not complete.
const SERVICES: &str = "oss ram sts kms ecs vpc slb alb nlb eci ess rds dds kvstore polardb ots log mns cms arms fc cs cr \
                        sae cdn dcdn vod live mts imm nas hbr actiontrail config resourcemanager ros oos tag quotas \
                        bss dns pvtz cen waf green emr dms dts hbase odps opensearch pai sls eventbridge apigateway";

/// Whether the pattern matches a known service.
fn knows_service(pattern: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    SERVICES.split_ascii_whitespace().any(|known| Pattern(&pattern).matches(known))
}

/// The service most like the name, such as `oss` for `os`: names so short allow one edit.
fn nearest_service(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    SERVICES.split_ascii_whitespace().find(|known| strsim::osa_distance(&name, known) == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::tree::Document;

    fn messages(effect: &str, actions: &str, condition: &str) -> String {
        let json = format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"{effect}",{actions},"Resource":"*"{condition}}}]}}"#
        );
        let document = Document::read(&json, |_, raw| Ok(raw.to_owned())).unwrap();
        let lines = warnings("Statement[0]", &document.statements[0]);
        lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn unknown_actions_are_reported_with_the_nearest_one() {
        let lines = [
            messages(
                "Allow",
                r#""Action":["oss:GetObject","oss:HeadObject","oss:CopyObject"]"#,
                "",
            ),
            messages("Allow", r#""Action":"oss:GetObjct""#, ""),
            messages("Deny", r#""Action":["oss:GetObjects","oss:ListBuckets"]"#, ""),
            messages("Deny", r#""NotAction":"oss:PutObejct""#, ""),
            messages("Allow", r#""Action":"oss:Frobnicate""#, ""),
            messages("Allow", r#""Action":"oss:Head*""#, ""),
            messages("Allow", r#""Action":"OSS:upload*""#, ""),
            messages("Allow", r#""Action":"oss:Copy*""#, ""),
            messages("Allow", r#""Action":"oss:Frob*""#, ""),
            messages("Allow", r#""Action":["os:GetObject","oss:PutObject"]"#, ""),
            messages("Deny", r#""NotAction":"ots:GetObject""#, ""),
            messages("Allow", r#""Action":"frobnicator:Get*""#, ""),
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
            assert_eq!(messages("Allow", fine, ""), "", "{fine}");
        }
    }

    #[test]
    fn a_resource_of_an_unknown_service_is_reported_with_the_nearest_one() {
        let messages = |resource: &str| {
            let json = format!(
                r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject","Resource":"{resource}"}}]}}"#
            );
            let document = Document::read(&json, |_, raw| Ok(raw.to_owned())).unwrap();
            let lines = warnings("Statement[0]", &document.statements[0]);
            lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(messages("acs:os:*:*:sample-bucket/a"), @r#"Statement[0].Resource: `os` is no service of RAM that is known here, or none with such an action, so this probably matches nothing: `oss` is one; perhaps {"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/a"}"#);
        // The letter case of a resource counts.
        insta::assert_snapshot!(messages("acs:OSS:*:*:sample-bucket/a"), @r#"Statement[0].Resource: `OSS` is no service of RAM that is known here, or none with such an action, so this probably matches nothing: `oss` is one; perhaps {"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/a"}"#);
        assert!(messages("acs:OTS:*:*:x").contains(": `ots` is one"));
        assert!(
            messages("acs:oxx*:*:*:x").contains("`oxx*` is no service"),
            "{}",
            messages("acs:oxx*:*:*:x")
        );
        for fine in ["*", "acs:*", "acs:oss:*", "acs:o?s:*:*:x", "acs:ram::1:role/x"] {
            assert_eq!(messages(fine), "", "{fine}");
        }
    }

    #[test]
    fn a_condition_key_that_requests_for_the_actions_lack_is_reported() {
        let when = |effect: &str, actions: &str, condition: &str| {
            messages(
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
