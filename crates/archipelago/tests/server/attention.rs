//! Figures over time, notices and their ways to the owner, snapshots, the daemon's own log.

use std::time::{Duration, Instant};

use archy_types::{AppId, AppState};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::host::SECRETS;
use crate::node::{Node, manifest, publish, view};

#[tokio::test(flavor = "multi_thread")]
async fn figures_of_the_node_come_by_themselves() {
    let node = Node::start().await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut again = tokio::time::interval(Duration::from_millis(50));
    let series = loop {
        let answer = node.local("system.metrics", json!({"range": "day"})).await.json();
        assert_eq!(answer["result"]["step"], 300_000);
        let series = answer["result"]["series"].as_array().unwrap().clone();
        if !series.is_empty() {
            break series;
        }
        assert!(Instant::now() < deadline, "{answer}");
        again.tick().await;
    };
    let of = |kind: &str| series.iter().find(|one| one["kind"] == kind).unwrap().clone();
    let memory = of("memory");
    assert_eq!(memory["values"].as_array().unwrap().len(), 288);
    assert!(memory["values"][287].as_f64().unwrap() <= memory["limit"].as_f64().unwrap());
    assert!(of("disk")["limit"].as_f64().unwrap() > 0.0);
    let gone = node.local("package.metrics", json!({"id": "blog"})).await;
    assert_eq!(gone.code(), "app-not-found");
    let blog = AppId::new("blog").unwrap();
    publish(&node.snapshots, &blog, Some(view(manifest("blog"), AppState::Running)));
    let there = node.local("package.metrics", json!({"id": "blog", "range": "week"})).await.json();
    assert_eq!(there["result"]["step"], 1_800_000);
    let bad = node.local("system.metrics", json!({"range": "year"})).await;
    assert_eq!(bad.code(), "invalid-params");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_is_delivered_and_secrets_are_not_given_back() {
    let node = Node::start().await;
    let owner = node.owner().await;
    let call =
        async |method: &str, params: Value| node.call(method, params, &owner.headers()).await;
    let off = call("notify.test", json!({"channel": "webhook"})).await;
    assert_eq!(off.code(), "notify-off");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        let mut buffer = [0; 4096];
        while !(text.contains("\r\n\r\n") && text.ends_with('}')) {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "{text}");
            text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        text
    });
    let webhook = json!({"on": true, "url": url});
    let params = json!({"webhook": webhook, "webhook_secret": "between you and me"});
    let set = call("notify.set", params).await;
    assert_eq!(set.json()["result"]["webhook"]["has_secret"], true, "{:?}", set.body);
    assert_eq!(call("notify.test", json!({"channel": "webhook"})).await.code(), "none");
    let got = served.await.unwrap().to_lowercase();
    assert!(
        got.starts_with("post /hook http/1.1\r\n")
            && got.contains("x-archipelago-signature: sha256=")
    );
    let settings = call("notify.settings", json!({})).await;
    assert_eq!(settings.json()["result"]["last"][0]["error"], Value::Null);
    assert!(!String::from_utf8_lossy(&settings.body).contains("between you"));
    let bundle = call("system.support", json!({})).await;
    assert!(!String::from_utf8_lossy(&bundle.body).contains("between you"));
    let list = call("notify.list", json!({})).await.json();
    assert_eq!(list["result"], json!({"entries": [], "unread": 0}));
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_the_daemons_log_are_told() {
    let node = Node::start().await;
    let blog = AppId::new("blog").unwrap();
    publish(&node.snapshots, &blog, Some(view(manifest("blog"), AppState::Running)));
    let answer = node.local("package.snapshots", json!({"id": "blog"})).await.json();
    let snapshots = answer["result"]["snapshots"].as_array().unwrap();
    assert_eq!(snapshots.len(), 2);
    // newest first; no update is remembered here, so there is no way back
    let expected = json!({"generation": 9, "taken": 90, "expires": 97, "bytes": 512, "version": null,
        "before_version": "2.0", "goes_back": false, "restored": false});
    assert_eq!(snapshots[0], expected);
    assert_eq!(answer["result"]["previous"], Value::Null);
    let log = node.local("system.logs", json!({"lines": 7, "level": "warning"})).await;
    let text = String::from_utf8_lossy(&log.body).into_owned();
    assert!(text.contains("asked for 7") && text.contains("\"warning\""), "{text}");
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret}");
    }
}
