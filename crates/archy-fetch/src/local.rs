//! Requests to ports of this host: readiness probes and hooks. Plain HTTP, no redirects, no DNS.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body_util::Full;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::connection::{self, Size};
use crate::error::FetchError;

/// Most bytes of a JSON document that are read.
const MAX_JSON: u64 = 4 * 1024 * 1024;

/// A request to a port of this host.
#[derive(Debug, Clone)]
pub struct LocalRequest {
    /// Address and port, for example `127.0.0.1:8080`.
    pub address: SocketAddr,
    /// Method, for example `POST`.
    pub method: String,
    /// Path with query.
    pub path: String,
    /// Body; one that is JSON is sent as such.
    pub body: Option<String>,
}

impl LocalRequest {
    /// A GET.
    #[must_use]
    pub fn get(address: SocketAddr, path: impl Into<String>) -> Self {
        Self { address, method: "GET".to_owned(), path: path.into(), body: None }
    }

    fn url(&self) -> String {
        format!("http://{}{}", self.address, self.path)
    }
}

/// The answer, whatever its status.
#[derive(Debug, Clone)]
pub struct LocalAnswer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, cut at the asked length.
    pub body: Bytes,
}

/// Makes a request; the body is cut at `max_body` bytes.
///
/// # Errors
/// [`FetchError::Deadline`], [`FetchError::Connect`], [`FetchError::Http`], [`FetchError::Url`]. Any
/// status is an answer.
pub async fn request(
    asked: &LocalRequest,
    deadline: Duration,
    max_body: usize,
) -> Result<LocalAnswer, FetchError> {
    within(deadline, asked, Size::Cut(max_body)).await
}

/// Gets a JSON document from a port of this host.
///
/// # Errors
/// [`FetchError::Status`] for anything but 2xx, [`FetchError::Json`], [`FetchError::TooLarge`] above
/// 4 MiB, and as [`request`].
pub async fn get_json(
    address: SocketAddr,
    path: &str,
    deadline: Duration,
) -> Result<Value, FetchError> {
    let asked = LocalRequest::get(address, path);
    let answer = within(deadline, &asked, Size::AtMost(MAX_JSON)).await?;
    if !(200..300).contains(&answer.status) {
        return Err(FetchError::Status { url: asked.url(), status: answer.status });
    }
    serde_json::from_slice(&answer.body)
        .map_err(|error| FetchError::Json { url: asked.url(), reason: error.to_string() })
}

async fn within(
    deadline: Duration,
    asked: &LocalRequest,
    size: Size,
) -> Result<LocalAnswer, FetchError> {
    tokio::time::timeout(deadline, send(asked, size)).await.map_err(|_| FetchError::Deadline {
        url: asked.url(),
        millis: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
    })?
}

async fn send(asked: &LocalRequest, size: Size) -> Result<LocalAnswer, FetchError> {
    let url = asked.url();
    let bad = |reason: String| FetchError::Url { url: url.clone(), reason };
    if !asked.path.starts_with('/') {
        return Err(bad("the path does not begin with /".to_owned()));
    }
    let method: Method =
        asked.method.parse().map_err(|_| bad(format!("{:?} is no method", asked.method)))?;
    let mut builder = Request::builder()
        .method(method)
        .uri(&asked.path)
        .header(header::HOST, asked.address.to_string())
        .header(header::ACCEPT, "*/*")
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::CONNECTION, "close");
    let body = asked.body.clone().unwrap_or_default();
    if asked.body.is_some() {
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok();
        let kind = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
        builder = builder.header(header::CONTENT_TYPE, kind);
    }
    let request = builder.body(Full::from(body)).map_err(|error| bad(error.to_string()))?;
    let stream = TcpStream::connect(asked.address).await.map_err(|error| FetchError::Connect {
        host: asked.address.to_string(),
        reason: error.to_string(),
    })?;
    let answer = connection::exchange(stream, request, &url, size, |_| true).await?;
    Ok(LocalAnswer { status: answer.status.as_u16(), headers: answer.headers, body: answer.body })
}
