//! Accepting connections: handshakes, header deadlines, limits, an end in good order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use archy_proxy::{Patient, Slot, Slots};
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::{Peer, unix};
use crate::rpc::BodyDeadline;

/// How connections are bounded.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections over TCP at once.
    pub connections: usize,
    /// Of these from one address other than loopback.
    pub per_address: usize,
    /// Time for a TLS handshake.
    pub handshake: Duration,
    /// Time for a request's head, also between two requests of a connection.
    pub head: Duration,
    /// Time in which something of an answer must be taken.
    pub still: Duration,
    /// Time for a body to arrive.
    pub body: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            per_address: 64,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            still: Duration::from_secs(60),
            body: Duration::from_secs(30),
        }
    }
}

/// Largest head of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// Serves one router on any number of listeners.
#[derive(Debug, Clone)]
pub struct Server {
    router: Router,
    limits: Limits,
    slots: Slots,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// A server that ends its connections when `stop` is cancelled. Each task it starts is in
    /// `tasks`.
    #[must_use]
    pub fn new(
        router: Router,
        limits: Limits,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        let slots = Slots::new(limits.connections, limits.per_address);
        Self { router, limits, slots, stop, tasks }
    }

    /// Serves HTTPS.
    pub fn https(&self, listener: TcpListener, config: Arc<rustls::ServerConfig>) {
        let acceptor = tokio_rustls::TlsAcceptor::from(config);
        let (server, deadline) = (self.clone(), self.limits.handshake);
        self.tasks.spawn(self.clone().tcp(listener, move |stream, address, slot| {
            let (server, acceptor) = (server.clone(), acceptor.clone());
            async move {
                let _slot = slot;
                let stream = Patient::new(stream, server.limits.still);
                match tokio::time::timeout(deadline, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => server.connection(stream, Peer::Tls(address)).await,
                    Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake failed"),
                    Err(_) => tracing::debug!(%address, "TLS handshake took too long"),
                }
            }
        }));
    }

    /// Serves plain HTTP.
    pub fn http(&self, listener: TcpListener) {
        let server = self.clone();
        self.tasks.spawn(self.clone().tcp(listener, move |stream, address, slot| {
            let server = server.clone();
            async move {
                let _slot = slot;
                let stream = Patient::new(stream, server.limits.still);
                server.connection(stream, Peer::Plain(address)).await;
            }
        }));
    }

    /// Serves the unix socket for root, `own_uid` and the group.
    pub fn unix(&self, listener: UnixListener, own_uid: u32) {
        let server = self.clone();
        self.tasks.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = server.stop.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                let stream = match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        server.rest(&error).await;
                        continue;
                    }
                };
                let one = server.clone();
                server.tasks.spawn(async move {
                    // looking into the user database may block
                    let admit = move || (unix::admit(&stream, own_uid), stream);
                    match tokio::task::spawn_blocking(admit).await {
                        Ok((Some(peer), stream)) => one.connection(stream, peer).await,
                        Ok((None, _)) => tracing::warn!("unix socket: a stranger was sent away"),
                        Err(error) => tracing::warn!(%error, "unix socket: peer not known"),
                    }
                });
            }
        });
    }

    async fn tcp<F, Fut>(self, listener: TcpListener, handle: F)
    where
        F: Fn(tokio::net::TcpStream, SocketAddr, Slot) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.rest(&error).await;
                    continue;
                }
            };
            let Some(slot) = self.slots.take(address.ip()) else {
                tracing::debug!(%address, "too many connections");
                continue;
            };
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "no TCP_NODELAY");
            }
            self.tasks.spawn(handle(stream, address, slot));
        }
    }

    /// A failed accept is mostly a lack of descriptors: wait a moment for some to be freed.
    async fn rest(&self, error: &std::io::Error) {
        tracing::warn!(%error, "a connection could not be accepted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    async fn connection<S>(self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (router, body) = (self.router, BodyDeadline(self.limits.body));
        let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(body);
            router.clone().oneshot(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::pin!(connection);
        let outcome = tokio::select! {
            outcome = &mut connection => outcome,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(peer = %peer.describe(), %error, "connection ended");
        }
    }
}
