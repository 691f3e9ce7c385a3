//! Parses JSON text into a document, or reports every problem in it.

use crate::document::grammar;
use crate::document::json::Json;
use crate::document::member::Member;
use crate::document::operator::ConditionOperator;
use crate::document::problem::{PolicyFlaw, PolicyProblem};
use crate::document::tree::{Actions, Condition, Document, Effect, Statement, Strings, Version};
use crate::document::value::ValueFlaw;
use crate::document::value::ValuePlace;
use crate::oss::catalogue;

impl<T> Document<T> {
    /// Parses a document strictly: what RAM would refuse or silently skip is a problem, and all problems are reported
    /// at once, as far as the tree can be read. `read_value` parses the values of `Resource` and `Condition`. A
    /// byte-order mark, as some editors write it, is skipped.
    pub(crate) fn read(
        json: &str,
        read_value: impl Fn(ValuePlace<'_>, &str) -> Result<T, Vec<ValueFlaw>>,
    ) -> Result<Self, Vec<PolicyProblem>> {
        let (document, problems) = parts(json, read_value);
        match document {
            Some(parts) if problems.is_empty() => {
                let statements = parts.into_iter().flatten().collect();
                Ok(Self { version: Version::One, statements })
            }
            Some(_) | None => Err(problems),
        }
    }
}

impl Document<String> {
    /// The valid statements at their places, with their values as they are written; a statement that covers nothing
    /// replaces each invalid one. It serves warnings about a document that is refused.
    pub(crate) fn sound_parts(json: &str) -> Self {
        let (parts, _) = parts(json, |_, raw| Ok(raw.to_owned()));
        let nothing = || Statement {
            effect: Effect::Deny,
            actions: Actions::Action(Strings::Many(Vec::new())),
            resource: Strings::Many(Vec::new()),
            condition: Condition::new(),
        };
        let parts = parts.unwrap_or_default().into_iter();
        let statements = parts.map(|part| part.unwrap_or_else(nothing)).collect();
        Self { version: Version::One, statements }
    }
}

/// The statements of a document, with `None` for an invalid one, and all problems.
type Parts<T> = (Option<Vec<Option<Statement<T>>>>, Vec<PolicyProblem>);

fn parts<T>(
    json: &str,
    read_value: impl Fn(ValuePlace<'_>, &str) -> Result<T, Vec<ValueFlaw>>,
) -> Parts<T> {
    let mut reader = Reader { read_value, problems: Vec::new() };
    let parts = match serde_json::from_str(json.strip_prefix('\u{feff}').unwrap_or(json)) {
        Ok(tree) => reader.document(tree),
        Err(error) => reader.refuse("the policy", PolicyFlaw::NotJson(error)),
    };
    (parts, reader.problems)
}

/// Every method that returns `None` has recorded a problem.
struct Reader<F> {
    read_value: F,
    problems: Vec<PolicyProblem>,
}

impl<T, F: Fn(ValuePlace<'_>, &str) -> Result<T, Vec<ValueFlaw>>> Reader<F> {
    fn document(&mut self, tree: Json) -> Option<Vec<Option<Statement<T>>>> {
        let at = "the policy";
        let wrong = |found| PolicyFlaw::NotAPolicy { found };
        let entries = self.object(at, tree, wrong)?;
        let [version, statements] = self.fields(at, entries, [Member::Version, Member::Statement]);
        if let Some(version) = self.required(at, Member::Version, version) {
            self.version(version);
        }
        let statements = self.required(at, Member::Statement, statements);
        statements.and_then(|list| self.statements(list))
    }

    fn version(&mut self, json: Json) {
        if self.text("Version", Member::Version, json).is_some_and(|version| version != "1") {
            self.note("Version", PolicyFlaw::Version);
        }
    }

    fn statements(&mut self, json: Json) -> Option<Vec<Option<Statement<T>>>> {
        let (at, member) = ("Statement", Member::Statement);
        let items = match json {
            Json::List(items) if items.is_empty() => {
                return self.refuse(at, PolicyFlaw::EmptyMember(member));
            }
            Json::List(items) => items,
            json => return self.refuse(at, wrong_kind(member, &json)),
        };
        let items = items.into_iter().enumerate();
        Some(items.map(|(i, item)| self.statement(&format!("{at}[{i}]"), item)).collect())
    }

    fn statement(&mut self, at: &str, json: Json) -> Option<Statement<T>> {
        let entries = self.object(at, json, |found| PolicyFlaw::NotAStatement { found })?;
        let known = [
            Member::Effect,
            Member::Action,
            Member::NotAction,
            Member::Resource,
            Member::Condition,
        ];
        let [effect, action, not_action, resource, condition] = self.fields(at, entries, known);

        let effect = self.required(at, Member::Effect, effect);
        let effect = effect.and_then(|json| self.effect(&format!("{at}.Effect"), json));
        let actions = match (action, not_action) {
            (Some(json), None) => self.actions(at, Member::Action, json).map(Actions::Action),
            (None, Some(json)) => self.actions(at, Member::NotAction, json).map(Actions::NotAction),
            (None, None) => self.refuse(at, PolicyFlaw::Missing(Member::Action)),
            (Some(_), Some(_)) => self.refuse(at, PolicyFlaw::ActionAndNotAction),
        };
        let resource = self.required(at, Member::Resource, resource).and_then(|json| {
            self.covered(at, Member::Resource, json, |reader, at, raw| {
                reader.value(at, ValuePlace::Resource, raw)
            })
        });
        let condition = match condition {
            Some(json) => self.condition(&format!("{at}.Condition"), json),
            None => Some(Condition::new()),
        };
        Some(Statement {
            effect: effect?,
            actions: actions?,
            resource: resource?,
            condition: condition?,
        })
    }

    fn effect(&mut self, at: &str, json: Json) -> Option<Effect> {
        match self.text(at, Member::Effect, json)?.as_str() {
            "Allow" => Some(Effect::Allow),
            "Deny" => Some(Effect::Deny),
            _ => self.refuse(at, PolicyFlaw::Effect),
        }
    }

    fn actions(&mut self, at: &str, member: Member, json: Json) -> Option<Strings<String>> {
        self.covered(at, member, json, |reader, at, raw| match raw {
            raw if raw.contains(['$', '{', '}']) => {
                reader.refuse(at, PolicyFlaw::PlaceholderElsewhere)
            }
            raw if grammar::is_action(raw) => Some(raw.to_owned()),
            raw if !raw.contains(':') => {
                let meant = catalogue::actions().find(|name| name.eq_ignore_ascii_case(raw));
                reader.refuse(at, PolicyFlaw::ActionWithoutService { meant })
            }
            _ => reader.refuse(at, PolicyFlaw::Action),
        })
    }

    /// An empty object is no condition, as consoles and tools write it.
    fn condition(&mut self, at: &str, json: Json) -> Option<Condition<T>> {
        let wrong = |found| PolicyFlaw::WrongKind { member: Member::Condition, found };
        let operators = self.object(at, json, wrong)?;
        let operators: Vec<_> = operators
            .into_iter()
            .map(|(name, keys)| {
                let operator = match ConditionOperator::named(&name) {
                    Some(operator) => Some(operator),
                    None => self.refuse(at, PolicyFlaw::Operator { name: name.clone() }),
                };
                let keys = self.condition_keys(&format!("{at}.{name}"), operator, keys);
                Some((operator?, keys?))
            })
            .collect();
        operators.into_iter().collect()
    }

    fn condition_keys<C>(
        &mut self,
        at: &str,
        operator: Option<ConditionOperator>,
        json: Json,
    ) -> Option<C>
    where
        C: FromIterator<(String, Strings<T>)>,
    {
        let keys = self.entries(at, json)?;
        let keys: Vec<_> = keys
            .into_iter()
            .map(|(key, values)| {
                let at = format!("{at}.{key}");
                if key.contains(['$', '{', '}']) {
                    return self.refuse(&at, PolicyFlaw::PlaceholderElsewhere);
                }
                if !grammar::is_condition_key(&key) {
                    return self.refuse(&at, PolicyFlaw::ConditionKey);
                }
                let values = self.strings(&at, values, |reader, at, raw| {
                    reader.value(at, ValuePlace::Condition { operator, key: &key }, raw)
                })?;
                Some((key, values))
            })
            .collect();
        keys.into_iter().collect()
    }

    fn value(&mut self, at: &str, place: ValuePlace<'_>, raw: &str) -> Option<T> {
        match (self.read_value)(place, raw) {
            Ok(value) => Some(value),
            Err(flaws) => {
                let problem =
                    |flaw| PolicyProblem { at: at.to_owned(), flaw: PolicyFlaw::Text(flaw) };
                self.problems.extend(flaws.into_iter().map(problem));
                None
            }
        }
    }

    /// The strings of a member that defines what its statement covers: at least one, and none of them empty.
    fn covered<U>(
        &mut self,
        at: &str,
        member: Member,
        json: Json,
        read: impl Fn(&mut Self, &str, &str) -> Option<U>,
    ) -> Option<Strings<U>> {
        let at = format!("{at}.{}", member.name());
        match json {
            Json::String(raw) if raw.is_empty() => {
                self.refuse(&at, PolicyFlaw::EmptyMember(member))
            }
            Json::List(items) if items.is_empty() => {
                self.refuse(&at, PolicyFlaw::EmptyMember(member))
            }
            Json::String(_) | Json::List(_) => {
                self.strings(&at, json, |reader, at, raw| match raw {
                    "" => reader.refuse(at, PolicyFlaw::Empty),
                    raw => read(reader, at, raw),
                })
            }
            json => self.refuse(&at, wrong_kind(member, &json)),
        }
    }

    fn strings<U>(
        &mut self,
        at: &str,
        json: Json,
        read: impl Fn(&mut Self, &str, &str) -> Option<U>,
    ) -> Option<Strings<U>> {
        match json {
            Json::String(raw) => read(self, at, &raw).map(Strings::One),
            Json::List(items) if items.is_empty() => self.refuse(at, PolicyFlaw::Empty),
            Json::List(items) => {
                let items: Vec<_> = items
                    .into_iter()
                    .enumerate()
                    .map(|(i, item)| {
                        let at = format!("{at}[{i}]");
                        match item {
                            Json::String(raw) => read(self, &at, &raw),
                            other => {
                                self.refuse(&at, PolicyFlaw::NotAString { found: other.kind() })
                            }
                        }
                    })
                    .collect();
                items.into_iter().collect::<Option<_>>().map(Strings::Many)
            }
            other => self.refuse(at, PolicyFlaw::NotStrings { found: other.kind() }),
        }
    }

    fn text(&mut self, at: &str, member: Member, json: Json) -> Option<String> {
        match json {
            Json::String(raw) => Some(raw),
            other => self.refuse(at, wrong_kind(member, &other)),
        }
    }

    /// The entries of an operator's object; an operator without keys is a problem.
    fn entries(&mut self, at: &str, json: Json) -> Option<Vec<(String, Json)>> {
        match self.object(at, json, |found| PolicyFlaw::NotAnObject { found })? {
            entries if entries.is_empty() => self.refuse(at, PolicyFlaw::Empty),
            entries => Some(entries),
        }
    }

    /// The values of the known members, in the order of `known`.
    fn fields<const N: usize>(
        &mut self,
        at: &str,
        entries: Vec<(String, Json)>,
        known: [Member; N],
    ) -> [Option<Json>; N] {
        let mut fields = [const { None }; N];
        for (key, value) in entries {
            match known.iter().position(|known| known.name() == key) {
                Some(i) => fields[i] = Some(value),
                None => self.note(at, unknown_key(key, &known)),
            }
        }
        fields
    }

    fn object(
        &mut self,
        at: &str,
        json: Json,
        wrong: impl Fn(&'static str) -> PolicyFlaw,
    ) -> Option<Vec<(String, Json)>> {
        let entries = match json {
            Json::Object(entries) => entries,
            other => return self.refuse(at, wrong(other.kind())),
        };
        for (i, (key, _)) in entries.iter().enumerate() {
            if entries[..i].iter().any(|(earlier, _)| earlier == key) {
                self.note(at, PolicyFlaw::DuplicateKey { key: key.clone() });
            }
        }
        Some(entries)
    }

    fn required(&mut self, at: &str, member: Member, json: Option<Json>) -> Option<Json> {
        match json {
            Some(json) => Some(json),
            None => self.refuse(at, PolicyFlaw::Missing(member)),
        }
    }

    fn refuse<U>(&mut self, at: &str, flaw: PolicyFlaw) -> Option<U> {
        self.note(at, flaw);
        None
    }

    fn note(&mut self, at: &str, flaw: PolicyFlaw) {
        self.problems.push(PolicyProblem { at: at.to_owned(), flaw });
    }
}

fn wrong_kind(member: Member, json: &Json) -> PolicyFlaw {
    PolicyFlaw::WrongKind { member, found: json.kind() }
}

fn unknown_key(key: String, known: &[Member]) -> PolicyFlaw {
    let known = || known.iter().map(|member| member.name()).collect::<Vec<_>>().join(", ");
    match key.as_str() {
        "Principal" | "NotPrincipal" => PolicyFlaw::Principal { key },
        "NotResource" => PolicyFlaw::NotResource,
        _ => PolicyFlaw::UnknownKey { key, known: known() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Document<String>, String> {
        Document::read(json, |_, raw| Ok(raw.to_owned())).map_err(|problems| {
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        })
    }

    #[test]
    fn what_is_no_policy_at_all_is_refused() {
        let documents = [
            "{",
            "[]",
            r#"{"Version":"2","Statement":[]}"#,
            r#"{"Version":1,"Statement":{}}"#,
            r#"{"Version":["1"],"Statement":["x"],"Id":"x"}"#,
            r#"{"Version":"1","Version":"1"}"#,
            r"{}",
            r#"{"Version":"\ud800"}"#,
            r#"{"Version":"\ud83dx"}"#,
            &"[".repeat(200),
        ];
        let problems: Vec<_> = documents.iter().map(|json| read(json).unwrap_err()).collect();
        insta::assert_snapshot!(problems.join("\n\n"), @r#"
        the policy: this is not JSON (line 1, column 1)

        the policy: a policy is an object with `Version` and `Statement`, not a list

        Version: the version of RAM's policy language must be "1"
        Statement: `Statement` is empty, and covers nothing: write a list of statements, each an object with `Effect`, `Action` and `Resource`

        Version: `Version` must be a string, not a number: write `"Version": "1"`
        Statement: `Statement` must be a list of objects, not an object: write a list of statements, each an object with `Effect`, `Action` and `Resource`

        the policy: `Id` is unknown here: known are Version, Statement
        Version: `Version` must be a string, not a list: write `"Version": "1"`
        Statement[0]: a statement is an object with `Effect`, `Action` and `Resource`, not a string

        the policy: `Version` is written twice: readers of JSON disagree on which one counts
        the policy: `Statement` is missing, and every policy has it: write a list of statements, each an object with `Effect`, `Action` and `Resource`

        the policy: `Version` is missing, and every policy has it: write `"Version": "1"`
        the policy: `Statement` is missing, and every policy has it: write a list of statements, each an object with `Effect`, `Action` and `Resource`

        the policy: this is not JSON: the `\u` escape is half of a surrogate pair: write both halves, or the character itself (line 1, column 19)

        the policy: this is not JSON: the `\u` escape is half of a surrogate pair: write both halves, or the character itself (line 1, column 19)

        the policy: this is nested more than 127 levels deep, and no policy is (line 1, column 128)
        "#);
    }

    #[test]
    fn every_break_of_rams_grammar_is_refused_with_its_place_and_the_way_out() {
        let broken = r#"{"Version": "1", "Statement": [
            {"Effect": "Allow", "Action": "oss:GetObject"},
            {"Action": "oss:GetObject", "Resource": "*"},
            {"effect": "Allow", "Action": "oss:GetObject", "Resource": "*"},
            {"Effect": "allow", "Action": "oss:GetObject", "Resource": "*"},
            {"Effect": "Allow", "Resource": "*"},
            {"Effect": "Allow", "Action": "oss:GetObject", "NotAction": "oss:PutObject", "Resource": "*"},
            {"Effect": "Allow", "Action": "oss:GetObject", "Resource": "*", "Principal": "*"},
            {"Effect": "Allow", "Action": "oss:GetObject", "NotResource": "*"},
            {"Effect": "Allow", "Effect": "Deny", "Action": "oss:GetObject", "Resource": "*"},
            {"Effect": "Allow", "Action": [], "Resource": ""},
            {"Effect": "Allow", "Action": ["oss:GetObject", 7, ""], "Resource": null},
            {"Effect": "Allow", "Action": ["GetObject", "oss:", "oss:Get Object", "oss:${client}"], "Resource": ["*"]},
            {"Effect": "Allow", "Action": ["oss*", "?*", "**"], "Resource": "*"},
            {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {}}},
            {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringIs": {"a:b": 1}}},
            {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {"a:b": "x", "a:b": "y"}}},
            {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {"Prefix": "x", "a:${client}": "x", "a:b": []}}}
        ]}"#;
        insta::assert_snapshot!(read(broken).unwrap_err(), @r#"
        Statement[0]: `Resource` is missing, and every statement has it: write a resource such as "acs:oss:*:*:bucket/key", or a list of resources
        Statement[1]: `Effect` is missing, and every statement has it: write "Allow" or "Deny"
        Statement[2]: `effect` is unknown here: known are Effect, Action, NotAction, Resource, Condition
        Statement[2]: `Effect` is missing, and every statement has it: write "Allow" or "Deny"
        Statement[3].Effect: an effect is "Allow" or "Deny"
        Statement[4]: `Action` is missing, and every statement has it: write an action such as "oss:GetObject", or a list of actions
        Statement[5]: a statement has one of `Action` and `NotAction`, not both: leave one of them out
        Statement[6]: `Principal` belongs to a role's trust policy: a session policy applies to its own session
        Statement[7]: `NotResource` is no longer in RAM's documentation, and whether STS takes it is not said: name what is meant in `Resource`
        Statement[7]: `Resource` is missing, and every statement has it: write a resource such as "acs:oss:*:*:bucket/key", or a list of resources
        Statement[8]: `Effect` is written twice: readers of JSON disagree on which one counts
        Statement[9].Action: `Action` is empty, and covers nothing: write an action such as "oss:GetObject", or a list of actions
        Statement[9].Resource: `Resource` is empty, and covers nothing: write a resource such as "acs:oss:*:*:bucket/key", or a list of resources
        Statement[10].Action[1]: this must be a string, not a number (RAM writes numbers and booleans in quotes, too)
        Statement[10].Action[2]: this is empty: leave it out, or say what it covers
        Statement[10].Resource: `Resource` must be a string or a list of strings, not null: write a resource such as "acs:oss:*:*:bucket/key", or a list of resources
        Statement[11].Action[0]: an action begins with its service and a colon: write `oss:GetObject`, or `*` alone for every action
        Statement[11].Action[1]: an action reads `oss:GetObject`, with `*` and `?` as wildcards, or `*`
        Statement[11].Action[2]: an action reads `oss:GetObject`, with `*` and `?` as wildcards, or `*`
        Statement[11].Action[3]: placeholders, `$`, `{` and `}` may stand in values of `Resource` and `Condition` only
        Statement[12].Action[0]: an action begins with its service and a colon: write `oss:GetObject`, or `*` alone for every action
        Statement[12].Action[1]: an action begins with its service and a colon: write `oss:GetObject`, or `*` alone for every action
        Statement[12].Action[2]: an action begins with its service and a colon: write `oss:GetObject`, or `*` alone for every action
        Statement[13].Condition.Bool: this is empty: leave it out, or say what it covers
        Statement[14].Condition: `StringIs` is not among the condition operators that RAM and OSS document: StringEquals, StringLike and their like, Numeric…, Date…, Bool, IpAddress, NotIpAddress and IpAddressIncludeBorder
        Statement[14].Condition.StringIs.a:b: this must be a string or a list of strings, not a number (RAM writes numbers and booleans in quotes, too)
        Statement[15].Condition.Bool: `a:b` is written twice: readers of JSON disagree on which one counts
        Statement[16].Condition.Bool.Prefix: a condition key reads `oss:Prefix` or `acs:SourceIp`
        Statement[16].Condition.Bool.a:${client}: placeholders, `$`, `{` and `}` may stand in values of `Resource` and `Condition` only
        Statement[16].Condition.Bool.a:b: this is empty: leave it out, or say what it covers
        "#);
    }

    /// Every member, missing and as every kind of JSON: each message names the member, its rule and the way out, and
    /// nothing that a policy must have is to be left out.
    #[test]
    fn each_missing_or_wrong_member_is_reported_with_its_rule_and_a_fix() {
        let kinds = [
            ("null", "null", "null"),
            ("a number", "7", "a number"),
            ("a boolean", "true", "a boolean"),
            ("a string", r#""""#, "empty"),
            ("a list", "[]", "empty"),
            ("an object", "{}", "an object"),
        ];
        let with = |member: &str, value: Option<&str>| {
            let mut members = [
                ("Effect", r#""Allow""#),
                ("Action", r#""oss:GetObject""#),
                ("Resource", r#""*""#),
                ("Condition", r#"{"Bool":{"a:b":"true"}}"#),
            ]
            .to_vec();
            if member == "NotAction" {
                members[1].0 = member;
            }
            let object = |members: &[(&str, &str)]| {
                let members = members.iter().filter_map(|&(name, sound)| {
                    let value = if name == member { value? } else { sound };
                    Some(format!("\"{name}\":{value}"))
                });
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            };
            let statements = format!("[{}]", object(&members));
            read(&object(&[("Version", r#""1""#), ("Statement", &statements)]))
        };
        for (member, required, accepted, way_out) in [
            ("Version", true, "a string", "write `\"Version\": \"1\"`"),
            ("Statement", true, "a list of objects", "write a list of statements"),
            ("Effect", true, "a string", "write \"Allow\" or \"Deny\""),
            ("Action", true, "a string or a list of strings", "write an action such as"),
            ("NotAction", false, "a string or a list of strings", "write the excepted action"),
            ("Resource", true, "a string or a list of strings", "write a resource such as"),
            ("Condition", false, "an object", "leave it out, or write conditions"),
        ] {
            match with(member, None) {
                Err(messages) => {
                    assert!(required || member == "NotAction", "{messages}");
                    let named = if required { member } else { "Action" };
                    assert!(
                        messages.contains(&format!("`{named}` is missing, and every ")),
                        "{messages}"
                    );
                    assert!(!required || messages.contains(way_out), "{messages}");
                }
                Ok(_) => assert!(!required, "{member}"),
            }
            for (kind, json, found) in kinds {
                let refused = with(member, Some(json));
                if member == "Condition" && json == "{}" {
                    assert!(refused.is_ok());
                    continue;
                }
                let messages = refused.unwrap_err();
                assert_eq!(messages.lines().count(), 1, "{messages}");
                if ["Version", "Effect"].contains(&member) && kind == "a string" {
                    assert!(
                        messages.contains("\"1\"") || messages.contains("\"Allow\""),
                        "{messages}"
                    );
                    continue;
                }
                assert!(messages.contains(&format!("`{member}` ")), "{messages}");
                assert!(messages.contains(way_out), "{messages}");
                let takes = accepted.split(" or ").any(|one| one.starts_with(kind));
                let rule = if takes {
                    "is empty, and covers nothing".to_owned()
                } else {
                    let found = if found == "empty" { kind } else { found };
                    format!("must be {accepted}, not {found}")
                };
                assert!(messages.contains(&rule), "{messages}");
                assert_eq!(messages.contains("leave it out"), member == "Condition", "{messages}");
            }
        }
    }

    #[test]
    fn a_byte_order_mark_an_empty_condition_and_empty_values_of_one_are_taken() {
        let json = "\u{feff}{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{}},
            {\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"StringLike\":{\"oss:Prefix\":[\"\",\"a/\"],\"oss:Delimiter\":\"\"}}}]}";
        assert_eq!(
            read(json).unwrap().minified(),
            concat!(
                r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},"#,
                r#"{"Effect":"Allow","Action":"*","Resource":"*","#,
                r#""Condition":{"StringLike":{"oss:Delimiter":"","oss:Prefix":["","a/"]}}}]}"#,
            )
        );
        let twice = read("\u{feff}\u{feff}{}").unwrap_err();
        assert!(twice.contains("not JSON"), "{twice}");
    }

    #[test]
    fn the_canonical_form_keeps_the_shape_and_orders_the_fields() {
        let json = r#"{"Statement": [{
            "Condition": {"StringLike": {"oss:Prefix": ["b/", "a/"], "oss:Delimiter": "/"}, "Bool": {"acs:MFAPresent": "true"}},
            "Resource": ["acs:oss:*:*:sample-bucket"], "NotAction": ["oss:PutObject"], "Effect": "Deny"},
            {"Resource": "é\"\\", "Action": "*", "Effect": "Allow"}], "Version": "1"}"#;
        assert_eq!(
            read(json).unwrap().minified(),
            concat!(
                r#"{"Version":"1","Statement":[{"Effect":"Deny","NotAction":["oss:PutObject"],"#,
                r#""Resource":["acs:oss:*:*:sample-bucket"],"Condition":{"Bool":{"acs:MFAPresent":"true"},"#,
                r#""StringLike":{"oss:Delimiter":"/","oss:Prefix":["b/","a/"]}}},"#,
                r#"{"Effect":"Allow","Action":"*","Resource":"é\"\\"}]}"#,
            )
        );
    }
}
