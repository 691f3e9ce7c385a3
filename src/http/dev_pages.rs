//! The pages of `appserver dev` in front of the API.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;

use super::middleware::observer::RequestObserver;
use crate::server::{ConnectionHandler, Peer};

/// Serves `/`, `/dev` and what is below it from the pages, if there are any, and everything else from the API.
///
/// In front of the API and not among its routes: pages are not part of the contract, and are neither counted nor logged
/// (a page that shows counters would change them).
#[derive(Clone)]
pub(crate) struct WithDevPages {
    api: RequestObserver,
    pages: Option<Router>,
}

impl WithDevPages {
    pub(crate) fn new(api: RequestObserver, pages: Option<Router>) -> Self {
        Self { api, pages }
    }
}

impl ConnectionHandler for WithDevPages {
    async fn handle(&self, request: Request, peer: Arc<Peer>) -> Response {
        let path = request.uri().path();
        match &self.pages {
            Some(pages) if path == "/" || path == "/dev" || path.starts_with("/dev/") => {
                pages.handle(request, peer).await
            }
            _ => self.api.handle(request, peer).await,
        }
    }

    fn trusts_proxy(&self, proxy: IpAddr) -> bool {
        self.api.trusts_proxy(proxy)
    }
}
