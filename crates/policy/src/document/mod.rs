//! Policy documents: the tree, its parser, and every problem that a document can have.

pub(crate) mod canonicalize;
pub(crate) mod grammar;
pub(crate) mod json;
pub(crate) mod member;
pub(crate) mod network;
pub(crate) mod operator;
pub(crate) mod parser;
pub(crate) mod problem;
pub(crate) mod tree;
pub(crate) mod value;
pub(crate) mod value_kind;
