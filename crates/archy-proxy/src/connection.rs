//! One connection: TLS or plain by its first byte, then its requests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::answer::{From, answer};
use crate::counted::{Counted, Traffic};
use crate::forward::Outgoing;
use crate::gate::{Current, Shared};
use crate::headers::Forwarded;
use crate::patience::Patient;
use crate::rule::Doorkeeper;
use crate::slots::Slot;

/// First byte of a TLS handshake record (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;
/// Largest head of a request, in bytes.
const MAX_HEAD: usize = 128 * 1024;
/// The same over HTTP/2, where many heads can be on their way at once. Cookies of all apps of the host
/// come along.
const MAX_HEADERS: u32 = 64 * 1024;
/// Streams of one HTTP/2 connection at once.
const STREAMS: u32 = 128;
/// What may come of one HTTP/2 stream, and of a connection, before the app takes it.
const STREAM_WINDOW: u32 = 1 << 20;
const WINDOW: u32 = 4 << 20;
/// A quiet HTTP/2 connection is asked this often whether the other end is still there.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);

/// A connection of somebody to a port.
pub(crate) struct Connection<D> {
    pub(crate) shared: Arc<Shared<D>>,
    pub(crate) current: Arc<Current>,
    pub(crate) peer: SocketAddr,
    /// The gate leaves the port.
    pub(crate) stop: CancellationToken,
    /// Its place among all connections; a WebSocket keeps it.
    pub(crate) slot: Arc<Slot>,
}

impl<D: Doorkeeper> Connection<D> {
    /// Serves it to its end.
    pub(crate) async fn serve(self, stream: TcpStream) {
        let limits = self.shared.limits;
        let mut first = [0];
        let peeked = tokio::time::timeout(limits.first_byte, stream.peek(&mut first)).await;
        let Ok(Ok(1)) = peeked else { return };
        let stream = Patient::new(stream, limits.still);
        if first[0] != TLS_HANDSHAKE {
            return self.http1(stream, false).await;
        }
        let Some(tls) = self.shared.tls.clone() else { return };
        let peer = self.peer;
        let acceptor = tokio_rustls::TlsAcceptor::from(tls);
        match tokio::time::timeout(limits.handshake, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => self.http2(stream).await,
                _ => self.http1(stream, true).await,
            },
            Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
        }
    }

    async fn http1<S>(self, stream: S, secure: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.shared.limits.head)
            .max_buf_size(MAX_HEAD);
        let (stop, from) = (self.stop.clone(), self.from(secure));
        let service = hyper::service::service_fn(move |request| self.answer(from.clone(), request));
        let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
        tokio::pin!(connection);
        let outcome = tokio::select! {
            outcome = &mut connection => outcome,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "connection ended");
        }
    }

    async fn http2<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(WINDOW)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .max_header_list_size(MAX_HEADERS)
            .max_concurrent_streams(STREAMS);
        let (stop, from, idle) = (self.stop.clone(), self.from(true), self.shared.limits.head);
        let traffic = Arc::<Traffic>::default();
        let counted = traffic.clone();
        let service = hyper::service::service_fn(move |request| {
            let at_work = counted.begin();
            let answer = self.answer(from.clone(), request);
            async move {
                let answer = answer.await?;
                Ok::<_, Infallible>(answer.map(|body| Counted::new(body, at_work)))
            }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let outcome = tokio::select! {
            outcome = &mut connection => outcome,
            () = quiet(&traffic, idle) => {
                // also one that never began: whoever has nothing to say does not stay
                connection.as_mut().graceful_shutdown();
                match tokio::time::timeout(PONG.min(idle), connection).await {
                    Ok(outcome) => outcome,
                    Err(_) => return,
                }
            }
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "connection ended");
        }
    }

    fn from(&self, secure: bool) -> From {
        let (rule, _) = self.current.now();
        From {
            address: self.peer.ip(),
            secure,
            forwarded: Forwarded::new(self.peer.ip(), secure, rule.port),
            slot: self.slot.clone(),
        }
    }

    /// Answers one request, by the rule of now.
    fn answer(
        &self,
        from: From,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Outgoing>, Infallible>> + Send + use<D> {
        let shared = self.shared.clone();
        let (rule, stop) = self.current.now();
        async move { Ok(answer(&shared, &rule, &from, stop, request).await) }
    }
}

/// Comes when a connection has had nothing to do for so long; it may never have begun.
async fn quiet(traffic: &Traffic, idle: Duration) {
    let mut before = Some(0);
    loop {
        tokio::time::sleep(idle).await;
        let now = traffic.quiet();
        if now.is_some() && now == before {
            return;
        }
        before = now;
    }
}
