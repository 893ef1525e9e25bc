//! `auth.*`.

use archy_api::auth::{ChangePasswordParams, PasswordParams};
use archy_api::rpc::NoParams;
use archy_types::UserError;

use super::table::{Answer, Call, Cookies};
use crate::app::App;
use crate::auth::Role;
use crate::auth::login::{self, OWNER, Refused};
use crate::auth::password::{self, Verdict};
use crate::auth::user_file::already_set_up;

pub(super) async fn is_setup(app: &App, _: &Call, _: NoParams) -> Answer<bool> {
    Ok(app.users.owner().await?.is_some())
}

pub(super) async fn is_onboarding_complete(app: &App, _: &Call, _: NoParams) -> Answer<bool> {
    Ok(app.users.is_onboarded().await)
}

pub(super) async fn setup(app: &App, call: &Call, params: PasswordParams) -> Answer<()> {
    if app.users.owner().await?.is_some() {
        return Err(already_set_up().into());
    }
    password::check_new(&params.password)?;
    let hash = password::hash(params.password).await?;
    app.users.create(hash).await?;
    tracing::info!(from = call.caller.peer.describe(), "the owner's password is set");
    begin(app, call, Role::Admin).await
}

pub(super) async fn login(app: &App, call: &Call, params: PasswordParams) -> Answer<()> {
    let peer = call.caller.peer;
    match login::check(app, peer.ip(), &peer.describe(), params.password).await {
        Ok(role) => begin(app, call, role).await,
        Err(Refused::NotSetUp) => Err(super::errors::not_set_up()),
        Err(Refused::Wrong) => Err(incorrect().into()),
        Err(Refused::Failed(error)) => Err(error.into()),
    }
}

pub(super) async fn logout(app: &App, call: &Call, _: NoParams) -> Answer<()> {
    if let Some(session) = &call.caller.session {
        app.sessions.end(session).await.map_err(UserError::from)?;
    }
    call.set_cookies(Cookies::Clear);
    Ok(())
}

pub(super) async fn change_password(
    app: &App,
    call: &Call,
    params: ChangePasswordParams,
) -> Answer<()> {
    let Some(owner) = app.users.owner().await? else {
        return Err(super::errors::not_set_up());
    };
    let verdict = password::verify(params.current_password, owner.password_hash.clone()).await;
    if verdict == Verdict::Wrong {
        return Err(incorrect().into());
    }
    password::check_new(&params.new_password)?;
    let hash = password::hash(params.new_password).await?;
    app.users.replace(&owner.password_hash, hash).await?;
    let keep = call.caller.session.as_deref();
    app.sessions.end_others(OWNER, keep).await.map_err(UserError::from)?;
    tracing::info!(from = call.caller.peer.describe(), "the owner's password was changed");
    Ok(())
}

/// Begins a session for a caller over the network; the unix socket needs none.
async fn begin(app: &App, call: &Call, role: Role) -> Answer<()> {
    let peer = call.caller.peer;
    let tokens = login::begin(app, role, peer.describe()).await?;
    call.set_cookies(Cookies::Set(tokens));
    Ok(())
}

fn incorrect() -> UserError {
    UserError::new("password-incorrect", "Password Incorrect")
        .hint("Try again; 5 attempts a minute are allowed.")
}
