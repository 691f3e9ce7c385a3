//! The canonical form of a policy: equal for all policies that differ in order and repetition only.

use crate::document::tree::{Actions, Document, Statement, Strings};

impl Document<String> {
    /// The same policy with its lists and statements sorted and without repetition. RAM gives no meaning to these
    /// orders, nor to a list of one.
    pub(crate) fn canonicalize(self) -> Self {
        let mut statements: Vec<_> =
            self.statements.into_iter().map(Statement::canonicalize).collect();
        statements.sort();
        statements.dedup();
        Self { version: self.version, statements }
    }
}

impl Statement<String> {
    fn canonicalize(self) -> Self {
        let actions = match self.actions {
            Actions::Action(patterns) => Actions::Action(patterns.canonicalize()),
            Actions::NotAction(patterns) => Actions::NotAction(patterns.canonicalize()),
        };
        let condition = self.condition.into_iter().map(|(operator, keys)| {
            (operator, keys.into_iter().map(|(key, values)| (key, values.canonicalize())).collect())
        });
        Self {
            effect: self.effect,
            actions,
            resource: self.resource.canonicalize(),
            condition: condition.collect(),
        }
    }
}

impl Strings<String> {
    fn canonicalize(self) -> Self {
        let mut texts = match self {
            Self::One(text) => return Self::One(text),
            Self::Many(texts) => texts,
        };
        texts.sort();
        Self::of(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_repetition_and_lists_of_one_make_no_difference() {
        let canonical = |json: &str| {
            let document = Document::read(json, |_, raw| Ok(raw.to_owned())).unwrap();
            document.canonicalize().minified()
        };
        let one = canonical(
            r#"{"Statement":[
                {"Effect":"Deny","NotAction":["b:b","a:a"],"Resource":["y","x","y"]},
                {"Effect":"Allow","Action":["b:b"],"Resource":"x",
                 "Condition":{"StringLike":{"oss:Prefix":["b","a","a"]}}},
                {"Effect":"Allow","Action":"b:b","Resource":["x"],
                 "Condition":{"StringLike":{"oss:Prefix":["a","b"]}}}],"Version":"1"}"#,
        );
        insta::assert_snapshot!(one, @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"b:b","Resource":"x","Condition":{"StringLike":{"oss:Prefix":["a","b"]}}},{"Effect":"Deny","NotAction":["a:a","b:b"],"Resource":["x","y"]}]}"#);
        assert_eq!(canonical(&one), one);
    }
}
