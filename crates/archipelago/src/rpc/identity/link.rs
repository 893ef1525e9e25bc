//! Linked signers, the node's own key, and its list of relays.

use std::collections::BTreeSet;

use archy_api::Hidden;
use archy_api::identity as api;
use archy_api::rpc::NoParams;
use archy_identity::event::Template;
use archy_identity::nip46::{Meta, Progress};
use archy_identity::store::npub;

use super::super::table::{Answer, Call};
use super::{ensure_seed, parts, purpose, read, record, sign};
use crate::app::App;
use crate::clock;

pub(in crate::rpc) async fn link(
    app: &App,
    call: &Call,
    params: api::LinkNip46Params,
) -> Answer<api::IdentityRecord> {
    let meta = Meta { name: params.name, purpose: purpose(params.purpose) };
    let signer = parts(app)?.signer.clone();
    let linked = signer.link_bunker(meta, params.bunker_uri.expose()).await?;
    tracing::info!(identity = linked.id, from = call.caller.peer.describe(), "a signer was linked");
    app.backends.engine.poke();
    Ok(record(linked))
}

pub(in crate::rpc) async fn start(
    app: &App,
    _: &Call,
    params: api::LinkStartParams,
) -> Answer<api::LinkStarted> {
    let meta = Meta { name: params.name, purpose: purpose(params.purpose) };
    let pairings = parts(app)?.signer.pairings().clone();
    let (pairing_id, uri) = pairings.start(meta, &params.relays).await?;
    Ok(api::LinkStarted { pairing_id, uri: Hidden::new(uri.as_str()) })
}

pub(in crate::rpc) async fn finish(
    app: &App,
    _: &Call,
    params: api::PairingParams,
) -> Answer<api::LinkProgress> {
    Ok(match parts(app)?.signer.pairings().finish(&params.pairing_id)? {
        Progress::Pending => api::LinkProgress::Pending,
        Progress::Linked(identity) => {
            app.backends.engine.poke();
            api::LinkProgress::Linked { identity: Box::new(record(*identity)) }
        }
    })
}

pub(in crate::rpc) async fn node_pubkey(
    app: &App,
    _: &Call,
    _: NoParams,
) -> Answer<api::NodePubkey> {
    ensure_seed(app).await?;
    let key = read(app, |identities| Ok(identities.node_keys()?.public_key())).await?;
    Ok(api::NodePubkey { nostr_pubkey: key.to_hex(), nostr_npub: npub(&key).unwrap_or_default() })
}

pub(in crate::rpc) async fn node_sign(
    app: &App,
    _: &Call,
    params: api::NodeSignParams,
) -> Answer<api::SignedEvent> {
    ensure_seed(app).await?;
    let template = Template::read(&params.event, clock::now())?;
    let signed = read(app, move |identities| template.sign(&identities.node_keys()?)).await?;
    Ok(sign::event(&signed))
}

pub(in crate::rpc) async fn list_relays(
    app: &App,
    _: &Call,
    _: NoParams,
) -> Answer<api::RelayRecords> {
    let parts = parts(app)?;
    let connected: BTreeSet<String> = parts.signer.links().connected().into_iter().collect();
    let relays = parts.relays.list().into_iter().map(|relay| api::RelayRecord {
        connected: connected.contains(&relay.url),
        url: relay.url,
        enabled: relay.enabled,
        added_at: relay.added_at,
    });
    Ok(api::RelayRecords { relays: relays.collect() })
}

pub(in crate::rpc) async fn set_relay(
    app: &App,
    _: &Call,
    params: api::SetRelayParams,
) -> Answer<api::OkResult> {
    let relays = &parts(app)?.relays;
    let enabled = params.enabled.unwrap_or(true);
    tokio::task::block_in_place(|| relays.put(&params.url, enabled, clock::now()))?;
    Ok(api::OkResult::YES)
}

pub(in crate::rpc) async fn remove_relay(
    app: &App,
    _: &Call,
    params: api::RelayParams,
) -> Answer<api::OkResult> {
    let relays = &parts(app)?.relays;
    tokio::task::block_in_place(|| relays.remove(&params.url))?;
    Ok(api::OkResult::YES)
}
