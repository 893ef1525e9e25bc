//! The state, followed over a WebSocket.
//!
//! A watch holds the last document. A lost connection is opened again with the sequence number of
//! that document, so the server sends only what was missed; a patch that does not fit leads to a
//! fresh snapshot.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use archy_api::state::StateData;
use archy_api::subscribe::{HEARTBEAT_SECS, StateFrame};
use archy_api::{ErrorObject, paths};
use futures_util::StreamExt as _;
use http::header;
use json_patch::Patch;
use serde::Deserialize as _;
use serde_json::Value;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::call::{read_answer, session_headers, within};
use crate::connect::Io;
use crate::{Client, ClientError};

/// Connections in a row that may end without bringing a state.
const MAX_RECONNECTS: u32 = 3;
/// Longest silence; the server sends a heartbeat when nothing changed.
const SILENCE: Duration = Duration::from_secs(4 * HEARTBEAT_SECS);

/// The state as it is now.
#[derive(Debug, Clone)]
pub struct StateUpdate {
    /// Sequence number.
    pub seq: u64,
    /// The document.
    pub data: Arc<StateData>,
}

/// An open subscription.
pub struct StateWatch {
    client: Client,
    socket: WebSocketStream<Box<dyn Io>>,
    held: Option<(u64, Value)>,
    reconnects: u32,
}

impl std::fmt::Debug for StateWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seq = self.held.as_ref().map(|(seq, _)| seq);
        f.debug_struct("StateWatch").field("seq", &seq).finish_non_exhaustive()
    }
}

impl Client {
    /// Follows the state; the first update is the whole of it.
    ///
    /// # Errors
    /// The daemon cannot be reached or wants a session.
    pub async fn watch(&self) -> Result<StateWatch, ClientError> {
        let socket = self.within("state", self.subscribe(None)).await?;
        Ok(StateWatch { client: self.clone(), socket, held: None, reconnects: 0 })
    }

    async fn subscribe(
        &self,
        since: Option<u64>,
    ) -> Result<WebSocketStream<Box<dyn Io>>, ClientError> {
        let query = since.map(|seq| format!("?since={seq}")).unwrap_or_default();
        let url = format!("ws://{}{}{query}", self.target.host(), paths::STATE);
        let mut request =
            url.into_client_request().map_err(|error| ClientError::Protocol(error.to_string()))?;
        if let Some(session) = &self.session {
            request.headers_mut().insert(header::COOKIE, session_headers(session)?.0);
        }
        let io = self.target.open().await?;
        match tokio_tungstenite::client_async(request, io).await {
            Ok((socket, _)) => Ok(socket),
            Err(WsError::Http(response)) => Err(self.refused(&response)),
            Err(error) => Err(self.broken(error)),
        }
    }

    fn refused(&self, response: &http::Response<Option<Vec<u8>>>) -> ClientError {
        let status = response.status();
        let body = response.body().as_deref().unwrap_or_default();
        match read_answer(status, body) {
            Err(error @ (ClientError::Rejected(_) | ClientError::Unauthorized(_))) => error,
            _ if matches!(status.as_u16(), 401 | 403) => {
                ClientError::Unauthorized(Box::new(ErrorObject::new(
                    i64::from(status.as_u16()),
                    "unauthorized",
                    "Session missing or expired.",
                )))
            }
            _ => ClientError::Protocol(format!("HTTP status {status}")),
        }
    }

    fn broken(&self, error: WsError) -> ClientError {
        match error {
            WsError::Io(source) => self.target.unreachable(source),
            WsError::ConnectionClosed | WsError::AlreadyClosed | WsError::Protocol(_) => {
                self.target.unreachable(io::Error::other(error))
            }
            other => ClientError::Protocol(other.to_string()),
        }
    }
}

impl StateWatch {
    /// Waits for the next state.
    ///
    /// # Errors
    /// The daemon cannot be reached any more, or no frame came for a minute. Calling again tries
    /// again.
    pub async fn next(&mut self) -> Result<StateUpdate, ClientError> {
        loop {
            let message = within("state", SILENCE, async { Ok(self.socket.next().await) }).await?;
            let text = match message {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Close(_)) | Err(_)) | None => {
                    self.reconnect().await?;
                    continue;
                }
                Some(Ok(_)) => continue,
            };
            let frame: StateFrame = serde_json::from_str(&text)
                .map_err(|error| ClientError::Protocol(format!("state frame: {error}")))?;
            match self.apply(frame)? {
                Applied::Changed(update) => {
                    self.reconnects = 0;
                    return Ok(update);
                }
                Applied::Nothing => {}
                Applied::Missed => {
                    self.held = None;
                    self.reconnect().await?;
                }
            }
        }
    }

    async fn reconnect(&mut self) -> Result<(), ClientError> {
        self.reconnects += 1;
        if self.reconnects > MAX_RECONNECTS {
            self.reconnects = 0;
            let error = io::Error::from(io::ErrorKind::ConnectionReset);
            return Err(self.client.target.unreachable(error));
        }
        let since = self.held.as_ref().map(|(seq, _)| *seq);
        self.socket = self.client.within("state", self.client.subscribe(since)).await?;
        Ok(())
    }

    fn apply(&mut self, frame: StateFrame) -> Result<Applied, ClientError> {
        let bad = |error: &dyn std::fmt::Display| ClientError::Protocol(format!("state: {error}"));
        match frame {
            StateFrame::Heartbeat { .. } => Ok(Applied::Nothing),
            StateFrame::Snapshot { seq, snapshot } => {
                let document = serde_json::to_value(&snapshot).map_err(|error| bad(&error))?;
                self.held = Some((seq, document));
                Ok(Applied::Changed(StateUpdate { seq, data: Arc::new(*snapshot) }))
            }
            StateFrame::Patch { seq, from, patch } => {
                let Some((held, document)) = &mut self.held else { return Ok(Applied::Missed) };
                if *held != from {
                    return Ok(Applied::Missed);
                }
                let patch: Patch = serde_json::to_value(patch)
                    .and_then(serde_json::from_value)
                    .map_err(|error| bad(&error))?;
                if json_patch::patch(document, &patch).is_err() {
                    return Ok(Applied::Missed);
                }
                *held = seq;
                let data = StateData::deserialize(&*document).map_err(|error| bad(&error))?;
                Ok(Applied::Changed(StateUpdate { seq, data: Arc::new(data) }))
            }
        }
    }
}

enum Applied {
    Changed(StateUpdate),
    Nothing,
    Missed,
}
