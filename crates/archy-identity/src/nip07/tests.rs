//! What apps' pages may ask, and who decides.

use archy_types::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::consent::{Ask, MAX_PER_APP, PROMPT_MILLIS, PromptState};
use super::protocol::Message;
use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn ask(app: &str, method: Method, digest: u8) -> Ask {
    Ask {
        app: app.into(),
        origin: format!("https://node.local:{digest}"),
        method,
        identity: None,
        digest: [digest; 32],
    }
}

fn prompt(consents: &mut Consents, ask: &Ask) -> u64 {
    match consents.ask(ask.clone(), NOW).unwrap() {
        Verdict::Prompt { id, shared: false } => id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_request_makes_one_prompt() {
    let mut consents = Consents::new(Vec::new());
    let sign = ask("notes", Method::SignEvent, 1);
    let id = prompt(&mut consents, &sign);
    assert_eq!(consents.ask(sign.clone(), NOW).unwrap(), Verdict::Prompt { id, shared: true });
    let mut other = sign.clone();
    other.digest = [9; 32];
    assert_ne!(prompt(&mut consents, &other), id);
    assert_eq!(consents.open(NOW).len(), 2);
    consents.answer(id, Decision::Allow, false, NOW).unwrap();
    assert_eq!(consents.state(id, NOW), PromptState::Decided(Decision::Allow));
    assert!(consents.permits(Some(id), &sign, NOW));
    assert!(!consents.permits(Some(id), &other, NOW), "allowed once is for one request");
    assert!(!consents.permits(None, &sign, NOW));
    // afterwards it is asked anew
    let later = NOW.plus_millis(61_000);
    assert!(!consents.permits(Some(id), &sign, later));
    assert!(matches!(consents.ask(sign, later).unwrap(), Verdict::Prompt { shared: false, .. }));
}

#[test]
fn a_remembered_decision_holds_for_app_origin_and_method() {
    let mut consents = Consents::new(Vec::new());
    let sign = ask("notes", Method::SignEvent, 1);
    let mut waiting = sign.clone();
    waiting.digest = [7; 32];
    let (first, second) = (prompt(&mut consents, &sign), prompt(&mut consents, &waiting));
    consents.answer(first, Decision::Allow, true, NOW).unwrap();
    assert_eq!(consents.state(second, NOW), PromptState::Decided(Decision::Allow));
    assert_eq!(consents.ask(sign.clone(), NOW).unwrap(), Verdict::Allowed);
    for other in [
        ask("notes", Method::Nip44Decrypt, 1),
        ask("notes", Method::SignEvent, 2),
        ask("other", Method::SignEvent, 1),
    ] {
        assert!(matches!(consents.ask(other, NOW).unwrap(), Verdict::Prompt { shared: false, .. }));
    }
    let kept: Vec<Grant> = consents.grants().cloned().collect();
    let text = serde_json::to_string(&kept).unwrap();
    let mut again = Consents::new(serde_json::from_str(&text).unwrap());
    assert_eq!(again.ask(sign.clone(), NOW).unwrap(), Verdict::Allowed);
    assert_eq!(again.revoke("notes", Some("https://elsewhere"), None), 0);
    assert_eq!(again.revoke("notes", None, Some(Method::SignEvent)), 1);
    assert!(matches!(again.ask(sign, NOW).unwrap(), Verdict::Prompt { .. }));
}

#[test]
fn a_denial_for_good_asks_nobody() {
    let mut consents = Consents::new(Vec::new());
    let sign = ask("notes", Method::SignEvent, 1);
    let id = prompt(&mut consents, &sign);
    consents.answer(id, Decision::Deny, true, NOW).unwrap();
    consents.answer(id, Decision::Deny, true, NOW).unwrap();
    let error = consents.answer(id, Decision::Allow, true, NOW).unwrap_err();
    assert_eq!(error.code.as_str(), "consent-decided");
    assert_eq!(consents.ask(sign.clone(), NOW).unwrap(), Verdict::Denied);
    assert!(!consents.permits(Some(id), &sign, NOW));
}

#[test]
fn prompts_wait_long_and_are_not_endless() {
    let mut consents = Consents::new(Vec::new());
    let id = prompt(&mut consents, &ask("notes", Method::SignEvent, 1));
    assert_eq!(consents.state(id, NOW.plus_millis(PROMPT_MILLIS - 1)), PromptState::Open);
    assert_eq!(consents.state(id, NOW.plus_millis(PROMPT_MILLIS)), PromptState::Gone);
    let late = consents.answer(id, Decision::Allow, true, NOW.plus_millis(PROMPT_MILLIS));
    assert_eq!(late.unwrap_err().code.as_str(), "consent-gone");
    assert_eq!(consents.grants().count(), 0);
    for digest in 0..MAX_PER_APP {
        prompt(&mut consents, &ask("flood", Method::SignEvent, u8::try_from(digest).unwrap()));
    }
    let error = consents.ask(ask("flood", Method::SignEvent, 200), NOW).unwrap_err();
    assert_eq!(error.code.as_str(), "consent-busy");
    prompt(&mut consents, &ask("other", Method::SignEvent, 200));
}

#[test]
fn messages_have_the_shapes_of_the_protocol() {
    for value in [
        json!({"type": "nostr-request", "id": 7, "method": "nip44.encrypt", "params": {"pubkey": "a", "plaintext": "b"}}),
        json!({"type": "nostr-response", "id": "x", "result": {"sig": "y"}}),
        json!({"type": "nostr-response", "id": "x", "error": "denied"}),
        json!({"type": "archipelago:identity:request", "force": true}),
        json!({"type": "archipelago:identity", "nostr_pubkey": "ab", "name": "Me"}),
        json!({"type": "archipelago:identity-cancelled"}),
        json!({"type": "archipelago:signer-ready"}),
        json!({"type": "archipelago:signer-show"}),
        json!({"type": "archipelago:signer-hide"}),
        json!({"type": "archipelago:signer-init", "appId": "notes", "appName": "Notes"}),
        json!({"type": "archipelago:signer-select-identity", "force": true}),
        json!({"type": "archipelago:signer-identity", "identity": {"nostr_pubkey": "ab"}}),
        json!({"type": "archipelago:signer-identity-cancelled"}),
    ] {
        let message: Message = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(&message).unwrap(), value);
    }
    for method in Method::ALL {
        assert_eq!(Method::of(method.name()), Some(method));
        assert_eq!(serde_json::to_value(method).unwrap(), method.name());
    }
    assert_eq!(Method::of("sign"), Some(Method::SignEvent));
    assert_eq!(Method::of("signSchnorr"), None);
}

/// The script speaks the same words.
#[test]
fn the_script_knows_every_message_and_method() {
    for word in [
        "nostr-request",
        "nostr-response",
        "archipelago:identity:request",
        "archipelago:identity'",
        "archipelago:identity-cancelled",
        "archipelago:signer-ready",
        "archipelago:signer-show",
        "archipelago:signer-hide",
        "archipelago:signer-init",
        "archipelago:signer-select-identity",
        "archipelago:signer-identity'",
        "archipelago:signer-identity-cancelled",
        "getPublicKey",
        "signEvent",
        "getRelays",
        "nip04",
        "nip44",
        "archipelagoNostr",
        "onIdentitySelected",
        "getSelectedIdentity",
        "selectIdentity",
        "/nostr-signer",
        "/api/nostr-auth/health",
        "/api/auth/nostr/session",
        "nostr_token",
        "nostr_pubkey",
        "refresh_token",
        "27235",
    ] {
        assert!(PROVIDER.contains(word), "{word}");
    }
    // works under a strict content security policy
    for word in ["eval(", "new Function", "innerHTML", "setAttribute('style'", "javascript:"] {
        assert!(!PROVIDER.contains(word), "{word}");
    }
}

#[test]
fn the_element_cannot_be_broken_out_of() {
    assert_eq!(
        script_tag("notes", false),
        "<script src=\"/nostr-provider.js\" data-app-id=\"notes\" data-no-nip98></script>"
    );
    assert!(script_tag("a\"><script>", true).contains("data-app-id=\"ascript\" data-nip98>"));
}

#[tokio::test]
async fn those_who_share_a_prompt_learn_the_answer() {
    use std::time::Duration;
    let dir = tempfile::tempdir().unwrap();
    let desk = ConsentDesk::open(dir.path()).unwrap();
    let sign = ask("notes", Method::SignEvent, 1);
    let Verdict::Prompt { id, .. } = desk.ask(sign.clone(), NOW).unwrap() else { panic!() };
    let long = Duration::from_secs(30);
    let answer = async { desk.answer(id, Decision::Allow, true, NOW).unwrap() };
    let (one, two, ()) = tokio::join!(desk.wait(id, long, NOW), desk.wait(id, long, NOW), answer);
    assert_eq!((one, two), (PromptState::Decided(Decision::Allow), one));
    let again = ConsentDesk::open(dir.path()).unwrap();
    assert_eq!(again.ask(sign.clone(), NOW).unwrap(), Verdict::Allowed);
    assert_eq!(again.wait(id, long, NOW).await, PromptState::Gone);
    assert_eq!(again.revoke("notes", None, None).unwrap(), 1);
    assert!(!ConsentDesk::open(dir.path()).unwrap().permits(None, &sign, NOW));
    std::fs::write(dir.path().join("consents.json"), "{").unwrap();
    let error = ConsentDesk::open(dir.path()).unwrap_err();
    assert_eq!(error.code.as_str(), "consents-file-damaged");
}

proptest! {
    #[test]
    fn reading_never_panics(text in ".{0,200}") {
        let _ = serde_json::from_str::<Message>(&text);
        let _ = Method::of(&text);
    }
}
