//! `auth.login.signer.*`, `auth.signer.*`: login with a linked signer.

use archy_api::rpc::{ErrorObject, NoParams};
use archy_api::signer as api;
use archy_identity::Signer;
use archy_identity::login::{Outcome, QUICK_MILLIS};
use archy_types::UserError;

use super::super::table::{Answer, Call, Cookies};
use crate::app::App;
use crate::auth::login::{self, OWNER};
use crate::auth::signer::{Asked, HiddenToken, KeptSigner, Purpose, unavailable};
use crate::clock;

fn signer(app: &App) -> Answer<&Signer> {
    Ok(&app.backends.identity.parts()?.signer)
}

/// The signers of a user that still hold the key with which they were added, by identity and key.
async fn enrolled(app: &App, user: &str) -> Answer<Vec<(String, String)>> {
    let signer = signer(app)?;
    let kept = app.users.find(user).await?.unwrap_or_default().signers();
    let holds = |one: &KeptSigner| {
        signer.approver(&one.identity_id).is_ok_and(|pubkey| pubkey == one.pubkey)
    };
    let fit = kept.into_iter().filter(holds);
    Ok(fit.map(|one| (one.identity_id, one.pubkey)).collect())
}

/// True when a user has a signer to ask in place of a code.
pub(super) async fn may_replace_code(app: &App, user: &str) -> bool {
    enrolled(app, user).await.is_ok_and(|signers| !signers.is_empty())
}

pub(in crate::rpc) async fn available(app: &App, _: &Call, _: NoParams) -> Answer<bool> {
    let owner = app.users.find(OWNER).await?.unwrap_or_default();
    let paused = app.signers.status().0.is_some();
    Ok(owner.second_factor.is_none() && !paused && !enrolled(app, OWNER).await?.is_empty())
}

pub(in crate::rpc) async fn start(
    app: &App,
    call: &Call,
    _: NoParams,
) -> Answer<api::SignerStarted> {
    let visit = call.caller.visit();
    login::count_guess(app, &visit).map_err(|why| super::refused(why, super::incorrect))?;
    let token = call.caller.brought.session.clone().unwrap_or_default();
    let (user, purpose) = match app.halves.peek(&token, clock::steady_millis()) {
        Some(half) => (half.user, Purpose::Code(HiddenToken(token))),
        None => (OWNER.to_owned(), Purpose::Login),
    };
    let record = app.users.find(&user).await?.unwrap_or_default();
    let signers = enrolled(app, &user).await?;
    if signers.is_empty() || (purpose == Purpose::Login && record.second_factor.is_some()) {
        return Err(unavailable().into());
    }
    begin(app, call, signers, &user, purpose)
}

fn begin(
    app: &App,
    call: &Call,
    signers: Vec<(String, String)>,
    user: &str,
    purpose: Purpose,
) -> Answer<api::SignerStarted> {
    let origin = call.caller.brought.origin.clone().unwrap_or_default();
    let ip = call.caller.peer.describe();
    let started = app.signers.start(signer(app)?, signers, user, purpose, &origin, &ip)?;
    let (name, HiddenToken(value)) = started.cookie;
    call.set_cookies(Cookies::Bind(name, value));
    let attempt = started.attempt;
    Ok(api::SignerStarted { attempt_id: attempt.id, code: attempt.code })
}

/// The attempt, for the browser that began it and nobody else.
fn asked(app: &App, call: &Call, attempt: &str) -> Answer<Asked> {
    let name = format!("signer_login_{}", attempt.get(..8).unwrap_or_default());
    let bindings = &call.caller.brought.bindings;
    let token = bindings.iter().find(|(known, _)| *known == name);
    let asked = app.signers.asked(attempt);
    let bound = |asked: &Asked| token.is_some_and(|(_, token)| asked.is_bound_to(token));
    asked.filter(bound).ok_or_else(|| ended(Outcome::Expired))
}

fn ended(outcome: Outcome) -> ErrorObject {
    let word = outcome.word();
    UserError::new("signer-login-ended", format!("Session missing: the login ended ({word})."))
        .hint("Begin again; the password works as well.")
        .into()
}

