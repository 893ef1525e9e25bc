//! The routes: RPC, subscription, health, and the built-in pages with their security headers.

use std::sync::Arc;

use archy_api::paths;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;

use crate::app::{App, VERSION};
use crate::net::Peer;
use crate::rpc::{self, Reply, access, errors};
use crate::state::socket;
use crate::{clock, state};

/// Nothing but our own files; no inline script or style, no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The pages: path, type, text.
const PAGES: [(&str, &str, &str); 3] = [
    ("/", "text/html; charset=utf-8", include_str!("../assets/index.html")),
    ("/app.js", "text/javascript; charset=utf-8", include_str!("../assets/app.js")),
    ("/style.css", "text/css; charset=utf-8", include_str!("../assets/style.css")),
];

/// Everything that HTTPS and the unix socket serve.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new()
        .route(paths::RPC, post(rpc::handle))
        .route(paths::LOGS, get(rpc::logs::stream))
        .route(paths::STATE, get(subscribe))
        .merge(open_routes());
    for (path, kind, text) in PAGES {
        let page = move || async move {
            ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text)
        };
        router = router.route(path, get(page));
    }
    router.fallback(missing).layer(middleware::from_fn(protect)).with_state(app)
}

/// Routes that plain HTTP answers as well.
pub fn open_routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route(
        "/health",
        get(|| async { Json(serde_json::json!({ "status": "ok", "version": VERSION })) }),
    )
}

async fn missing() -> Response {
    (StatusCode::NOT_FOUND, "Not found.\n").into_response()
}

async fn protect(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
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
        let valid = || {
            let session = caller.session.as_ref();
            session.is_none_or(|session| app.sessions.is_live(session, clock::steady_now()))
        };
        let (hub, stop) = (app.hub.clone(), app.stop.clone());
        state::socket::serve(stream, hub, query.since, stop, valid, permit).await;
    })
}
