//! One connection for each request, one deadline over connect, send and answer.

use std::{future::Future, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::net::UnixStream;

use crate::{PodmanError, call::Call};

/// Deadline of a call when none is given with [`Podman::within`].
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// Longest JSON answer that is read: several hundred containers need about 2 MiB.
pub(crate) const MAX_ANSWER: usize = 16 << 20;
/// Longest error answer that is read.
const MAX_ERROR: usize = 64 << 10;
/// Longest text of an error that is kept.
const MAX_MESSAGE: usize = 4 << 10;

/// Client of one libpod socket. Cheap to clone; holds no connection.
#[derive(Debug, Clone)]
pub struct Podman {
    socket: Arc<Path>,
    deadline: Duration,
}

/// The error body of libpod (`errorhandling.ErrorModel`).
#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorBody {
    cause: String,
    message: String,
}

// === impl Podman ===

impl Podman {
    /// A client of the socket at this path. Connects only when something is asked.
    #[must_use]
    pub fn new(socket: impl AsRef<Path>) -> Self {
        Self { socket: Arc::from(socket.as_ref()), deadline: DEFAULT_DEADLINE }
    }

    /// The same client with another deadline for each call.
    ///
    /// Of calls that answer with a stream it covers the time to the stream's start only.
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self { socket: Arc::clone(&self.socket), deadline }
    }

    /// The deadline of each call.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs `work` under the deadline.
    pub(crate) async fn timed<T>(
        &self,
        op: &str,
        work: impl Future<Output = Result<T, PodmanError>>,
    ) -> Result<T, PodmanError> {
        match tokio::time::timeout(self.deadline, work).await {
            Ok(result) => result,
            Err(_) => Err(PodmanError::Timeout { op: op.to_owned(), after: self.deadline }),
        }
    }

    /// Sends a call; the answer's head may be an error. Without deadline.
    pub(crate) async fn send(&self, call: &Call) -> Result<Response<Incoming>, PodmanError> {
        let request = call.request()?;
        let stream = UnixStream::connect(&self.socket).await.map_err(|source| {
            PodmanError::Unreachable { socket: self.socket.to_path_buf(), source }
        })?;
        let broken = |source| PodmanError::Broken { op: call.op.clone(), source };
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::trace!(%error, "connection to podman ended");
            }
        });
        sender.send_request(request).await.map_err(broken)
    }

    /// Sends a call and turns an error answer into an error. Without deadline.
    pub(crate) async fn open(&self, call: &Call) -> Result<Response<Incoming>, PodmanError> {
        let answer = self.send(call).await?;
        let status = answer.status();
        // 304 is "already in that state"; 101 is a taken-over connection
        if status.is_success() || matches!(status.as_u16(), 101 | 304) {
            return Ok(answer);
        }
        let bytes = read(answer.into_body(), &call.op, MAX_ERROR).await.unwrap_or_default();
        Err(api_error(&call.op, status, &bytes))
    }

    /// Sends a call and reads its JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, PodmanError> {
        let bytes = self.bytes(call).await?;
        decode(&call.op, &bytes)
    }

    /// Sends a call and reads its body.
    pub(crate) async fn bytes(&self, call: &Call) -> Result<Bytes, PodmanError> {
        self.timed(&call.op, async {
            read(self.open(call).await?.into_body(), &call.op, MAX_ANSWER).await
        })
        .await
    }

    /// Sends a call whose body does not matter.
    pub(crate) async fn done(&self, call: &Call) -> Result<(), PodmanError> {
        self.bytes(call).await.map(drop)
    }

    /// Like [`Self::done`], but a thing that is not there is `false`.
    pub(crate) async fn done_if_exists(&self, call: &Call) -> Result<bool, PodmanError> {
        match self.bytes(call).await {
            Ok(_) => Ok(true),
            Err(e) if e.is_not_found() => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Like [`Self::json`], but a thing that is not there is `None`.
    pub(crate) async fn json_if_exists<T: DeserializeOwned>(
        &self,
        call: &Call,
    ) -> Result<Option<T>, PodmanError> {
        match self.json(call).await {
            Ok(value) => Ok(Some(value)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// Reads JSON of an answer.
pub(crate) fn decode<T: DeserializeOwned>(op: &str, bytes: &[u8]) -> Result<T, PodmanError> {
    serde_json::from_slice(bytes)
        .map_err(|e| PodmanError::Decode { op: op.to_owned(), why: e.to_string() })
}

/// Collects a body up to `limit` bytes.
async fn read(mut body: Incoming, op: &str, limit: usize) -> Result<Bytes, PodmanError> {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|source| PodmanError::Broken { op: op.to_owned(), source })?;
        if let Ok(data) = frame.into_data() {
            if all.len() + data.len() > limit {
                return Err(PodmanError::TooLarge { op: op.to_owned(), limit });
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(all.into())
}

/// The error of an answer that is not a success.
pub(crate) fn api_error(op: &str, status: StatusCode, body: &[u8]) -> PodmanError {
    let parsed: ErrorBody = serde_json::from_slice(body).unwrap_or_else(|_| ErrorBody {
        cause: String::new(),
        message: String::from_utf8_lossy(body).trim().to_owned(),
    });
    let mut message = parsed.message;
    if message.is_empty() {
        message = status.canonical_reason().unwrap_or("no reason given").to_owned();
    }
    let cause = (!parsed.cause.is_empty() && !message.contains(&parsed.cause))
        .then(|| clip(parsed.cause, MAX_MESSAGE));
    PodmanError::Api {
        op: op.to_owned(),
        status: status.as_u16(),
        message: clip(message, MAX_MESSAGE),
        cause,
    }
}

/// Cuts a text at a character border at or below `limit` bytes.
pub(crate) fn clip(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.push('…');
    }
    text
}
