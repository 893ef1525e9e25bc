//! The security suite of the gate: what a hostile client, app or page may try. `docs/security.md` has
//! the table.

mod frames;
mod slow;
mod smuggling;
mod theft;

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stand::DEADLINE;

/// What comes back on a connection until it is closed. The request must end it.
async fn raw(at: SocketAddr, request: impl AsRef<[u8]>) -> String {
    raw_over(TcpStream::connect(at).await.unwrap(), request).await
}

async fn raw_over<S>(mut stream: S, request: impl AsRef<[u8]>) -> String
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // the gate may close before it has read all
    let _sent = stream.write_all(request.as_ref()).await;
    let mut answer = Vec::new();
    let end = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
    assert!(end.is_ok(), "the connection stays open: {}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

/// The numbers of all answers on a connection.
fn codes(answer: &str) -> Vec<u16> {
    let heads = answer.split("HTTP/1.1 ").skip(1);
    heads.map(|head| head[..3].parse().unwrap()).collect()
}
