//! The security suite of the daemon: what a hostile client, page or user may try. `docs/security.md`
//! has the table.

mod doors;
mod fixation;
mod methods;
mod open;
mod routes;
mod signer;
mod wire;

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// A wait that only ends early when the daemon does its part.
const PATIENCE: Duration = Duration::from_secs(20);

/// What comes back on a connection until it is closed. The request must end it.
async fn raw<S>(mut stream: S, request: impl AsRef<[u8]>) -> String
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // the daemon may close before it has read all
    let _sent = stream.write_all(request.as_ref()).await;
    let mut answer = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(end.is_ok(), "the connection stays open: {}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}
