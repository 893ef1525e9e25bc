//! One request: passed on to the app, its answer passed back, both as streams.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::uri::{PathAndQuery, Scheme, Uri};
use http::{Request, Response, StatusCode, Version};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;

use crate::headers::{self, Names};
use crate::page::Wish;
use crate::rule::{Rule, Visitor};
use crate::splice::Passed;

/// What is answered: the app's own stream, or a text of the gate.
pub(crate) type Outgoing = Either<Passed, Full<Bytes>>;

/// Keeps connections to apps.
pub(crate) type Client = hyper_util::client::legacy::Client<HttpConnector, Incoming>;

/// How long a connection to an app may take; it is on this machine.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an app may think before its answer begins.
const ANSWER: Duration = Duration::from_secs(600);
/// How long a connection to an app is kept for the next request.
const KEEP: Duration = Duration::from_secs(30);
/// Connections to one app that are kept.
const KEPT: usize = 64;

/// Who asks, and over what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct From {
    pub(crate) address: IpAddr,
    pub(crate) secure: bool,
}

/// Why an app did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// It is not reached, or ended the connection.
    Away,
    /// It thinks for too long.
    Late,
}

pub(crate) fn client() -> Client {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEEP)
        .pool_max_idle_per_host(KEPT)
        .build(connector)
}

/// Passes a request on.
pub(crate) async fn forward(
    client: &Client,
    rule: &Rule,
    names: Names,
    from: From,
    visitor: Option<&Visitor>,
    mut request: Request<Incoming>,
    stop: &CancellationToken,
) -> Result<Response<Outgoing>, Unanswered> {
    let upgrade = headers::asks_upgrade(request.headers()) && request.version() == Version::HTTP_11;
    let ours = upgrade.then(|| hyper::upgrade::on(&mut request));
    prepare(&mut request, rule, names, from, visitor);
    let wish = Wish::of(&mut request, &rule.page, from.secure);
    let mut response = match tokio::time::timeout(ANSWER, client.request(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            tracing::debug!(app = %rule.app, port = rule.port, %error, "the app did not answer");
            return Err(Unanswered::Away);
        }
        Err(_) => return Err(Unanswered::Late),
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some(ours) = ours else { return Err(Unanswered::Away) };
        let theirs = hyper::upgrade::on(&mut response);
        tokio::spawn(bridge(ours, theirs, stop.clone()));
    }
    headers::strip_hop(response.headers_mut());
    headers::rename_cookies(response.headers_mut(), names, rule.port);
    let status = response.status();
    let splice = wish.and_then(|wish| wish.shape(status, response.headers_mut(), rule));
    Ok(response.map(|body| Either::Left(Passed::new(body, splice))))
}

/// Makes of a visitor's request the one that the app sees.
fn prepare(
    request: &mut Request<Incoming>,
    rule: &Rule,
    names: Names,
    from: From,
    visitor: Option<&Visitor>,
) {
    // HTTP/2 names the host in the target (RFC 9113, section 8.3.1)
    if !request.headers().contains_key(header::HOST)
        && let Some(host) = request.uri().authority().map(|authority| authority.as_str())
        && let Ok(host) = HeaderValue::from_str(host)
    {
        request.headers_mut().insert(header::HOST, host);
    }
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = target(rule, path);
    *request.version_mut() = Version::HTTP_11;
    let all = request.headers_mut();
    headers::strip_hop(all);
    // the gate itself says that it takes the body
    all.remove(header::EXPECT);
    headers::filter_cookies(all, names, rule.port);
    headers::set_forwarded(all, from.address, from.secure, rule.port);
    if let Some(name) = &rule.identity_header {
        all.remove(name);
        if let Some(value) = visitor.and_then(|who| HeaderValue::from_str(&who.user).ok()) {
            all.insert(name.clone(), value);
        }
    }
}

fn target(rule: &Rule, path: Option<PathAndQuery>) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = rule.upstream.to_string().parse().ok();
    parts.path_and_query = path.or_else(|| Some(PathAndQuery::from_static("/")));
    // a socket address is an authority, so this cannot fail
    Uri::from_parts(parts).unwrap_or_default()
}

/// Copies both ways after an upgrade, until one side ends or the gate does.
async fn bridge(ours: OnUpgrade, theirs: OnUpgrade, stop: CancellationToken) {
    let (ours, theirs) = match tokio::try_join!(ours, theirs) {
        Ok(both) => both,
        Err(error) => {
            tracing::debug!(%error, "an upgrade did not come about");
            return;
        }
    };
    let (mut ours, mut theirs) = (TokioIo::new(ours), TokioIo::new(theirs));
    tokio::select! {
        () = stop.cancelled() => {}
        done = tokio::io::copy_bidirectional(&mut ours, &mut theirs) => {
            if let Err(error) = done {
                tracing::debug!(%error, "an upgraded connection ended");
            }
        }
    }
}
