//! One request as a value: method, escaped path, query and body.

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::Full;
use serde::Serialize;

use crate::PodmanError;

/// The part of the path that names the API's version; newer Podmans serve it too.
const PREFIX: &str = "/v5.0.0/libpod";

/// A request that has not been sent.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    target: String,
    has_query: bool,
    /// What errors call it: method and readable path, without query.
    pub(crate) op: String,
    content_type: &'static str,
    body: Bytes,
}

impl Call {
    /// A call of `segments`, each of which is escaped, below the versioned prefix.
    pub(crate) fn new(method: Method, segments: &[&str]) -> Self {
        let mut target = PREFIX.to_owned();
        for segment in segments {
            target.push('/');
            escape(segment, &mut target);
        }
        let op = format!("{method} {}", segments.join("/"));
        let content_type = "application/json";
        Self { method, target, has_query: false, op, content_type, body: Bytes::new() }
    }

    pub(crate) fn get(segments: &[&str]) -> Self {
        Self::new(Method::GET, segments)
    }

    pub(crate) fn post(segments: &[&str]) -> Self {
        Self::new(Method::POST, segments)
    }

    pub(crate) fn delete(segments: &[&str]) -> Self {
        Self::new(Method::DELETE, segments)
    }

    /// Adds a query parameter.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.target.push(if self.has_query { '&' } else { '?' });
        self.has_query = true;
        escape(name, &mut self.target);
        self.target.push('=');
        escape(value, &mut self.target);
        self
    }

    /// Adds `filters={"label":[..]}` unless there is none.
    pub(crate) fn labels(self, labels: &[&str]) -> Self {
        if labels.is_empty() {
            return self;
        }
        let filters = serde_json::json!({ "label": labels }).to_string();
        self.query("filters", &filters)
    }

    /// Sets a JSON body.
    pub(crate) fn json<T: Serialize>(mut self, body: &T) -> Result<Self, PodmanError> {
        let bytes = serde_json::to_vec(body)
            .map_err(|e| PodmanError::Request { op: self.op.clone(), why: e.to_string() })?;
        self.body = bytes.into();
        Ok(self)
    }

    /// Sets a body of another kind.
    pub(crate) fn bytes(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.content_type = content_type;
        self.body = body.into();
        self
    }

    pub(crate) fn request(&self) -> Result<Request<Full<Bytes>>, PodmanError> {
        Request::builder()
            .method(self.method.clone())
            .uri(&self.target)
            .header(header::HOST, "libpod")
            .header(header::CONTENT_TYPE, self.content_type)
            .body(Full::new(self.body.clone()))
            .map_err(|e| PodmanError::Request { op: self.op.clone(), why: e.to_string() })
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
fn escape(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_queries_are_escaped() {
        let call = Call::get(&["images", "docker.io/a b:1@sha256:x", "json"])
            .query("since", "1+2")
            .labels(&["k=v"]);
        assert_eq!(
            call.target,
            "/v5.0.0/libpod/images/docker.io%2Fa%20b%3A1%40sha256%3Ax/json?since=1%2B2\
             &filters=%7B%22label%22%3A%5B%22k%3Dv%22%5D%7D"
        );
        assert_eq!(call.op, "GET images/docker.io/a b:1@sha256:x/json");
        assert!(call.request().is_ok());
    }

    #[test]
    fn a_name_cannot_leave_its_segment() {
        for name in ["../../x", "a?force=true", "a#b", "a\r\nX: y", "ü"] {
            let call = Call::delete(&["volumes", name]);
            let tail = call.target.strip_prefix("/v5.0.0/libpod/volumes/").unwrap();
            assert!(!tail.contains(['/', '?', '#', '\r', '\n', ' ']), "{tail}");
            assert!(call.request().is_ok(), "{name:?}");
        }
    }
}
