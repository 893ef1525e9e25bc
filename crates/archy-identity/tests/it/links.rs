//! `bunker://`: this node goes to the signer.

use std::time::Duration;

use archy_identity::Origin;
use archy_identity::cipher::{Direction, Scheme};
use archy_identity::relay::Timings;
use nostr::key::Keys;
use serde_json::json;

use crate::bunker::{Bunker, Mood};
use crate::relay::{Manner, Relay};
use crate::stand::{Stand, meta, timings};

fn note() -> serde_json::Value {
    json!({ "kind": 1, "created_at": 1_700_000_000, "tags": [["t", "ä"]], "content": "hello" })
}

#[tokio::test]
async fn a_bunker_is_linked_and_does_all_that_a_key_does() {
    let relay = Relay::start(Manner::default()).await;
    let stand = Stand::new(timings());
    let bunker = Bunker::start(&[relay.url()], &stand.env, Mood::Willing).await;
    let linked = stand.signer.link_bunker(meta("Phone"), &bunker.uri()).await.unwrap();
    assert_eq!(linked.origin, Origin::Linked);
    assert_eq!(linked.nostr_pubkey.as_deref(), Some(bunker.user.public_key().to_hex().as_str()));
    assert!(linked.is_default, "the first identity becomes the default");
    assert!(
        stand.signer.identities().signable_pubkeys().contains(&bunker.user.public_key().to_hex())
    );

    let event = stand.signer.sign_event(None, &note()).await.unwrap();
    assert!(event.verify().is_ok());
    assert_eq!((event.pubkey, event.content.as_str()), (bunker.user.public_key(), "hello"));
    let peer = Keys::generate();
    let peer_key = peer.public_key().to_hex();
    for scheme in [Scheme::Nip04, Scheme::Nip44] {
        let run = |direction, text: String| {
            let (signer, peer_key) = (stand.signer.clone(), peer_key.clone());
            async move { signer.cipher(None, &peer_key, direction, scheme, &text).await.unwrap() }
        };
        let sealed = run(Direction::Encrypt, "for you".into()).await;
        let read = archy_identity::cipher::run(
            &peer,
            &bunker.user.public_key(),
            Direction::Decrypt,
            scheme,
            &sealed,
        );
        assert_eq!(read.unwrap(), "for you");
        assert_eq!(run(Direction::Decrypt, sealed).await, "for you");
    }
    let id = Some(linked.id.as_str());
    let error = stand.signer.sign_hash(id, &"a".repeat(64)).unwrap_err();
    assert!(error.message.starts_with("linked identities"), "{}", error.message);
    let verified = archy_identity::Verified::by(|| true).unwrap();
    let error = stand.signer.identities().export(&linked.id, &verified).unwrap_err();
    assert!(error.message.starts_with("linked identities"), "{}", error.message);
}

#[tokio::test]
async fn a_link_outlives_a_restart_of_node_and_relay() {
    let relay = Relay::start(Manner::default()).await;
    let stand = Stand::new(timings());
    let bunker = Bunker::start(&[relay.url()], &stand.env, Mood::Old).await;
    stand.signer.link_bunker(meta("Phone"), &bunker.uri()).await.unwrap();
    let stand = stand.restart(timings());
    stand.signer.sign_event(None, &note()).await.unwrap();
    let before = relay.connected();
    relay.cut();
    // both come back by themselves
    relay.connections(before + 2).await;
    let event = stand.signer.sign_event(None, &json!({ "content": "again" })).await.unwrap();
    assert_eq!(event.content, "again");
    assert_eq!(bunker.count("connect"), 1, "the session's key is kept");
}

#[tokio::test]
async fn no_secret_of_a_link_lies_in_the_clear() {
    let relay = Relay::start(Manner::default()).await;
    let stand = Stand::new(timings());
    let bunker = Bunker::start(&[relay.url()], &stand.env, Mood::Repeating).await;
    let linked = stand.signer.link_bunker(meta("Phone"), &bunker.uri()).await.unwrap();
    let file = stand.dir.path().join("identities").join(format!("{}.json", linked.id));
    let text = std::fs::read_to_string(file).unwrap();
    assert!(!text.contains(&bunker.secret) && !text.contains("client_secret"), "{text}");
    assert!(text.contains("linked_signer"));
}

