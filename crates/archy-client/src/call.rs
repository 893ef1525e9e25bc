//! One call: request, answer, deadline.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use archy_api::auth::PasswordParams;
use archy_api::method::AuthLogin;
use archy_api::{Method, Request, Response, paths};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;

use crate::{Client, ClientError, Session};

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Client {
    /// Calls a method.
    ///
    /// # Errors
    /// The daemon cannot be reached, refused, did not answer in time or not as agreed.
    pub async fn call<M: Method>(&self, params: M::Params) -> Result<M::Result, ClientError> {
        let params = serde_json::to_value(params)
            .map_err(|error| ClientError::Protocol(format!("{}: {error}", M::NAME)))?;
        let result = self.call_raw(M::NAME, params).await?;
        serde_json::from_value(result)
            .map_err(|error| ClientError::Protocol(format!("{}: {error}", M::NAME)))
    }

    /// Calls a method by name with untyped parameters.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_raw(&self, method: &str, params: Value) -> Result<Value, ClientError> {
        let (result, _) = self.within(method, self.exchange(method, params)).await?;
        Ok(result)
    }

    /// Logs in and keeps the session.
    ///
    /// # Errors
    /// As [`Client::call`]; the password may be wrong.
    pub async fn login(&mut self, password: &str) -> Result<&Session, ClientError> {
        let params = PasswordParams { password: password.to_owned() };
        let params = serde_json::to_value(params)
            .map_err(|error| ClientError::Protocol(error.to_string()))?;
        let exchange = self.exchange(AuthLogin::NAME, params);
        let (_, headers) = self.within(AuthLogin::NAME, exchange).await?;
        let cookie = |name: &str| {
            cookie(&headers, name)
                .ok_or_else(|| ClientError::Protocol(format!("no {name} cookie after the login")))
        };
        let session =
            Session { token: cookie(paths::SESSION_COOKIE)?, csrf: cookie(paths::CSRF_COOKIE)? };
        Ok(self.session.insert(session))
    }

    pub(crate) async fn within<T>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        within(what, self.deadline, work).await
    }

    async fn exchange(
        &self,
        method: &str,
        params: Value,
    ) -> Result<(Value, HeaderMap), ClientError> {
        let call = Request::new(method, params, NEXT_ID.fetch_add(1, Ordering::Relaxed));
        let body =
            serde_json::to_vec(&call).map_err(|error| ClientError::Protocol(error.to_string()))?;
        let request = self
            .request(http::Method::POST, paths::RPC)?
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| ClientError::Protocol(error.to_string()))?;
        let response = self.send(request).await?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = self.collect(response.into_body()).await?;
        Ok((read_answer(status, &body)?, headers))
    }

    /// A request with host, cookies and CSRF header.
    pub(crate) fn request(
        &self,
        method: http::Method,
        path: &str,
    ) -> Result<http::request::Builder, ClientError> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.target.host())
            .header(header::USER_AGENT, concat!("archy/", env!("CARGO_PKG_VERSION")));
        if let Some(session) = &self.session {
            let (cookie, csrf) = session_headers(session)?;
            request = request.header(header::COOKIE, cookie).header(paths::CSRF_HEADER, csrf);
        }
        Ok(request)
    }

    /// Opens a connection and sends a request over it.
    pub(crate) async fn send(
        &self,
        request: http::Request<Full<Bytes>>,
    ) -> Result<http::Response<Incoming>, ClientError> {
        let io = TokioIo::new(self.target.open().await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
            .await
            .map_err(|error| self.target.unreachable(io::Error::other(error)))?;
        // ends with the body, or when the body is dropped
        tokio::spawn(connection);
        sender
            .send_request(request)
            .await
            .map_err(|error| self.target.unreachable(io::Error::other(error)))
    }

    pub(crate) async fn collect(&self, body: Incoming) -> Result<Bytes, ClientError> {
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                ClientError::Protocol(format!("the answer is larger than {MAX_ANSWER} bytes"))
            } else {
                self.target.unreachable(io::Error::other(error))
            }
        })?;
        Ok(body.to_bytes())
    }
}

/// The cookie header's value and the CSRF token.
pub(crate) fn session_headers(
    session: &Session,
) -> Result<(HeaderValue, HeaderValue), ClientError> {
    let bad =
        |_| ClientError::Address("the session holds characters that no cookie has".to_owned());
    let cookies = format!(
        "{}={}; {}={}",
        paths::SESSION_COOKIE,
        session.token,
        paths::CSRF_COOKIE,
        session.csrf
    );
    let mut cookies = HeaderValue::try_from(cookies).map_err(bad)?;
    cookies.set_sensitive(true);
    Ok((cookies, HeaderValue::try_from(&session.csrf).map_err(bad)?))
}

/// The result in an answer, or its error.
pub(crate) fn read_answer(status: StatusCode, body: &[u8]) -> Result<Value, ClientError> {
    let response: Response = serde_json::from_slice(body).map_err(|error| {
        if status.is_success() {
            ClientError::Protocol(error.to_string())
        } else {
            ClientError::Protocol(format!("HTTP status {status}"))
        }
    })?;
    match response.error {
        Some(error) => Err(ClientError::from_object(error)),
        None if status.is_success() => Ok(response.result),
        None => Err(ClientError::Protocol(format!("HTTP status {status}"))),
    }
}

pub(crate) async fn within<T>(
    what: &str,
    deadline: Duration,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| {
        Err(ClientError::Timeout { what: what.to_owned(), seconds: deadline.as_secs() })
    })
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get_all(header::SET_COOKIE).iter().find_map(|value| {
        let (key, rest) = value.to_str().ok()?.split_once('=')?;
        (key.trim() == name).then(|| rest.split(';').next().unwrap_or("").trim().to_owned())
    })
}
