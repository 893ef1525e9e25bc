//! A gate before an app: both real, on loopback.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use archy_proxy::{
    Access, Doorkeeper, Gate, Limits, Login, Names, Nostr, Page, Rule, Secret, Typed, Visitor, Who,
};
use archy_types::AppId;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) const NOSTR: Nostr = Nostr { script: "window.nostr = {};", login: false };
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Lets in whoever has the cookie `session=good`; the password is `right`.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    /// All sessions have ended.
    pub(crate) revoked: CancellationToken,
}

impl Doorkeeper for Keeper {
    fn who(&self, headers: &HeaderMap, _: &AppId) -> Who {
        let has = |wanted: &str| {
            let lines = headers.get_all("cookie").into_iter().map(HeaderValue::as_bytes);
            let mut pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
            pairs.any(|pair| pair.trim_ascii() == wanted.as_bytes())
        };
        match () {
            () if self.revoked.is_cancelled() => Who::Stranger,
            () if has("session=good") => Who::Visitor(Visitor { user: "owner".to_owned() }),
            () if has("session=other") => Who::NotTheirs,
            () => Who::Stranger,
        }
    }

    fn until(&self, cookies: &HeaderMap, app: &AppId) -> BoxFuture<'static, ()> {
        let (here, revoked) = (self.who(cookies, app) != Who::Stranger, self.revoked.clone());
        Box::pin(async move {
            if here {
                revoked.cancelled().await;
            }
        })
    }

    fn asks_name(&self) -> bool {
        false
    }

    fn login(
        &self,
        _: IpAddr,
        headers: &HeaderMap,
        typed: Typed,
        _: bool,
    ) -> BoxFuture<'static, Login> {
        let halfway = headers.get("cookie").is_some_and(|line| line == "session=half");
        let welcome = || Login::Welcome(vec![HeaderValue::from_static("session=good; Path=/")]);
        let login = match typed {
            Typed::Password { password: Secret(password), .. } => match password.as_str() {
                "right" => welcome(),
                "two" => Login::Code(vec![HeaderValue::from_static("session=half; Path=/")]),
                "often" => Login::TooMany(Duration::from_secs(7)),
                _ => Login::Wrong,
            },
            Typed::Code(Secret(code)) if halfway && code == "123456" => welcome(),
            Typed::Code(_) => Login::Wrong,
        };
        Box::pin(async move { login })
    }

    fn absence(&self, _: &AppId) -> String {
        "It is stopped.".to_owned()
    }
}

/// The gate, its app, and what is needed to end them.
pub(crate) struct Stand {
    pub(crate) gate: Gate<Keeper>,
    pub(crate) rule: Rule,
    pub(crate) at: SocketAddr,
    /// Lets the app send the second event of `/events`.
    pub(crate) second: Arc<Notify>,
    /// Ends all sessions.
    pub(crate) revoked: CancellationToken,
    accepted: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Both sides of TLS with a certificate of its own.
pub(crate) struct Tls {
    pub(crate) server: Arc<rustls::ServerConfig>,
    pub(crate) client: rustls::ClientConfig,
}

impl Tls {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["node.local".to_owned()]).unwrap();
        let key = made.signing_key.serialize_der();
        let key = rustls_pki_types::PrivateKeyDer::try_from(key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { server: Arc::new(server), client }
    }

    pub(crate) async fn connect(
        client: &rustls::ClientConfig,
        at: SocketAddr,
        alpn: &[&str],
    ) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut client = client.clone();
        client.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        let stream = TcpStream::connect(at).await.unwrap();
        connector.connect("node.local".try_into().unwrap(), stream).await.unwrap()
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

impl Stand {
    pub(crate) async fn new(access: Access) -> Self {
        Self::with(access, Limits::default(), None).await
    }

    /// Before pages that are changed.
    pub(crate) async fn changing(page: Page) -> Self {
        let mut stand = Self::new(Access::Gated).await;
        stand.rule.page = page;
        stand.gate.set(std::slice::from_ref(&stand.rule), &[Ipv4Addr::LOCALHOST.into()]);
        stand
    }

    /// Connections that the app was asked for so far.
    pub(crate) fn connections(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    pub(crate) async fn with(
        access: Access,
        limits: Limits,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Self {
        let (stop, second) = (CancellationToken::new(), Arc::new(Notify::new()));
        let accepted = Arc::<AtomicUsize>::default();
        let upstream = app(stop.clone(), second.clone(), accepted.clone()).await;
        let port = free_port();
        let rule = Rule {
            app: AppId::new("photos").unwrap(),
            title: "Photos & <more>".to_owned(),
            port,
            upstream,
            access,
            identity_header: Some("x-visitor".parse().unwrap()),
            page: Page::default(),
            siblings: vec![port, 9999],
        };
        let names = Names(&["session", "csrf_token"]);
        let keeper = Keeper::default();
        let revoked = keeper.revoked.clone();
        let mut gate = Gate::new(keeper, names, limits, tls, stop.clone(), TaskTracker::new());
        let listening = gate.set(std::slice::from_ref(&rule), &[Ipv4Addr::LOCALHOST.into()]);
        assert!(listening[&port].refused.is_empty(), "{listening:?}");
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { gate, rule, at, second, revoked, accepted, stop }
    }
}

/// The app: tells what it got, streams, and speaks WebSocket.
async fn app(
    stop: CancellationToken,
    second: Arc<Notify>,
    accepted: Arc<AtomicUsize>,
) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let stream = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted.unwrap().0,
            };
            accepted.fetch_add(1, Ordering::Relaxed);
            let second = second.clone();
            let service =
                hyper::service::service_fn(move |request| answer(request, second.clone()));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::spawn(connection);
        }
    });
    at
}

