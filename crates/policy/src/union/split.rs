//! Documents that are short enough for RAM.

use super::minimise::lists;
use crate::document::tree::{Document, Statement};

/// The statements in as many documents as they need, in their order.
///
/// Each document fits: a statement is divided until it does, and one without lists is a part of a grant's policy, which is
/// no longer than a session policy.
pub(super) fn split(statements: &[Statement<String>], most: usize) -> Vec<String> {
    let mut documents: Vec<Vec<Statement<String>>> = Vec::new();
    for part in statements.iter().flat_map(|statement| divided(statement, most)) {
        if let Some(last) = documents.last_mut() {
            last.push(part);
            if bytes(last) <= most {
                continue;
            }
            let part = last.pop();
            documents.push(part.into_iter().collect());
        } else {
            documents.push(vec![part]);
        }
    }
    documents.into_iter().map(|statements| Document::of(statements).minified()).collect()
}

/// Statements that allow or deny together what this one does, each of them in a document that is not too long.
fn divided(statement: &Statement<String>, most: usize) -> Vec<Statement<String>> {
    if bytes(std::slice::from_ref(statement)) <= most {
        return vec![statement.clone()];
    }
    let longest = lists(statement).into_iter().filter(|list| list.of(statement).len() > 1);
    let longest =
        longest.max_by_key(|list| list.of(statement).iter().map(String::len).sum::<usize>());
    let Some(list) = longest else { return vec![statement.clone()] };
    let entries = list.of(statement);
    let (first, second) = entries.split_at(entries.len() / 2);
    [first, second].iter().flat_map(|half| divided(&list.with(statement, half), most)).collect()
}

fn bytes(statements: &[Statement<String>]) -> usize {
    Document::of(statements.to_vec()).minified().len()
}
