//! The routes: RPC, subscription, health, the dashboard; and the security headers of all of them.

use std::sync::Arc;

use archy_api::paths;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;

use crate::app::{App, VERSION};
use crate::net::{Peer, redirect, trust};
use crate::rpc::{self, Reply, access, errors};
use crate::state;
use crate::state::socket;
use crate::{dashboard, pictures};

/// What is no page may load nothing at all.
const POLICY: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Everything that HTTPS and the unix socket serve.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route(paths::RPC, post(rpc::handle))
        .route(paths::LOGS, get(rpc::logs::stream))
        .route(paths::STATE, get(subscribe))
        .route(pictures::PATH, get(pictures::serve))
        .merge(open_routes(&app))
        .fallback(dashboard::serve)
        .layer(middleware::from_fn(protect))
        .with_state(app)
}

/// Routes that plain HTTP answers as well.
pub fn open_routes<S: Clone + Send + Sync + 'static>(app: &Arc<App>) -> Router<S> {
    let health = || async { Json(serde_json::json!({ "status": "ok", "version": VERSION })) };
    Router::new().route("/health", get(health)).merge(trust::routes(app))
}

/// What plain HTTP answers: what is open, and for the rest where HTTPS is.
pub fn plain_router(app: &Arc<App>, https_port: u16) -> Router {
    redirect::router(https_port, open_routes(app)).layer(middleware::from_fn(protect))
}

async fn protect(request: Request, next: Next) -> Response {
    let signer = request.uri().path() == dashboard::SIGNER;
    let mut response = next.run(request).await;
    let signer = signer && response.status().is_success();
    let headers = response.headers_mut();
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert_with(|| HeaderValue::from_static(POLICY));
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        // pages of apps, on other ports, neither hold this window nor load what it is made of
        (OPENER_POLICY, "same-origin"),
        (RESOURCE_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if signer {
        // the older header knows no list; the policy of that page has one
        headers.remove(header::X_FRAME_OPTIONS);
    }
    response
}

/// Query of the subscription.
#[derive(Debug, Deserialize)]
struct Since {
    since: Option<u64>,
}

async fn subscribe(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Query(query): Query<Since>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let caller = match access::check_socket(&app, peer, &headers).await {
        Ok(caller) => caller,
        Err(error) => return rpc::single(Reply { id: None, outcome: Err(error) }),
    };
    let Ok(permit) = app.sockets.clone().try_acquire_owned() else {
        let error = errors::too_many(std::time::Duration::from_secs(30));
        return rpc::single(Reply { id: None, outcome: Err(error) });
    };
    let upgrade = upgrade.max_message_size(socket::MAX_MESSAGE).max_frame_size(socket::MAX_MESSAGE);
    upgrade.on_upgrade(move |stream| async move {
        let (hub, stop) = (app.hub.clone(), app.stop.clone());
        let ended = access::ended(app, caller);
        state::socket::serve(stream, hub, query.since, stop, ended, permit).await;
    })
}
