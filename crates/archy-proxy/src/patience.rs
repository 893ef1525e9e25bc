//! How long the other end may keep still: a client that takes nothing of an answer, or sends nothing
//! of a body that it has begun, does not hold its connection, nor the app's.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A clock that runs while something is waited for. It costs nothing while nothing is.
#[derive(Debug)]
struct Clock {
    limit: Duration,
    running: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    const fn new(limit: Duration) -> Self {
        Self { limit, running: None }
    }

    /// True when the wait has taken too long; a wait that is over starts anew with the next.
    fn is_over<T>(&mut self, polled: &Poll<T>, cx: &mut Context<'_>) -> bool {
        if polled.is_ready() {
            self.running = None;
            return false;
        }
        let limit = self.limit;
        let clock = self.running.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        clock.as_mut().poll(cx).is_ready()
    }
}

/// A connection whose other end must take what is written, if slowly.
#[derive(Debug)]
pub struct Patient<S> {
    stream: S,
    clock: Clock,
}

impl<S> Patient<S> {
    /// Ends with an error when nothing can be written for so long.
    pub const fn new(stream: S, limit: Duration) -> Self {
        Self { stream, clock: Clock::new(limit) }
    }

    fn wait<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if self.clock.is_over(&polled, cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.wait(polled, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.wait(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.wait(polled, cx)
    }
}

/// Why a body does not arrive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The connection said so.
    #[error(transparent)]
    Connection(#[from] hyper::Error),
    /// It began and does not go on.
    #[error("the client sends nothing more of its body")]
    Still,
    /// Whoever asked may not be here any more.
    #[error("the session has ended")]
    Ended,
}

/// A body on its way from a client.
#[derive(Debug)]
pub(crate) struct Arriving {
    body: Incoming,
    clock: Clock,
}

impl Arriving {
    pub(crate) const fn new(body: Incoming, limit: Duration) -> Self {
        Self { body, clock: Clock::new(limit) }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if this.clock.is_over(&polled, cx) {
            return Poll::Ready(Some(Err(Broken::Still)));
        }
        polled.map_err(Broken::from)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
