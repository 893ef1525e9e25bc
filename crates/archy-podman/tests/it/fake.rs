//! A libpod server that answers what a test says, and writes down what it was asked.

use std::{
    convert::Infallible,
    future::Future,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use archy_podman::Podman;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{Request, Response, body::Frame, body::Incoming, server::conn::http1, service};
use hyper_util::rt::TokioIo;
use tokio::{net::UnixListener, task::JoinHandle};

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Method, a space, and the target below the prefix.
    pub(crate) line: String,
    pub(crate) body: Bytes,
}

/// One step of an answer's body.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Data(Bytes),
    /// Nothing more ever comes.
    Hang,
    /// The connection breaks.
    Break,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    version: &'static str,
    steps: Vec<Step>,
}

/// A fake server; it ends when dropped.
pub(crate) struct Fake {
    pub(crate) podman: Podman,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl Reply {
    pub(crate) fn ok(text: impl Into<String>) -> Self {
        Self::steps(vec![Step::Data(text.into().into())])
    }

    pub(crate) fn status(status: u16, text: impl Into<String>) -> Self {
        Self { status, ..Self::ok(text) }
    }

    pub(crate) fn steps(steps: Vec<Step>) -> Self {
        Self { status: 200, version: "5.4.2", steps }
    }

    pub(crate) fn version(version: &'static str) -> Self {
        Self { version, ..Self::ok("OK") }
    }

    fn into_http(self) -> Response<StreamBody<impl Stream<Item = io::Result<Frame<Bytes>>>>> {
        let body = stream::iter(self.steps).then(|step| async move {
            match step {
                Step::Data(data) => Ok(Frame::data(data)),
                Step::Hang => std::future::pending().await,
                Step::Break => {
                    // what came before goes out first
                    tokio::task::yield_now().await;
                    Err(io::Error::other("break"))
                }
            }
        });
        Response::builder()
            .status(self.status)
            .header("Libpod-API-Version", self.version)
            .body(StreamBody::new(body))
            .unwrap()
    }
}

impl Fake {
    /// Serves `answer`, which sees method and target (`GET /images/json`).
    pub(crate) fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("podman.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                let handler = service::service_fn(move |request: Request<Incoming>| {
                    let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                    async move {
                        let target = request.uri().to_string();
                        let target = target.strip_prefix("/v5.0.0/libpod").unwrap().to_owned();
                        let line = format!("{} {target}", request.method());
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        log.lock().unwrap().push(Asked { line: line.clone(), body });
                        Ok::<_, Infallible>(answer(&line).into_http())
                    }
                });
                tokio::spawn(async move {
                    let io = TokioIo::new(connection);
                    let _ = http1::Builder::new().serve_connection(io, handler).await;
                });
            }
        });
        Self { podman: Podman::new(socket), asked, task, _dir: dir }
    }

    /// All that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The lines of all that was asked so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|a| a.line).collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A frame of a multiplexed stream.
pub(crate) fn frame(stream: u8, text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    [&[stream, 0, 0, 0], &length[..], text.as_bytes()].concat()
}

/// Fails a test whose wait never ends.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("the wait has no end")
}