#[tokio::test]
async fn signers_that_do_not_want_to_are_told_apart() {
    let relay = Relay::start(Manner::default()).await;
    let short = Timings { request: Duration::from_millis(300), ..timings() };
    let stand = Stand::new(short);
    let bunker = Bunker::start(&[relay.url()], &stand.env, Mood::Willing).await;
    let link = |uri: String| {
        let signer = stand.signer.clone();
        async move { signer.link_bunker(meta("Phone"), &uri).await.unwrap_err() }
    };
    for (mood, code, words) in [
        (Mood::Refusing, "linked-signer-refused", "the linked signer refused"),
        (Mood::Silent, "linked-signer-silent", "linked signer did not answer"),
        (Mood::Forging, "linked-signer-bad-response", "linked signer sent a bad response"),
        (Mood::AuthUrl, "linked-signer-auth-url", "linked signer sent a bad response"),
    ] {
        bunker.set_mood(mood);
        let error = link(bunker.uri()).await;
        assert_eq!(error.code.as_str(), code, "{mood:?}");
        assert!(error.message.starts_with(words), "{}", error.message);
        assert!(error.hint.is_some());
    }
    bunker.set_mood(Mood::Willing);
    let wrong = link(bunker.uri().replace("s3cret", "guess")).await;
    assert_eq!(wrong.code.as_str(), "linked-signer-refused");
    assert!(stand.signer.identities().list().is_empty());
}

#[tokio::test]
async fn a_key_that_is_here_is_not_linked() {
    let relay = Relay::start(Manner::default()).await;
    let stand = Stand::new(timings());
    let bunker = Bunker::start(&[relay.url()], &stand.env, Mood::Willing).await;
    let secret = bunker.user.secret_key().to_secret_hex();
    let now = crate::stand::now();
    let identities = stand.signer.identities();
    identities.import("Mine", archy_identity::Purpose::Personal, &secret, now).unwrap();
    let error = stand.signer.link_bunker(meta("Phone"), &bunker.uri()).await.unwrap_err();
    assert_eq!(error.code.as_str(), "identity-key-taken");
}

#[tokio::test]
async fn without_a_relay_the_signer_is_offline() {
    let relay = Relay::start(Manner::default()).await;
    let stand = Stand::new(timings());
    let bunker = Bunker::start(&[relay.url()], &stand.env, Mood::Willing).await;
    stand.signer.link_bunker(meta("Phone"), &bunker.uri()).await.unwrap();
    let short = Timings { session_connect: Duration::from_millis(200), ..timings() };
    let stand = stand.restart(short);
    drop(relay);
    let error = stand.signer.sign_event(None, &note()).await.unwrap_err();
    assert_eq!(error.code.as_str(), "linked-signer-offline");
    assert!(error.message.starts_with("linked signer is offline"), "{}", error.message);
}

#[tokio::test]
async fn the_same_request_is_one_prompt_and_failures_are_not_kept() {
    let relay = Relay::start(Manner::default()).await;
    let stand = Stand::new(timings());
    let bunker = Bunker::start(&[relay.url()], &stand.env, Mood::Willing).await;
    stand.signer.link_bunker(meta("Phone"), &bunker.uri()).await.unwrap();
    let before = bunker.count("sign_event");
    let event = note();
    let sign = || stand.signer.sign_event(None, &event);
    let (one, two, three) = tokio::join!(sign(), sign(), sign());
    let (one, two, three) = (one.unwrap(), two.unwrap(), three.unwrap());
    assert!(one == two && two == three);
    assert_eq!(sign().await.unwrap(), one, "a success is told again");
    assert_eq!(bunker.count("sign_event"), before + 1);
    bunker.set_mood(Mood::Refusing);
    let other = json!({ "content": "other" });
    let error = stand.signer.sign_event(None, &other).await.unwrap_err();
    assert_eq!(error.code.as_str(), "linked-signer-denied");
    assert!(error.message.starts_with("linked signer denied"), "{}", error.message);
    bunker.set_mood(Mood::Willing);
    stand.signer.sign_event(None, &other).await.unwrap();
}

#[tokio::test]
async fn a_linked_signer_cannot_slip_in_another_event() {
    let relay = Relay::start(Manner::default()).await;
    let stand = Stand::new(timings());
    let bunker = Bunker::start(&[relay.url()], &stand.env, Mood::Willing).await;
    stand.signer.link_bunker(meta("Phone"), &bunker.uri()).await.unwrap();
    bunker.set_mood(Mood::Forging);
    let error = stand.signer.sign_event(None, &note()).await.unwrap_err();
    assert_eq!(error.code.as_str(), "linked-signer-bad-response");
}

#[tokio::test]
async fn one_working_relay_of_several_suffices() {
    let relay = Relay::start(Manner::default()).await;
    let mute = Relay::start(Manner { mute: true, ..Manner::default() }).await;
    let refusing = Relay::start(Manner { refuses: true, ..Manner::default() }).await;
    let stand = Stand::new(timings());
    let bunker = Bunker::start(&[relay.url()], &stand.env, Mood::Willing).await;
    let more = format!("&relay={}&relay={}&relay=ws://127.0.0.1:9", mute.url(), refusing.url());
    let uri = bunker.uri() + &more;
    stand.signer.link_bunker(meta("Phone"), &uri).await.unwrap();
    stand.signer.sign_event(None, &note()).await.unwrap();
}
