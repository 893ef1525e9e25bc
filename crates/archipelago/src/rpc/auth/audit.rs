//! What is written into the audit log of each call, and `auth.audit`.

use std::any::Any;

use archy_api::MethodInfo;
use archy_api::auth::{AuditParams, AuditResult};
use archy_api::method::{AuthLoginPasskeyStart, Method as _};
use archy_api::rpc::ErrorObject;
use archy_types::UserError;
use serde_json::Value;

use super::super::table::{Answer, Call};
use crate::app::App;
use crate::auth::audit::Deed;
use crate::auth::login::OWNER;
use crate::clock;
use crate::rpc::access::Caller;

/// Parameters that name what a call is about; of no other is anything written down.
const TARGETS: &[&str] = &["id", "name", "package_id"];
/// Entries of a page, unless asked for.
const PAGE: u32 = 100;
/// Entries of a page at most.
const MAX_PAGE: u32 = 1000;

/// What is to be noted of a call: it changes something, or is a way in.
pub(in crate::rpc) fn deed(
    caller: &Caller,
    info: &'static MethodInfo,
    params: Option<&Value>,
) -> Option<Deed> {
    let enters = info.access.public && info.access.rate.is_some();
    // a question to an authenticator changes nothing and lets nobody in
    if (!info.access.csrf && !enters) || info.name == AuthLoginPasskeyStart::NAME {
        return None;
    }
    let text = |key: &str| params?.get(key)?.as_str().map(str::to_owned);
    let claimed = text("user").or_else(|| text("username"));
    let who = match &caller.session {
        Some(session) if !enters => session.user.clone(),
        _ if caller.peer.is_local_admin() => caller.peer.describe(),
        _ if params.is_some_and(|params| params.get("device_token").is_some()) => {
            "device token".to_owned()
        }
        _ => claimed.unwrap_or_else(|| OWNER.to_owned()),
    };
    let target = if enters { None } else { TARGETS.iter().find_map(|key| text(key)) };
    let outcome = String::new();
    Some(Deed { who, from: caller.visit().from, what: info.name, target, outcome })
}

/// How a call ended, in a word.
pub(in crate::rpc) fn outcome(
    ended: &Result<Result<Value, ErrorObject>, Box<dyn Any + Send>>,
) -> String {
    match ended {
        Ok(Ok(_)) => "ok".to_owned(),
        Ok(Err(error)) => error.stable_code().to_owned(),
        Err(_) => "internal".to_owned(),
    }
}

/// Notes a call that has ended.
pub(in crate::rpc) async fn note(app: &App, deed: Deed, outcome: String) {
    app.audit.note(clock::now().0, Deed { outcome, ..deed }).await;
}

pub(in crate::rpc) async fn list(app: &App, _: &Call, params: AuditParams) -> Answer<AuditResult> {
    let limit = params.limit.unwrap_or(PAGE).min(MAX_PAGE) as usize;
    let log = app.audit.clone();
    let read = tokio::task::spawn_blocking(move || log.last(limit, params.before)).await;
    let entries = read.map_err(|error| UserError::new("internal", error.to_string()))?;
    Ok(AuditResult { entries })
}
