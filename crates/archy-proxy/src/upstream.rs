//! Connections to apps: one for each request at a time, kept for the next.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::patience::Arriving;

/// How long a connection to an app may take; it is on this machine.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection waits for the next request. Servers end theirs after 5 s and more; a request
/// that is sent in that moment is lost.
const KEEP: Duration = Duration::from_secs(4);
/// Connections to one app that wait.
const KEPT: usize = 64;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// The app is not reached.
    #[error("it is not reached: {0}")]
    Connect(#[from] std::io::Error),
    /// It ended the connection.
    #[error(transparent)]
    Connection(#[from] hyper::Error),
}

type Sender = SendRequest<Arriving>;

#[derive(Debug)]
struct Waiting {
    sender: Sender,
    since: Instant,
}

/// All connections that wait, by the address of the app.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    waiting: Mutex<HashMap<SocketAddr, Vec<Waiting>>>,
}

/// A connection that is in use; given back once the answer is through.
#[derive(Debug)]
pub(crate) struct Lease {
    sender: Sender,
    at: SocketAddr,
    home: Weak<Upstreams>,
}

impl Lease {
    /// The answer has come to its end: the connection waits for the next request.
    pub(crate) fn give_back(self) {
        if let Some(home) = self.home.upgrade().filter(|_| !self.sender.is_closed()) {
            home.put(self.at, self.sender);
        }
    }
}

impl Upstreams {
    /// Sends a request, over a connection that waits if there is one.
    ///
    /// # Errors
    /// The app is not reached, or ends the connection without an answer.
    pub(crate) async fn send(
        self: &Arc<Self>,
        at: SocketAddr,
        mut request: Request<Arriving>,
    ) -> Result<(Response<Incoming>, Lease), NoAnswer> {
        while let Some(mut sender) = self.take(at) {
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, self.lease(at, sender))),
                // it was closed before a byte of the request was written
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().into()),
                },
            }
        }
        let mut sender = connect(at).await?;
        let response = sender.send_request(request).await?;
        Ok((response, self.lease(at, sender)))
    }

    fn lease(self: &Arc<Self>, at: SocketAddr, sender: Sender) -> Lease {
        Lease { sender, at, home: Arc::downgrade(self) }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<SocketAddr, Vec<Waiting>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last, which is the least likely to be closed.
    fn take(&self, at: SocketAddr) -> Option<Sender> {
        let mut all = self.waiting();
        let waiting = all.get_mut(&at)?;
        loop {
            let one = waiting.pop()?;
            if one.since.elapsed() < KEEP && !one.sender.is_closed() {
                return Some(one.sender);
            }
        }
    }

    fn put(&self, at: SocketAddr, sender: Sender) {
        let mut all = self.waiting();
        let waiting = all.entry(at).or_default();
        if waiting.len() < KEPT {
            waiting.push(Waiting { sender, since: Instant::now() });
        }
    }

    /// Closes what has waited for too long. Ends with the last user of the connections.
    pub(crate) async fn sweep(this: Weak<Self>) {
        loop {
            tokio::time::sleep(KEEP).await;
            let Some(this) = this.upgrade() else { return };
            this.waiting().retain(|_, waiting| {
                waiting.retain(|one| one.since.elapsed() < KEEP && !one.sender.is_closed());
                !waiting.is_empty()
            });
        }
    }
}

async fn connect(at: SocketAddr) -> Result<Sender, NoAnswer> {
    let stream = tokio::time::timeout(CONNECT, TcpStream::connect(at)).await;
    let stream = stream.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to an app ended");
        }
    });
    Ok(sender)
}
