//! Linked signers (NIP-46): a key that is somewhere else, asked over relays.
//!
//! Two ways lead to a link. With a `bunker://` link of the signer this node goes to the signer
//! ([`link_bunker`]); with a `nostrconnect://` link of this node the signer comes to us
//! ([`Pairings`]). After that both are the same: [`Links`] holds a session per identity and asks.

pub mod error;
pub mod links;
pub mod message;
pub mod pairing;
pub mod session;

use nostr::key::{Keys, PublicKey};
use serde_json::json;
use zeroize::Zeroizing;

use crate::event::{KIND_HTTP_AUTH, Template};
use crate::random;
use crate::record::LinkedSigner;
use crate::relay::Env;
use crate::store::Identities;
use crate::uri::{BunkerUri, CLIENT_NAME};

pub use error::LinkError;
pub use links::Links;
pub use pairing::{Meta, Pairings, Progress};
pub use session::Session;

/// Kind of the events that carry requests and answers.
pub const KIND: u16 = 24_133;

/// Follows a signer's link: connects, introduces this node, and lets the signer prove its key.
///
/// # Errors
/// The signer is away, says no, or proves nothing; `identity-key-taken` when its key is here.
pub async fn link_bunker(
    uri: &BunkerUri,
    identities: &Identities,
    env: &Env,
) -> Result<LinkedSigner, archy_types::UserError> {
    let client = Keys::generate();
    let session = Session::open(client.clone(), uri.remote, &uri.relays, env);
    session.ready().await?;
    let secret = uri.secret.as_ref().map(|secret| secret.to_string()).unwrap_or_default();
    let metadata = json!({ "name": CLIENT_NAME }).to_string();
    let params = vec![uri.remote.to_hex(), secret.clone(), String::new(), metadata];
    let answer = session.request("connect", params).await.map_err(LinkError::refused)?;
    let repeated = !secret.is_empty() && answer == secret;
    if answer != "ack" && !repeated {
        return Err(LinkError::Bad("it neither acknowledged nor repeated the secret").into());
    }
    let user = prove(&session, identities, env).await?;
    Ok(LinkedSigner {
        remote: uri.remote,
        user,
        relays: uri.relays.clone(),
        client,
        secret: uri.secret.clone(),
        linked_at: crate::store::rfc3339((env.clock)()),
    })
}

/// Asks for the signer's key and lets it sign a challenge that nobody else can have signed.
pub(crate) async fn prove(
    session: &Session,
    identities: &Identities,
    env: &Env,
) -> Result<PublicKey, archy_types::UserError> {
    let answer = session.request("get_public_key", Vec::new()).await?;
    let user = crate::event::public_key(&answer)
        .map_err(|_| LinkError::Bad("its public key is no key"))?;
    if identities.holds(user) {
        return Err(crate::store::taken());
    }
    let challenge = Zeroizing::new(hex::encode(random::bytes::<32>()?));
    let template = Template::new(KIND_HTTP_AUTH, (env.clock)())
        .tag(&["challenge", &challenge])
        .tag(&["client", CLIENT_NAME]);
    session.sign_event(&template, user).await?;
    Ok(user)
}

#[cfg(test)]
mod tests;
