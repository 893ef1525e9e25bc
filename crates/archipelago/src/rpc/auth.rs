//! `auth.*`: the way in and out. Second factors, tokens, users and the first steps are below.

pub(super) mod audit;
pub(super) mod ca;
pub(super) mod onboarding;
pub(super) mod passkey;
pub(super) mod signer;
pub(super) mod tokens;
pub(super) mod totp;
pub(super) mod users;

use archy_api::auth::{
    ChangePasswordParams, CodeParams, LoginParams, LoginStep, OpenableApp, SetupParams, WhoAmI,
};
use archy_api::rpc::{ErrorObject, NoParams, UNAUTHORIZED};
use archy_types::{AppState, UserError};

use super::table::{Answer, Call, Cookies};
use crate::app::App;
use crate::auth::login::{self, Begun, Entered, OWNER, Refused};
use crate::auth::user_file::already_set_up;
use crate::auth::{Role, password};

pub(super) async fn is_setup(app: &App, _: &Call, _: NoParams) -> Answer<bool> {
    Ok(app.users.owner().await?.is_some())
}

pub(super) async fn is_onboarding_complete(app: &App, _: &Call, _: NoParams) -> Answer<bool> {
    Ok(app.onboarding.is_complete().await)
}

pub(super) async fn setup(app: &App, call: &Call, params: SetupParams) -> Answer<()> {
    if app.users.owner().await?.is_some() {
        return Err(already_set_up().into());
    }
    let name = params.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let name = name.map(super::node::check_name).transpose()?;
    password::check_new(params.password.expose())?;
    let hash = password::hash(params.password.into_inner()).await?;
    app.users.create(hash).await?;
    let visit = call.caller.visit();
    tracing::info!(from = visit.from, "the owner's password is set");
    if let Some(name) = name {
        app.set_name(name).await?;
    }
    let record = app.users.find(OWNER).await?.unwrap_or_default();
    let begun = login::begin(app, &visit, OWNER, &record, false).await?;
    call.set_cookies(Cookies::Set(begun));
    Ok(())
}

pub(super) async fn login(
    app: &App,
    call: &Call,
    params: LoginParams,
) -> Answer<Option<LoginStep>> {
    let visit = call.caller.visit();
    if let Some(token) = params.device_token {
        let begun = login::with_device(app, &visit, token.expose()).await;
        welcome(call, begun.map_err(|why| refused(why, incorrect))?);
        return Ok(None);
    }
    let password = params.password.map(archy_api::Hidden::into_inner).unwrap_or_default();
    let (user, remember) = (params.user.as_deref(), params.remember == Some(true));
    match login::with_password(app, &visit, user, password, remember).await {
        Ok(Entered::Session(begun)) => {
            welcome(call, begun);
            Ok(None)
        }
        Ok(Entered::Code(token)) => {
            let half = app.halves.peek(&token, crate::clock::steady_millis());
            let user = half.map(|half| half.user).unwrap_or_default();
            let signer = signer::may_replace_code(app, &user).await;
            call.set_cookies(Cookies::Half(token));
            Ok(Some(LoginStep { requires_totp: true, signer }))
        }
        Err(why) => Err(refused(why, incorrect)),
    }
}

pub(super) async fn login_totp(app: &App, call: &Call, params: CodeParams) -> Answer<()> {
    code(app, call, &params, false).await
}

pub(super) async fn login_backup(app: &App, call: &Call, params: CodeParams) -> Answer<()> {
    code(app, call, &params, true).await
}

async fn code(app: &App, call: &Call, params: &CodeParams, backup: bool) -> Answer<()> {
    let (visit, token) = (call.caller.visit(), call.caller.brought.session.as_deref());
    let begun = login::with_code(app, &visit, token, params.code.expose(), backup).await;
    welcome(call, begun.map_err(|why| refused(why, code_incorrect))?);
    Ok(())
}

pub(super) fn welcome(call: &Call, begun: Begun) {
    call.set_cookies(Cookies::Set(begun));
}

pub(super) async fn logout(app: &App, call: &Call, _: NoParams) -> Answer<()> {
    if let Some(session) = &call.caller.session {
        app.sessions.end(session).await.map_err(UserError::from)?;
    }
    if let Some(token) = &call.caller.brought.remember {
        use crate::auth::tokens::Kind;
        let now = crate::clock::steady_now();
        if let Some(found) = app.tokens.find(Kind::Remember, token, now) {
            app.tokens.revoke(|row| row.id == found.id).await?;
        }
    }
    call.set_cookies(Cookies::Clear);
    Ok(())
}