type Body = BoxBody<Bytes, Infallible>;

fn full(text: String) -> Body {
    http_body_util::Full::new(Bytes::from(text)).boxed()
}

/// Tries to take the dashboard's cookies over.
fn takes_over() -> Response<Body> {
    Response::builder()
        .header("set-cookie", HeaderValue::from_bytes(b"session=evil\xff; Path=/").unwrap())
        .header("set-cookie", "=session=evil; Path=/")
        .header("set-cookie", "  csrf_token  =evil")
        .header("clear-site-data", "\"*\"")
        .header("strict-transport-security", "max-age=31536000")
        .body(full(String::new()))
        .unwrap()
}

/// So many bytes, made as they are taken.
fn zeros(bytes: u64) -> Body {
    const PIECE: u64 = 256 * 1024;
    let piece = Bytes::from(vec![0; PIECE as usize]);
    let frames = futures_util::stream::unfold(bytes, move |left| {
        let piece = piece.slice(..usize::try_from(left.min(PIECE)).unwrap());
        async move {
            let rest = left.checked_sub(piece.len() as u64)?;
            (!piece.is_empty()).then_some((Ok(Frame::data(piece)), rest))
        }
    });
    BodyExt::boxed(StreamBody::new(frames))
}

/// A WebSocket that says again what it is told.
fn echo(request: &mut Request<Incoming>) -> Response<Body> {
    use futures_util::{SinkExt as _, StreamExt as _};
    let key = request.headers()["sec-websocket-key"].as_bytes().to_vec();
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(&key);
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let io = TokioIo::new(upgrade.await.unwrap());
        let role = tokio_tungstenite::tungstenite::protocol::Role::Server;
        let mut socket = tokio_tungstenite::WebSocketStream::from_raw_socket(io, role, None).await;
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(message).await.unwrap();
            }
        }
    });
    Response::builder()
        .status(101)
        .header("upgrade", "websocket")
        .header("connection", "upgrade")
        .header("sec-websocket-accept", accept)
        .body(full(String::new()))
        .unwrap()
}

async fn answer(
    mut request: Request<Incoming>,
    second: Arc<Notify>,
) -> Result<Response<Body>, Infallible> {
    let response = match request.uri().path() {
        "/ws" => echo(&mut request),
        "/events" => Response::builder()
            .header("content-type", "text/event-stream; charset=utf-8")
            .body(events(second))
            .unwrap(),
        "/range" => {
            let range = request.headers()["range"].to_str().unwrap().to_owned();
            let head = Response::builder().status(206).header("content-range", range);
            head.body(full("part".to_owned())).unwrap()
        }
        "/count" => {
            let (mut bytes, mut body) = (0_u64, request.into_body());
            while let Some(Ok(frame)) = body.frame().await {
                bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            Response::new(full(bytes.to_string()))
        }
        "/takes-over" => takes_over(),
        "/endless" => {
            let piece = Bytes::from(vec![7; 64 * 1024]);
            let frames = futures_util::stream::repeat_with(move || Ok(Frame::data(piece.clone())));
            Response::new(BodyExt::boxed(StreamBody::new(frames)))
        }
        "/sized" => {
            let bytes = request.uri().query().unwrap().parse().unwrap();
            Response::new(zeros(bytes))
        }
        "/cookie" => {
            let own = Response::builder().header("set-cookie", "session=own; Path=/; HttpOnly");
            own.body(full(String::new())).unwrap()
        }
        "/page" => Response::builder()
            .header("content-type", "text/html; charset=utf-8")
            .header("x-frame-options", "DENY")
            .header(
                "content-security-policy",
                "default-src 'none'; script-src 'nonce-own'; frame-ancestors 'none'",
            )
            .header("etag", "\"1\"")
            .body(full("<html><head><title>t</title></head><body>own</body></html>".to_owned()))
            .unwrap(),
        "/denied" => {
            Response::builder().status(403).body(full("the app says no".to_owned())).unwrap()
        }
        _ => {
            let lines = request.headers().iter().map(|(name, value)| {
                format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
            });
            let head = format!("{} {}", request.method(), request.uri());
            let text = std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n");
            Response::new(full(text))
        }
    };
    Ok(response)
}

/// Two events, the second when the test says so.
fn events(second: Arc<Notify>) -> Body {
    let (sender, receiver) = mpsc::channel::<&'static str>(1);
    tokio::spawn(async move {
        _ = sender.send("data: 1\n\n").await;
        second.notified().await;
        _ = sender.send("data: 2\n\n").await;
    });
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let text = receiver.recv().await?;
        Some((Ok(Frame::data(Bytes::from_static(text.as_bytes()))), receiver))
    });
    BodyExt::boxed(StreamBody::new(frames))
}
