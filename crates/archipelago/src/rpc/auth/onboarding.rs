//! `auth.onboarding`, `seed.*`: the first steps.

use archy_api::Hidden;
use archy_api::auth::AgainParams;
use archy_api::door::{
    ConfirmSeedParams, GeneratedSeed, OnboardingStatus, RestoreSeedParams, SeedState,
};
use archy_api::rpc::NoParams;

use super::super::table::{Answer, Call};
use crate::app::App;
use crate::clock;

/// Whoever logged in so lately is not asked for the password again (milliseconds).
const FRESH: i64 = 15 * 60 * 1000;

pub(in crate::rpc) async fn status(app: &App, _: &Call, _: NoParams) -> Answer<OnboardingStatus> {
    now(app).await
}

pub(in crate::rpc) async fn complete(app: &App, _: &Call, _: NoParams) -> Answer<OnboardingStatus> {
    app.onboarding.complete().await?;
    now(app).await
}

pub(in crate::rpc) async fn generate(
    app: &App,
    call: &Call,
    params: AgainParams,
) -> Answer<GeneratedSeed> {
    if !is_fresh(call) {
        super::again(app, call, params.password).await?;
    }
    let (seed, ask) = app.onboarding.show().await?;
    Ok(GeneratedSeed { words: seed.words().into_iter().map(Hidden::new).collect(), ask })
}

pub(in crate::rpc) async fn confirm(
    app: &App,
    _: &Call,
    params: ConfirmSeedParams,
) -> Answer<OnboardingStatus> {
    let words: Vec<&str> = params.words.iter().map(Hidden::expose).collect();
    app.onboarding.confirm(&words).await?;
    tracing::info!("the recovery seed was written down");
    now(app).await
}

pub(in crate::rpc) async fn restore(
    app: &App,
    _: &Call,
    params: RestoreSeedParams,
) -> Answer<OnboardingStatus> {
    app.onboarding.restore(params.words.expose()).await?;
    tracing::info!("a recovery seed was brought along");
    now(app).await
}

/// True for a session that has just begun.
fn is_fresh(call: &Call) -> bool {
    let session = call.caller.session.as_ref();
    session.is_some_and(|session| {
        session.token.is_none() && clock::steady_now().0 - session.created.0 < FRESH
    })
}

async fn now(app: &App) -> Answer<OnboardingStatus> {
    let seed: SeedState = app.onboarding.state().await?;
    Ok(OnboardingStatus {
        password: app.users.owner().await?.is_some(),
        seed,
        complete: app.onboarding.is_complete().await,
    })
}