pub(super) async fn change_password(
    app: &App,
    call: &Call,
    params: ChangePasswordParams,
) -> Answer<()> {
    let user = call.caller.user();
    let Some(record) = app.users.find(user).await? else {
        return Err(super::errors::not_set_up());
    };
    let visit = call.caller.visit();
    login::count_guess(app, &visit).map_err(|why| refused(why, incorrect))?;
    let old = record.password_hash.unwrap_or_default();
    let verdict = password::verify(params.current_password, old.clone()).await;
    if verdict == password::Verdict::Wrong {
        return Err(incorrect());
    }
    login::forgive(app, &visit);
    password::check_new(&params.new_password)?;
    let hash = password::hash(params.new_password).await?;
    app.users.replace(user, &old, hash).await?;
    login::end_all(app, user, call.caller.session.as_deref()).await?;
    tracing::info!(from = call.caller.visit().from, user, "the password was changed");
    Ok(())
}

pub(super) async fn who_am_i(app: &App, call: &Call, _: NoParams) -> Answer<WhoAmI> {
    let user = call.caller.user().to_owned();
    let role = call.caller.role();
    let record = app.users.find(&user).await?.unwrap_or_default();
    let apps = record.apps.filter(|_| role != Role::Admin);
    let apps = apps.map(|apps| apps.iter().map(ToString::to_string).collect());
    Ok(WhoAmI { user, role, apps })
}

pub(super) async fn apps(app: &App, call: &Call, _: NoParams) -> Answer<Vec<OpenableApp>> {
    let (user, role) = (call.caller.user(), call.caller.role());
    let snapshot = app.backends.engine.snapshot();
    let theirs = snapshot.apps.iter().filter(|(id, _)| app.users.may_open(user, role, id));
    let state = serde_json::from_slice::<archy_api::server::GetStateResult>(&app.hub.now().result);
    let state = state.map(|state| state.data.package_data).unwrap_or_default();
    let list = theirs.map(|(id, view)| {
        let entry = state.get(id.as_str());
        let main = entry.and_then(|entry| entry.installed.interface_addresses.get("main"));
        OpenableApp {
            id: id.to_string(),
            title: view.manifest.name.clone(),
            running: matches!(view.report.state, AppState::Running | AppState::Unhealthy),
            address: main.and_then(|main| main.lan_address.clone()),
        }
    });
    Ok(list.collect())
}

/// The caller's password again, before something that could shut them out; over the unix socket it
/// is not asked for.
pub(super) async fn again(
    app: &App,
    call: &Call,
    password: Option<archy_api::Hidden>,
) -> Answer<()> {
    if call.caller.peer.is_local_admin() {
        return Ok(());
    }
    let password = password.map(archy_api::Hidden::into_inner);
    login::again(app, &call.caller.visit(), call.caller.user(), password)
        .await
        .map_err(|why| refused(why, incorrect))
}

/// A refusal as an answer; `wrong` is what a wrong one of this kind is told.
pub(super) fn refused(why: Refused, wrong: fn() -> ErrorObject) -> ErrorObject {
    match why {
        Refused::NotSetUp => super::errors::not_set_up(),
        Refused::Wrong => wrong(),
        Refused::Expired => ErrorObject::new(
            UNAUTHORIZED,
            "login-expired",
            "Session missing: this login is over or never began.",
        )
        .hint("Enter the password again."),
        Refused::TooMany(wait) => super::errors::too_many(wait),
        Refused::Failed(error) => error.into(),
    }
}

/// A wrong user, password or token: nobody is told which.
pub(super) fn incorrect() -> ErrorObject {
    UserError::new("password-incorrect", "Password Incorrect")
        .hint("Try again; 5 attempts a minute are allowed.")
        .into()
}

/// A wrong code, or one that was used.
pub(super) fn code_incorrect() -> ErrorObject {
    UserError::new("code-incorrect", "Invalid code: it is wrong or was used already.")
        .hint("Wait for the next code; the phone's clock must be right.")
        .into()
}
