//! A daemon made of a few rules, on a unix socket.

mod answers;
mod world;

use std::path::Path;
use std::sync::{Arc, Mutex};

use archy_api::logs::LogQuery;
use archy_api::rpc::{ErrorObject, Request, Response};
use archy_api::{paths, subscribe::StateFrame};
use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response as HttpResponse};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::sync::{Notify, oneshot};

use crate::run::{Run, archy};
use world::World;

/// What the server's handlers share.
pub(crate) struct Shared {
    world: Mutex<World>,
    changed: Notify,
}

/// A running fake; ends when it is dropped.
pub(crate) struct Fake {
    shared: Arc<Shared>,
    dir: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Fake {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("d.sock");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::new(Shared { world: Mutex::new(World::new()), changed: Notify::new() });
        let (stop, stopped) = oneshot::channel();
        let state = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::UnixListener::from_std(listener).unwrap();
                let serve = axum::serve(listener, router(state));
                tokio::select! {
                    result = async { serve.await } => result.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { shared, dir, stop: Some(stop), thread: Some(thread) }
    }

    /// Runs the command line against it.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        let mut all = vec!["--socket", "d.sock"];
        all.extend(args);
        archy(self.dir.path(), &all)
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Whether the WebSocket is offered.
    pub(crate) fn subscriptions(&self, on: bool) {
        self.shared.world.lock().unwrap().subscriptions = on;
    }

    /// Parameters of the last call of a method.
    pub(crate) fn called(&self, method: &str) -> Option<Value> {
        let world = self.shared.world.lock().unwrap();
        world.calls.iter().rev().find(|(name, _)| name == method).map(|(_, params)| params.clone())
    }

    /// The same, which must have been called.
    pub(crate) fn params(&self, method: &str) -> Value {
        self.called(method).unwrap()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn router(state: Arc<Shared>) -> Router {
    Router::new()
        .route(paths::RPC, post(rpc))
        .route(paths::LOGS, get(logs))
        .route(paths::STATE, get(state_socket))
        .with_state(state)
}

async fn rpc(State(shared): State<Arc<Shared>>, body: Bytes) -> HttpResponse {
    let request = Request::parse(&body).unwrap();
    let params = request.params.clone().unwrap_or_default();
    if params["id"] == "silent" {
        return (StatusCode::BAD_GATEWAY, "no").into_response();
    }
    let mut world = shared.world.lock().unwrap();
    world.calls.push((request.method.clone(), params));
    let response = match answers::answer(&mut world, &request) {
        Ok(result) => Response::ok(request.id, result),
        Err(error) => Response::failed(request.id, *error),
    };
    shared.changed.notify_one();
    let status = StatusCode::from_u16(response.http_status()).unwrap();
    (status, axum::Json(response)).into_response()
}

async fn logs(Query(query): Query<LogQuery>) -> HttpResponse {
    if query.app != "blog" {
        let error = ErrorObject::new(-32000, "app-not-found", "Not found: no such app.");
        return (StatusCode::NOT_FOUND, axum::Json(Response::failed(None, error))).into_response();
    }
    let lines = "{\"ts\":1000,\"service\":\"main\",\"stream\":\"stdout\",\"line\":\"one\"}\n\n\
                 {\"ts\":2000,\"service\":\"main\",\"stream\":\"stderr\",\"line\":\"two \\u001b[31m\"}\n";
    ([("content-type", "application/x-ndjson")], lines).into_response()
}

async fn state_socket(
    State(shared): State<Arc<Shared>>,
    upgrade: WebSocketUpgrade,
) -> HttpResponse {
    if !shared.world.lock().unwrap().subscriptions {
        return StatusCode::NOT_FOUND.into_response();
    }
    upgrade.on_upgrade(move |socket| serve_state(shared, socket))
}

/// A snapshot, then one patch for each tick of an operation.
async fn serve_state(shared: Arc<Shared>, mut socket: WebSocket) {
    let (mut seq, mut held) = {
        let world = shared.world.lock().unwrap();
        (world.seq, world.state.clone())
    };
    let snapshot = StateFrame::Snapshot { seq, snapshot: Box::new(held.clone()) };
    if send(&mut socket, &snapshot).await.is_err() {
        return;
    }
    loop {
        let now = {
            let mut world = shared.world.lock().unwrap();
            world.tick().then(|| (world.seq, world.state.clone()))
        };
        let Some((next, state)) = now else {
            tokio::select! {
                () = shared.changed.notified() => continue,
                message = socket.recv() => match message {
                    Some(Ok(_)) => continue,
                    _ => return,
                },
            }
        };
        let (old, new) =
            (serde_json::to_value(&held).unwrap(), serde_json::to_value(&state).unwrap());
        let patch = serde_json::to_value(json_patch::diff(&old, &new)).unwrap();
        let patch = serde_json::from_value(patch).unwrap();
        if send(&mut socket, &StateFrame::Patch { seq: next, from: seq, patch }).await.is_err() {
            return;
        }
        (seq, held) = (next, state);
    }
}

async fn send(socket: &mut WebSocket, frame: &StateFrame) -> Result<(), axum::Error> {
    socket.send(Message::Text(serde_json::to_string(frame).unwrap().into())).await
}
