//! `auth.passkey.*`, `auth.login.passkey.*`.

use archy_api::auth::{
    IdParams, PasskeyAnswer, PasskeyInfo, PasskeyLoginParams, PasskeyQuestion, PasskeyStartParams,
};
use archy_api::rpc::NoParams;
use archy_types::UserError;

use super::super::table::{Answer, Call};
use crate::app::App;
use crate::auth::login::{self, OWNER};
use crate::auth::passkeys::{self, KeptKey, Question, Site};
use crate::clock;

pub(in crate::rpc) async fn register_start(
    app: &App,
    call: &Call,
    params: PasskeyStartParams,
) -> Answer<PasskeyQuestion> {
    let name = super::tokens::check_label(&params.name)?;
    let site = Site::new(call.caller.brought.origin.as_deref())?;
    super::again(app, call, Some(params.password)).await?;
    let user = call.caller.user();
    let known = app.users.find(user).await?.unwrap_or_default().passkeys;
    Ok(question(app.passkeys.register(site, user, name, &known, clock::steady_millis())?))
}

pub(in crate::rpc) async fn register_finish(
    app: &App,
    call: &Call,
    params: PasskeyAnswer,
) -> Answer<PasskeyInfo> {
    let (user, at) = (call.caller.user(), clock::now().0);
    let now = clock::steady_millis();
    let (attempt, answer) = (params.attempt_id, params.credential);
    let key = app.passkeys.registered(user, &attempt, answer, at, now)?;
    let kept = key.clone();
    app.users
        .change(user, move |record| {
            record.passkeys.retain(|one| one.id != kept.id);
            record.passkeys.push(kept);
            Ok(())
        })
        .await?;
    tracing::info!(user, host = key.host, "a passkey was registered");
    Ok(info(&key))
}

pub(in crate::rpc) async fn list(app: &App, call: &Call, _: NoParams) -> Answer<Vec<PasskeyInfo>> {
    let record = app.users.find(call.caller.user()).await?.unwrap_or_default();
    Ok(record.passkeys.iter().map(info).collect())
}

pub(in crate::rpc) async fn remove(app: &App, call: &Call, params: IdParams) -> Answer<()> {
    app.users
        .change(call.caller.user(), |record| {
            let before = record.passkeys.len();
            record.passkeys.retain(|key| key.id != params.id);
            if record.passkeys.len() == before {
                let message = "Not found: there is no such passkey.";
                return Err(UserError::new("passkey-not-found", message)
                    .hint("`auth.passkey.list` lists them."));
            }
            Ok(())
        })
        .await?;
    Ok(())
}

pub(in crate::rpc) async fn login_start(
    app: &App,
    call: &Call,
    params: PasskeyLoginParams,
) -> Answer<PasskeyQuestion> {
    let site = Site::new(call.caller.brought.origin.as_deref())?;
    let user = params.user.as_deref().unwrap_or(OWNER).trim().to_ascii_lowercase();
    let known = app.users.find(&user).await?.unwrap_or_default().passkeys;
    Ok(question(app.passkeys.ask(site, &user, &known, clock::steady_millis()).await?))
}

pub(in crate::rpc) async fn login_finish(
    app: &App,
    call: &Call,
    params: PasskeyAnswer,
) -> Answer<()> {
    let now = clock::steady_millis();
    let answered = app.passkeys.answered(&params.attempt_id, params.credential, now)?;
    let record = app
        .users
        .change(&answered.user, |record| {
            let known = answered.note(&mut record.passkeys);
            if known { Ok(record.clone()) } else { Err(passkeys::refused()) }
        })
        .await
        .map_err(|error| {
            if error.code.as_str() == "user-not-found" { passkeys::refused() } else { error }
        })?;
    let begun = login::begin(app, &call.caller.visit(), &answered.user, &record, false).await?;
    super::welcome(call, begun);
    Ok(())
}

fn question(question: Question) -> PasskeyQuestion {
    PasskeyQuestion { attempt_id: question.attempt, options: question.options }
}

fn info(key: &KeptKey) -> PasskeyInfo {
    PasskeyInfo {
        id: key.id.clone(),
        name: key.name.clone(),
        host: key.host.clone(),
        created: key.created,
    }
}
