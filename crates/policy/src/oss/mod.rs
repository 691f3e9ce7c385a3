pub(crate) mod catalogue;
pub(crate) mod operation;
