//! A small Nostr relay: NIP-01 over WebSockets, NIP-42 when asked, kept in memory.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use nostr::event::Event;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::AbortHandle;
use tokio_tungstenite::tungstenite::Message;

/// How a relay behaves.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manner {
    /// Asks who one is, and takes nothing before it knows.
    pub(crate) auth: bool,
    /// Keeps ephemeral events as well, and gives them to later subscribers.
    pub(crate) keeps_all: bool,
    /// Refuses every event.
    pub(crate) refuses: bool,
    /// Accepts connections and never says a word.
    pub(crate) mute: bool,
}

struct Shared {
    manner: Manner,
    stored: Mutex<Vec<Event>>,
    published: broadcast::Sender<Event>,
    cut: watch::Sender<u64>,
    connections: watch::Sender<u64>,
}

/// A relay that listens on loopback; it ends when dropped.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Relay {
    pub(crate) async fn start(manner: Manner) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), manner)
    }

    pub(crate) fn on(listener: TcpListener, manner: Manner) -> Self {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            manner,
            stored: Mutex::default(),
            published: broadcast::channel(256).0,
            cut: watch::channel(0).0,
            connections: watch::channel(0).0,
        });
        let of_task = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, of_task.clone()));
            }
        });
        Self { address, shared, task: task.abort_handle() }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        self.shared.cut.send_modify(|round| *round += 1);
    }

    /// Waits until so many connections were made since the start.
    pub(crate) async fn connections(&self, count: u64) {
        let mut seen = self.shared.connections.subscribe();
        seen.wait_for(|now| *now >= count).await.unwrap();
    }

    pub(crate) fn connected(&self) -> u64 {
        *self.shared.connections.borrow()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

struct Client {
    challenge: String,
    known: bool,
    filters: Vec<(String, Value)>,
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let mut published = shared.published.subscribe();
    let mut cut = shared.cut.subscribe();
    shared.connections.send_modify(|count| *count += 1);
    if shared.manner.mute {
        let _ = cut.changed().await;
        return;
    }
    let challenge = "who-are-you".to_owned();
    let mut client = Client { challenge, known: !shared.manner.auth, filters: Vec::new() };
    let mut out = Vec::new();
    if shared.manner.auth {
        out.push(json!(["AUTH", client.challenge]));
    }
    loop {
        for value in out.drain(..) {
            if socket.send(Message::Text(value.to_string().into())).await.is_err() {
                return;
            }
        }
        tokio::select! {
            _ = cut.changed() => return,
            event = published.recv() => {
                let Ok(event) = event else { return };
                for (name, filter) in &client.filters {
                    if fits(filter, &event) {
                        out.push(json!(["EVENT", name, event]));
                    }
                }
            }
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => out = heard(&text, &mut client, &shared),
                Some(Ok(_)) => {}
                _ => return,
            },
        }
    }
}

fn heard(text: &str, client: &mut Client, shared: &Shared) -> Vec<Value> {
    let parts: Vec<Value> = serde_json::from_str(text).unwrap();
    match parts[0].as_str().unwrap() {
        "REQ" if !client.known => {
            vec![json!(["CLOSED", parts[1], "auth-required: say who you are"])]
        }
        "REQ" => {
            let name = parts[1].as_str().unwrap().to_owned();
            let stored = shared.stored.lock().unwrap();
            let fitting = stored.iter().filter(|event| fits(&parts[2], event));
            let mut out: Vec<Value> = fitting.map(|event| json!(["EVENT", name, event])).collect();
            out.push(json!(["EOSE", name]));
            client.filters.retain(|(known, _)| *known != name);
            client.filters.push((name, parts[2].clone()));
            out
        }
        "EVENT" => vec![take(&parts[1], client, shared)],
        "AUTH" => {
            let event: Event = serde_json::from_value(parts[1].clone()).unwrap();
            let challenge = event.tags.iter().find(|tag| tag.kind() == "challenge");
            let right = event.verify().is_ok()
                && event.kind.as_u16() == 22_242
                && challenge.and_then(|tag| tag.content()) == Some(&client.challenge);
            client.known |= right;
            vec![json!(["OK", event.id, right, ""])]
        }
        _ => Vec::new(),
    }
}

fn take(value: &Value, client: &Client, shared: &Shared) -> Value {
    let event: Event = serde_json::from_value(value.clone()).unwrap();
    if !client.known {
        return json!(["OK", event.id, false, "auth-required: say who you are"]);
    }
    if shared.manner.refuses || event.verify().is_err() {
        return json!(["OK", event.id, false, "blocked: not here"]);
    }
    let ephemeral = (20_000..30_000).contains(&event.kind.as_u16());
    if shared.manner.keeps_all || !ephemeral {
        shared.stored.lock().unwrap().push(event.clone());
    }
    let id = event.id;
    let _ = shared.published.send(event);
    json!(["OK", id, true, ""])
}

fn fits(filter: &Value, event: &Event) -> bool {
    let any = |key: &str, value: Value| {
        filter[key].as_array().is_none_or(|wanted| wanted.contains(&value))
    };
    let tagged = filter["#p"].as_array().is_none_or(|wanted| {
        let tags = event.tags.iter().filter(|tag| tag.kind() == "p");
        tags.filter_map(|tag| tag.content()).any(|key| wanted.contains(&json!(key)))
    });
    any("kinds", json!(event.kind.as_u16()))
        && any("authors", json!(event.pubkey.to_hex()))
        && filter["since"].as_u64().is_none_or(|since| event.created_at.as_secs() >= since)
        && tagged
}
