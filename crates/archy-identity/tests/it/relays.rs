//! The client of relays by itself.

use std::time::Duration;

use archy_identity::event::Template;
use archy_identity::relay::{PublishError, RelayLink, Status, Timings, any_live};
use nostr::event::Event;
use nostr::key::Keys;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::relay::{Manner, Relay};
use crate::stand::{env, now, timings};

const LONG: Duration = Duration::from_secs(30);

fn link(url: String, timings: Timings) -> (RelayLink, mpsc::Receiver<Event>, Keys) {
    let keys = Keys::generate();
    let (heard, events) = mpsc::channel(16);
    let link = RelayLink::start(url, json!({ "kinds": [1] }), keys.clone(), heard, env(timings));
    (link, events, keys)
}

async fn away(link: &RelayLink) -> String {
    let mut status = link.watch();
    let waiting = status.wait_for(|status| matches!(status, Status::Away(_)));
    match tokio::time::timeout(LONG, waiting).await.unwrap().unwrap().clone() {
        Status::Away(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn events_come_back_from_a_relay() {
    for manner in [Manner::default(), Manner { auth: true, ..Manner::default() }] {
        let relay = Relay::start(manner).await;
        let (link, mut events, keys) = link(relay.url(), timings());
        let links = [link];
        any_live(&links, LONG).await.unwrap();
        let mut template = Template::new(1, now());
        template.content = "hello".into();
        let event = template.sign(&keys).unwrap();
        links[0].publish(event.clone()).await.unwrap();
        assert_eq!(events.recv().await.unwrap(), event);
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_relays_words() {
    let relay = Relay::start(Manner { refuses: true, ..Manner::default() }).await;
    let (link, _events, keys) = link(relay.url(), timings());
    let links = [link];
    any_live(&links, LONG).await.unwrap();
    let event = Template::new(1, now()).sign(&keys).unwrap();
    let refused = links[0].publish(event).await.unwrap_err();
    assert_eq!(refused, PublishError::Refused("blocked: not here".into()));
}

#[tokio::test]
async fn a_relay_that_comes_later_is_found() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (link, _events, keys) = link(format!("ws://{address}"), timings());
    away(&link).await;
    let event = Template::new(1, now()).sign(&keys).unwrap();
    assert_eq!(link.publish(event).await, Err(PublishError::Offline));
    let relay = Relay::on(TcpListener::bind(address).await.unwrap(), Manner::default());
    let links = [link];
    any_live(&links, LONG).await.unwrap();
    drop(relay);
    away(&links[0]).await;
}

#[tokio::test]
async fn a_relay_that_falls_silent_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    // takes the connection and reads nothing of what comes
    let held = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        std::future::pending::<()>().await;
        drop(socket);
    });
    let quick = Timings {
        ping_after: Duration::from_millis(50),
        pong: Duration::from_millis(50),
        retry_first: LONG,
        ..timings()
    };
    let (link, _events, _) = link(url, quick);
    assert_eq!(away(&link).await, "it fell silent");
    held.abort();
}

#[tokio::test]
async fn what_is_no_relay_is_away_with_a_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let held = tokio::spawn(async move {
        let _stream = listener.accept().await.unwrap();
        std::future::pending::<()>().await;
    });
    let quick = Timings { connect: Duration::from_millis(100), retry_first: LONG, ..timings() };
    let (link, _events, _) = link(url, quick);
    assert_eq!(away(&link).await, "it did not answer in time");
    held.abort();
}
