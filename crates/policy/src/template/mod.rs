//! Policy templates: documents with placeholders, and the rules by which no value reaches the objects of another.

pub(crate) mod breadth;
pub(crate) mod isolation;
pub(crate) mod overlap;
pub(crate) mod path_rules;
pub(crate) mod placeholder;
pub(crate) mod policy_template;
pub(crate) mod subject_form;
pub(crate) mod text;
pub(crate) mod time_format;
pub(crate) mod value_rule;
pub(crate) mod values;
pub(crate) mod whole_pattern;
