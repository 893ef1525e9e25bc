//! Identities, the signer and consent over the API.

use std::sync::Arc;

use archy_manifest::Manifest;
use archy_types::AppState;
use http::StatusCode;
use serde_json::{Value, json};

use crate::node::{Answer, Browser, Node, PASSWORD, publish, view};

struct Stand {
    node: Node,
    owner: Browser,
}

impl Stand {
    async fn start() -> Self {
        let node = Node::start().await;
        let owner = node.owner().await;
        Self { node, owner }
    }

    async fn call(&self, method: &str, params: Value) -> Answer {
        self.node.call(method, params, &self.owner.headers()).await
    }

    /// The result of a call that succeeds.
    async fn get(&self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params).await;
        assert_eq!(answer.code(), "none", "{method}: {:?}", answer.body);
        answer.json()["result"].clone()
    }

    /// The code of a call that fails; it comes with a hint.
    async fn fails(&self, method: &str, params: Value) -> String {
        let answer = self.call(method, params).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.json()["error"]["data"]["hint"].is_string(), "{:?}", answer.body);
        answer.code()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_lives_and_signs() {
    let stand = Stand::start().await;
    assert_eq!(stand.get("identity.list", json!({})).await["identities"], json!([]));
    let one = stand.get("identity.create", json!({"name": "One", "purpose": "odd"})).await;
    let two = stand.get("identity.create", json!({"name": "Two"})).await;
    assert_eq!((&one["purpose"], &one["origin"]), (&json!("personal"), &json!("seed")));
    assert_eq!((&one["is_default"], &two["is_default"]), (&json!(true), &json!(false)));
    assert!(one["did"].as_str().unwrap().starts_with("did:key:z6Mk"));
    assert!(one["nostr_npub"].as_str().unwrap().starts_with("npub1"));

    // the seed was made on the way, and can still be shown and written down
    let onboarding = stand.get("auth.onboarding", json!({})).await;
    assert_eq!(onboarding["seed"], "unconfirmed");
    let list = stand.get("identity.list", json!({})).await;
    let of_node = &list["identities"][0];
    assert_eq!((&of_node["is_node"], &list["identities"][1]), (&json!(true), &one));
    let node_key = stand.get("node.nostr-pubkey", json!({})).await;
    assert_eq!(node_key["nostr_pubkey"], of_node["nostr_pubkey"]);

    let event = json!({"kind": 1, "created_at": 5, "tags": [["t", "x"]], "content": "hi"});
    let signed = stand.get("identity.nostr-sign", json!({"event": event})).await;
    assert_eq!(signed["pubkey"], one["nostr_pubkey"]);
    let checked = archy_identity::event::verified(signed.clone()).unwrap();
    assert_eq!((checked.content.as_str(), checked.kind.as_u16()), ("hi", 1));
    let hash = json!({"id": two["id"], "event_hash": signed["id"]});
    let bare = stand.get("identity.nostr-sign", hash).await;
    assert_eq!(bare["pubkey"], two["nostr_pubkey"]);
    let by_node = stand.get("node.nostr-sign", json!({"event": {}})).await;
    assert_eq!(by_node["pubkey"], node_key["nostr_pubkey"]);
    archy_identity::event::verified(by_node).unwrap();

    stand.get("identity.update", json!({"id": two["id"], "name": "Zwei"})).await;
    stand.get("identity.set-default", json!({"id": two["id"]})).await;
    let two = stand.get("identity.get", json!({"id": two["id"]})).await;
    assert_eq!((&two["name"], &two["is_default"]), (&json!("Zwei"), &json!(true)));
    let gone = stand.get("identity.delete", json!({"id": two["id"]})).await;
    assert_eq!(gone, json!({"ok": true}));
    assert_eq!(stand.fails("identity.nostr-sign", json!({"event": {}})).await, "identity-none");
    assert_eq!(stand.fails("identity.get", json!({"id": two["id"]})).await, "identity-not-found");
    assert_eq!(stand.fails("identity.nostr-sign", json!({})).await, "event-invalid");
    assert_eq!(stand.fails("identity.create", json!({"name": ""})).await, "identity-name-invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_and_texts() {
    let stand = Stand::start().await;
    let one = stand.get("identity.create", json!({"name": "One"})).await;
    let two = stand.get("identity.create", json!({"name": "Two"})).await;
    for scheme in ["nip04", "nip44"] {
        let encrypt = format!("identity.nostr-encrypt-{scheme}");
        let decrypt = format!("identity.nostr-decrypt-{scheme}");
        let peer = &two["nostr_pubkey"];
        let sealed = stand.get(&encrypt, json!({"pubkey": peer, "plaintext": "psst"})).await;
        let params = json!({
            "id": two["id"], "pubkey": one["nostr_npub"], "ciphertext": sealed["ciphertext"],
        });
        assert_eq!(stand.get(&decrypt, params).await["plaintext"], "psst");
        let none = json!({"pubkey": "zz", "plaintext": "x"});
        assert_eq!(stand.fails(&encrypt, none).await, "pubkey-invalid");
        let broken = json!({"pubkey": peer, "ciphertext": "x"});
        assert_eq!(stand.fails(&decrypt, broken).await, "cipher-undecryptable");
    }
    let signed = stand.get("identity.sign", json!({"id": one["id"], "message": "text"})).await;
    assert_eq!(signed["did"], one["did"]);
    for (message, valid) in [("text", true), ("other", false)] {
        let params =
            json!({"did": one["did"], "message": message, "signature": signed["signature"]});
        assert_eq!(stand.get("identity.verify", params).await["valid"], valid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_leave_only_after_the_password() {
    let stand = Stand::start().await;
    let nsec = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";
    let one = stand.get("identity.import", json!({"name": "Mine", "nsec": nsec})).await;
    assert_eq!(one["origin"], "generated");
    let export = "identity.export-keys";
    for password in [json!("wrong password"), Value::Null] {
        let params = json!({"id": one["id"], "password": password});
        assert_eq!(stand.fails(export, params).await, "password-incorrect");
    }
    let params = json!({"id": one["id"], "password": PASSWORD});
    assert_eq!(stand.get(export, params).await["nsec"], nsec);
    let local = stand.node.local(export, json!({"id": one["id"]})).await;
    assert_eq!(local.json()["result"]["nsec"], nsec);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_apps_and_other_roles_cannot_sign() {
    let stand = Stand::start().await;
    stand.get("identity.create", json!({"name": "One"})).await;
    let viewer = json!({"name": "vera", "password": PASSWORD, "role": "Viewer", "apps": []});
    stand.get("users.create", viewer).await;
    let login = json!({"user": "vera", "password": PASSWORD});
    let vera = Browser::of(&stand.node.call("auth.login", login, &[]).await);
    for method in [
        "identity.nostr-sign",
        "node.nostr-sign",
        "identity.sign",
        "identity.export-keys",
        "identity.link-nip46",
        "identity.consent-answer",
        "identity.delete",
    ] {
        let mut headers = stand.owner.headers();
        headers.push(("origin", "https://localhost:3742".to_owned()));
        let answer = stand.node.call(method, json!({"event": {}}), &headers).await;
        assert_eq!(answer.code(), "forbidden-origin", "{method}");
        let answer = stand.node.call(method, json!({"event": {}}), &vera.headers()).await;
        assert_eq!(answer.code(), "insufficient-permissions", "{method}");
        let answer = stand.node.call(method, json!({"event": {}}), &[]).await;
        assert_eq!(answer.code(), "unauthorized", "{method}");
        let cookie = stand.owner.headers()[0].clone();
        let answer = stand.node.call(method, json!({"event": {}}), &[cookie]).await;
        assert_eq!(answer.code(), "csrf-missing", "{method}");
    }
    let list = stand.node.call("identity.list", json!({}), &vera.headers()).await;
    assert_eq!(list.code(), "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_asks_for_needs_consent() {
    let stand = Stand::start().await;
    stand.get("identity.create", json!({"name": "One"})).await;
    let event = json!({"kind": 1, "content": "post"});
    let origin = "https://localhost:3742";
    let page = json!({"app_id": "blog", "origin": origin});
    let sign = json!({"event": event, "consent": page});
    assert_eq!(stand.fails("identity.nostr-sign", sign.clone()).await, "consent-denied");
    let ask = json!({
        "app_id": "blog", "origin": origin, "method": "signEvent", "params": {"event": event},
    });
    let asked = stand.get("identity.consent-ask", ask.clone()).await;
    assert_eq!((&asked["state"], &asked["shared"]), (&json!("open"), &json!(false)));
    let again = stand.get("identity.consent-ask", ask.clone()).await;
    assert_eq!((&again["prompt_id"], &again["shared"]), (&asked["prompt_id"], &json!(true)));
    let list = stand.get("identity.consent-list", json!({})).await;
    assert_eq!(list["open"].as_array().unwrap().len(), 1);
    let prompt = json!({"prompt_id": asked["prompt_id"]});
    let answer = json!({"prompt_id": asked["prompt_id"], "decision": "allow"});
    let (waited, answered) = tokio::join!(
        stand.get("identity.consent-wait", prompt),
        stand.get("identity.consent-answer", answer),
    );
    assert_eq!((&waited["state"], &answered["ok"]), (&json!("allowed"), &json!(true)));
    let mut allowed = sign.clone();
    allowed["consent"]["prompt_id"] = asked["prompt_id"].clone();
    assert_eq!(stand.get("identity.nostr-sign", allowed.clone()).await["content"], "post");
    allowed["event"]["content"] = json!("another");
    assert_eq!(stand.fails("identity.nostr-sign", allowed).await, "consent-denied");

    // remembered, then taken back
    let mut other = ask.clone();
    other["params"]["event"]["content"] = json!("more");
    let asked = stand.get("identity.consent-ask", other).await;
    let answer = json!({"prompt_id": asked["prompt_id"], "decision": "allow", "remember": true});
    stand.get("identity.consent-answer", answer).await;
    stand.get("identity.nostr-sign", sign.clone()).await;
    assert_eq!(stand.get("identity.consent-ask", ask).await["state"], "allowed");
    let revoked = stand.get("identity.consent-revoke", json!({"app_id": "blog"})).await;
    assert_eq!(revoked["revoked"], 1);
    assert_eq!(stand.fails("identity.nostr-sign", sign).await, "consent-denied");
    let bad = json!({"app_id": "blog", "origin": "null", "method": "signEvent"});
    assert_eq!(stand.fails("identity.consent-ask", bad).await, "consent-invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_and_links() {
    let stand = Stand::start().await;
    assert_eq!(stand.get("nostr.list-relays", json!({})).await, json!({"relays": []}));
    stand.get("nostr.set-relay", json!({"url": "WSS://Relay.example/"})).await;
    stand.get("nostr.set-relay", json!({"url": "wss://relay.example", "enabled": false})).await;
    let list = stand.get("nostr.list-relays", json!({})).await;
    let relay = &list["relays"][0];
    assert_eq!((&relay["url"], &relay["enabled"]), (&json!("wss://relay.example"), &json!(false)));
    assert_eq!(relay["connected"], false);
    assert!(relay["added_at"].as_str().unwrap().ends_with('Z'));
    stand.get("nostr.remove-relay", json!({"url": "wss://relay.example"})).await;
    let bad = json!({"url": "https://relay.example"});
    assert_eq!(stand.fails("nostr.set-relay", bad).await, "relay-url-invalid");
    let link = json!({"name": "Phone", "bunker_uri": "nostrconnect://x"});
    assert_eq!(stand.fails("identity.link-nip46", link).await, "link-uri-nostrconnect");
    let start = json!({"name": "Phone", "relays": []});
    assert_eq!(stand.fails("identity.link-nostrconnect-start", start).await, "relay-count");
    let finish = json!({"pairing_id": "x"});
    let code = stand.fails("identity.link-nostrconnect-finish", finish).await;
    assert_eq!(code, "pairing-not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_with_the_keys_are_offered_a_restart() {
    let stand = Stand::start().await;
    let manifest = "app:\n  id: relay\n  name: Relay\n  version: 1.0.0\n  container:\n    \
        image: registry.example/relay:1\n    derived_env:\n      - key: OWNERS\n        \
        template: \"{{NODE_IDENTITY_PUBKEYS}}\"\n";
    let manifest = Arc::new(Manifest::parse(manifest.as_bytes()).unwrap());
    let mut app = view(manifest.clone(), AppState::Running);
    publish(&stand.node.snapshots, &manifest.id, Some(app.clone()));
    let apps = || stand.get("identity.affected-apps", json!({}));
    assert_eq!(
        apps().await["apps"],
        json!([{"id": "relay", "name": "Relay", "restart_needed": false}])
    );
    app.notes = vec![archy_plan::Check {
        severity: archy_plan::Severity::Note,
        code: archy_types::Code::new("environment-later"),
        message: "relay takes over values of the node at its next start.".into(),
        mend: None,
    }];
    publish(&stand.node.snapshots, &manifest.id, Some(app));
    assert_eq!(apps().await["apps"][0]["restart_needed"], true);
}
