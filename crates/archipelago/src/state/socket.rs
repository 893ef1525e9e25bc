//! The subscription over WebSocket: patches by sequence number, a snapshot when they are gone.

use std::sync::Arc;
use std::time::Duration;

use archy_api::subscribe::{HEARTBEAT_SECS, Subscribe};
use axum::body::Bytes;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::hub::{Catchup, Hub};
use crate::clock;

/// Subscriptions at once.
pub const MAX_SOCKETS: usize = 64;
/// A client that does not take a frame for so long is dropped.
const SEND_DEADLINE: Duration = Duration::from_secs(10);
/// Time for the client's first message when the address did not say where to begin.
const HELLO: Duration = Duration::from_millis(500);
/// Largest message that a client may send, in bytes.
pub const MAX_MESSAGE: usize = 4096;

/// Serves one subscription until the client goes, is too slow, or the daemon stops.
///
/// When `ended` comes, so does its end: a session that is over gets nothing more.
pub async fn serve(
    mut socket: WebSocket,
    hub: Arc<Hub>,
    since: Option<u64>,
    stop: CancellationToken,
    ended: impl Future<Output = ()> + Send,
    permit: OwnedSemaphorePermit,
) {
    let _permit = permit;
    let mut changes = hub.subscribe();
    let mut has = match since {
        Some(seq) => Some(seq),
        None => hello(&mut socket).await,
    };
    if has.is_some_and(|seq| hub.now().seq == seq) && send(&mut socket, heartbeat()).await.is_err()
    {
        return;
    }
    tokio::pin!(ended);
    loop {
        changes.mark_unchanged();
        match deliver(&mut socket, &hub, has).await {
            Ok(seq) => has = Some(seq),
            Err(Gone) => return,
        }
        let quiet = tokio::time::sleep(Duration::from_secs(HEARTBEAT_SECS));
        tokio::pin!(quiet);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    drop(send(&mut socket, Message::Close(None)).await);
                    return;
                }
                () = &mut ended => {
                    drop(send(&mut socket, Message::Close(None)).await);
                    return;
                }
                changed = changes.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                () = &mut quiet => {
                    if send(&mut socket, heartbeat()).await.is_err() {
                        return;
                    }
                    break;
                }
                message = socket.recv() => match message {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                },
            }
        }
    }
}

/// The client is gone, or too slow.
struct Gone;

/// Brings the client up to date; a slow one gets a snapshot instead of patches that are gone.
async fn deliver(socket: &mut WebSocket, hub: &Hub, has: Option<u64>) -> Result<u64, Gone> {
    match hub.catch_up(has) {
        Catchup::Current(seq) => Ok(seq),
        Catchup::Snapshot(frame, seq) => send(socket, text(frame)).await.map(|()| seq),
        Catchup::Patches(frames, seq) => {
            for frame in frames {
                send(socket, text(frame)).await?;
            }
            Ok(seq)
        }
    }
}

async fn hello(socket: &mut WebSocket) -> Option<u64> {
    let message = tokio::time::timeout(HELLO, socket.recv()).await.ok()??.ok()?;
    serde_json::from_str::<Subscribe>(message.to_text().ok()?).ok()?.since
}

fn heartbeat() -> Message {
    Message::text(format!("{{\"heartbeat\":{}}}", clock::now().0))
}

fn text(frame: Bytes) -> Message {
    match Utf8Bytes::try_from(frame) {
        Ok(text) => Message::Text(text),
        Err(_) => Message::Close(None), // frames are made of strings
    }
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), Gone> {
    match tokio::time::timeout(SEND_DEADLINE, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Gone),
    }
}
