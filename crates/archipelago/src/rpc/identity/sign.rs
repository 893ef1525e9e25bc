//! Signatures and messages.

use archy_api::identity as api;
use archy_identity::cipher::{Direction, Scheme};
use archy_identity::did::DidPublicKey;
use archy_identity::nip07::Method;
use archy_types::UserError;
use serde_json::{Value, json};

use super::super::table::{Answer, Call};
use super::{consent, parts, read};
use crate::app::App;

/// Longest text that is signed with a did key, in bytes.
const MAX_TEXT: usize = 256 * 1024;

pub(super) fn event(event: &archy_identity::event::Signed) -> api::SignedEvent {
    api::SignedEvent {
        id: event.id.to_hex(),
        pubkey: event.pubkey.to_hex(),
        created_at: event.created_at.as_secs(),
        kind: event.kind.as_u16(),
        tags: event.tags.iter().map(|tag| tag.as_slice().to_vec()).collect(),
        content: event.content.clone(),
        sig: event.sig.to_hex(),
    }
}

pub(in crate::rpc) async fn sign(
    app: &App,
    _: &Call,
    params: api::NostrSignParams,
) -> Answer<api::NostrSigned> {
    let signer = &parts(app)?.signer;
    let id = params.id.as_deref();
    match (params.event, params.event_hash) {
        (Some(unsigned), None) => {
            let asked = json!({ "event": unsigned });
            consent::check(app, params.consent.as_ref(), Method::SignEvent, id, &asked)?;
            let signed = signer.sign_event(id, &unsigned).await?;
            Ok(api::NostrSigned::Event(event(&signed)))
        }
        // a page cannot have shown what a hash stands for
        (None, Some(hash)) if params.consent.is_none() => {
            let (pubkey, sig) = signer.sign_hash(id, &hash)?;
            Ok(api::NostrSigned::Hash(api::HashSignature { pubkey: pubkey.to_hex(), sig }))
        }
        _ => Err(UserError::new("event-invalid", "Missing event: send `event` or `event_hash`.")
            .hint("Send one of both; for an app's page only `event`.")
            .into()),
    }
}

async fn encrypt(
    app: &App,
    scheme: Scheme,
    method: Method,
    params: api::NostrEncryptParams,
) -> Answer<api::Encrypted> {
    let text = params.plaintext.into_inner();
    let id = params.id.as_deref();
    let asked = json!({ "pubkey": params.pubkey, "plaintext": text });
    consent::check(app, params.consent.as_ref(), method, id, &asked)?;
    let signer = &parts(app)?.signer;
    let done = signer.cipher(id, &params.pubkey, Direction::Encrypt, scheme, &text).await?;
    Ok(api::Encrypted { ciphertext: done })
}

async fn decrypt(
    app: &App,
    scheme: Scheme,
    method: Method,
    params: api::NostrDecryptParams,
) -> Answer<api::Decrypted> {
    let id = params.id.as_deref();
    let asked = json!({ "pubkey": params.pubkey, "ciphertext": params.ciphertext });
    consent::check(app, params.consent.as_ref(), method, id, &asked)?;
    let signer = &parts(app)?.signer;
    let text = &params.ciphertext;
    let done = signer.cipher(id, &params.pubkey, Direction::Decrypt, scheme, text).await?;
    Ok(api::Decrypted { plaintext: archy_api::Hidden::new(done) })
}

pub(in crate::rpc) async fn encrypt_nip04(
    app: &App,
    _: &Call,
    params: api::NostrEncryptParams,
) -> Answer<api::Encrypted> {
    encrypt(app, Scheme::Nip04, Method::Nip04Encrypt, params).await
}

pub(in crate::rpc) async fn decrypt_nip04(
    app: &App,
    _: &Call,
    params: api::NostrDecryptParams,
) -> Answer<api::Decrypted> {
    decrypt(app, Scheme::Nip04, Method::Nip04Decrypt, params).await
}

pub(in crate::rpc) async fn encrypt_nip44(
    app: &App,
    _: &Call,
    params: api::NostrEncryptParams,
) -> Answer<api::Encrypted> {
    encrypt(app, Scheme::Nip44, Method::Nip44Encrypt, params).await
}

pub(in crate::rpc) async fn decrypt_nip44(
    app: &App,
    _: &Call,
    params: api::NostrDecryptParams,
) -> Answer<api::Decrypted> {
    decrypt(app, Scheme::Nip44, Method::Nip44Decrypt, params).await
}

pub(in crate::rpc) async fn publish_profile(
    app: &App,
    _: &Call,
    params: api::PublishProfileParams,
) -> Answer<api::PublishedProfile> {
    let parts = parts(app)?;
    let enabled = parts.relays.list().into_iter().filter(|relay| relay.enabled);
    let relays: Vec<String> = enabled.map(|relay| relay.url).collect();
    let profile = params.profile.filter(|profile| *profile != Value::Null);
    let (signed, outcomes) = parts.signer.publish_profile(&params.id, profile, &relays).await?;
    let mut result =
        api::PublishedProfile { event: event(&signed), published: Vec::new(), failed: Vec::new() };
    for (url, outcome) in outcomes {
        match outcome {
            Ok(()) => result.published.push(url),
            Err(reason) => result.failed.push(api::RelayFailure { url, reason }),
        }
    }
    Ok(result)
}

pub(in crate::rpc) async fn sign_text(
    app: &App,
    _: &Call,
    params: api::DidSignParams,
) -> Answer<api::DidSignature> {
    check_text(&params.message)?;
    let sign = move |identities: &std::sync::Arc<archy_identity::Identities>| {
        identities.did_sign(&params.id, params.message.as_bytes())
    };
    let (did, signature) = read(app, sign).await?;
    Ok(api::DidSignature { did: did.to_string(), signature: hex::encode(signature) })
}

pub(in crate::rpc) async fn verify_text(
    _: &App,
    _: &Call,
    params: api::DidVerifyParams,
) -> Answer<api::DidVerified> {
    check_text(&params.message)?;
    let did = DidPublicKey::parse(&params.did)?;
    let signature = hex::decode(&params.signature).unwrap_or_default();
    Ok(api::DidVerified { valid: did.verifies(params.message.as_bytes(), &signature) })
}

fn check_text(text: &str) -> Answer<()> {
    if text.len() <= MAX_TEXT {
        return Ok(());
    }
    Err(UserError::new("message-too-long", "Invalid message: it is too long.")
        .hint(format!("At most {MAX_TEXT} bytes; sign a digest of it."))
        .into())
}
