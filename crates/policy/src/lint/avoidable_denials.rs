//! Warnings about denials that depend on a parameter: the caller chooses its value, so another value may leave open
//! what the operator meant to deny.
//!
//! A denial is reliable if what it denies can be reached with the same value only: both texts are equal up to the end
//! of the parameter's segment, so that an object's key implies the value.

use std::borrow::Cow;

use crate::document::tree::{Actions, Document, Effect, Statement, Strings};
use crate::lint::finding::Finding;
use crate::lint::warning::LintWarning;
use crate::matching::pattern::Pattern;
use crate::matching::resource::{ResourcePattern, fields};
use crate::oss::catalogue;
use crate::template::placeholder::ValueSource;
use crate::template::text::Text;

/// Every denial that a caller can avoid.
pub(crate) fn warnings(document: &Document<Text>) -> Vec<LintWarning> {
    let statements = || document.statements.iter().enumerate();
    let mut warnings = Vec::new();
    for (i, deny) in statements().filter(|(_, statement)| statement.effect == Effect::Deny) {
        let avoidable = statements()
            .filter(|(_, statement)| statement.effect == Effect::Allow && meet(statement, deny))
            .find_map(|(allow, statement)| Some((allow, avoidable(statement, deny)?)));
        if let Some((allow, parameter)) = avoidable {
            warnings.push(LintWarning::new(
                format!("Statement[{i}]"),
                Finding::AvoidableDenial { parameter, allow },
                None,
            ));
        }
    }
    warnings
}

/// Whether both cover some action on some resource.
fn meet(allow: &Statement<Text>, deny: &Statement<Text>) -> bool {
    let both = |action: &str| allow.actions.covers(action) && deny.actions.covers(action);
    let named = [&allow.actions, &deny.actions].into_iter().flat_map(Actions::patterns);
    let actions = named.into_iter().any(|action| both(action))
        || catalogue::actions().any(|name| both(&format!("oss:{name}")));
    actions
        && pairs(&allow.resource, &deny.resource).any(|(wide, narrow)| resources_meet(wide, narrow))
}

fn pairs<'a>(
    one: &'a Strings<Text>,
    other: &'a Strings<Text>,
) -> impl Iterator<Item = (&'a Text, &'a Text)> {
    one.as_slice().iter().flat_map(|one| other.as_slice().iter().map(move |other| (one, other)))
}

/// The parameter by whose value a caller can avoid the denial.
fn avoidable(allow: &Statement<Text>, deny: &Statement<Text>) -> Option<String> {
    let resource = pairs(&allow.resource, &deny.resource)
        .filter(|(allowed, denied)| resources_meet(allowed, denied))
        .find_map(|(allowed, denied)| {
            let holds = ResourcePattern::contains(&written(denied), &written(allowed));
            if holds { None } else { free(allowed, denied) }
        });
    resource.or_else(|| {
        // A negated condition denies all values but the one that the caller chose, which the Allow would give.
        let conditions = deny.condition.iter().filter(|(operator, _)| !operator.is_negated());
        conditions.flat_map(|(_, keys)| keys).find_map(|(key, denied)| {
            let allowed = allow.condition.iter().filter(|(operator, _)| !operator.is_negated());
            let allowed: Vec<_> = allowed.filter_map(|(_, keys)| keys.get(key)).collect();
            if allowed.is_empty() {
                return denied.as_slice().iter().find_map(parameter);
            }
            let of_key = allowed.into_iter().flat_map(|allowed| pairs(allowed, denied));
            of_key
                .filter(|(allowed, denied)| texts_meet(&written(allowed), &written(denied)))
                .find_map(|(allowed, denied)| {
                    let holds = Pattern(&written(denied)).contains(Pattern(&written(allowed)));
                    if holds { None } else { free(allowed, denied) }
                })
        })
    })
}

/// The last parameter of the denied text, unless the allowed text begins with the same text up to the end of its
/// segment.
fn free(allowed: &Text, denied: &Text) -> Option<String> {
    let parameter = parameter(denied)?;
    let denied_text = written(denied);
    let after = denied_text.rfind(&parameter)? + parameter.len();
    let segment =
        denied_text[after..].find('/').map_or(denied_text.len(), |slash| after + slash + 1);
    let varies = denied.placeholders().any(|one| one.varies_in_depth);
    let alike = !varies && written(allowed).starts_with(&denied_text[..segment]);
    (!alike).then_some(parameter)
}

/// The last parameter in the text, as written.
fn parameter(text: &Text) -> Option<String> {
    let parameters =
        text.placeholders().filter(|one| matches!(one.source, ValueSource::Parameter(_)));
    parameters.last().map(ToString::to_string)
}

fn written(text: &Text) -> String {
    text.fill(|placeholder| Cow::Owned(placeholder.to_string()))
}

/// Whether a name may match both. If only one has a path, it may.
fn resources_meet(one: &Text, other: &Text) -> bool {
    let (one, other) = (written(one), written(other));
    match (fields(&one), fields(&other)) {
        (Some([.., one]), Some([.., other])) => texts_meet(one, other),
        _ => true,
    }
}

