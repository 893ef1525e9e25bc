//! Answers as bytes: a result that is serialized already is spliced in, not copied.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use archy_api::rpc::{ErrorObject, Response as RpcResponse};
use axum::body::{Body, Bytes};
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use serde_json::Value;

/// A result.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// A value, to be serialized.
    Value(Value),
    /// JSON that is ready.
    Ready(Bytes),
}

/// One answer.
#[derive(Debug)]
pub struct Reply {
    /// The call's id.
    pub id: Option<Value>,
    /// What came of it.
    pub outcome: Result<Outcome, ErrorObject>,
}

impl Reply {
    /// HTTP status: handler failures travel with 200.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        let Err(error) = &self.outcome else { return StatusCode::OK };
        let code = RpcResponse::failed(None, error.clone()).http_status();
        StatusCode::from_u16(code).unwrap_or(StatusCode::OK)
    }

    /// Seconds for a `Retry-After` header.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        self.outcome.as_ref().err()?.data.as_ref()?.retry_after
    }

    /// The answer's JSON in pieces.
    fn pieces(self, out: &mut Pieces) {
        match self.outcome {
            Ok(Outcome::Ready(result)) => {
                let id = self.id.map_or_else(|| "null".to_owned(), |id| id.to_string());
                out.push(Bytes::from_static(br#"{"jsonrpc":"2.0","result":"#));
                out.push(result);
                out.push(format!(r#","error":null,"id":{id}}}"#).into());
            }
            Ok(Outcome::Value(result)) => out.push(to_bytes(&RpcResponse::ok(self.id, result))),
            Err(error) => out.push(to_bytes(&RpcResponse::failed(self.id, error))),
        }
    }
}

fn to_bytes(response: &RpcResponse) -> Bytes {
    serde_json::to_vec(response).unwrap_or_default().into()
}

/// The HTTP answer to one call.
#[must_use]
pub fn single(reply: Reply) -> Response {
    let (status, retry_after) = (reply.status(), reply.retry_after());
    let mut pieces = Pieces::default();
    reply.pieces(&mut pieces);
    let mut response = http(status, pieces);
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The HTTP answer to a batch; its status is 200, each answer tells its own story.
#[must_use]
pub(super) fn batch(replies: Vec<Reply>) -> Response {
    let mut pieces = Pieces::default();
    for (index, reply) in replies.into_iter().enumerate() {
        pieces.push(Bytes::from_static(if index == 0 { b"[" } else { b"," }));
        reply.pieces(&mut pieces);
    }
    pieces.push(Bytes::from_static(b"]"));
    http(StatusCode::OK, pieces)
}

/// The HTTP answer when the body could not be read as calls.
#[must_use]
pub(super) fn refused(status: StatusCode, error: ErrorObject) -> Response {
    let mut pieces = Pieces::default();
    Reply { id: None, outcome: Err(error) }.pieces(&mut pieces);
    http(status, pieces)
}

fn http(status: StatusCode, pieces: Pieces) -> Response {
    let mut response = Response::new(Body::new(pieces));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A body of known length in several pieces.
#[derive(Debug, Default)]
struct Pieces {
    pieces: VecDeque<Bytes>,
    left: u64,
}

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        self.left += piece.len() as u64;
        self.pieces.push_back(piece);
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.pop_front();
        if let Some(piece) = &piece {
            self.left -= piece.len() as u64;
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
