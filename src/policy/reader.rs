//! From JSON text to a document, with everything that is wrong with it.

use super::document::{Actions, Condition, Document, Effect, Statement, Strings, Version};
use super::grammar;
use super::json::Json;
use super::operator::ConditionOperator;
use super::problem::{PolicyFlaw, PolicyProblem};
use super::text::TextFlaw;

/// Where a value stands, for those who read it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    Resource,
    Condition {
        /// None where it is not among those that RAM documents, which is a problem of its own.
        operator: Option<ConditionOperator>,
        key: &'a str,
    },
}

impl<T> Document<T> {
    /// Reads a document strictly: what RAM would refuse or silently skip is a problem, and all problems are
    /// reported at once, as far as the tree can be read. `read_value` decides on the values of `Resource`
    /// and `Condition`. A byte-order mark, as some editors write it, is left out.
    pub(super) fn read(
        json: &str,
        read_value: impl Fn(Place<'_>, &str) -> Result<T, Vec<TextFlaw>>,
    ) -> Result<Self, Vec<PolicyProblem>> {
        let mut reader = Reader { read_value, problems: Vec::new() };
        let document = match serde_json::from_str(json.strip_prefix('\u{feff}').unwrap_or(json)) {
            Ok(tree) => reader.document(tree),
            Err(error) => reader.refuse("the policy", PolicyFlaw::NotJson(error)),
        };
        match document {
            Some(document) if reader.problems.is_empty() => Ok(document),
            Some(_) | None => Err(reader.problems),
        }
    }
}

/// Every method answers `None` only after it has noted why.
struct Reader<F> {
    read_value: F,
    problems: Vec<PolicyProblem>,
}

impl<T, F: Fn(Place<'_>, &str) -> Result<T, Vec<TextFlaw>>> Reader<F> {
    fn document(&mut self, tree: Json) -> Option<Document<T>> {
        let [version, statements] = self.fields("the policy", tree, ["Version", "Statement"])?;
        let version = self.required("the policy", "Version", version).and_then(|v| self.version(v));
        let statements = self.required("the policy", "Statement", statements);
        let statements = statements.and_then(|list| self.statements(list));
        Some(Document { version: version?, statements: statements? })
    }

    fn version(&mut self, json: Json) -> Option<Version> {
        match self.string("Version", json)?.as_str() {
            "1" => Some(Version::One),
            _ => self.refuse("Version", PolicyFlaw::Version),
        }
    }

    fn statements(&mut self, json: Json) -> Option<Vec<Statement<T>>> {
        let Json::List(items) = json else {
            return self.refuse("Statement", PolicyFlaw::NotAList);
        };
        if items.is_empty() {
            return self.refuse("Statement", PolicyFlaw::Empty);
        }
        let statements: Vec<_> = items
            .into_iter()
            .enumerate()
            .map(|(i, item)| self.statement(&format!("Statement[{i}]"), item))
            .collect();
        statements.into_iter().collect()
    }

    fn statement(&mut self, at: &str, json: Json) -> Option<Statement<T>> {
        let known = ["Effect", "Action", "NotAction", "Resource", "Condition"];
        let [effect, action, not_action, resource, condition] = self.fields(at, json, known)?;

        let effect = self.required(at, "Effect", effect);
        let effect = effect.and_then(|json| self.effect(&format!("{at}.Effect"), json));
        let actions = match (action, not_action) {
            (Some(json), None) => self.actions(&format!("{at}.Action"), json).map(Actions::Action),
            (None, Some(json)) => {
                self.actions(&format!("{at}.NotAction"), json).map(Actions::NotAction)
            }
            (None, None) | (Some(_), Some(_)) => {
                self.refuse(at, PolicyFlaw::OneOfActionAndNotAction)
            }
        };
        let resource = self.required(at, "Resource", resource).and_then(|json| {
            self.strings(&format!("{at}.Resource"), json, |reader, at, raw| match raw {
                "" => reader.refuse(at, PolicyFlaw::Empty),
                raw => reader.value(at, Place::Resource, raw),
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
        match self.string(at, json)?.as_str() {
            "Allow" => Some(Effect::Allow),
            "Deny" => Some(Effect::Deny),
            _ => self.refuse(at, PolicyFlaw::Effect),
        }
    }

    fn actions(&mut self, at: &str, json: Json) -> Option<Strings<String>> {
        self.strings(at, json, |reader, at, raw| match raw {
            "" => reader.refuse(at, PolicyFlaw::Empty),
            raw if raw.contains(['$', '{', '}']) => {
                reader.refuse(at, PolicyFlaw::PlaceholderElsewhere)
            }
            raw if grammar::is_action(raw) => Some(raw.to_owned()),
            _ => reader.refuse(at, PolicyFlaw::Action),
        })
    }

    /// An empty one is none, as consoles and tools write it.
    fn condition(&mut self, at: &str, json: Json) -> Option<Condition<T>> {
        let operators = self.object(at, json)?;
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
                    reader.value(at, Place::Condition { operator, key: &key }, raw)
                })?;
                Some((key, values))
            })
            .collect();
        keys.into_iter().collect()
    }

    fn value(&mut self, at: &str, place: Place<'_>, raw: &str) -> Option<T> {
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
                        let raw = self.string(&at, item)?;
                        read(self, &at, &raw)
                    })
                    .collect();
                items.into_iter().collect::<Option<_>>().map(Strings::Many)
            }
            Json::Object(_) | Json::Other => self.refuse(at, PolicyFlaw::NotStrings),
        }
    }

    fn string(&mut self, at: &str, json: Json) -> Option<String> {
        match json {
            Json::String(raw) => Some(raw),
            Json::List(_) | Json::Object(_) | Json::Other => {
                self.refuse(at, PolicyFlaw::NotAString)
            }
        }
    }

    /// The entries of an operator's map: an operator that compares nothing says nothing.
    fn entries(&mut self, at: &str, json: Json) -> Option<Vec<(String, Json)>> {
        match self.object(at, json)? {
            entries if entries.is_empty() => self.refuse(at, PolicyFlaw::Empty),
            entries => Some(entries),
        }
    }

    /// The values of the known keys, in their order.
    fn fields<const N: usize>(
        &mut self,
        at: &str,
        json: Json,
        known: [&'static str; N],
    ) -> Option<[Option<Json>; N]> {
        let mut fields = [const { None }; N];
        for (key, value) in self.object(at, json)? {
            match known.iter().position(|known| *known == key) {
                Some(i) => fields[i] = Some(value),
                None => self.note(at, unknown_key(key, &known)),
            }
        }
        Some(fields)
    }

    fn object(&mut self, at: &str, json: Json) -> Option<Vec<(String, Json)>> {
        let Json::Object(entries) = json else {
            return self.refuse(at, PolicyFlaw::NotAnObject);
        };
        for (i, (key, _)) in entries.iter().enumerate() {
            if entries[..i].iter().any(|(earlier, _)| earlier == key) {
                self.note(at, PolicyFlaw::DuplicateKey { key: key.clone() });
            }
        }
        Some(entries)
    }

    fn required(&mut self, at: &str, key: &'static str, json: Option<Json>) -> Option<Json> {
        match json {
            Some(json) => Some(json),
            None => self.refuse(at, PolicyFlaw::MissingKey { key }),
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

fn unknown_key(key: String, known: &[&str]) -> PolicyFlaw {
    match key.as_str() {
        "Principal" | "NotPrincipal" => PolicyFlaw::Principal { key },
        "NotResource" => PolicyFlaw::NotResource,
        _ => PolicyFlaw::UnknownKey { key, known: known.join(", ") },
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
            r#"{}"#,
        ];
        let problems: Vec<_> = documents.iter().map(|json| read(json).unwrap_err()).collect();
        insta::assert_snapshot!(problems.join("\n\n"), @r#"
        the policy: this is not JSON (line 1, column 1)

        the policy: this must be an object

        Version: the version of RAM's policy language must be "1"
        Statement: this is empty: leave it out, or say what it covers

        Version: this must be a string (RAM writes numbers and booleans in quotes, too)
        Statement: this must be a list of statements

        the policy: `Id` is unknown here: known are Version, Statement
        Version: this must be a string (RAM writes numbers and booleans in quotes, too)
        Statement[0]: this must be an object

        the policy: `Version` is written twice: readers of JSON disagree on which one counts
        the policy: `Statement` is missing

        the policy: `Version` is missing
        the policy: `Statement` is missing
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
        Statement[0]: `Resource` is missing
        Statement[1]: `Effect` is missing
        Statement[2]: `effect` is unknown here: known are Effect, Action, NotAction, Resource, Condition
        Statement[2]: `Effect` is missing
        Statement[3].Effect: an effect is "Allow" or "Deny"
        Statement[4]: a statement has exactly one of `Action` and `NotAction`
        Statement[5]: a statement has exactly one of `Action` and `NotAction`
        Statement[6]: `Principal` belongs to a role's trust policy: a session policy speaks of its own session
        Statement[7]: `NotResource` is no longer in RAM's documentation, and whether STS takes it is not said: name what is meant in `Resource`
        Statement[7]: `Resource` is missing
        Statement[8]: `Effect` is written twice: readers of JSON disagree on which one counts
        Statement[9].Action: this is empty: leave it out, or say what it covers
        Statement[9].Resource: this is empty: leave it out, or say what it covers
        Statement[10].Action[1]: this must be a string (RAM writes numbers and booleans in quotes, too)
        Statement[10].Action[2]: this is empty: leave it out, or say what it covers
        Statement[10].Resource: this must be a string or a list of strings
        Statement[11].Action[0]: an action reads `oss:GetObject`, with `*` and `?` as wildcards, or `*`
        Statement[11].Action[1]: an action reads `oss:GetObject`, with `*` and `?` as wildcards, or `*`
        Statement[11].Action[2]: an action reads `oss:GetObject`, with `*` and `?` as wildcards, or `*`
        Statement[11].Action[3]: placeholders, `$`, `{` and `}` may stand in values of `Resource` and `Condition` only
        Statement[12].Action[0]: an action reads `oss:GetObject`, with `*` and `?` as wildcards, or `*`
        Statement[12].Action[1]: an action reads `oss:GetObject`, with `*` and `?` as wildcards, or `*`
        Statement[12].Action[2]: an action reads `oss:GetObject`, with `*` and `?` as wildcards, or `*`
        Statement[13].Condition.Bool: this is empty: leave it out, or say what it covers
        Statement[14].Condition: `StringIs` is not among the condition operators that RAM and OSS document: StringEquals, StringLike and their like, Numeric…, Date…, Bool, IpAddress, NotIpAddress and IpAddressIncludeBorder
        Statement[14].Condition.StringIs.a:b: this must be a string or a list of strings
        Statement[15].Condition.Bool: `a:b` is written twice: readers of JSON disagree on which one counts
        Statement[16].Condition.Bool.Prefix: a condition key reads `oss:Prefix` or `acs:SourceIp`
        Statement[16].Condition.Bool.a:${client}: placeholders, `$`, `{` and `}` may stand in values of `Resource` and `Condition` only
        Statement[16].Condition.Bool.a:b: this is empty: leave it out, or say what it covers
        "#);
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
