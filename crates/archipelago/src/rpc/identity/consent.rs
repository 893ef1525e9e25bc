//! What apps' pages may do.

use std::time::Duration;

use archy_api::identity as api;
use archy_api::rpc::NoParams;
use archy_identity::nip07::consent::{Ask, PromptState};
use archy_identity::nip07::{Decision, Method, Verdict};
use archy_types::UserError;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::super::table::{Answer, Call};
use super::parts;
use crate::app::App;
use crate::clock;

/// How long a wait may take.
const WAIT: Duration = Duration::from_secs(20);
/// Longest origin, in bytes.
const MAX_ORIGIN: usize = 300;

fn asked(
    app_id: &str,
    origin: &str,
    method: Method,
    identity: Option<&str>,
    params: &Value,
) -> Answer<Ask> {
    let invalid = |what: &str| {
        UserError::new("consent-invalid", format!("Invalid request: {what}."))
            .hint("Send the app's id and the page's origin as the browser told them.")
    };
    let app_fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if app_id.is_empty() || app_id.len() > 64 || !app_id.chars().all(app_fits) {
        return Err(invalid("app_id is not an app's").into());
    }
    let web = origin.starts_with("https://") || origin.starts_with("http://");
    if !web || origin.len() > MAX_ORIGIN || origin.chars().any(char::is_whitespace) {
        return Err(invalid("origin is not a page's").into());
    }
    Ok(Ask {
        app: app_id.to_owned(),
        origin: origin.to_owned(),
        method,
        identity: identity.map(str::to_owned),
        digest: Sha256::digest(params.to_string()).into(),
    })
}

fn method(name: &str) -> Answer<Method> {
    Ok(Method::of(name).ok_or_else(|| {
        UserError::new("consent-invalid", "Invalid request: there is no such method.")
            .hint("The methods are those of NIP-07.")
    })?)
}

fn prompt(id: &str) -> Answer<u64> {
    Ok(id.parse().map_err(|_| {
        UserError::new("consent-gone", "Not found: the request is over.")
            .hint("Let the app ask again.")
    })?)
}

const fn state(state: PromptState) -> api::ConsentState {
    match state {
        PromptState::Open => api::ConsentState::Open,
        PromptState::Decided(Decision::Allow) => api::ConsentState::Allowed,
        PromptState::Decided(Decision::Deny) => api::ConsentState::Denied,
        PromptState::Gone => api::ConsentState::Gone,
    }
}

const fn decision(decision: Decision) -> api::ConsentDecision {
    match decision {
        Decision::Allow => api::ConsentDecision::Allow,
        Decision::Deny => api::ConsentDecision::Deny,
    }
}

/// Refuses what an app's page asks for when nobody allowed it.
pub(super) fn check(
    app: &App,
    consent: Option<&api::ConsentRef>,
    method: Method,
    identity: Option<&str>,
    params: &Value,
) -> Answer<()> {
    let Some(consent) = consent else { return Ok(()) };
    let ask = asked(&consent.app_id, &consent.origin, method, identity, params)?;
    let id = consent.prompt_id.as_deref().map(prompt).transpose()?;
    if parts(app)?.consents.permits(id, &ask, clock::now()) {
        return Ok(());
    }
    Err(UserError::new("consent-denied", "Invalid request: the app's page may not do this.")
        .hint("Ask with identity.consent-ask first, and let the owner answer.")
        .into())
}

pub(in crate::rpc) async fn ask(
    app: &App,
    _: &Call,
    params: api::ConsentAskParams,
) -> Answer<api::ConsentAsked> {
    let method = method(&params.method)?;
    let identity = params.identity_id.as_deref();
    let ask = asked(&params.app_id, &params.origin, method, identity, &params.params)?;
    let answer = |state, prompt_id: Option<u64>, shared| api::ConsentAsked {
        state,
        prompt_id: prompt_id.map(|id| id.to_string()),
        shared,
    };
    Ok(match parts(app)?.consents.ask(ask, clock::now())? {
        Verdict::Allowed => answer(api::ConsentState::Allowed, None, false),
        Verdict::Denied => answer(api::ConsentState::Denied, None, false),
        Verdict::Prompt { id, shared } => answer(api::ConsentState::Open, Some(id), shared),
    })
}

pub(in crate::rpc) async fn wait(
    app: &App,
    _: &Call,
    params: api::PromptParams,
) -> Answer<api::ConsentWaited> {
    let id = prompt(&params.prompt_id)?;
    let found = parts(app)?.consents.wait(id, WAIT, clock::now()).await;
    Ok(api::ConsentWaited { state: state(found) })
}

pub(in crate::rpc) async fn answer(
    app: &App,
    _: &Call,
    params: api::ConsentAnswerParams,
) -> Answer<api::OkResult> {
    let id = prompt(&params.prompt_id)?;
    let chosen = match params.decision {
        api::ConsentDecision::Allow => Decision::Allow,
        api::ConsentDecision::Deny => Decision::Deny,
    };
    let (consents, remember) = (&parts(app)?.consents, params.remember.unwrap_or(false));
    tokio::task::block_in_place(|| consents.answer(id, chosen, remember, clock::now()))?;
    Ok(api::OkResult::YES)
}

pub(in crate::rpc) async fn grants(app: &App, _: &Call, _: NoParams) -> Answer<api::ConsentList> {
    let (grants, open) = parts(app)?.consents.list(clock::now());
    let grants = grants.into_iter().map(|grant| api::ConsentGrant {
        app_id: grant.app,
        origin: grant.origin,
        method: grant.method.name().to_owned(),
        decision: decision(grant.decision),
        since: grant.since,
    });
    let open = open.into_iter().map(|prompt| api::OpenPrompt {
        prompt_id: prompt.id.to_string(),
        app_id: prompt.ask.app,
        origin: prompt.ask.origin,
        method: prompt.ask.method.name().to_owned(),
        identity_id: prompt.ask.identity,
        since: prompt.since.0,
    });
    Ok(api::ConsentList { grants: grants.collect(), open: open.collect() })
}

pub(in crate::rpc) async fn revoke(
    app: &App,
    _: &Call,
    params: api::ConsentRevokeParams,
) -> Answer<api::ConsentRevoked> {
    let only = params.method.as_deref().map(method).transpose()?;
    let (consents, origin) = (&parts(app)?.consents, params.origin.as_deref());
    let count = tokio::task::block_in_place(|| consents.revoke(&params.app_id, origin, only))?;
    Ok(api::ConsentRevoked { revoked: u32::try_from(count).unwrap_or(u32::MAX) })
}
