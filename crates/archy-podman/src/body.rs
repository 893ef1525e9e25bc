//! Bodies that are read while they arrive: chunks and JSON lines, with limits.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use crate::{PodmanError, transport::decode};

/// Longest line of a JSON stream.
const MAX_LINE: usize = 1 << 20;

/// A body in pieces.
#[derive(Debug)]
pub(crate) struct Chunks {
    body: Incoming,
    pub(crate) op: String,
    idle: Option<Duration>,
}

/// A body of JSON texts, one on each line.
#[derive(Debug)]
pub(crate) struct JsonLines {
    chunks: Chunks,
    buffer: BytesMut,
    /// How much of `buffer` is known to hold no line end.
    searched: usize,
    ended: bool,
}

impl Chunks {
    /// `idle` is the longest wait for one piece; `None` waits for ever.
    pub(crate) const fn new(body: Incoming, op: String, idle: Option<Duration>) -> Self {
        Self { body, op, idle }
    }

    /// The next piece, `None` at the end. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, PodmanError> {
        loop {
            let frame = match self.idle {
                None => self.body.frame().await,
                Some(after) => match tokio::time::timeout(after, self.body.frame()).await {
                    Ok(frame) => frame,
                    Err(_) => return Err(PodmanError::Timeout { op: self.op.clone(), after }),
                },
            };
            match frame {
                None => return Ok(None),
                Some(Err(source)) => {
                    return Err(PodmanError::Broken { op: self.op.clone(), source });
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

impl JsonLines {
    pub(crate) fn new(chunks: Chunks) -> Self {
        Self { chunks, buffer: BytesMut::new(), searched: 0, ended: false }
    }

    /// The next text, `None` at the end. May be dropped and called again.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, PodmanError> {
        loop {
            if let Some(line) = self.take_line()? {
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return decode(&self.chunks.op, &line).map(Some);
            }
            if self.ended {
                return Ok(None);
            }
            match self.chunks.next().await? {
                Some(data) => self.buffer.extend_from_slice(&data),
                None => self.ended = true,
            }
        }
    }

    fn take_line(&mut self) -> Result<Option<Bytes>, PodmanError> {
        if let Some(at) = self.buffer[self.searched..].iter().position(|b| *b == b'\n') {
            let line = self.buffer.split_to(self.searched + at).freeze();
            self.buffer.advance(1);
            self.searched = 0;
            return Ok(Some(line));
        }
        self.searched = self.buffer.len();
        if self.buffer.len() > MAX_LINE {
            let op = self.chunks.op.clone();
            return Err(PodmanError::TooLarge { op, limit: MAX_LINE });
        }
        if self.ended && !self.buffer.is_empty() {
            self.searched = 0;
            return Ok(Some(self.buffer.split().freeze()));
        }
        Ok(None)
    }
}
