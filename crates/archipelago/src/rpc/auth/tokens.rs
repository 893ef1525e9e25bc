//! Sessions and device tokens: listed and taken back.

use archy_api::auth::{
    CreateDeviceTokenParams, CreatedDeviceToken, DeviceToken, IdParams, RevokeSessionParams,
    RevokedResult, SessionInfo, SessionsParams,
};
use archy_api::rpc::NoParams;
use archy_api::{Hidden, Role};
use archy_types::UserError;

use super::super::table::{Answer, Call};
use crate::app::App;
use crate::auth::Session;
use crate::auth::login;
use crate::auth::tokens::{Kind, Token};
use crate::clock;

/// Longest name, in characters.
const MAX_NAME: usize = 64;

pub(in crate::rpc) async fn sessions(
    app: &App,
    call: &Call,
    params: SessionsParams,
) -> Answer<Vec<SessionInfo>> {
    let all = params.all == Some(true);
    if all && call.caller.role() != Role::Admin {
        return Err(super::super::errors::role("auth.sessions of all users"));
    }
    let own = call.caller.session.as_ref().map(|session| session.id());
    let info = |session: &Session| SessionInfo {
        id: session.id(),
        user: session.user.clone(),
        role: session.role,
        created: session.created.0,
        last_seen: session.last_seen().0,
        expires: session.expires().0,
        remote: session.remote.clone(),
        current: own.as_deref() == Some(session.id().as_str()),
    };
    let list = app.sessions.list(clock::steady_now());
    let theirs = list.iter().filter(|session| all || session.user == call.caller.user());
    Ok(theirs.map(|session| info(session)).collect())
}

pub(in crate::rpc) async fn revoke_session(
    app: &App,
    call: &Call,
    params: RevokeSessionParams,
) -> Answer<RevokedResult> {
    let user = call.caller.user();
    if params.others == Some(true) {
        let keep = call.caller.session.clone();
        let kept = keep.as_ref().and_then(|session| session.token.clone());
        app.tokens
            .revoke(|row| {
                row.kind == Kind::Remember && row.user == user && Some(&row.id) != kept.as_ref()
            })
            .await?;
        let own = keep.map(|session| session.id());
        let others = |session: &Session| session.user == user && Some(session.id()) != own;
        let revoked = app.sessions.end_where(others).await.map_err(UserError::from)?;
        return Ok(RevokedResult { revoked });
    }
    let id = params.id.unwrap_or_default();
    let list = app.sessions.list(clock::steady_now());
    let reach = |session: &&std::sync::Arc<Session>| {
        session.id() == id && (session.user == user || call.caller.role() == Role::Admin)
    };
    let session = list.iter().find(reach).ok_or_else(|| {
        UserError::new("session-not-found", "Not found: there is no such session.")
            .hint("`auth.sessions` lists them.")
    })?;
    if let Some(token) = &session.token {
        // a remembered browser would begin the next one by itself
        app.tokens.revoke(|row| row.kind == Kind::Remember && row.id == *token).await?;
    }
    app.sessions.end(session).await.map_err(UserError::from)?;
    Ok(RevokedResult { revoked: 1 })
}

pub(in crate::rpc) async fn create(
    app: &App,
    call: &Call,
    params: CreateDeviceTokenParams,
) -> Answer<CreatedDeviceToken> {
    let name = check_label(&params.name)?;
    super::again(app, call, params.password).await?;
    let now = clock::steady_now();
    let made = app.tokens.create(Kind::Device, call.caller.user(), name, now).await?;
    Ok(CreatedDeviceToken { id: made.0.id, token: Hidden::new(made.1) })
}

pub(in crate::rpc) async fn list(app: &App, call: &Call, _: NoParams) -> Answer<Vec<DeviceToken>> {
    let row = |row: Token| DeviceToken {
        id: row.id,
        name: row.name,
        user: row.user,
        created: row.created.0,
        last_used: row.last_used.map(|at| at.0),
    };
    Ok(app.tokens.of(Kind::Device, call.caller.user()).into_iter().map(row).collect())
}

pub(in crate::rpc) async fn revoke(app: &App, call: &Call, params: IdParams) -> Answer<()> {
    let user = call.caller.user();
    let which = |row: &Token| row.kind == Kind::Device && row.user == user && row.id == params.id;
    if app.tokens.revoke(which).await? == 0 {
        return Err(UserError::new("token-not-found", "Not found: there is no such token.")
            .hint("`auth.listDeviceTokens` lists them.")
            .into());
    }
    let began = |session: &Session| session.token.as_deref() == Some(params.id.as_str());
    app.sessions.end_where(began).await.map_err(UserError::from)?;
    Ok(())
}

/// A name that people give to a device or a key.
pub(in crate::rpc) fn check_label(name: &str) -> Result<&str, UserError> {
    let name = name.trim();
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME || name.chars().any(char::is_control) {
        let message = format!("Invalid name: it must have 1 to {MAX_NAME} characters.");
        return Err(UserError::new("name-invalid", message).hint("Leave out control characters."));
    }
    Ok(name)
}

/// Ends everything that lets a user in.
pub(in crate::rpc) async fn end_everything(app: &App, user: &str) -> Result<(), UserError> {
    login::end_all(app, user, None).await
}
