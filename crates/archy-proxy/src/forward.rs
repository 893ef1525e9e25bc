//! One request: passed on to the app, its answer passed back, both as streams.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::{PathAndQuery, Uri};
use http::{Request, Response, StatusCode, Version};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

use crate::headers::{self, Forwarded, Names};
use crate::page::Wish;
use crate::patience::Arriving;
use crate::rule::{Rule, Visitor};
use crate::slots::Slot;
use crate::splice::Passed;
use crate::upstream::Upstreams;

/// What is answered: the app's own stream, or a text of the gate.
pub(crate) type Outgoing = Either<Passed, Full<Bytes>>;

/// How long an app may think before its answer begins.
const ANSWER: Duration = Duration::from_secs(600);

/// What requests of one connection have in common.
#[derive(Debug, Clone)]
pub(crate) struct Via {
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) names: Names,
    pub(crate) forwarded: Forwarded,
    pub(crate) secure: bool,
    /// How long a body may stand still.
    pub(crate) still: Duration,
    /// Ends what goes on after its request: WebSockets.
    pub(crate) stop: CancellationToken,
    /// The connection's place, which a WebSocket keeps.
    pub(crate) slot: Arc<Slot>,
}

/// Why an app did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// It is not reached, or ended the connection.
    Away,
    /// It thinks for too long.
    Late,
}

/// Ends with the right of the one who asked; what goes on for long ends with it.
pub(crate) type Until = BoxFuture<'static, ()>;

/// Passes a request on. `until` is made when the answer is one that goes on for long.
pub(crate) async fn forward(
    via: &Via,
    rule: &Rule,
    visitor: Option<&Visitor>,
    mut request: Request<Incoming>,
    until: impl FnOnce(&HeaderMap) -> Option<Until>,
) -> Result<Response<Outgoing>, Unanswered> {
    let upgrade = headers::asks_upgrade(request.headers()) && request.version() == Version::HTTP_11;
    let ours = upgrade.then(|| hyper::upgrade::on(&mut request));
    // who asks is known by cookies that the app does not see
    let cookies = cookies(request.headers());
    prepare(&mut request, rule, via, visitor);
    let wish = Wish::of(&mut request, &rule.page, via.secure);
    let request = request.map(|body| Arriving::new(body, via.still));
    let sent = via.upstreams.send(rule.upstream, request);
    let (mut response, lease) = match tokio::time::timeout(ANSWER, sent).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(error)) => {
            tracing::debug!(app = %rule.app, port = rule.port, %error, "the app did not answer");
            return Err(Unanswered::Away);
        }
        Err(_) => return Err(Unanswered::Late),
    };
    let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let until = if switching || is_events(response.headers()) { until(&cookies) } else { None };
    if switching {
        let Some(ours) = ours else { return Err(Unanswered::Away) };
        let theirs = hyper::upgrade::on(&mut response);
        let (stop, slot) = (via.stop.clone(), via.slot.clone());
        tokio::spawn(async move {
            bridge(ours, theirs, stop, until).await;
            drop(slot);
        });
        headers::strip_hop(response.headers_mut());
        return Ok(response.map(|body| Either::Left(Passed::ended(body))));
    }
    let all = response.headers_mut();
    headers::strip_hop(all);
    headers::rename_cookies(all, via.names, rule.port);
    headers::keep_to_itself(all);
    let status = response.status();
    let splice = wish.and_then(|wish| wish.shape(status, response.headers_mut(), rule));
    Ok(response.map(|body| Either::Left(Passed::new(body, splice, lease, until))))
}

fn cookies(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for line in headers.get_all(header::COOKIE) {
        kept.append(header::COOKIE, line.clone());
    }
    kept
}

fn is_events(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.and_then(|kind| kind.get(..17))
        .is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"))
}

/// Makes of a visitor's request the one that the app sees.
fn prepare(request: &mut Request<Incoming>, rule: &Rule, via: &Via, visitor: Option<&Visitor>) {
    let path = request.uri().path_and_query().cloned();
    // a path alone: the target that an app's server expects (RFC 9112, section 3.2.1)
    *request.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    *request.version_mut() = Version::HTTP_11;
    let all = request.headers_mut();
    headers::strip_hop(all);
    // the gate itself says that it takes the body
    all.remove(header::EXPECT);
    headers::filter_cookies(all, via.names, rule.port);
    via.forwarded.set(all);
    if let Some(name) = &rule.identity_header {
        headers::identify(all, name, visitor.map(|who| who.user.as_str()));
    }
}

/// Copies both ways after an upgrade, until one side ends, the gate does, or whoever opened it may not
/// be here any more.
async fn bridge(ours: OnUpgrade, theirs: OnUpgrade, stop: CancellationToken, until: Option<Until>) {
    let (ours, theirs) = match tokio::try_join!(ours, theirs) {
        Ok(both) => both,
        Err(error) => {
            tracing::debug!(%error, "an upgrade did not come about");
            return;
        }
    };
    let (mut ours, mut theirs) = (TokioIo::new(ours), TokioIo::new(theirs));
    let until = until.unwrap_or_else(|| Box::pin(std::future::pending()));
    tokio::select! {
        () = stop.cancelled() => {}
        () = until => {}
        done = tokio::io::copy_bidirectional(&mut ours, &mut theirs) => {
            if let Err(error) = done {
                tracing::debug!(%error, "an upgraded connection ended");
            }
        }
    }
}