/// Whether a text may match both: their fixed beginnings are compatible.
fn texts_meet(one: &str, other: &str) -> bool {
    let [one, other] =
        [one, other].map(|text| &text[..text.find(['*', '?', '$']).unwrap_or(text.len())]);
    one.starts_with(other) || other.starts_with(one)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::template::policy_template::{Breadth, PolicyTemplate};
    use crate::template::value_rule::ValueRules;
    use crate::template::value_rule::{Shape, ValueRule};

    fn messages(statements: &str) -> Vec<String> {
        let text = |shape| ValueRule::text(shape, None, 64).unwrap();
        let rules = ValueRules {
            params: BTreeMap::from([
                ("album".parse().unwrap(), text(Shape::Segment)),
                ("dir".parse().unwrap(), text(Shape::Path)),
            ]),
            claims: BTreeMap::new(),
            subject_max_bytes: 64,
        };
        let json = format!(r#"{{"Version":"1","Statement":[{statements}]}}"#);
        let template = PolicyTemplate::parse(&json, &rules, Breadth::Broad);
        let template = template.unwrap_or_else(|problems| panic!("{problems:?}"));
        warnings(&template.document).iter().map(ToString::to_string).collect()
    }

    fn get(effect: &str, path: &str) -> String {
        format!(
            r#"{{"Effect":"{effect}","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/{path}"}}"#
        )
    }

    fn list(effect: &str, condition: &str) -> String {
        format!(
            r#"{{"Effect":"{effect}","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket",
                "Condition":{{{condition}}}}}"#
        )
    }

    #[test]
    fn a_denial_that_another_value_avoids_is_reported() {
        let avoidable = |parameter: &str| {
            vec![format!(
                "Statement[1]: `{parameter}` is the caller's to choose, and with another value this denies less of \
                 what Statement[0] allows: deny it without the parameter, or begin both alike, up to a parameter that is \
                 one segment"
            )]
        };
        for (allow, deny) in [
            ("albums/*", "albums/${params.album}/originals/*"),
            ("*", "albums/${params.album}/*"),
            ("albums/${subject}/*", "albums/${params.album}/*"),
            ("albums/${subject}/${params.album}/*", "albums/${params.album}/originals/*"),
        ] {
            let messages = messages(&format!("{},{}", get("Allow", allow), get("Deny", deny)));
            assert_eq!(messages, avoidable("${params.album}"), "{allow} {deny}");
        }
        // The album `a` may be read by who names it, and by who names `a.d` its denial.
        let suffixed = [get("Allow", "${params.album}/*"), get("Deny", "${params.album}.d/*")];
        assert_eq!(messages(&suffixed.join(",")), avoidable("${params.album}"));
        // An action of a service that is not known here.
        let decrypt = |effect: &str, key: &str| {
            format!(
                r#"{{"Effect":"{effect}","Action":"kms:Decrypt","Resource":"acs:kms:*:*:key/{key}"}}"#
            )
        };
        let keys = [decrypt("Allow", "*"), decrypt("Deny", "${params.album}")];
        assert_eq!(messages(&keys.join(",")), avoidable("${params.album}"));
        // `a/originals` is a directory as well.
        let nested = [get("Allow", "${params.dir}/*"), get("Deny", "${params.dir}/originals/*")];
        assert_eq!(messages(&nested.join(",")), avoidable("${params.dir}"));
        for (allow, deny) in [
            (
                r#""StringLike":{"oss:Prefix":"albums/*"}"#,
                r#""StringLike":{"oss:Prefix":"albums/${params.album}/*"}"#,
            ),
            (
                r#""Bool":{"acs:SecureTransport":"true"}"#,
                r#""StringEquals":{"oss:Prefix":"albums/${params.album}/"}"#,
            ),
        ] {
            let messages = messages(&format!("{},{}", list("Allow", allow), list("Deny", deny)));
            assert_eq!(messages, avoidable("${params.album}"), "{allow} {deny}");
        }
    }

    #[test]
    fn a_denial_that_holds_for_every_value_is_not_reported() {
        for (allow, deny) in [
            ("albums/${params.album}/*", "albums/${params.album}/originals/*"),
            ("albums/${params.album}/*", "albums/${params.album}/*"),
            ("${params.dir}/*", "${params.dir}/*"),
            ("albums/*", "albums/secret/*"),
            ("users/${subject}/*", "users/${subject}/keys/*"),
            ("users/*", "albums/${params.album}/*"),
        ] {
            let messages = messages(&format!("{},{}", get("Allow", allow), get("Deny", deny)));
            assert_eq!(messages, Vec::<String>::new(), "{allow} {deny}");
        }
        let apart = format!(
            "{},{}",
            get("Allow", "albums/*"),
            get("Deny", "albums/${params.album}/*").replace("GetObject", "PutObject")
        );
        assert_eq!(messages(&apart), Vec::<String>::new());
        let prefix = |text: &str| format!(r#""StringLike":{{"oss:Prefix":"albums/{text}"}}"#);
        let within = format!(
            "{},{}",
            list("Allow", &prefix("${params.album}/*")),
            list("Deny", &prefix("${params.album}/originals/*"))
        );
        assert_eq!(messages(&within), Vec::<String>::new());
        // It leaves what the caller chose, as an Allow of it would.
        let all_but = format!(
            "{},{}",
            list("Allow", &prefix("*")),
            list("Deny", &prefix("${params.album}/*").replace("Like", "NotLike"))
        );
        assert_eq!(messages(&all_but), Vec::<String>::new());
    }
}
