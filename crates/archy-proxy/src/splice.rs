//! Puts a tag into a page while it streams by: before `</head>`, or before `<body` of a page that has
//! no such end.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::forward::Until;
use crate::patience::Broken;
use crate::upstream::Lease;

/// Where a tag goes.
const MARKS: [&[u8]; 2] = [b"</head", b"<body"];
/// Bytes that may be the beginning of a mark.
const HELD: usize = 5;
/// A page whose head is not over by then stays as it is.
const HORIZON: usize = 1 << 20;

/// An app's answer, passed on as it comes. Its connection waits for the next request once it is
/// through.
pub(crate) struct Passed {
    body: Incoming,
    splice: Option<Splice>,
    lease: Option<Lease>,
    until: Option<Until>,
}

impl std::fmt::Debug for Passed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passed").field("splice", &self.splice).finish_non_exhaustive()
    }
}

impl Passed {
    /// What goes on for long ends with `until`.
    pub(crate) const fn new(
        body: Incoming,
        splice: Option<Splice>,
        lease: Lease,
        until: Option<Until>,
    ) -> Self {
        Self { body, splice, lease: Some(lease), until }
    }

    /// The answer to an upgrade, whose connection is in other hands.
    pub(crate) const fn ended(body: Incoming) -> Self {
        Self { body, splice: None, lease: None, until: None }
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        // a body of known length is not asked again after its last byte
        if self.body.is_end_stream() {
            self.give_back();
        }
    }
}

impl Body for Passed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        if let Some(until) = &mut this.until
            && until.as_mut().poll(cx).is_ready()
        {
            // the answer is broken off, not brought to an end
            return Poll::Ready(Some(Err(Broken::Ended)));
        }
        loop {
            let polled = Pin::new(&mut this.body).poll_frame(cx);
            if matches!(polled, Poll::Ready(None)) {
                this.give_back();
            }
            let Some(splice) = &mut this.splice else { return polled.map_err(Broken::from) };
            let frame = match std::task::ready!(polled) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => {
                    let rest = splice.rest();
                    this.splice = None;
                    return Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))));
                }
            };
            let data = match frame.into_data() {
                Ok(data) => splice.pass(&data),
                Err(other) => return Poll::Ready(Some(Ok(other))),
            };
            if splice.is_done() && splice.held.is_empty() {
                this.splice = None;
            }
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.splice.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.splice {
            None => self.body.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}

/// A tag that waits for its place.
#[derive(Debug)]
pub(crate) struct Splice {
    tag: Option<Bytes>,
    held: BytesMut,
    seen: usize,
}

impl Splice {
    pub(crate) fn new(tag: String) -> Self {
        Self { tag: Some(Bytes::from(tag)), held: BytesMut::new(), seen: 0 }
    }

    const fn is_done(&self) -> bool {
        self.tag.is_none()
    }

    /// Takes a piece of the page and gives what can go on.
    fn pass(&mut self, data: &[u8]) -> Bytes {
        self.held.extend_from_slice(data);
        self.seen = self.seen.saturating_add(data.len());
        let found = self.tag.as_ref().and_then(|_| place(&self.held));
        match (found, self.tag.take()) {
            (Some(at), Some(tag)) => {
                let rest = self.held.split_off(at);
                let mut out = self.held.split();
                out.extend_from_slice(&tag);
                out.extend_from_slice(&rest);
                out.freeze()
            }
            (None, Some(tag)) if self.seen < HORIZON => {
                self.tag = Some(tag);
                let certain = self.held.len().saturating_sub(HELD);
                self.held.split_to(certain).freeze()
            }
            _ => self.rest(),
        }
    }

    /// What was held back.
    fn rest(&mut self) -> Bytes {
        self.held.split().freeze()
    }
}

fn place(page: &[u8]) -> Option<usize> {
    (0..page.len()).find(|at| {
        MARKS.iter().any(|mark| {
            page.get(*at..at + mark.len()).is_some_and(|here| here.eq_ignore_ascii_case(mark))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(pieces: &[&[u8]]) -> String {
        let mut splice = Splice::new("<X>".to_owned());
        let mut out = Vec::new();
        for piece in pieces {
            out.extend_from_slice(&splice.pass(piece));
        }
        out.extend_from_slice(&splice.rest());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_tag_comes_before_the_end_of_the_head_however_the_page_is_cut() {
        for (page, wanted) in [
            (
                "<html><head><title>t</title></head><body>",
                "<html><head><title>t</title><X></head><body>",
            ),
            ("<HEAD></HeAd><p></head>", "<HEAD><X></HeAd><p></head>"),
            ("<p>no head</p><body class=a>", "<p>no head</p><X><body class=a>"),
            ("<p>neither</p>", "<p>neither</p>"),
            ("", ""),
        ] {
            for cut in 0..=page.len() {
                let (a, b) = page.as_bytes().split_at(cut);
                assert_eq!(whole(&[a, b]), wanted, "{page} cut at {cut}");
            }
            let singly: Vec<&[u8]> = page.as_bytes().chunks(1).collect();
            assert_eq!(whole(&singly), wanted);
        }
    }

    #[test]
    fn a_page_without_an_end_of_its_head_is_not_held_back() {
        let piece = vec![b'a'; 64 * 1024];
        let mut splice = Splice::new("<X>".to_owned());
        let mut passed = 0;
        for _ in 0..64 {
            passed += splice.pass(&piece).len();
        }
        assert_eq!(passed, 64 * piece.len());
        assert_eq!(splice.pass(b"</head>").as_ref(), b"</head>");
    }
}
