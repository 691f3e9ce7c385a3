//! The page, from the document.

use std::cmp::Reverse;

use serde_json::Value;

use super::shape::{self, kind, last, row};
use super::text::{escaped, of, prose};

/// One operation, with its path and method.
struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    tree: &'a Value,
}

pub(super) fn written(document: &Value, style: &str) -> String {
    let title = escaped(of(&document["info"], "title"));
    let version = escaped(of(&document["info"], "version"));
    let about = prose(of(&document["info"], "description"));
    let operations = operations(document);
    let sections: String = tags(document).map(|tag| section(tag, &operations)).collect();
    let parts = shape::parts(document);
    let shapes = document["components"]["schemas"].as_object().into_iter().flatten();
    let shapes: String = shapes
        .filter(|(name, _)| !parts.contains(name.as_str()))
        .map(|(name, _)| shape::written(document, name))
        .collect();
    format!(
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\n\
         <meta name=color-scheme content=\"light dark\">\n\
         <title>{title} {version}</title>\n<style>{style}</style>\n\
         <header><h1>{title} <small>{version}</small></h1>\n<p>{about}</p>\n\
         <p>For tools: <a href=\"/openapi.json\">/openapi.json</a>. In the examples <code>$APPSERVER</code> is this \
         service's address, <code>$CLIENT</code> and <code>$SECRET</code> are a client's id and its secret.</p>\n\
         {}</header>\n<main>\n{}{sections}<section><h2 id=failures>Failures</h2>\n{}</section>\n\
         <section><h2 id=shapes>Shapes</h2>\n{shapes}</section>\n</main>\n</html>\n",
        contents(&operations),
        credentials(document),
        failures(document),
    )
}

/// Operations with short paths are the simple ones; they come first.
fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let mut operations: Vec<_> = paths
        .flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flatten();
            methods.map(move |(method, tree)| Operation { path, method, tree })
        })
        .collect();
    operations.sort_by_key(|operation| operation.path.len());
    operations
}

fn tags(document: &Value) -> impl Iterator<Item = &Value> {
    document["tags"].as_array().into_iter().flatten()
}

fn contents(operations: &[Operation<'_>]) -> String {
    let line = |operation: &Operation<'_>| {
        format!(
            "<li><a href=\"#{}\">{}</a> {}\n",
            escaped(of(operation.tree, "operationId")),
            operation.named(),
            prose(of(operation.tree, "summary")),
        )
    };
    let mut sorted: Vec<_> = operations.iter().collect();
    sorted.sort_by_key(|operation| Reverse(operation.path.starts_with("/v1/")));
    let lines: String = sorted.into_iter().map(line).collect();
    format!("<nav><ul>\n{lines}</ul></nav>\n")
}

fn credentials(document: &Value) -> String {
    let schemes = document["components"]["securitySchemes"].as_object().into_iter().flatten();
    let line = |(name, scheme): (&String, &Value)| {
        format!(
            "<tr><td><code>Authorization: {}</code><td>{}\n",
            escaped(name),
            prose(of(scheme, "description"))
        )
    };
    let lines: String = schemes.map(line).collect();
    format!("<section><h2>Credentials</h2>\n<table><tbody>\n{lines}</tbody></table></section>\n")
}

fn section(tag: &Value, operations: &[Operation<'_>]) -> String {
    let name = of(tag, "name");
    let of_tag = operations.iter().filter(|operation| operation.tree["tags"][0] == name);
    let articles: String = of_tag.map(Operation::written).collect();
    let about = prose(of(tag, "description"));
    format!("<section><h2>{}</h2>\n<p>{about}</p>\n{articles}</section>\n", escaped(name))
}

fn failures(document: &Value) -> String {
    let responses = document["components"]["responses"].as_object().into_iter().flatten();
    let line = |(name, response): (&String, &Value)| {
        format!(
            "<tr id=\"{0}\"><td><code>{0}</code><td>{1}\n",
            escaped(name),
            prose(of(response, "description"))
        )
    };
    let lines: String = responses.map(line).collect();
    format!("<table><tbody>\n{lines}</tbody></table>\n")
}

impl Operation<'_> {
    fn named(&self) -> String {
        let method = self.method.to_ascii_uppercase();
        format!("<code><b>{}</b> {}</code>", escaped(&method), escaped(self.path))
    }

    fn written(&self) -> String {
        let tree = self.tree;
        let id = escaped(of(tree, "operationId"));
        let mut html = format!(
            "<article id=\"{id}\"><h3>{}</h3>\n<p>{}. {}</p>\n",
            self.named(),
            prose(of(tree, "summary")),
            prose(of(tree, "description"))
        );
        for sample in tree["x-codeSamples"].as_array().into_iter().flatten() {
            html += &format!("<pre><code>{}</code></pre>\n", escaped(of(sample, "source")));
        }
        let parameters: String =
            tree["parameters"].as_array().into_iter().flatten().map(parameter).collect();
        if !parameters.is_empty() {
            html += "<table><thead><tr><th>in the query<th>what it is</thead>\n<tbody>\n";
            html += &parameters;
            html += "</tbody></table>\n";
        }
        if let Some(content) = tree["requestBody"]["content"].as_object() {
            for (media_type, content) in content {
                let media_type = escaped(media_type);
                html += &format!(
                    "<p>Takes {} as <code>{media_type}</code>.</p>\n",
                    kind(&content["schema"])
                );
            }
        }
        html + &self.answers() + "</article>\n"
    }

    /// Its own responses, and in one line the failures that are described below.
    fn answers(&self) -> String {
        let responses = self.tree["responses"].as_object().into_iter().flatten();
        let (mut own, mut failures) = (Vec::new(), Vec::new());
        for (status, response) in responses {
            let status = escaped(status);
            if let Some(reference) = response["$ref"].as_str() {
                let name = escaped(last(reference));
                failures.push(format!("<a href=\"#{name}\">{status} {name}</a>"));
            } else {
                let about = prose(of(response, "description"));
                own.push(format!("<tr><td><code>{status}</code><td>{about} {}\n", kinds(response)));
            }
        }
        // After the success, because `default` stands for all other statuses.
        if !failures.is_empty() {
            own.insert(1, format!("<tr><td>failures<td>{}\n", failures.join(", ")));
        }
        let lines = own.concat();
        format!("<table><thead><tr><th>answers<th>with</thead>\n<tbody>\n{lines}</tbody></table>\n")
    }
}

fn parameter(parameter: &Value) -> String {
    let mut schema = parameter["schema"].clone();
    schema["description"] = parameter["description"].clone();
    row(of(parameter, "name"), parameter["required"] == true, &schema)
}

/// The type of a response's body.
fn kinds(response: &Value) -> String {
    let contents = response["content"].as_object().into_iter().flatten();
    contents.map(|(_, content)| kind(&content["schema"])).collect::<Vec<_>>().join(" or ")
}
