//! What an app, or a page of one, may try against the dashboard's session and its visitors.

use archy_proxy::{Access, Rule};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::stand::{DEADLINE, Stand};
use crate::{COOKIE, empty, get, send, text};

#[tokio::test]
async fn the_session_never_reaches_an_app() {
    for access in [Access::Gated, Access::Open] {
        let stand = Stand::new(access).await;
        for cookie in [
            &b"session=good"[..],
            b"theme=\xff; session=good",
            b"a=1;session=good;csrf_token=good",
            b"session=good; session=good",
            b"csrf_token=\"good\"; session=good",
        ] {
            let line = HeaderValue::from_bytes(cookie).unwrap();
            let response = send(stand.at, empty(get("/").header("cookie", line))).await;
            assert_eq!(response.status(), StatusCode::OK, "{access:?} {cookie:?}");
            let seen = text(response).await;
            assert!(!seen.contains("good"), "{access:?}: {seen}");
        }
    }
}

#[tokio::test]
async fn an_app_does_not_take_the_dashboards_cookies_over() {
    let stand = Stand::new(Access::Gated).await;
    let answer = send(stand.at, empty(get("/takes-over").header("cookie", COOKIE))).await;
    let port = stand.at.port();
    let set: Vec<&[u8]> =
        answer.headers().get_all("set-cookie").iter().map(HeaderValue::as_bytes).collect();
    let own = [&format!("app{port}-session=evil").into_bytes()[..], b"\xff; Path=/"].concat();
    let csrf = format!("app{port}-csrf_token  =evil").into_bytes();
    assert_eq!(set, [&own[..], &csrf[..]]);
    // nor does it speak for the whole host
    assert_eq!(answer.headers()["clear-site-data"], "\"cache\", \"storage\"");
    assert!(!answer.headers().contains_key("strict-transport-security"));
}

#[tokio::test]
async fn nobody_claims_to_be_somebody_by_a_header() {
    let stand = Stand::new(Access::Open).await;
    let request = get("/")
        .header("x-visitor", "root")
        .header("x_visitor", "root")
        .header("X_Visitor", "root")
        .header("x_real_ip", "6.6.6.6")
        .header("x-forwarded-for", "6.6.6.6")
        .header("forwarded", "for=6.6.6.6")
        .header("connection", "x-visitor, x-forwarded-for");
    let seen = text(send(stand.at, empty(request)).await).await;
    assert!(!seen.contains("root") && !seen.contains("6.6.6.6"), "{seen}");
    assert!(seen.contains("x-forwarded-for: 127.0.0.1"), "{seen}");
}

#[tokio::test]
async fn a_login_returns_to_this_port_and_nowhere_else() {
    let stand = Stand::new(Access::Gated).await;
    for next in
        ["https://evil.example/", "//evil.example", "/\\evil.example", "/a%0d%0aSet-Cookie:x"]
    {
        let body = format!("password=right&next={next}");
        let form = Request::post("/.archipelago/login").header("host", "node.local:8080");
        let form = form.body(Full::new(Bytes::from(body))).unwrap();
        let answer = send(stand.at, form).await;
        assert_eq!(answer.headers()["location"], "/", "{next}");
        assert_eq!(answer.headers().get_all("set-cookie").iter().count(), 1, "{next}");
    }
}

fn socket(stand: &Stand, origin: Option<&str>) -> Request<()> {
    let builder = Request::builder().uri(format!("ws://{}/ws", stand.at));
    let builder = builder.header("host", stand.at.to_string()).header("cookie", COOKIE);
    let builder = builder.header("connection", "Upgrade").header("upgrade", "websocket");
    let builder = builder.header("sec-websocket-version", "13");
    let builder = builder.header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let builder = match origin {
        Some(origin) => builder.header("origin", origin),
        None => builder,
    };
    builder.body(()).unwrap()
}

#[tokio::test]
async fn a_websocket_is_not_opened_for_somebody_elses_page() {
    let stand = Stand::new(Access::Gated).await;
    let own = format!("http://{}", stand.at);
    for (origin, opens) in [
        (Some(own.as_str()), true),
        (None, true),
        (Some("http://127.0.0.1:1"), false),
        (Some("https://evil.example"), false),
        (Some("null"), false),
    ] {
        let stream = TcpStream::connect(stand.at).await.unwrap();
        let opened = tokio_tungstenite::client_async(socket(&stand, origin), stream).await;
        assert_eq!(opened.is_ok(), opens, "{origin:?}");
    }
}

#[tokio::test]
async fn what_is_open_ends_with_the_session() {
    let stand = Stand::new(Access::Gated).await;
    let stream = TcpStream::connect(stand.at).await.unwrap();
    let (mut socket, _) =
        tokio_tungstenite::client_async(socket(&stand, None), stream).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert!(socket.next().await.unwrap().is_ok());
    let request = empty(get("/events").header("cookie", COOKIE));
    let mut events = send(stand.at, request).await;
    assert!(events.body_mut().frame().await.unwrap().is_ok());
    stand.revoked.cancel();
    let ended = async {
        while let Some(Ok(_)) = socket.next().await {}
        while let Some(Ok(_)) = events.body_mut().frame().await {}
    };
    tokio::time::timeout(DEADLINE, ended).await.unwrap();
    let again = send(stand.at, empty(get("/").header("cookie", COOKIE))).await;
    assert_eq!(again.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_rule_counts_for_connections_that_are_open_already() {
    let mut stand = Stand::new(Access::Open).await;
    let stream = TcpStream::connect(stand.at).await.unwrap();
    let (mut socket, _) =
        tokio_tungstenite::client_async(socket(&stand, None), stream).await.unwrap();
    let stream = hyper_util::rt::TokioIo::new(TcpStream::connect(stand.at).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let first = sender.send_request(empty(get("/"))).await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    text(first).await;
    let gated = Rule { access: Access::Gated, ..stand.rule.clone() };
    stand.gate.set(&[gated], &[stand.at.ip()]);
    sender.ready().await.unwrap();
    let second = sender.send_request(empty(get("/"))).await.unwrap();
    assert_eq!(second.status(), StatusCode::UNAUTHORIZED);
    let ended = async { while let Some(Ok(_)) = socket.next().await {} };
    tokio::time::timeout(DEADLINE, ended).await.unwrap();
}
