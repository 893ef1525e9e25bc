//! Ids and signatures of Nostr events.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn keys() -> Keys {
    Keys::parse("67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa").unwrap()
}

/// The examples of NIP-19.
#[test]
fn nip19_vectors() {
    use nostr::nips::nip19::ToBech32 as _;
    let npub = "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg";
    let hex = "7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e";
    assert_eq!(public_key(npub).unwrap().to_hex(), hex);
    assert_eq!(public_key(hex).unwrap().to_bech32().unwrap(), npub);
    let nsec = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";
    assert_eq!(Keys::parse(nsec).unwrap().secret_key(), keys().secret_key());
    assert_eq!(keys().secret_key().to_bech32().unwrap(), nsec);
    for text in ["", "npub1", nsec, &hex[1..], &"f".repeat(64), &"0".repeat(64), &"a".repeat(9999)]
    {
        assert_eq!(public_key(text).unwrap_err().code.as_str(), "pubkey-invalid", "{text}");
    }
}

#[test]
fn what_an_app_leaves_out_is_filled_in() {
    let template = Template::read(&json!({}), NOW).unwrap();
    assert_eq!((template.kind, template.created_at), (1, 1_700_000_000));
    let event = template.sign(&keys()).unwrap();
    let value = serde_json::to_value(&event).unwrap();
    let mut fields: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
    fields.sort();
    assert_eq!(fields, ["content", "created_at", "id", "kind", "pubkey", "sig", "tags"]);
    assert_eq!(value["tags"], json!([]));
    assert_eq!(verified(value).unwrap(), event);
}

#[test]
fn a_signed_event_is_the_one_that_was_asked_for() {
    let asked = json!({
        "kind": 30023, "created_at": 1_600_000_000, "content": "ä\u{1}\n\"",
        "tags": [["d", "x"], ["t"]], "id": "ignored", "sig": "ignored",
        "pubkey": keys().public_key().to_hex(),
    });
    let template = Template::read(&asked, NOW).unwrap();
    let event = template.sign(&keys()).unwrap();
    assert!(template.is_signed_as(&event, keys().public_key()));
    let other = Template { content: "other".into(), ..template.clone() };
    assert!(!other.is_signed_as(&event, keys().public_key()));
    let mut forged = event.clone();
    forged.sig = nostr::event::Signature::from_byte_array([1; 64]);
    assert!(!template.is_signed_as(&forged, keys().public_key()));
    let stranger = Keys::generate();
    let error = template.sign(&stranger).unwrap_err();
    assert_eq!(error.code.as_str(), "event-pubkey-mismatch");
}

#[test]
fn events_that_are_none_are_refused() {
    for (value, code) in [
        (json!(null), "event-invalid"),
        (json!([]), "event-invalid"),
        (json!({"kind": -1}), "event-invalid"),
        (json!({"kind": 65_536}), "event-invalid"),
        (json!({"kind": "1"}), "event-invalid"),
        (json!({"created_at": -5}), "event-invalid"),
        (json!({"created_at": 1.5}), "event-invalid"),
        (json!({"created_at": u64::MAX}), "event-invalid"),
        (json!({"content": 1}), "event-invalid"),
        (json!({"tags": {}}), "event-invalid"),
        (json!({"tags": [[]]}), "event-invalid"),
        (json!({"tags": [["a", 1]]}), "event-invalid"),
        (json!({"pubkey": "zz"}), "pubkey-invalid"),
        (json!({"pubkey": 1}), "event-invalid"),
        (json!({"content": "x".repeat(MAX_CONTENT + 1)}), "event-too-large"),
        (json!({"tags": vec![["a"]; MAX_TAGS + 1]}), "event-too-large"),
    ] {
        let error = Template::read(&value, NOW).unwrap_err();
        assert_eq!(error.code.as_str(), code, "{}", error.message);
        assert!(error.hint.is_some());
    }
}

#[test]
fn forged_events_are_seen() {
    let event = Template::new(1, NOW).sign(&keys()).unwrap();
    let mut value = serde_json::to_value(&event).unwrap();
    value["content"] = json!("another");
    assert_eq!(verified(value).unwrap_err().code.as_str(), "event-signature-wrong");
    assert_eq!(verified(json!({})).unwrap_err().code.as_str(), "event-invalid");
}

#[test]
fn a_hash_is_signed_as_such() {
    let event = Template::new(1, NOW).sign(&keys()).unwrap();
    let sig = sign_hash(&keys(), &event.id.to_hex()).unwrap();
    let mut again = event.clone();
    again.sig = nostr::event::Signature::from_hex(&sig).unwrap();
    assert!(again.verify().is_ok());
    for hash in ["", "xyz", &"a".repeat(63), &"g".repeat(64)] {
        assert_eq!(sign_hash(&keys(), hash).unwrap_err().code.as_str(), "event-hash-invalid");
    }
}

#[test]
fn a_login_over_http_holds_for_one_request() {
    let (url, body) = ("https://node.local:3742/api/upload?x=1", b"body".as_slice());
    let event = http_auth(url, "post", Some(body), NOW).sign(&keys()).unwrap();
    let header = authorization(&event);
    let check = |header: &str, url: &str, method: &str, body: Option<&[u8]>, now: i64| {
        check_authorization(header, url, method, body, Timestamp(NOW.0 + now * 1000)).is_ok()
    };
    assert!(check(&header, url, "POST", Some(body), 0));
    assert!(check(&header, url, "POST", Some(body), 60));
    assert!(check(&header, url, "POST", None, -60));
    assert!(!check(&header, url, "POST", Some(body), 61));
    assert!(!check(&header, url, "GET", Some(body), 0));
    assert!(!check(&header, "https://node.local/api/upload?x=1", "POST", Some(body), 0));
    assert!(!check(&header, url, "POST", Some(b"other"), 0));
    assert!(!check(&header[6..], url, "POST", Some(body), 0));
    assert!(!check("Nostr e30=", url, "POST", Some(body), 0));
    let twice = http_auth(url, "POST", None, NOW).tag(&["u", url]).sign(&keys()).unwrap();
    assert!(!check(&authorization(&twice), url, "POST", None, 0));
}

proptest! {
    #[test]
    fn reading_never_panics(text in ".{0,300}") {
        let _ = public_key(&text);
        let _ = check_authorization(&text, "u", "GET", None, NOW);
        if let Ok(value) = serde_json::from_str(&text) {
            let _ = Template::read(&value, NOW);
        }
    }

    #[test]
    fn every_content_signs(content in ".{0,200}", tag in ".{0,50}", kind: u16) {
        let value = json!({"kind": kind, "content": content, "tags": [[tag.clone(), tag]]});
        let event = Template::read(&value, NOW).unwrap().sign(&keys()).unwrap();
        let text = serde_json::to_string(&event).unwrap();
        prop_assert!(verified(serde_json::from_str(&text).unwrap()).is_ok());
    }
}
