//! `bunker://` and `nostrconnect://` links.

use proptest::prelude::*;

use super::*;

const KEY: &str = "fa984bd7dbb282f07e16e7ae87b26a2a7b9b90b7246a44771f0cf5ae58018f52";

#[test]
fn a_bunker_link_is_read() {
    let link = format!(
        "bunker://{KEY}?relay=wss%3A%2F%2FRelay.example%2F&relay=ws://127.0.0.1:7777&secret=s%20e&relay=wss://relay.example&perms=x"
    );
    let uri = BunkerUri::parse(&link).unwrap();
    assert_eq!(uri.remote.to_hex(), KEY);
    assert_eq!(uri.relays, ["wss://relay.example", "ws://127.0.0.1:7777"]);
    assert_eq!(uri.secret.as_ref().unwrap().as_str(), "s e");
    assert!(!format!("{uri:?}").contains("s e"));
    let open = BunkerUri::parse(&format!("BUNKER://{KEY}?relay=wss://a.example&secret=")).unwrap();
    assert_eq!(open.secret, None);
}

#[test]
fn other_links_are_refused() {
    let relays = |count: usize| {
        (0..count).map(|n| format!("relay=wss://r{n}.example")).collect::<Vec<_>>().join("&")
    };
    for (link, code) in [
        (String::new(), "link-uri-invalid"),
        (format!("https://{KEY}"), "link-uri-invalid"),
        (format!("nostrconnect://{KEY}?{}", relays(1)), "link-uri-nostrconnect"),
        (format!("bunker://{}?{}", &KEY[1..], relays(1)), "link-uri-key"),
        (format!("bunker://{KEY}/path?{}", relays(1)), "link-uri-key"),
        (format!("bunker://{}?{}", "g".repeat(64), relays(1)), "link-uri-key"),
        (format!("bunker://{}?{}", "f".repeat(64), relays(1)), "link-uri-key"),
        (format!("bunker://{KEY}"), "relay-count"),
        (format!("bunker://{KEY}?{}", relays(9)), "relay-count"),
        (format!("bunker://{KEY}?relay=https://a.example"), "relay-url-invalid"),
        (format!("bunker://{KEY}?{}&secret=a&secret=b", relays(1)), "link-uri-secret"),
        (format!("bunker://{KEY}?{}#x", relays(1)), "link-uri-invalid"),
        (format!("bunker://{KEY}?{} {}", relays(1), relays(1)), "link-uri-invalid"),
        (format!("bunker://{KEY}?{}", "x".repeat(10_000)), "link-uri-invalid"),
    ] {
        let error = BunkerUri::parse(&link).unwrap_err();
        assert_eq!(error.code(), code, "{link}");
        assert!(UserError::from(error).hint.is_some());
    }
    assert!(BunkerUri::parse(&format!("bunker://{KEY}?{}", relays(8))).is_ok());
}

#[test]
fn addresses_of_relays_have_one_spelling() {
    for (text, url) in [
        ("wss://Relay.Example", Some("wss://relay.example")),
        ("WSS://relay.example/", Some("wss://relay.example")),
        (" ws://[::1]:8080/Path?q=1 ", Some("ws://[::1]:8080/Path?q=1")),
        ("http://relay.example", None),
        ("wss://user:pass@relay.example", None),
        ("wss://", None),
        ("wss:///path", None),
        ("relay.example", None),
        ("wss://relay.example#x", None),
        ("wss://re lay.example", None),
        ("", None),
    ] {
        assert_eq!(relay_url(text).ok().as_deref(), url, "{text}");
    }
}

#[test]
fn our_own_link_reads_back() {
    let uri = NostrConnectUri {
        client: PublicKey::from_hex(KEY).unwrap(),
        relays: vec!["wss://a.example/x?y=1&z".into(), "ws://127.0.0.1:1".into()],
        secret: Zeroizing::new("00ff".into()),
    };
    let text = uri.expose();
    assert!(text.contains("name=Archipelago"), "{}", text.as_str());
    assert_eq!(NostrConnectUri::parse(&text).unwrap(), uri);
    assert!(!format!("{uri:?}").contains("00ff"));
    let without = format!("nostrconnect://{KEY}?relay=wss://a.example");
    assert_eq!(NostrConnectUri::parse(&without), Err(UriError::Secret));
}

proptest! {
    #[test]
    fn reading_never_panics(text in ".{0,200}") {
        let _ = relay_url(&text);
        let _ = BunkerUri::parse(&text);
        let _ = BunkerUri::parse(&format!("bunker://{KEY}?{text}"));
        let _ = NostrConnectUri::parse(&format!("nostrconnect://{text}"));
    }

    #[test]
    fn a_relay_reads_back(host in "[a-z]{1,20}(\\.[a-z]{1,10}){0,2}", port: u16, path in "(/[a-zA-Z0-9._~-]{1,10}){0,2}") {
        let url = format!("wss://{host}:{port}{path}");
        let read = relay_url(&url).unwrap();
        prop_assert_eq!(relay_url(&read).unwrap(), read);
    }
}
