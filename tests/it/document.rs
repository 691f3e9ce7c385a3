//! Checks answers against the service's own OpenAPI document.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use crate::stage::{Answer, Stage};

/// The headers that hyper adds, and those that the document expresses by media types.
const UNDOCUMENTED_HEADERS: [&str; 4] =
    ["content-type", "content-length", "date", "x-content-type-options"];

pub(crate) struct Document {
    pub(crate) tree: Value,
    /// Its components, with every schema closed: unknown members are errors.
    closed: Value,
}

impl Document {
    pub(crate) async fn of(stage: &Stage) -> Self {
        let answer = stage.send(stage.request("GET", "/openapi.json")).await;
        assert_eq!(
            (answer.status, &answer.headers["content-type"]),
            (200, &"application/json".parse().unwrap())
        );
        let tree = answer.body;
        let mut closed = tree["components"].clone();
        let open = parts(&closed);
        for (name, schema) in closed["schemas"].as_object_mut().unwrap() {
            close(schema, open.contains(name));
        }
        Self { tree, closed }
    }

    /// The paths with their methods.
    pub(crate) fn routes(&self) -> BTreeMap<String, BTreeSet<String>> {
        let methods = |item: &Value| {
            item.as_object().unwrap().keys().map(|m| m.to_ascii_uppercase()).collect()
        };
        let paths = self.tree["paths"].as_object().unwrap();
        paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect()
    }

    /// The documented response of an operation with a status.
    pub(crate) fn response(&self, method: &str, path: &str, status: u16) -> &Value {
        let operation = &self.tree["paths"][path][method.to_ascii_lowercase()];
        let response = &operation["responses"][status.to_string()];
        assert!(response.is_object(), "{method} {path} is not documented to answer {status}");
        self.resolved(response)
    }

    /// A response that belongs to no operation.
    pub(crate) fn common(&self, name: &str) -> &Value {
        &self.tree["components"]["responses"][name]
    }

    /// Fails unless the answer matches the response: its headers, its code and each member of its body.
    pub(crate) fn check_answer(&self, what: &str, response: &Value, answer: &Answer) {
        let documented: BTreeSet<_> = response["headers"]
            .as_object()
            .unwrap()
            .keys()
            .map(|name| name.to_ascii_lowercase())
            .collect();
        let present: BTreeSet<_> = answer.headers.keys().map(ToString::to_string).collect();
        let present: BTreeSet<_> = present
            .into_iter()
            .filter(|name| !UNDOCUMENTED_HEADERS.contains(&name.as_str()))
            .collect();
        assert_eq!(present, documented, "{what}: the headers");

        let code = answer.body["Code"].as_str().unwrap();
        // The route that always answers 200 documents no codes.
        if answer.status != 200 {
            let class = if code.starts_with("InvalidParameter.") {
                "InvalidParameter.<Name>"
            } else {
                code
            };
            let description = response["description"].as_str().unwrap();
            assert!(
                description.contains(&format!("`{class}`")),
                "{what}: {code} is not among: {description}"
            );
            assert_eq!(answer.body["StatusCode"], answer.status, "{what}");
        }

        let mut schema = response["content"]["application/json"]["schema"].clone();
        close(&mut schema, false);
        let problems = problems(&self.validator(schema), &answer.body);
        assert_eq!(problems, "", "{what}: {}", answer.body);
    }

    /// The errors of a value by one of the document's schemas, as published.
    pub(crate) fn problems(&self, shape: &str, value: &Value) -> String {
        let schema = json!({
            "components": self.tree["components"],
            "allOf": [{"$ref": format!("#/components/schemas/{shape}")}],
        });
        problems(&validator(&schema), value)
    }

    fn validator(&self, schema: Value) -> Validator {
        validator(&json!({"components": self.closed, "allOf": [schema]}))
    }

    fn resolved<'a>(&'a self, node: &'a Value) -> &'a Value {
        match node["$ref"].as_str() {
            Some(reference) => {
                self.tree.pointer(&reference[1..]).expect("a reference leads somewhere")
            }
            None => node,
        }
    }
}

fn validator(schema: &Value) -> Validator {
    let options =
        jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
    options.build(schema).unwrap()
}

fn problems(validator: &Validator, value: &Value) -> String {
    validator.iter_errors(value).map(|problem| problem.to_string()).collect::<Vec<_>>().join("\n")
}

/// Schemas that are only parts of others.
fn parts(components: &Value) -> BTreeSet<String> {
    let schemas = components["schemas"].as_object().unwrap().values();
    let all_of = schemas.flat_map(|schema| schema["allOf"].as_array().into_iter().flatten());
    let named = all_of.filter_map(|part| part["$ref"].as_str());
    named.map(|reference| reference.rsplit('/').next().unwrap().to_owned()).collect()
}

/// Forbids unknown members at any depth. Parts of a schema are closed by the whole.
fn close(schema: &mut Value, is_part: bool) {
    let Some(members) = schema.as_object_mut() else { return };
    if !is_part && (members.contains_key("properties") || members.contains_key("allOf")) {
        members.insert("unevaluatedProperties".to_owned(), false.into());
    }
    for (name, value) in members {
        match name.as_str() {
            "properties" => {
                value.as_object_mut().unwrap().values_mut().for_each(|one| close(one, false));
            }
            "items" => close(value, false),
            "oneOf" => value.as_array_mut().unwrap().iter_mut().for_each(|one| close(one, false)),
            "allOf" => value.as_array_mut().unwrap().iter_mut().for_each(|one| close(one, true)),
            _ => {}
        }
    }
}
