//! The state document, its cache, and the subscription.

use std::time::Duration;

use archy_types::{AppId, AppState};
use futures_util::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::node::{Node, manifest, publish, view};

const PATIENCE: Duration = Duration::from_secs(20);

type Socket = WebSocketStream<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>;

async fn subscribe(
    node: &Node,
    query: &str,
    headers: &[(&'static str, String)],
) -> Result<Socket, Error> {
    let url = format!("wss://localhost/ws/state{query}");
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let tls = node.tls().await;
    tokio_tungstenite::client_async(request, tls).await.map(|(socket, _)| socket)
}

/// The next frame that is no heartbeat.
async fn frame(socket: &mut Socket) -> Value {
    loop {
        let message =
            tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        if let Message::Text(text) = message {
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame.get("heartbeat").is_none() {
                return frame;
            }
        }
    }
}

fn put(node: &Node, id: &str, state: AppState) {
    publish(&node.snapshots, &AppId::new(id).unwrap(), Some(view(manifest(id), state)));
}

/// Waits until the daemon has published what the engine did.
async fn settle(node: &Node, ready: impl Fn(&Value) -> bool) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = node.local("server.get-state", json!({})).await.json();
        if ready(&answer["result"]["data"]) {
            return answer["result"].clone();
        }
        assert!(tokio::time::Instant::now() < deadline, "{answer}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_has_the_words_of_existing_clients() {
    let node = Node::start().await;
    put(&node, "blog", AppState::Running);
    let state = settle(&node, |data| !data["package-data"]["blog"].is_null()).await;
    let app = &state["data"]["package-data"]["blog"];
    assert_eq!(app["state"], "running");
    assert_eq!(app["health"], "healthy");
    assert_eq!(
        app["manifest"]["description"],
        json!({"short": "A blog.", "long": "A blog. With posts."})
    );
    let door = &app["installed"]["interface-addresses"]["main"];
    // published on loopback only: no address on the network leads there
    assert_eq!(door["lan-address"], serde_json::Value::Null);
    assert_eq!(door["lan-port-auth"], "gated");
    assert_eq!(door["tor-address"], "");
    assert!(state["data"]["server_info"]["name"].is_string());
    // the typed form reads back what the cache gives
    let typed: archy_api::server::GetStateResult = serde_json::from_value(state.clone()).unwrap();
    assert_eq!(serde_json::to_value(&typed).unwrap(), state);
    publish(&node.snapshots, &AppId::new("blog").unwrap(), None);
    settle(&node, |data| data["package-data"] == json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_follow_a_chosen_port() {
    let node = Node::start().await;
    // the manifest says 8080
    let mut seen = view(manifest("blog"), AppState::Running);
    seen.ports[0].host = 9090;
    seen.ports[0].loopback_only = false;
    publish(&node.snapshots, &AppId::new("blog").unwrap(), Some(seen));
    let state = settle(&node, |data| !data["package-data"]["blog"].is_null()).await;
    let app = &state["data"]["package-data"]["blog"];
    assert_eq!(app["manifest"]["interfaces"]["main"]["port"], 9090);
    let door = &app["installed"]["interface-addresses"]["main"]["lan-address"];
    assert!(door.as_str().unwrap().ends_with(":9090"), "{door}");
    assert_eq!(app["manifest"]["website"], *door);
    assert_eq!(app["ports"][0]["host"], 9090);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_serialized_once() {
    let node = Node::start().await;
    put(&node, "blog", AppState::Running);
    settle(&node, |data| !data["package-data"]["blog"].is_null()).await;
    let (first, second) = (node.daemon.app.hub.now(), node.daemon.app.hub.now());
    assert_eq!(first.result.as_ptr(), second.result.as_ptr());
    assert_eq!(first.seq, second.seq);
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_lead_to_the_same_document_and_resume() {
    let node = Node::start().await;
    let browser = node.owner().await;
    let mut socket = subscribe(&node, "", &browser.headers()).await.unwrap();
    let first = frame(&mut socket).await;
    let (mut document, mut seq) = (first["snapshot"].clone(), first["seq"].as_u64().unwrap());
    let start = (document.clone(), seq);
    for (id, state) in [
        ("blog", AppState::Running),
        ("wiki", AppState::Starting),
        ("blog", AppState::Unhealthy),
        ("wiki", AppState::Failed),
    ] {
        put(&node, id, state);
        let next = frame(&mut socket).await;
        assert_eq!(next["from"].as_u64(), Some(seq));
        seq = next["seq"].as_u64().unwrap();
        let patch: json_patch::Patch = serde_json::from_value(next["patch"].clone()).unwrap();
        json_patch::patch(&mut document, &patch).unwrap();
    }
    publish(&node.snapshots, &AppId::new("wiki").unwrap(), None);
    let last = frame(&mut socket).await;
    let patch: json_patch::Patch = serde_json::from_value(last["patch"].clone()).unwrap();
    json_patch::patch(&mut document, &patch).unwrap();
    let now = node.local("server.get-state", json!({})).await.json();
    assert_eq!(document, now["result"]["data"]);
    assert_eq!(last["seq"], now["result"]["seq"]);

    // somebody who was away gets exactly what was missed
    let mut again =
        subscribe(&node, &format!("?since={}", start.1), &browser.headers()).await.unwrap();
    let mut resumed = start.0;
    loop {
        let next = frame(&mut again).await;
        let patch: json_patch::Patch = serde_json::from_value(next["patch"].clone()).unwrap();
        json_patch::patch(&mut resumed, &patch).unwrap();
        if next["seq"] == now["result"]["seq"] {
            break;
        }
    }
    assert_eq!(resumed, document);
    // a number of another run, or one that is gone, gives a snapshot
    let mut stranger = subscribe(&node, "?since=3", &browser.headers()).await.unwrap();
    assert_eq!(frame(&mut stranger).await["snapshot"], document);
    // the number may also come as the first message
    let mut late = subscribe(&node, "", &browser.headers()).await.unwrap();
    late.send(Message::text(json!({"since": start.1}).to_string())).await.unwrap();
    assert!(frame(&mut late).await.get("patch").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_own_pages_with_a_session_may_subscribe() {
    let node = Node::start().await;
    let browser = node.owner().await;
    let with = |origin: Option<&str>| {
        let mut headers = browser.headers();
        headers.extend(origin.map(|origin| ("origin", origin.to_owned())));
        headers
    };
    for (headers, status) in [
        (Vec::new(), Some(StatusCode::UNAUTHORIZED)),
        (with(None), None),
        (with(Some("https://localhost")), None),
        (with(Some("https://localhost:3742")), Some(StatusCode::FORBIDDEN)),
        (with(Some("https://elsewhere.example")), Some(StatusCode::FORBIDDEN)),
    ] {
        let got = match subscribe(&node, "", &headers).await {
            Ok(_) => None,
            Err(Error::Http(response)) => Some(response.status()),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(got, status, "{headers:?}");
    }
}
