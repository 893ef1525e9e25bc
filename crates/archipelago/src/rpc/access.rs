//! Who may call: origin, session, role, CSRF token, rate limit, in this order.

use std::net::IpAddr;
use std::sync::Arc;

use archy_api::rpc::ErrorObject;
use archy_api::{Access, OriginRule, RateLimit, Role};
use http::{HeaderMap, Uri, header};

use super::errors;
use crate::app::App;
use crate::auth::login::{self, OWNER, Visit};
use crate::auth::{Limit, Role as UserRole, Session, Tokens, agent, cookies};
use crate::clock;
use crate::net::Peer;

/// Who called.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The other end.
    pub peer: Peer,
    /// Their session; none over the unix socket and for public methods without one.
    pub session: Option<Arc<Session>>,
    /// What their browser brought along.
    pub brought: Arc<Brought>,
}

/// What a browser brings along with a call.
#[derive(Default)]
pub struct Brought {
    /// The cookie of a session, or of a login that is half done.
    pub session: Option<String>,
    /// The cookie of a browser that is remembered.
    pub remember: Option<String>,
    /// The address of the page that calls.
    pub origin: Option<String>,
    /// A session that began anew with this call.
    pub restored: Option<Tokens>,
    /// What binds attempts to log in with a signer to this browser: names and values.
    pub bindings: Vec<(String, String)>,
    /// What it says of itself, in three words.
    agent: Option<String>,
}

impl std::fmt::Debug for Brought {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Brought").field("agent", &self.agent).finish_non_exhaustive()
    }
}

impl Brought {
    fn read(app: &App, headers: &HeaderMap) -> Self {
        let cookie = |name| cookies::get(headers, name).map(str::to_owned);
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            session: session_cookie(app, headers),
            remember: cookie(archy_api::paths::REMEMBER_COOKIE).filter(|text| !text.is_empty()),
            origin: header(header::ORIGIN).map(str::to_owned),
            restored: None,
            bindings: cookies::beginning(headers, "signer_login_")
                .take(4)
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            agent: header(header::USER_AGENT).and_then(agent::describe),
        }
    }

    /// Address and browser, for people.
    fn place(&self, peer: Peer) -> String {
        match &self.agent {
            Some(agent) => format!("{}, {agent}", peer.describe()),
            None => peer.describe(),
        }
    }
}

/// The session's cookie. A page of an app can put one of the same name before it, for a longer path: the
/// one that fits the CSRF token counts, then any that lives.
fn session_cookie(app: &App, headers: &HeaderMap) -> Option<String> {
    let all: Vec<&str> = cookies::all(headers, archy_api::paths::SESSION_COOKIE).take(8).collect();
    if let [] | [_] = all[..] {
        return all.first().map(|token| (*token).to_owned());
    }
    let given = headers.get(archy_api::paths::CSRF_HEADER).and_then(|value| value.to_str().ok());
    let live = |token: &str| app.sessions.look(token, clock::steady_now());
    let fits = |token: &&&str| {
        live(token).is_some_and(|session| given.is_some_and(|given| session.csrf_matches(given)))
    };
    let chosen = all.iter().find(fits).or_else(|| all.iter().find(|token| live(token).is_some()));
    chosen.or_else(|| all.first()).map(|token| (*token).to_owned())
}

impl Caller {
    /// The user: over the unix socket it is the owner.
    #[must_use]
    pub fn user(&self) -> &str {
        self.session.as_ref().map_or(OWNER, |session| &session.user)
    }

    /// What they may do. Meaningful once the call was checked.
    #[must_use]
    pub fn role(&self) -> UserRole {
        match &self.session {
            Some(session) => session.role,
            None if self.peer.is_local_admin() => UserRole::Admin,
            None => UserRole::AppUser,
        }
    }

    /// Where they are.
    #[must_use]
    pub fn visit(&self) -> Visit {
        Visit { ip: self.peer.ip(), from: self.brought.place(self.peer) }
    }
}

/// Checks a call. A browser that is remembered begins a session anew with one that only reads; what
/// changes something needs the token of a session that was there before.
///
/// # Errors
/// The first rule that it breaks; 401, 403 or 429.
pub async fn check_call(
    app: &App,
    peer: Peer,
    headers: &HeaderMap,
    method: &'static str,
    access: Access,
) -> Result<Caller, ErrorObject> {
    let mut brought = Brought::read(app, headers);
    if !peer.is_local_admin() && !access.public && !access.csrf {
        let token = brought.session.as_deref();
        let lives = token.is_some_and(|t| app.sessions.find(t, clock::steady_now()).is_some());
        if !lives && origin_allowed(app, headers, access.origin) {
            brought.restored = restore(app, peer, &brought).await?;
        }
    }
    check_brought(app, peer, headers, method, access, brought).await
}

