//! Whether something is going on on a connection with many requests at once.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};

/// Requests that began and answers that ended.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Traffic {
    /// A request is at work until this is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> AtWork {
        self.begun.fetch_add(1, Ordering::Release);
        AtWork(self.clone())
    }

    /// How many there were so far, if none is at work.
    pub(crate) fn quiet(&self) -> Option<u64> {
        let ended = self.ended.load(Ordering::Acquire);
        (self.begun.load(Ordering::Acquire) == ended).then_some(ended)
    }
}

/// A request at work.
#[derive(Debug)]
pub(crate) struct AtWork(Arc<Traffic>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Release);
    }
}

/// A body whose request is at work until it has ended.
#[derive(Debug)]
pub(crate) struct Counted<B> {
    body: B,
    _at_work: AtWork,
}

impl<B> Counted<B> {
    pub(crate) const fn new(body: B, at_work: AtWork) -> Self {
        Self { body, _at_work: at_work }
    }
}

impl<B: Body + Unpin> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
