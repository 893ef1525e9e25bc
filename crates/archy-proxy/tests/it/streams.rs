//! What is large, long or in parts passes as a stream: in little memory, in either direction.

use archy_proxy::{Access, Limits};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Body, Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::stand::{DEADLINE, Stand, Tls};
use crate::{COOKIE, empty, get, send, text};

/// 10 GiB.
const LARGE: u64 = 10 << 30;
/// What a stream of any size may take beside what was there before.
const LITTLE: u64 = 64 << 20;

/// Memory of this process that is in use, in bytes; the gate, the app and the client are all in it.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

fn upload(bytes: u64) -> impl Body<Data = Bytes, Error = std::io::Error> + Send + Unpin + 'static {
    const PIECE: u64 = 1 << 20;
    let piece = Bytes::from(vec![7; PIECE as usize]);
    let frames = futures_util::stream::iter(0..bytes / PIECE);
    StreamBody::new(frames.map(move |_| Ok(Frame::data(piece.clone()))).boxed())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_gib_go_up_in_constant_memory() {
    let stand = Stand::new(Access::Gated).await;
    let before = resident();
    let request = Request::put("/count").header("host", "n").header("cookie", COOKIE);
    let request = request.header("content-length", LARGE).body(upload(LARGE)).unwrap();
    let stream = TokioIo::new(tokio::net::TcpStream::connect(stand.at).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(text(response).await, LARGE.to_string());
    let taken = resident().saturating_sub(before);
    assert!(taken < LITTLE, "{taken} bytes more");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gib_come_down_in_constant_memory() {
    const BYTES: u64 = 2 << 30;
    let stand = Stand::new(Access::Gated).await;
    let before = resident();
    let request = empty(get(&format!("/sized?{BYTES}")).header("cookie", COOKIE));
    let mut response = send(stand.at, request).await;
    let mut got = 0;
    while let Some(frame) = response.body_mut().frame().await {
        got += frame.unwrap().data_ref().map_or(0, |data| data.len() as u64);
    }
    assert_eq!(got, BYTES);
    let taken = resident().saturating_sub(before);
    assert!(taken < LITTLE, "{taken} bytes more");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_streams_of_one_http2_connection_do_not_wait_for_each_other() {
    let Tls { server, client } = Tls::new();
    let stand = Stand::with(Access::Gated, Limits::default(), Some(server)).await;
    let io = TokioIo::new(Tls::connect(&client, stand.at, &["h2"]).await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let at = format!("https://node.local:{}", stand.at.port());
    let request =
        |path: &str| Request::builder().uri(format!("{at}{path}")).header("cookie", "session=good");
    // one that goes on for ever and is not read, one that waits, and one that is large
    let _endless = sender.send_request(box_empty(request("/endless"))).await.unwrap();
    let mut events = sender.send_request(box_empty(request("/events"))).await.unwrap();
    let first = events.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "data: 1\n\n");
    let bytes = 64 << 20;
    let put = request("/count").method("PUT").body(upload(bytes).boxed_unsync()).unwrap();
    let counted = sender.send_request(put).await.unwrap();
    assert_eq!(text(counted).await, bytes.to_string());
    stand.second.notify_one();
    let next = tokio::time::timeout(DEADLINE, events.body_mut().frame()).await.unwrap();
    assert_eq!(next.unwrap().unwrap().into_data().unwrap(), "data: 2\n\n");
}

type Upload = http_body_util::combinators::UnsyncBoxBody<Bytes, std::io::Error>;

fn box_empty(request: http::request::Builder) -> Request<Upload> {
    let body =
        http_body_util::Empty::new().map_err(|never: std::convert::Infallible| match never {});
    request.body(body.boxed_unsync()).unwrap()
}

#[tokio::test]
async fn a_part_is_passed_as_a_part() {
    let stand = Stand::new(Access::Gated).await;
    let request = get("/range").header("cookie", COOKIE).header("range", "bytes=5-8");
    let part = send(stand.at, empty(request)).await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()["content-range"], "bytes=5-8");
    assert_eq!(text(part).await, "part");
}

#[tokio::test]
async fn connections_to_the_app_are_used_again() {
    let stand = Stand::new(Access::Gated).await;
    for round in 0..50 {
        for path in ["/", "/sized?100000", "/count", "/denied"] {
            let answer = send(stand.at, empty(get(path).header("cookie", COOKIE))).await;
            text(answer).await;
        }
        assert!(stand.connections() <= 4, "round {round}: {}", stand.connections());
    }
}
