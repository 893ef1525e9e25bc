//! The gate before a real app, over real sockets.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

#[cfg(test)]
mod security;
#[cfg(test)]
mod stand;
#[cfg(test)]
mod streams;

use std::net::SocketAddr;
use std::time::Duration;

use archy_proxy::{Access, Limits, Page};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use stand::{DEADLINE, NOSTR, Stand, Tls};

const COOKIE: &str = "session=good; theme=dark";

async fn send<B>(at: SocketAddr, request: Request<B>) -> Response<Incoming>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    over(TcpStream::connect(at).await.unwrap(), request).await
}

async fn over<S, B>(stream: S, request: Request<B>) -> Response<Incoming>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    tokio::time::timeout(DEADLINE, sender.send_request(request)).await.unwrap().unwrap()
}

fn get(path: &str) -> http::request::Builder {
    Request::builder().uri(path).header("host", "node.local:8080")
}

fn empty(builder: http::request::Builder) -> Request<Empty<Bytes>> {
    builder.body(Empty::new()).unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn without_a_session_machines_get_401_and_people_a_page_that_returns_them() {
    let stand = Stand::new(Access::Gated).await;
    let machine = send(stand.at, empty(get("/api/albums"))).await;
    assert_eq!(machine.status(), StatusCode::UNAUTHORIZED);
    assert!(text(machine).await.contains("session-missing"));
    let browser = empty(get("/albums?a=1&b=2").header("accept", "text/html,*/*"));
    let browser = send(stand.at, browser).await;
    assert_eq!(browser.status(), StatusCode::UNAUTHORIZED);
    let page = text(browser).await;
    assert!(page.contains("value=\"/albums?a=1&amp;b=2\""), "{page}");
    assert!(page.contains("Photos &amp; &lt;more&gt;"), "{page}");
    let login = |body: &'static str, origin: &'static str| {
        let form = Request::post("/.archipelago/login")
            .header("host", "node.local:8080")
            .header("origin", origin)
            .body(Full::new(Bytes::from_static(body.as_bytes())));
        send(stand.at, form.unwrap())
    };
    let own = "http://node.local:8080";
    let welcome = login("next=%2Falbums%3Fa%3D1&password=right", own).await;
    assert_eq!(welcome.status(), StatusCode::SEE_OTHER);
    assert_eq!(welcome.headers()["location"], "/albums?a=1");
    assert_eq!(welcome.headers()["set-cookie"], "session=good; Path=/");
    let wrong = login("next=/x&password=no", own).await;
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    assert!(text(wrong).await.contains("not right"));
    assert_eq!(login("password=often", own).await.status(), StatusCode::TOO_MANY_REQUESTS);
    let foreign = login("password=right", "http://evil.example").await;
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn with_a_session_the_app_sees_the_request_and_none_of_our_cookies() {
    let stand = Stand::new(Access::Gated).await;
    let request = get("/a/b?c=%20d")
        .header("cookie", COOKIE)
        .header("range", "bytes=0-99")
        .header("x-visitor", "somebody-else")
        .header("x-forwarded-for", "1.2.3.4")
        .header("connection", "keep-alive, x-mine")
        .header("x-mine", "1");
    let seen = text(send(stand.at, empty(request)).await).await;
    for line in [
        "GET /a/b?c=%20d",
        "host: node.local:8080",
        "cookie: theme=dark",
        "range: bytes=0-99",
        "x-visitor: owner",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: node.local:8080",
    ] {
        assert!(seen.lines().any(|seen| seen == line), "{line} is not in\n{seen}");
    }
    assert!(!seen.contains("good") && !seen.contains("x-mine"), "{seen}");
    let own = send(stand.at, empty(get("/cookie").header("cookie", COOKIE))).await;
    let renamed = format!("app{}-session=own; Path=/; HttpOnly", stand.at.port());
    assert_eq!(own.headers()["set-cookie"], renamed);
}

#[tokio::test]
async fn an_open_port_asks_nobody_and_the_apps_own_refusal_comes_through() {
    let stand = Stand::new(Access::Open).await;
    let request = get("/denied").header("authorization", "Nostr abc");
    let response = send(stand.at, empty(request)).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(text(response).await, "the app says no");
    let seen = text(send(stand.at, empty(get("/").header("authorization", "Nostr abc"))).await);
    assert!(seen.await.contains("authorization: Nostr abc"));
}

#[tokio::test]
async fn events_and_websockets_pass_as_they_come() {
    let stand = Stand::new(Access::Gated).await;
    let mut events = send(stand.at, empty(get("/events").header("cookie", COOKIE))).await;
    let mut next = async || {
        let frame = tokio::time::timeout(DEADLINE, events.body_mut().frame()).await.unwrap();
        frame.unwrap().unwrap().into_data().unwrap()
    };
    // the first is there before the app sends the second
    assert_eq!(next().await, "data: 1\n\n");
    stand.second.notify_one();
    assert_eq!(next().await, "data: 2\n\n");

    let request = |cookie: &str| {
        let builder = Request::builder().uri(format!("ws://{}/ws", stand.at));
        let builder = builder.header("host", stand.at.to_string()).header("cookie", cookie);
        let builder = builder.header("connection", "Upgrade").header("upgrade", "websocket");
        let builder = builder.header("sec-websocket-version", "13");
        builder.header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==").body(()).unwrap()
    };
    let stream = TcpStream::connect(stand.at).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request(COOKIE), stream).await.unwrap();
    for word in ["one", "two"] {
        socket.send(Message::text(word)).await.unwrap();
        let echo = tokio::time::timeout(DEADLINE, socket.next()).await.unwrap();
        assert_eq!(echo.unwrap().unwrap(), Message::text(word));
    }
    let stream = TcpStream::connect(stand.at).await.unwrap();
    assert!(tokio_tungstenite::client_async(request("a=b"), stream).await.is_err());
}

#[tokio::test]
async fn a_large_upload_is_a_stream() {
    const PIECE: usize = 1 << 20;
    const PIECES: usize = 200;
    let stand = Stand::new(Access::Gated).await;
    let piece = Bytes::from(vec![7; PIECE]);
    let frames = futures_util::stream::iter(0..PIECES)
        .map(move |_| Ok::<_, std::io::Error>(Frame::data(piece.clone())));
    let request = Request::put("/count").header("host", "n").header("cookie", COOKIE);
    let response = send(stand.at, request.body(StreamBody::new(frames)).unwrap()).await;
    assert_eq!(text(response).await, (PIECE * PIECES).to_string());
}

#[tokio::test]
async fn an_app_that_is_away_is_told_with_its_cause() {
    let mut stand = Stand::new(Access::Gated).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rule = archy_proxy::Rule { upstream: nobody, ..stand.rule.clone() };
    stand.gate.set(&[rule], &[stand.at.ip()]);
    let response = send(stand.at, empty(get("/").header("cookie", COOKIE))).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(response.headers()["retry-after"], "5");
    assert!(text(response).await.contains("It is stopped."));
    // nothing listens any more once the app is gone
    stand.gate.set(&[], &[stand.at.ip()]);
    let closed = async {
        while TcpStream::connect(stand.at).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, closed).await.unwrap();
}

#[tokio::test]
async fn one_port_takes_tls_and_plain_and_both_versions_of_http() {
    let Tls { server, client } = Tls::new();
    let stand = Stand::with(Access::Gated, Limits::default(), Some(server)).await;
    let connect = async |alpn: &str| Tls::connect(&client, stand.at, &[alpn]).await;
    let request = || empty(get("/x").header("cookie", COOKIE));
    let seen = text(over(connect("http/1.1").await, request()).await).await;
    assert!(seen.contains("x-forwarded-proto: https"), "{seen}");
    let io = TokioIo::new(connect("h2").await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder()
        .uri(format!("https://node.local:{}/y", stand.at.port()))
        .header("cookie", "session=good")
        .header("cookie", "theme=dark")
        .header("cookie", "size=2");
    let seen = text(sender.send_request(empty(request)).await.unwrap()).await;
    let host = format!("host: node.local:{}", stand.at.port());
    assert!(seen.contains(&host) && seen.contains("cookie: theme=dark; size=2"), "{seen}");
    // in plain the app is reached as well, but a password is asked for over TLS alone
    assert!(send(stand.at, empty(get("/").header("cookie", COOKIE))).await.status().is_success());
    let browser = send(stand.at, empty(get("/z").header("accept", "text/html"))).await;
    assert_eq!(browser.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(browser.headers()["location"], "https://node.local:8080/z");
}

#[tokio::test]
async fn whoever_says_nothing_is_sent_away() {
    let first_byte = Duration::from_millis(50);
    let limits = Limits { first_byte, head: first_byte, ..Limits::default() };
    let stand = Stand::with(Access::Open, limits, None).await;
    for words in ["", "GET / HTTP/1.1\r\nHost: n\r\n", "\u{16}\u{3}\u{1}"] {
        let mut stream = TcpStream::connect(stand.at).await.unwrap();
        stream.write_all(words.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let end = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "{words:?} is waited for");
    }
}

#[tokio::test]
async fn a_page_gets_the_signer_and_may_be_framed_by_this_node() {
    let page = Page { allow_frame: true, nostr: Some(NOSTR) };
    let stand = Stand::changing(page).await;
    let request = get("/page").header("cookie", COOKIE).header("accept", "text/html");
    let request = request.header("accept-encoding", "gzip").header("if-none-match", "\"1\"");
    let response = send(stand.at, empty(request)).await;
    let headers = response.headers().clone();
    let body = text(response).await;
    let nonce = body.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let tag = format!(
        "<title>t</title><script src=\"/nostr-provider.js\" data-app-id=\"photos\" data-no-nip98 \
         nonce=\"{nonce}\"></script></head>"
    );
    assert!(body.contains(&tag) && body.ends_with("own</body></html>"), "{body}");
    let policies: Vec<&str> = headers
        .get_all("content-security-policy")
        .iter()
        .map(|line| line.to_str().unwrap())
        .collect();
    let wanted = format!(
        "default-src 'none'; script-src 'nonce-own' 'nonce-{nonce}'; frame-ancestors 'self' \
         https://node.local:* http://node.local:*; frame-src http://node.local/nostr-signer"
    );
    let frames = "frame-ancestors 'self' https://node.local:* http://node.local:*";
    assert_eq!(policies, [wanted.as_str(), frames]);
    assert_eq!(headers["cache-control"], "no-store");
    for gone in ["x-frame-options", "etag", "content-length"] {
        assert!(!headers.contains_key(gone), "{gone}");
    }
    let script = send(stand.at, empty(get("/nostr-provider.js").header("cookie", COOKIE))).await;
    assert_eq!(script.headers()["content-type"], "text/javascript; charset=utf-8");
    assert_eq!(script.headers()["cache-control"], "no-store");
    assert_eq!(text(script).await, NOSTR.script);
    // what a script asks for is no page
    let asked = get("/page").header("cookie", COOKIE).header("accept", "*/*");
    let asked = text(send(stand.at, empty(asked)).await).await;
    assert!(!asked.contains("nostr-provider"), "{asked}");
}

#[tokio::test]
async fn pages_are_left_alone_unless_their_manifest_asks() {
    let stand = Stand::new(Access::Gated).await;
    let request = get("/page").header("cookie", COOKIE).header("accept", "text/html");
    let response = send(stand.at, empty(request)).await;
    assert_eq!(response.headers()["x-frame-options"], "DENY");
    assert_eq!(response.headers()["etag"], "\"1\"");
    assert!(!text(response).await.contains("nostr-provider"));
    let own = send(stand.at, empty(get("/nostr-provider.js").header("cookie", COOKIE))).await;
    assert!(text(own).await.starts_with("GET /nostr-provider.js"));
}

#[tokio::test]
async fn pages_of_other_apps_do_not_write_nor_open_web_sockets() {
    let stand = Stand::new(Access::Gated).await;
    let post = |origin: &str| {
        let request = Request::post("/count").header("host", "node.local:8080");
        request.header("cookie", COOKIE).header("origin", origin).body(Full::new(Bytes::from("x")))
    };
    let foreign = send(stand.at, post("http://node.local:8081").unwrap()).await;
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    assert!(text(foreign).await.contains("origin-refused"));
    for origin in ["http://node.local:8080", "https://node.local:9999"] {
        assert_eq!(
            send(stand.at, post(origin).unwrap()).await.status(),
            StatusCode::OK,
            "{origin}"
        );
    }
    let socket = get("/ws").header("cookie", COOKIE).header("origin", "http://node.local:8081");
    let socket = socket.header("upgrade", "websocket").header("connection", "upgrade");
    let socket = socket.header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(send(stand.at, empty(socket)).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_user_gets_into_the_apps_that_are_theirs() {
    let stand = Stand::new(Access::Gated).await;
    let asks = get("/").header("cookie", "session=other");
    let refused = send(stand.at, empty(asks)).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(text(refused).await.contains("app-not-allowed"));
    let page = get("/").header("cookie", "session=other").header("accept", "text/html");
    let page = text(send(stand.at, empty(page)).await).await;
    assert!(page.contains("You may not use this app"), "{page}");
}

#[tokio::test]
async fn a_second_factor_is_asked_for_on_an_apps_port_as_well() {
    let stand = Stand::new(Access::Gated).await;
    let post = |body: &'static str, cookie: &str| {
        let form = Request::post("/.archipelago/login").header("host", "node.local:8080");
        let form =
            form.header("cookie", cookie).body(Full::new(Bytes::from_static(body.as_bytes())));
        send(stand.at, form.unwrap())
    };
    let first = post("password=two&next=/x", "").await;
    assert_eq!(first.headers()["set-cookie"], "session=half; Path=/");
    let page = text(first).await;
    assert!(page.contains("name=\"code\"") && page.contains("value=\"/x\""), "{page}");
    let wrong = text(post("code=000000&next=/x", "session=half").await).await;
    assert!(wrong.contains("That code is not right"), "{wrong}");
    let right = post("code=123456&next=/x", "session=half").await;
    assert_eq!(right.headers()["location"], "/x");
    assert_eq!(right.headers()["set-cookie"], "session=good; Path=/");
}
