//! What AppServer needs in an Alibaba Cloud account.

pub(crate) mod plan;
