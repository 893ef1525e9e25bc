//! Clients that begin and do not go on (slowloris), in every part of a request.

use std::time::Duration;

use archy_proxy::{Access, Limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stand::{DEADLINE, Stand, Tls};

const SHORT: Duration = Duration::from_millis(100);

fn short() -> Limits {
    Limits { first_byte: SHORT, handshake: SHORT, head: SHORT, still: SHORT, ..Limits::default() }
}

async fn ends(mut stream: impl tokio::io::AsyncRead + Unpin, what: &str) {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
    assert!(end.is_ok(), "{what} is waited for");
}

#[tokio::test]
async fn whoever_stops_in_the_middle_is_sent_away() {
    let stand = Stand::with(Access::Open, short(), None).await;
    for words in [
        "",
        "G",
        "GET / HTTP/1.1\r\nHost: n\r\nX-A: ",
        "PRI * HTTP/2.0\r\n",
        "POST /count HTTP/1.1\r\nHost: n\r\nContent-Length: 100\r\n\r\nabc",
        "POST /count HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        // a whole request, and then silence
        "GET / HTTP/1.1\r\nHost: n\r\n\r\n",
        "\u{16}\u{3}\u{1}",
    ] {
        let mut stream = TcpStream::connect(stand.at).await.unwrap();
        stream.write_all(words.as_bytes()).await.unwrap();
        ends(stream, words).await;
    }
}

#[tokio::test]
async fn http2_without_requests_ends() {
    let Tls { server, client } = Tls::new();
    let stand = Stand::with(Access::Open, short(), Some(server)).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for words in [&b""[..], b"PRI * HT", preface] {
        let mut stream = Tls::connect(&client, stand.at, &["h2"]).await;
        stream.write_all(words).await.unwrap();
        ends(stream, "HTTP/2 that is idle").await;
    }
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_broken_off() {
    let Tls { server, client } = Tls::new();
    let stand = Stand::with(Access::Open, short(), Some(server)).await;
    let request = b"GET /endless HTTP/1.1\r\nHost: n\r\n\r\n";
    let mut plain = TcpStream::connect(stand.at).await.unwrap();
    plain.write_all(request).await.unwrap();
    let mut tls = Tls::connect(&client, stand.at, &["http/1.1"]).await;
    tls.write_all(request).await.unwrap();
    // nothing is read until the gate has given up: only then does what is written fail
    for stream in [&mut plain, &mut tls as &mut dyn Connection] {
        let given_up = async {
            while stream.write_all(b"x").await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, given_up).await.unwrap();
    }
}

trait Connection: tokio::io::AsyncWrite + Unpin + Send {}

impl<S: tokio::io::AsyncWrite + Unpin + Send> Connection for S {}

#[tokio::test]
async fn a_slow_client_that_goes_on_is_served() {
    // each byte comes and goes by itself
    let limits = Limits { still: Duration::from_secs(5), ..Limits::default() };
    let stand = Stand::with(Access::Open, limits, None).await;
    let mut stream = TcpStream::connect(stand.at).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let head = "POST /count HTTP/1.1\r\nHost: n\r\nConnection: close\r\nContent-Length: 40\r\n\r\n";
    for byte in head.bytes().chain(std::iter::repeat_n(b'a', 40)) {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = Vec::new();
    let mut piece = [0; 7];
    loop {
        let read = tokio::time::timeout(DEADLINE, stream.read(&mut piece)).await.unwrap().unwrap();
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&piece[..read]);
    }
    assert!(String::from_utf8(answer).unwrap().ends_with("\r\n\r\n40"));
}

#[tokio::test]
async fn a_login_is_small_and_quick() {
    let stand = Stand::new(Access::Gated).await;
    let body = format!("password=right&next={}", "a".repeat(9000));
    let request = format!(
        "POST /.archipelago/login HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = super::raw(stand.at, request).await;
    assert!(!answer.contains("set-cookie"), "{answer}");
}
