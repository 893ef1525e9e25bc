//! `identity.*`, `node.nostr-*`, `nostr.*`.

mod consent;
mod link;
mod sign;

use std::sync::Arc;

use archy_api::identity as api;
use archy_api::rpc::NoParams;
use archy_identity::{Identities, Identity, Purpose, Standing, Verified};
use archy_types::UserError;

use super::table::{Answer, Call};
use crate::app::App;
use crate::clock;
use crate::identity::{Parts, is_affected, needs_restart};

pub(super) use consent::{answer, ask, grants, revoke, wait};
pub(super) use link::{
    finish, link, list_relays, node_pubkey, node_sign, remove_relay, set_relay, start,
};
pub(super) use sign::{
    decrypt_nip04, decrypt_nip44, encrypt_nip04, encrypt_nip44, publish_profile, sign, sign_text,
    verify_text,
};

/// The desk, or why it cannot be used.
fn parts(app: &App) -> Answer<&Parts> {
    Ok(app.backends.identity.parts()?)
}

/// Changes identities beside the async threads, and lets the engine look at what follows.
async fn change<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&Identities) -> Result<T, UserError> + Send + 'static,
) -> Answer<T> {
    let identities = parts(app)?.signer.identities().clone();
    let done = tokio::task::spawn_blocking(move || work(&identities)).await;
    let done = done.map_err(|error| UserError::new("internal", error.to_string()))??;
    app.backends.engine.poke();
    Ok(done)
}

/// Reads identities beside the async threads.
async fn read<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&Arc<Identities>) -> Result<T, UserError> + Send + 'static,
) -> Answer<T> {
    let identities = parts(app)?.signer.identities().clone();
    let done = tokio::task::spawn_blocking(move || work(&identities)).await;
    Ok(done.map_err(|error| UserError::new("internal", error.to_string()))??)
}

/// Makes the recovery seed where there is none, in the same way as the first steps do: it is shown
/// there until the owner has written it down.
async fn ensure_seed(app: &App) -> Answer<()> {
    let standing = read(app, |identities| identities.seed().standing()).await?;
    if standing == Standing::Missing {
        app.onboarding.show().await?;
    }
    Ok(())
}

fn purpose(word: Option<String>) -> Purpose {
    word.map_or(Purpose::Personal, |word| Purpose::of(&word))
}

fn record(identity: Identity) -> api::IdentityRecord {
    let origin = match identity.origin {
        archy_identity::Origin::Seed => "seed",
        archy_identity::Origin::Generated => "generated",
        archy_identity::Origin::Linked => "linked",
    };
    api::IdentityRecord {
        id: identity.id,
        name: identity.name,
        purpose: identity.purpose.word().to_owned(),
        pubkey: identity.pubkey,
        did: identity.did,
        created_at: identity.created_at,
        is_default: identity.is_default,
        is_node: identity.is_node,
        nostr_pubkey: identity.nostr_pubkey,
        nostr_npub: identity.nostr_npub,
        profile: identity.profile,
        origin: origin.to_owned(),
        derivation_index: identity.derivation_index,
        signer: identity.signer.map(|signer| api::SignerRecord {
            remote_signer_pubkey: signer.remote_signer_pubkey,
            relays: signer.relays,
        }),
    }
}

pub(super) async fn list(app: &App, _: &Call, _: NoParams) -> Answer<api::IdentityList> {
    let (identities, damaged) =
        read(app, |identities| Ok((identities.list(), identities.damaged()))).await?;
    let damaged = damaged.into_iter().map(|damaged| api::DamagedIdentity {
        file: damaged.file,
        code: damaged.error.code.to_string(),
        message: damaged.error.message,
        hint: damaged.error.hint,
    });
    Ok(api::IdentityList {
        identities: identities.into_iter().map(record).collect(),
        damaged: damaged.collect(),
    })
}

pub(super) async fn get(
    app: &App,
    _: &Call,
    params: api::IdentityParams,
) -> Answer<api::IdentityRecord> {
    read(app, move |identities| identities.get(&params.id)).await.map(record)
}

pub(super) async fn create(
    app: &App,
    _: &Call,
    params: api::CreateIdentityParams,
) -> Answer<api::IdentityRecord> {
    ensure_seed(app).await?;
    let (purpose, now) = (purpose(params.purpose), clock::now());
    let make = move |identities: &Identities| {
        identities.create(&params.name, purpose, params.derivation_index, now)
    };
    change(app, make).await.map(record)
}

pub(super) async fn import(
    app: &App,
    _: &Call,
    params: api::ImportIdentityParams,
) -> Answer<api::IdentityRecord> {
    let (purpose, now) = (purpose(params.purpose), clock::now());
    let make = move |identities: &Identities| {
        identities.import(&params.name, purpose, params.nsec.expose(), now)
    };
    change(app, make).await.map(record)
}

pub(super) async fn update(
    app: &App,
    _: &Call,
    params: api::UpdateIdentityParams,
) -> Answer<api::IdentityRecord> {
    let work = move |identities: &Identities| {
        if let Some(name) = &params.name {
            identities.rename(&params.id, name)?;
        }
        if let Some(purpose) = &params.purpose {
            identities.set_purpose(&params.id, Purpose::of(purpose))?;
        }
        identities.get(&params.id)
    };
    change(app, work).await.map(record)
}

pub(super) async fn set_default(
    app: &App,
    _: &Call,
    params: api::IdentityParams,
) -> Answer<api::IdentityRecord> {
    change(app, move |identities| identities.set_default(&params.id)).await.map(record)
}

pub(super) async fn delete(
    app: &App,
    call: &Call,
    params: api::IdentityParams,
) -> Answer<api::OkResult> {
    let signer = parts(app)?.signer.clone();
    let id = params.id.clone();
    change(app, move |_| signer.delete(&params.id)).await?;
    super::auth::signer::forget(app, &id).await?;
    tracing::info!(identity = id, from = call.caller.peer.describe(), "an identity was deleted");
    Ok(api::OkResult::YES)
}

pub(super) async fn create_nostr_key(
    app: &App,
    _: &Call,
    params: api::IdentityParams,
) -> Answer<api::IdentityRecord> {
    change(app, move |identities| identities.create_nostr_key(&params.id)).await.map(record)
}

pub(super) async fn export_keys(
    app: &App,
    call: &Call,
    params: api::ExportKeysParams,
) -> Answer<api::ExportedKeys> {
    super::auth::again(app, call, params.password).await?;
    let id = params.id.clone();
    let exported = read(app, move |identities| {
        // the password was checked above, by the same limits as every login
        let verified = Verified::by(|| true)?;
        identities.export(&params.id, &verified)
    })
    .await?;
    tracing::warn!(identity = id, from = call.caller.peer.describe(), "keys were exported");
    let hidden = |text: &str| archy_api::Hidden::new(text);
    Ok(api::ExportedKeys {
        nsec: hidden(&exported.nsec),
        nostr_secret_hex: hidden(&exported.nostr_secret_hex),
        secret_key_hex: hidden(&exported.did_secret_hex),
    })
}

pub(super) async fn affected_apps(app: &App, _: &Call, _: NoParams) -> Answer<api::AffectedApps> {
    let snapshot = app.backends.engine.snapshot();
    let affected = snapshot.apps.values().filter(|view| is_affected(&view.manifest));
    let apps = affected.map(|view| api::AffectedApp {
        id: view.manifest.id.to_string(),
        name: view.manifest.name.clone(),
        restart_needed: needs_restart(view),
    });
    Ok(api::AffectedApps { apps: apps.collect() })
}
