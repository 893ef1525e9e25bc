//! JSON-RPC over HTTP: reads calls, checks them, runs their handlers, answers.

pub mod access;
mod adopt;
mod auth;
mod config;
mod doctor;
pub mod errors;
mod explain;
mod identity;
pub mod logs;
mod metrics;
mod node;
mod notify;
mod package;
mod plan;
mod ports;
mod registry;
mod reply;
mod rights;
mod table;
mod update;

pub(crate) use update::by_itself as update_by_itself;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use archy_api::method::{Method as _, ServerGetState};
use archy_api::rpc::{
    ErrorObject, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, Request as RpcRequest,
};
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use futures_util::FutureExt as _;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;

use crate::app::App;
use crate::auth::{cookies, login};
use crate::net::Peer;
pub use package::record as operation_record;
pub use reply::{Outcome, Reply, single};
pub use table::{Answer, Call, Cookies};

/// Largest body of a request, in bytes.
pub const MAX_BODY: usize = 4 * 1024 * 1024;
/// Time for a body to arrive.
#[derive(Debug, Clone, Copy)]
pub struct BodyDeadline(pub Duration);
/// Most calls in one batch.
const MAX_BATCH: usize = 32;

/// `POST /rpc/v1`.
pub async fn handle(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Extension(BodyDeadline(deadline)): Extension<BodyDeadline>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let body = match read(body, deadline).await {
        Ok(body) => body,
        Err((status, error)) => return reply::refused(status, error),
    };
    let batch = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let mut changes = Vec::new();
    let mut response = if batch {
        match calls(&body) {
            Ok(calls) => {
                let mut replies = Vec::with_capacity(calls.len());
                for call in calls {
                    replies.push(answer(&app, peer, &headers, call, &mut changes).await);
                }
                reply::batch(replies)
            }
            Err(error) => reply::refused(StatusCode::OK, app.masks.clean(error)),
        }
    } else {
        reply::single(answer(&app, peer, &headers, RpcRequest::parse(&body), &mut changes).await)
    };
    for change in changes {
        let headers = response.headers_mut();
        match change {
            Cookies::Keep => {}
            Cookies::Clear => cookies::clear(headers, peer.is_tls()),
            Cookies::Set(begun) => login::give_cookies(headers, &begun, peer.is_tls()),
            Cookies::Half(token) => {
                cookies::set_half(headers, &token, peer.is_tls(), login::HALF_SECS);
            }
            Cookies::Bind(name, token) => {
                cookies::set_binding(headers, &name, &token, peer.is_tls());
            }
        }
    }
    response
}

/// Reads the body within its limits.
async fn read(body: Body, deadline: Duration) -> Result<Bytes, (StatusCode, ErrorObject)> {
    let read = Limited::new(body, MAX_BODY).collect();
    match tokio::time::timeout(deadline, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let message = format!("Invalid body: it is larger than {MAX_BODY} bytes.");
            let error = ErrorObject::new(INVALID_REQUEST, "body-too-large", message)
                .hint("A manifest may have at most 1 MiB.");
            Err((StatusCode::PAYLOAD_TOO_LARGE, error))
        }
        Ok(Err(error)) => {
            let message = format!("Invalid body: {error}.");
            let error = ErrorObject::new(PARSE_ERROR, "parse-error", message);
            Err((StatusCode::BAD_REQUEST, error))
        }
        Err(_) => {
            let error =
                ErrorObject::new(PARSE_ERROR, "deadline", "The body did not arrive in time.")
                    .hint("Send it again.");
            Err((StatusCode::REQUEST_TIMEOUT, error))
        }
    }
}

/// The calls of a batch.
fn calls(body: &[u8]) -> Result<Vec<Result<RpcRequest, ErrorObject>>, ErrorObject> {
    let invalid = |text: String| ErrorObject::new(INVALID_REQUEST, "invalid-request", text);
    let values: Vec<Value> = serde_json::from_slice(body).map_err(|error| {
        ErrorObject::new(PARSE_ERROR, "parse-error", format!("Invalid JSON: {error}."))
    })?;
    if values.is_empty() || values.len() > MAX_BATCH {
        return Err(invalid(format!("Invalid batch: it must have 1 to {MAX_BATCH} calls."))
            .hint("Send several batches."));
    }
    let call = |value| {
        serde_json::from_value(value).map_err(|error| {
            invalid(format!("Invalid call: {error}."))
                .hint("Send an object with `method`, and `params` as an object.")
        })
    };
    Ok(values.into_iter().map(call).collect())
}

/// Answers one call.
async fn answer(
    app: &Arc<App>,
    peer: Peer,
    headers: &HeaderMap,
    request: Result<RpcRequest, ErrorObject>,
    changes: &mut Vec<Cookies>,
) -> Reply {
    let request = match request {
        Ok(request) => request,
        Err(error) => return Reply { id: None, outcome: Err(error) },
    };
    let id = request.id.clone();
    let mut outcome = run(app, peer, headers, request, changes).await;
    if let Err(error) = &mut outcome
        && !peer.is_local_admin()
    {
        *error = app.masks.clean(error.clone());
    }
    Reply { id, outcome }
}

async fn run(
    app: &Arc<App>,
    peer: Peer,
    headers: &HeaderMap,
    request: RpcRequest,
    changes: &mut Vec<Cookies>,
) -> Result<Outcome, ErrorObject> {
    let Some(entry) = table::find(&request.method) else {
        let name = errors::cut(&request.method, 64);
        let message = format!("Not found: there is no method {name:?}.");
        return Err(ErrorObject::new(METHOD_NOT_FOUND, "method-not-found", message)
            .hint("The API reference lists all methods."));
    };
    let name = entry.info.name;
    let caller = access::check_call(app, peer, headers, name, entry.info.access).await?;
    if name == ServerGetState::NAME && caller.brought.restored.is_none() {
        return Ok(Outcome::Ready(app.hub.now().result));
    }
    let call = Arc::new(Call::new(caller));
    if let Some(tokens) = call.caller.brought.restored.clone() {
        changes.push(Cookies::Set(login::Begun { tokens, remember: None }));
    }
    let deed = auth::audit::deed(&call.caller, entry.info, request.params.as_ref());
    let work = (entry.handler)(app.clone(), call.clone(), request);
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    if let Some(deed) = deed {
        let outcome = auth::audit::outcome(&ended);
        auth::audit::note(app, deed, outcome).await;
    }
    let value = match ended {
        Ok(value) => value?,
        Err(panic) => {
            let log_id = uuid();
            let reason = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            tracing::error!(method = name, log_id, reason, "a handler failed");
            return Err(errors::internal(log_id));
        }
    };
    changes.push(call.take_cookies());
    Ok(Outcome::Value(value))
}

/// A short name under which the log can be searched.
fn uuid() -> String {
    format!("e{:x}", crate::clock::now().0)
}
