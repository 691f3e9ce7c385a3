//! Schemas, as tables of members.

use std::collections::BTreeSet;

use serde_json::Value;

use super::text::{escaped, of, prose};

/// A schema of `components`, with the members of all that it is put together from.
pub(super) fn written(document: &Value, name: &str) -> String {
    let schema = &document["components"]["schemas"][name];
    let mut html = format!(
        "<section class=shape id=\"{0}\"><h3>{0}</h3>\n<p>{1}</p>\n",
        escaped(name),
        prose(of(schema, "description"))
    );
    let mut members = Vec::new();
    collect(document, schema, &mut members);
    if members.is_empty() {
        html += &format!("<p>{}</p>\n", kind(schema));
    } else {
        html += "<table><thead><tr><th>member<th>what it is</thead>\n<tbody>\n";
        html.extend(
            members.into_iter().map(|(name, required, schema)| row(name, required, schema)),
        );
        html += "</tbody></table>\n";
    }
    html + "</section>\n"
}

/// Schemas without a section of their own: their members are listed where they are used.
pub(super) fn parts(document: &Value) -> BTreeSet<&str> {
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    let all_of = schemas.flat_map(|(_, schema)| schema["allOf"].as_array().into_iter().flatten());
    all_of.filter_map(|part| part["$ref"].as_str()).map(last).collect()
}

/// A parameter's or a member's line.
pub(super) fn row(name: &str, required: bool, schema: &Value) -> String {
    let needed = if required { "" } else { " <small>optional</small>" };
    let mut text = kind(schema);
    if let Some(about) = schema["description"].as_str() {
        text = format!("{text}. {}", prose(about));
    }
    if let Some(example) = schema.get("example") {
        let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
        text =
            format!("{text} <span class=example>Such as <code>{}</code></span>", escaped(&example));
    }
    format!("<tr><td><code>{}</code>{needed}<td>{text}\n", escaped(name))
}

/// What a value is, in a few words.
pub(super) fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = escaped(last(reference));
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let kinds = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec!["anything"],
    };
    let named = |&word: &&str| match word {
        "array" => format!("list of {}", kind(&schema["items"])),
        "object" if schema["additionalProperties"]["type"] == "string" => {
            "names and texts".to_owned()
        }
        "string" => match schema["format"].as_str() {
            Some(format) => format!("text ({})", escaped(format)),
            None => "text".to_owned(),
        },
        "null" => "<code>null</code>".to_owned(),
        "boolean" => "truth value".to_owned(),
        "integer" => match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
            (Some(least), Some(most)) if least == most => format!("{least}"),
            (Some(least), Some(most)) => format!("whole number, {least} to {most}"),
            (_, _) => "whole number".to_owned(),
        },
        other => escaped(other),
    };
    kinds.iter().map(named).collect::<Vec<_>>().join(" or ")
}

fn collect<'a>(
    document: &'a Value,
    schema: &'a Value,
    members: &mut Vec<(&'a str, bool, &'a Value)>,
) {
    if let Some(reference) = schema["$ref"].as_str() {
        return collect(document, &document["components"]["schemas"][last(reference)], members);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        collect(document, part, members);
    }
    let required: Vec<_> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    members.extend(
        properties.map(|(name, schema)| (name.as_str(), required.contains(&name.as_str()), schema)),
    );
}

/// The name in a reference.
pub(super) fn last(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or_default()
}