pub(in crate::rpc) async fn finish(
    app: &App,
    call: &Call,
    params: api::AttemptParams,
) -> Answer<api::SignerProgress> {
    let asked = asked(app, call, &params.attempt_id)?;
    let Some((answer, _)) = asked.verdict().await else { return Ok(api::SignerProgress::Pending) };
    app.signers.take(&params.attempt_id).ok_or_else(|| ended(Outcome::Expired))?;
    let identity = answer.map_err(ended)?;
    let visit = call.caller.visit();
    let record = app.users.find(&asked.user).await?.unwrap_or_default();
    // what was taken away in the meantime approves nothing
    if !enrolled(app, &asked.user).await?.iter().any(|(id, _)| *id == identity) {
        return Err(ended(Outcome::Refused));
    }
    let remember = match &asked.purpose {
        Purpose::Code(HiddenToken(token)) => {
            let half = app.halves.take(token, clock::steady_millis());
            half.ok_or_else(|| ended(Outcome::Expired))?.remember
        }
        Purpose::Login if record.second_factor.is_none() => false,
        Purpose::Login | Purpose::Enrol(_) => return Err(ended(Outcome::Refused)),
    };
    login::forgive(app, &visit);
    let begun = login::begin(app, &visit, &asked.user, &record, remember).await?;
    tracing::info!(from = visit.from, identity, "a signer approved a login");
    super::welcome(call, begun);
    Ok(api::SignerProgress::Approved)
}

pub(in crate::rpc) async fn enrol_start(
    app: &App,
    call: &Call,
    params: api::SignerParams,
) -> Answer<api::SignerStarted> {
    super::again(app, call, params.password).await?;
    let id = params.identity_id;
    let pubkey = signer(app)?.approver(&id)?;
    begin(app, call, vec![(id.clone(), pubkey)], call.caller.user(), Purpose::Enrol(id))
}

pub(in crate::rpc) async fn enrol_finish(
    app: &App,
    call: &Call,
    params: api::AttemptParams,
) -> Answer<api::EnrolProgress> {
    let asked = asked(app, call, &params.attempt_id)?;
    let Purpose::Enrol(id) = &asked.purpose else { return Err(ended(Outcome::Refused)) };
    if asked.user != call.caller.user() {
        return Err(ended(Outcome::Refused));
    }
    let Some((answer, approval_ms)) = asked.verdict().await else {
        return Ok(api::EnrolProgress::Pending);
    };
    app.signers.take(&params.attempt_id).ok_or_else(|| ended(Outcome::Expired))?;
    answer.map_err(ended)?;
    let kept = KeptSigner {
        identity_id: id.clone(),
        pubkey: signer(app)?.approver(id)?,
        added_at: archy_identity::store::rfc3339(clock::now()),
    };
    app.users.change(&asked.user, |record| record.add_signer(&kept)).await?;
    tracing::info!(user = asked.user, identity = id, "a signer may approve logins");
    Ok(api::EnrolProgress::Enrolled {
        identity_id: kept.identity_id,
        pubkey: kept.pubkey,
        added_at: kept.added_at,
        approval_ms,
        quick_approval: approval_ms < QUICK_MILLIS,
    })
}

pub(in crate::rpc) async fn list(
    app: &App,
    call: &Call,
    _: NoParams,
) -> Answer<Vec<api::LoginSigner>> {
    let identities = signer(app)?.identities();
    let kept = app.users.find(call.caller.user()).await?.unwrap_or_default().signers();
    let shown = |one: KeptSigner| api::LoginSigner {
        name: identities.get(&one.identity_id).ok().map(|identity| identity.name),
        identity_id: one.identity_id,
        pubkey: one.pubkey,
        added_at: one.added_at,
    };
    Ok(kept.into_iter().map(shown).collect())
}

pub(in crate::rpc) async fn remove(
    app: &App,
    call: &Call,
    params: api::SignerParams,
) -> Answer<api::SignerRemoved> {
    super::again(app, call, params.password).await?;
    let id = params.identity_id;
    let user = call.caller.user();
    let removed = app.users.change(user, |record| Ok(record.remove_signer(&id))).await?;
    Ok(api::SignerRemoved { removed })
}

/// An identity is gone: its signer approves nobody's login any more.
pub(in crate::rpc) async fn forget(app: &App, identity: &str) -> Answer<()> {
    for (user, record) in app.users.list().await? {
        if record.signers().iter().any(|one| one.identity_id == identity) {
            app.users
                .change(&user, |record| {
                    record.remove_signer(identity);
                    Ok(())
                })
                .await?;
        }
    }
    Ok(())
}

pub(in crate::rpc) async fn status(app: &App, _: &Call, _: NoParams) -> Answer<api::SignerStatus> {
    let (paused, recent) = app.signers.status();
    let shown = |one: archy_identity::login::Recent| api::SignerAttempt {
        at: one.at.0,
        ip: one.ip,
        outcome: one.outcome.word().to_owned(),
        identity_id: one.identity_id,
    };
    Ok(api::SignerStatus {
        paused_until: paused.map(|until| until.0),
        recent: recent.into_iter().map(shown).collect(),
    })
}
