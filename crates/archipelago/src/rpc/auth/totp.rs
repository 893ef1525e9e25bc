//! `auth.totp.*`: the second factor of the caller.

use archy_api::Hidden;
use archy_api::auth::{AgainParams, BackupCodes, CodeParams, TotpSetup, TotpStatus};
use archy_api::rpc::NoParams;
use archy_types::UserError;

use super::super::table::{Answer, Call};
use crate::app::App;
use crate::auth::totp::SecondFactor;
use crate::clock;

pub(in crate::rpc) async fn status(app: &App, call: &Call, _: NoParams) -> Answer<TotpStatus> {
    let record = app.users.find(call.caller.user()).await?.unwrap_or_default();
    let factor = record.second_factor;
    Ok(TotpStatus {
        enabled: factor.is_some(),
        backup_codes_left: factor.map_or(0, |factor| factor.backup_left()),
    })
}

pub(in crate::rpc) async fn setup(
    app: &App,
    call: &Call,
    params: AgainParams,
) -> Answer<TotpSetup> {
    super::again(app, call, params.password).await?;
    let user = call.caller.user();
    if app.users.find(user).await?.is_some_and(|record| record.second_factor.is_some()) {
        return Err(UserError::new("totp-on", "Already exists: the second factor is on.")
            .hint("Switch it off first with auth.totp.disable.")
            .into());
    }
    let factor = SecondFactor::generate()?;
    let setup = TotpSetup {
        secret: Hidden::new(factor.secret()),
        uri: Hidden::new(factor.uri(&app.hub.name(), user)),
    };
    app.factors.put_under(user, factor, clock::steady_millis());
    Ok(setup)
}

pub(in crate::rpc) async fn enable(
    app: &App,
    call: &Call,
    params: CodeParams,
) -> Answer<BackupCodes> {
    let (user, now) = (call.caller.user(), clock::steady_millis());
    let mut factor = app.factors.look(user, now).ok_or_else(|| {
        UserError::new("totp-not-begun", "Missing setup: no second factor was begun lately.")
            .hint("Begin with auth.totp.setup.")
    })?;
    let seconds = u64::try_from(clock::now().0 / 1000).unwrap_or_default();
    if !factor.take(params.code.expose(), seconds) {
        return Err(super::code_incorrect());
    }
    let codes = factor.renew_backup()?;
    app.users
        .change(user, |record| {
            record.second_factor = Some(factor);
            Ok(())
        })
        .await?;
    drop(app.factors.take(user, now));
    tracing::info!(user, "the second factor is on");
    Ok(given(codes))
}

pub(in crate::rpc) async fn disable(app: &App, call: &Call, params: AgainParams) -> Answer<()> {
    super::again(app, call, params.password).await?;
    let user = call.caller.user();
    let off = |record: &mut crate::auth::user_file::Record| {
        record.second_factor.take().map(drop).ok_or_else(totp_off)
    };
    app.users.change(user, off).await?;
    tracing::info!(user, "the second factor is off");
    Ok(())
}

pub(in crate::rpc) async fn backup_codes(
    app: &App,
    call: &Call,
    params: AgainParams,
) -> Answer<BackupCodes> {
    super::again(app, call, params.password).await?;
    let renew = |record: &mut crate::auth::user_file::Record| {
        record.second_factor.as_mut().ok_or_else(totp_off)?.renew_backup()
    };
    Ok(given(app.users.change(call.caller.user(), renew).await?))
}

fn given(codes: Vec<String>) -> BackupCodes {
    BackupCodes { backup_codes: codes.into_iter().map(Hidden::new).collect() }
}

fn totp_off() -> UserError {
    UserError::new("totp-off", "Not found: the second factor is not on.")
        .hint("Switch it on with auth.totp.setup and auth.totp.enable.")
}
