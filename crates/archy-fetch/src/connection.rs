//! One request on one HTTP/1.1 connection, with a limited answer.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::FetchError;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// How much of a body is read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Size {
    /// More is an error.
    AtMost(u64),
    /// The rest is left unread.
    Cut(usize),
}

/// Ends a connection's task with its request, whatever becomes of it.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends a request and reads its answer; only the body of an answer that `wanted` says yes to.
pub(crate) async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    url: &str,
    size: Size,
    wanted: impl Fn(StatusCode) -> bool,
) -> Result<Answer, FetchError> {
    let broken =
        |error: hyper::Error| FetchError::Http { url: url.to_owned(), reason: reasons(&error) };
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(64 * 1024)
        .max_headers(128)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let _task = AbortOnDrop(tokio::spawn(async move {
        // What breaks the connection is reported by the request that is on it.
        drop(connection.await);
    }));
    let response = sender.send_request(request).await.map_err(broken)?;
    let (parts, body) = response.into_parts();
    let body = if wanted(parts.status) {
        encoding_is_plain(&parts.headers, url)?;
        read(body, &parts.headers, url, size).await?
    } else {
        Bytes::new()
    };
    Ok(Answer { status: parts.status, headers: parts.headers, body })
}

async fn read(
    mut body: Incoming,
    headers: &HeaderMap,
    url: &str,
    size: Size,
) -> Result<Bytes, FetchError> {
    let too_large = |limit| FetchError::TooLarge { url: url.to_owned(), limit };
    if let Size::AtMost(limit) = size {
        let length = headers.get(http::header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > limit) {
            return Err(too_large(limit));
        }
    }
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| FetchError::Http { url: url.to_owned(), reason: reasons(&error) })?;
        let Ok(data) = frame.into_data() else { continue };
        bytes.extend_from_slice(&data);
        match size {
            Size::AtMost(limit) if bytes.len() as u64 > limit => return Err(too_large(limit)),
            Size::Cut(limit) if bytes.len() >= limit => {
                bytes.truncate(limit);
                break;
            }
            _ => {}
        }
    }
    Ok(bytes.freeze())
}

/// No encoding was asked for, and one that came would slip past the size limit once unpacked.
fn encoding_is_plain(headers: &HeaderMap, url: &str) -> Result<(), FetchError> {
    match headers.get(http::header::CONTENT_ENCODING) {
        Some(encoding) if encoding.as_bytes() != b"identity" => Err(FetchError::Http {
            url: url.to_owned(),
            reason: format!("the answer is packed as {encoding:?}, which was not asked for"),
        }),
        _ => Ok(()),
    }
}

/// An error with those beneath it.
pub(crate) fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
