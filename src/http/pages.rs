//! Pages beside the API, as `appserver dev` has them.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;

use super::observe::Observed;
use crate::server::{ConnectionHandler, Peer};

/// What begins with `/dev` is the pages', if there are any; all else is the API's.
///
/// In front of the API and not among its routes: pages are no part of the contract, nor counted or logged with it.
/// One that shows counters would move them by looking.
#[derive(Clone)]
pub(crate) struct WithPages {
    api: Observed,
    pages: Option<Router>,
}

impl WithPages {
    pub(crate) fn new(api: Observed, pages: Option<Router>) -> Self {
        Self { api, pages }
    }
}

impl ConnectionHandler for WithPages {
    async fn handle(&self, request: Request, peer: Arc<Peer>) -> Response {
        let path = request.uri().path();
        match &self.pages {
            Some(pages) if path == "/dev" || path.starts_with("/dev/") => {
                pages.handle(request, peer).await
            }
            _ => self.api.handle(request, peer).await,
        }
    }

    fn trusts_proxy(&self, proxy: IpAddr) -> bool {
        self.api.trusts_proxy(proxy)
    }
}
