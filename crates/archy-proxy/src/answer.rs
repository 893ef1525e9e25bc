//! What a request is answered: a refusal, the gate's own pages, or what the app says.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Limited};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use crate::challenge::{self, Say};
use crate::forward::{self, Outgoing, Via};
use crate::gate::Shared;
use crate::headers::Forwarded;
use crate::origin::may_write;
use crate::page;
use crate::rule::{Access, Doorkeeper, Login, Rule, Secret, Typed, Who};
use crate::slots::Slot;
use crate::sound;

/// Largest body of a login, in bytes.
const MAX_FORM: usize = 8 * 1024;
/// How long a login's body may take.
const FORM_DEADLINE: Duration = Duration::from_secs(15);

/// Who asks, and over what.
#[derive(Debug, Clone)]
pub(crate) struct From {
    pub(crate) address: IpAddr,
    pub(crate) secure: bool,
    pub(crate) forwarded: Forwarded,
    pub(crate) slot: Arc<Slot>,
}

/// Answers one request.
pub(crate) async fn answer<D: Doorkeeper>(
    shared: &Arc<Shared<D>>,
    rule: &Arc<Rule>,
    from: &From,
    stop: CancellationToken,
    mut request: Request<Incoming>,
) -> Response<Outgoing> {
    if let Err(status) = sound::settle(&mut request) {
        return challenge::unsound(status);
    }
    let host = request.headers().get(header::HOST).cloned();
    let mut response = visit(shared, rule, from, stop, request).await;
    if matches!(response.body(), Either::Right(_)) {
        // the dashboard shows apps in frames, and so the page to log in to them
        let policy = challenge::policy(host.as_ref());
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

async fn visit<D: Doorkeeper>(
    shared: &Arc<Shared<D>>,
    rule: &Arc<Rule>,
    from: &From,
    stop: CancellationToken,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    let gated = rule.access == Access::Gated;
    if gated && request.uri().path().starts_with(challenge::OWN) {
        return own(shared, rule, from, request).await;
    }
    let asks = gated || rule.identity_header.is_some();
    let who = if asks { shared.keeper.who(request.headers(), &rule.app) } else { Who::Stranger };
    let page = challenge::wants_page(request.method(), request.headers());
    if gated && let Some(refusal) = refusal(shared, rule, from, &request, &who, page) {
        return refusal;
    }
    if let (Some(nostr), page::PROVIDER) = (&rule.page.nostr, request.uri().path()) {
        return challenge::script(nostr.script);
    }
    let visitor = if let Who::Visitor(visitor) = &who { Some(visitor) } else { None };
    let via = Via {
        upstreams: shared.upstreams.clone(),
        names: shared.names,
        forwarded: from.forwarded.clone(),
        secure: from.secure,
        still: shared.limits.still,
        stop,
        slot: from.slot.clone(),
    };
    let until = |cookies: &HeaderMap| gated.then(|| shared.keeper.until(cookies, &rule.app));
    match forward::forward(&via, rule, visitor, request, until).await {
        Ok(response) => response,
        Err(why) => challenge::absent(rule, why, &shared.keeper.absence(&rule.app), page),
    }
}

/// Why a request does not pass a gated port.
fn refusal<D: Doorkeeper>(
    shared: &Shared<D>,
    rule: &Rule,
    from: &From,
    request: &Request<Incoming>,
    who: &Who,
    page: bool,
) -> Option<Response<Outgoing>> {
    let next = challenge::place(request.uri());
    match who {
        Who::Visitor(_) => {
            let headers = request.headers();
            let may = may_write(request.method(), request.uri(), headers, &rule.siblings);
            (!may).then(challenge::foreign)
        }
        Who::NotTheirs => Some(challenge::not_theirs(rule, page)),
        Who::Stranger => Some(match secure_place(shared, from, request.headers(), next) {
            // a password is not typed where it can be read
            Some(place) if page => {
                challenge::redirect(StatusCode::TEMPORARY_REDIRECT, &place, Vec::new())
            }
            _ => challenge::denied(rule, page, shared.keeper.asks_name(), next),
        }),
    }
}

/// The same place over TLS, for a request that came without, where the gate has a certificate.
fn secure_place<D>(
    shared: &Shared<D>,
    from: &From,
    headers: &HeaderMap,
    next: &str,
) -> Option<String> {
    if from.secure || shared.tls.is_none() {
        return None;
    }
    let host = headers.get(header::HOST)?.to_str().ok()?;
    host.parse::<http::uri::Authority>().ok().map(|host| format!("https://{host}{next}"))
}

/// The gate's own paths.
async fn own<D: Doorkeeper>(
    shared: &Shared<D>,
    rule: &Rule,
    from: &From,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    match (request.method().clone(), request.uri().path()) {
        (Method::GET | Method::HEAD, challenge::STYLE) => challenge::style(),
        (Method::POST, challenge::LOGIN) => login(shared, rule, from, request).await,
        (Method::GET | Method::HEAD, challenge::LOGIN) => {
            challenge::login_page(rule, Say::Welcome, shared.keeper.asks_name(), "/")
        }
        _ => {
            let body = "Not found.\n".to_owned();
            challenge::text(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", body)
        }
    }
}

async fn login<D: Doorkeeper>(
    shared: &Shared<D>,
    rule: &Rule,
    from: &From,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    if !may_write(request.method(), request.uri(), request.headers(), &[]) {
        let body = "The form is not of this page.\n".to_owned();
        return challenge::text(StatusCode::FORBIDDEN, "text/plain; charset=utf-8", body);
    }
    let (head, body) = request.into_parts();
    let headers = head.headers;
    let read = Limited::new(body, MAX_FORM).collect();
    let Ok(Ok(body)) = tokio::time::timeout(FORM_DEADLINE, read).await else {
        return challenge::login_page(rule, Say::Failed, shared.keeper.asks_name(), "/");
    };
    let body = body.to_bytes();
    let field = |name: &str| {
        let mut fields = form_urlencoded::parse(&body);
        fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let next = field("next").unwrap_or_default();
    let next = challenge::safe_next(&next);
    let user = field("user").filter(|user| !user.trim().is_empty());
    let typed = match field("code") {
        Some(code) => Typed::Code(Secret(code)),
        None => Typed::Password { user, password: Secret(field("password").unwrap_or_default()) },
    };
    let coded = matches!(typed, Typed::Code(_));
    let many = shared.keeper.asks_name();
    let login = shared.keeper.login(from.address, &headers, typed, from.secure).await;
    let (say, cookies) = match login {
        Login::Welcome(cookies) => {
            return challenge::redirect(StatusCode::SEE_OTHER, next, cookies);
        }
        Login::Code(cookies) => (Say::Code, cookies),
        Login::Wrong if coded => (Say::WrongCode, Vec::new()),
        Login::Wrong => (Say::Wrong, Vec::new()),
        Login::Expired => (Say::Expired, Vec::new()),
        Login::TooMany(wait) => (Say::TooMany(wait), Vec::new()),
        Login::NotSetUp => (Say::NotSetUp, Vec::new()),
        Login::Failed => (Say::Failed, Vec::new()),
    };
    let mut response = challenge::login_page(rule, say, many, next);
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