/// Checks what is no call and cannot give out cookies.
///
/// # Errors
/// As [`check_call`].
pub async fn check(
    app: &App,
    peer: Peer,
    headers: &HeaderMap,
    method: &'static str,
    access: Access,
) -> Result<Caller, ErrorObject> {
    check_brought(app, peer, headers, method, access, Brought::read(app, headers)).await
}

async fn check_brought(
    app: &App,
    peer: Peer,
    headers: &HeaderMap,
    method: &'static str,
    access: Access,
    brought: Brought,
) -> Result<Caller, ErrorObject> {
    if peer.is_local_admin() {
        return Ok(Caller { peer, session: None, brought: Arc::new(brought) });
    }
    if !origin_allowed(app, headers, access.origin) {
        return Err(errors::origin());
    }
    let restored = brought.restored.as_ref().map(|tokens| tokens.session.as_str());
    let token = restored.or(brought.session.as_deref());
    let session = token.and_then(|token| app.sessions.find(token, clock::steady_now()));
    if !access.public {
        let Some(session) = &session else {
            let owner = app.users.owner().await;
            return Err(if matches!(owner, Ok(None)) {
                errors::not_set_up()
            } else {
                errors::unauthorized()
            });
        };
        if session.role < access.role {
            return Err(errors::role(method));
        }
        let given = headers.get(archy_api::paths::CSRF_HEADER);
        let given = given.and_then(|value| value.to_str().ok());
        if access.csrf && !given.is_some_and(|given| session.csrf_matches(given)) {
            return Err(errors::csrf());
        }
    }
    if let Some(rate) = access.rate {
        count(app, peer.ip(), method, rate)?;
    }
    Ok(Caller { peer, session, brought: Arc::new(brought) })
}

/// Begins a session anew for a browser that is remembered.
async fn restore(app: &App, peer: Peer, brought: &Brought) -> Result<Option<Tokens>, ErrorObject> {
    let Some(token) = &brought.remember else { return Ok(None) };
    let visit = Visit { ip: peer.ip(), from: brought.place(peer) };
    Ok(login::restore(app, &visit, token).await?)
}

/// Counts a call against its limit.
fn count(
    app: &App,
    from: Option<IpAddr>,
    method: &'static str,
    rate: RateLimit,
) -> Result<(), ErrorObject> {
    let limit = Limit::new(rate.count, u64::from(rate.seconds));
    let counted = app.limiter.count(login::budget(method), from, limit, clock::steady_millis());
    counted.map_err(|wait| {
        tracing::warn!(method, from = ?from, "rate limit reached");
        errors::too_many(wait)
    })
}

/// Checks a page that subscribes: a browser always names its origin, and cookies of the host are
/// sent along from every port of it.
///
/// # Errors
/// 401 or 403.
pub async fn check_socket(
    app: &App,
    peer: Peer,
    headers: &HeaderMap,
) -> Result<Caller, ErrorObject> {
    let has_origin = headers.contains_key(header::ORIGIN);
    let origin = if has_origin { OriginRule::Prompt } else { OriginRule::Any };
    check(app, peer, headers, "state", Access::read(Role::Viewer).origin(origin)).await
}

/// Comes when the caller's session has ended; what stays open ends with it.
pub async fn ended(app: Arc<App>, caller: Caller) {
    match &caller.session {
        Some(session) => app.sessions.ended(session, clock::steady_now, || true).await,
        None => std::future::pending().await,
    }
}

fn origin_allowed(app: &App, headers: &HeaderMap, rule: OriginRule) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return rule != OriginRule::Prompt;
    };
    if rule == OriginRule::Any {
        return true;
    }
    let Some((host, port)) = origin.to_str().ok().and_then(parse_origin) else { return false };
    let dev = app.config.naming.dev_mode && is_loopback(&host);
    if !dev && !app.is_own_port(port) {
        return false;
    }
    if dev {
        return true;
    }
    // the page of another machine is as foreign as the page of an app
    let target = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let target = target.and_then(|host| host.parse::<http::uri::Authority>().ok());
    target.is_some_and(|target| target.host().eq_ignore_ascii_case(&host))
}

/// Host and port of an `Origin` over http or https.
fn parse_origin(origin: &str) -> Option<(String, u16)> {
    let uri: Uri = origin.parse().ok()?;
    let default = match uri.scheme_str()? {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = uri.authority()?;
    let plain = matches!(uri.path(), "" | "/") && uri.query().is_none();
    if !plain || authority.as_str().contains('@') {
        return None;
    }
    Some((authority.host().to_owned(), authority.port_u16().unwrap_or(default)))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for (origin, parsed) in [
            ("https://node.local", Some(("node.local", 443))),
            ("http://node.local", Some(("node.local", 80))),
            ("https://10.0.0.1:8443", Some(("10.0.0.1", 8443))),
            ("https://[::1]:3742", Some(("[::1]", 3742))),
            ("null", None),
            ("file:///x", None),
            ("https://a@b", None),
            ("https://a/b", None),
            ("", None),
        ] {
            let expected = parsed.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(parse_origin(origin), expected, "{origin}");
        }
    }
}
