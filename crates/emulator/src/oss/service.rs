//! Serves one request to OSS: authenticates it, runs its action and completes the answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, Response};
use axum::routing::any;
use tokio::time::Instant;
use uuid::Uuid;

use super::actions;
use super::body::discard;
use super::callback::{PUBLIC_KEY_PATH, PUBLIC_KEY_PEM};
use super::cors;
use super::cors_rules::CorsRules;
use super::error::OssError;
use super::head::{Head, check_key};
use super::operation::Operation;
use super::request_context::{RequestContext, Signer};
use super::response::{Frame, set};
use super::signature::Signed;
use super::state::Oss;
use super::store::Bucket;
use crate::control::Call;

/// Query parameters left out of the log: credentials, or of no interest.
const UNLOGGED: [&str; 6] = [
    "Signature",
    "OSSAccessKeyId",
    "security-token",
    "x-oss-signature",
    "x-oss-security-token",
    "x-oss-credential",
];

pub(crate) fn routes(oss: Oss) -> Router {
    // Paths are not normalized: `a/../b` and `a//b` are keys.
    Router::new().fallback(any(answer)).with_state(Arc::new(oss))
}

async fn answer(
    State(oss): State<Arc<Oss>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let started = Instant::now();
    let (parts, mut body) = request.into_parts();
    let head = Head::read(
        parts,
        |name| oss.store.bucket(name).is_some(),
        |host| oss.store.bucket_of_domain(host).map(|bucket| bucket.name.clone()),
    );
    if is_of_callback_key(&head) {
        return callback_key();
    }
    let request_id = Uuid::new_v4().simple().to_string()[..24].to_uppercase();
    let now = oss.control.now();
    let operation = Operation::of(&head);
    let is_preflight = cors::is_preflight(&head);
    // Without a bucket an answer is an error, which a page may read.
    let bucket = head.bucket.as_deref().and_then(|name| oss.store.bucket(name));
    let of_none = || Some(Arc::new(CorsRules::of_development()));
    let cors_rules = bucket.map_or_else(of_none, Bucket::cors);
    let signed = match operation {
        // A form is signed by its fields; other signatures are not looked at.
        Ok(Operation::PostObject) => Ok(None),
        _ => Signed::read(&head),
    };

    let name = match (is_preflight, &operation) {
        (true, _) => "OptionObject",
        (false, Ok(operation)) => operation.name(),
        (false, Err(_)) => "",
    };
    let access_key_id =
        signed.as_ref().ok().and_then(Option::as_ref).map(|s| s.access_key_id.as_str());
    let call = Call::of_oss(
        now,
        head.method.as_str(),
        name,
        parameters(&head, access_key_id),
        &request_id,
    );
    let pending = oss.control.oss_calls.arrived(call);

    let mut context = RequestContext {
        head: &head,
        request_id: &request_id,
        now,
        source_ip: peer.ip(),
        signer: None,
        decision: None,
    };
    let outcome = if is_preflight {
        cors::preflight(&head, cors_rules.as_deref())
    } else {
        oss.outcome(&mut context, signed, operation, &mut body).await
    };
    let decision = context.decision.as_ref().map(super::access::AccessDecision::json);
    let frame = Frame { head: &head, request_id: &request_id, now, decision };
    let mut response = match outcome {
        Ok(response) => {
            pending.answered("Success".to_owned());
            response
        }
        Err(refusal) => {
            if let OssError::Storage(error) = &refusal {
                tracing::error!(error.message = %error, "the emulated OSS cannot use its folder");
            }
            pending.answered(refusal.status_and_code().1.to_owned());
            discard(&mut body, &head).await;
            frame.refuse(&refusal)
        }
    };
    frame.complete(&mut response, started.elapsed());
    cors::allow_origin(&head, cors_rules.as_deref(), response.headers_mut());
    response
}

/// Whether the request reads the key that callbacks are signed with. No bucket can have the name.
fn is_of_callback_key(head: &Head) -> bool {
    head.method == Method::GET
        && head.bucket.as_deref() == Some(PUBLIC_KEY_PATH)
        && head.key.is_none()
}

fn callback_key() -> Response<Body> {
    let mut response = Response::new(Body::from(PUBLIC_KEY_PEM));
    set(response.headers_mut(), "content-type", "application/x-pem-file");
    response
}

impl Oss {
    async fn outcome(
        &self,
        context: &mut RequestContext<'_>,
        signed: Result<Option<Signed>, OssError>,
        operation: Result<Operation, OssError>,
        body: &mut Body,
    ) -> Result<Response<Body>, OssError> {
        let head = context.head;
        if let Some(signed) = signed? {
            if signed.is_v1() {
                self.rules.check_v1(head)?;
            }
            signed.check_time(context.now)?;
            let (principal, secret) = self.identities.find(
                &signed.access_key_id,
                signed.token.as_deref(),
                context.now,
                context.source_ip,
            )?;
            let region = head.bucket.as_deref().and_then(|name| self.store.bucket(name));
            signed.check_scope(region.map(|bucket| bucket.region.as_str()))?;
            signed.verify(head, &secret)?;
            context.signer = Some(Signer { access_key_id: signed.access_key_id, principal });
        }
        let operation = operation?;
        if let Some(key) = &head.key {
            check_key(key)?;
        }
        actions::act(self, context, operation, body).await
    }
}

/// The parameters that the log keeps of a request.
fn parameters(head: &Head, access_key_id: Option<&str>) -> BTreeMap<String, String> {
    let query = head.query.iter().filter(|(name, _)| !UNLOGGED.contains(name));
    let addressed = [
        ("AccessKeyId", access_key_id),
        ("Bucket", head.bucket.as_deref()),
        ("Key", head.key.as_deref()),
    ];
    let addressed = addressed.into_iter().filter_map(|(name, value)| Some((name, value?)));
    query.chain(addressed).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
