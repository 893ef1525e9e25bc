//! `nostrconnect://`: the signer comes to this node.

use std::time::Duration;

use archy_identity::nip46::Progress;
use archy_identity::relay::Timings;
use archy_identity::{Identity, Origin};
use archy_types::UserError;
use serde_json::json;

use crate::bunker::{Bunker, Mood};
use crate::relay::{Manner, Relay};
use crate::stand::{Stand, meta, timings};

/// Asks as a dashboard does, until the pairing has ended.
async fn ended(stand: &Stand, id: &str) -> Result<Box<Identity>, UserError> {
    let mut every = tokio::time::interval(Duration::from_millis(10));
    let all = async {
        loop {
            every.tick().await;
            match stand.signer.pairings().finish(id) {
                Ok(Progress::Pending) => {}
                Ok(Progress::Linked(identity)) => return Ok(identity),
                Err(error) => return Err(error),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.unwrap()
}

#[tokio::test]
async fn a_signer_that_scans_the_code_is_linked() {
    let relay = Relay::start(Manner::default()).await;
    let stand = Stand::new(timings());
    let bunker = Bunker::start(&[relay.url()], &stand.env, Mood::Willing).await;
    let pairings = stand.signer.pairings();
    let (id, link) = pairings.start(meta("Phone"), &[relay.url()]).await.unwrap();
    assert_eq!(pairings.finish(&id).unwrap(), Progress::Pending);
    bunker.answer(&link, Some("a guess")).await;
    assert_eq!(pairings.finish(&id).unwrap(), Progress::Pending, "a guess does not count");
    bunker.answer(&link, None).await;
    let identity = ended(&stand, &id).await.unwrap();
    assert_eq!(identity.origin, Origin::Linked);
    assert_eq!(ended(&stand, &id).await.unwrap(), identity, "the end is told again");
    assert_eq!(stand.signer.identities().list().len(), 1);
    let event = stand.signer.sign_event(Some(&identity.id), &json!({})).await.unwrap();
    assert_eq!(event.pubkey, bunker.user.public_key());
    // and after a restart
    let stand = stand.restart(timings());
    let event = stand.signer.sign_event(Some(&identity.id), &json!({})).await.unwrap();
    assert_eq!(event.pubkey, bunker.user.public_key());
}

#[tokio::test]
async fn an_answer_that_a_relay_kept_is_not_lost() {
    let relay = Relay::start(Manner { keeps_all: true, ..Manner::default() }).await;
    let stand = Stand::new(timings());
    let bunker = Bunker::start(&[relay.url()], &stand.env, Mood::Willing).await;
    let pairings = stand.signer.pairings();
    let (id, link) = pairings.start(meta("Phone"), &[relay.url()]).await.unwrap();
    // the answer comes live, or lies at the relay when the node subscribes again
    relay.cut();
    bunker.answer(&link, None).await;
    let identity = ended(&stand, &id).await.unwrap();
    assert_eq!(identity.nostr_pubkey, Some(bunker.user.public_key().to_hex()));
}

#[tokio::test]
async fn pairings_are_few_and_end() {
    let relay = Relay::start(Manner::default()).await;
    let short = Timings {
        pairing: Duration::from_millis(150),
        repeat: Duration::from_secs(60),
        ..timings()
    };
    let stand = Stand::new(short);
    let pairings = stand.signer.pairings();
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(pairings.start(meta("Phone"), &[relay.url()]).await.unwrap().0);
    }
    for id in &ids {
        assert_eq!(ended(&stand, id).await.unwrap_err().code.as_str(), "pairing-expired");
    }
    let error = pairings.finish("unknown").unwrap_err();
    assert_eq!(error.code.as_str(), "pairing-not-found");
}

#[tokio::test]
async fn a_fifth_pairing_is_refused() {
    let relay = Relay::start(Manner::default()).await;
    let stand = Stand::new(timings());
    let pairings = stand.signer.pairings();
    let mut last = String::new();
    for _ in 0..4 {
        last = pairings.start(meta("Phone"), &[relay.url()]).await.unwrap().0;
    }
    let error = pairings.start(meta("Phone"), &[relay.url()]).await.unwrap_err();
    assert_eq!(error.code.as_str(), "pairing-limit");
    pairings.cancel(&last);
    pairings.start(meta("Phone"), &[relay.url()]).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_paired_is_refused_at_once() {
    let stand = Stand::new(Timings { connect: Duration::from_millis(300), ..timings() });
    let start = |name: &'static str, relays: Vec<String>| {
        let pairings = stand.signer.pairings().clone();
        async move { pairings.start(meta(name), &relays).await.unwrap_err().code }
    };
    assert_eq!(start("", vec!["ws://127.0.0.1:9".into()]).await.as_str(), "identity-name-invalid");
    assert_eq!(start("Phone", vec![]).await.as_str(), "relay-count");
    assert_eq!(start("Phone", vec!["http://x".into()]).await.as_str(), "relay-url-invalid");
    let away = start("Phone", vec!["ws://127.0.0.1:9".into()]).await;
    assert_eq!(away.as_str(), "linked-signer-offline");
}

#[tokio::test]
async fn a_signer_that_proves_nothing_is_not_linked() {
    let relay = Relay::start(Manner::default()).await;
    let stand = Stand::new(timings());
    let bunker = Bunker::start(&[relay.url()], &stand.env, Mood::Forging).await;
    let (id, link) = stand.signer.pairings().start(meta("Phone"), &[relay.url()]).await.unwrap();
    bunker.answer(&link, None).await;
    let error = ended(&stand, &id).await.unwrap_err();
    assert_eq!(error.code.as_str(), "linked-signer-bad-response");
    assert!(stand.signer.identities().list().is_empty());
}
