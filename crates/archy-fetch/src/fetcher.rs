//! Gets files over http and https.

use std::sync::Arc;
use std::time::Duration;

use archy_types::Digest;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::Full;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::connection::{self, Answer, Size, reasons};
use crate::error::FetchError;
use crate::url::Url;

/// What a fetch may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time for the whole of it, redirects included.
    pub deadline: Duration,
    /// Most bytes of the body.
    pub max_bytes: u64,
    /// Most redirects that are followed.
    pub max_redirects: u8,
}

impl Default for Limits {
    /// 30 s, 8 MiB, 5 redirects.
    fn default() -> Self {
        Self { deadline: Duration::from_secs(30), max_bytes: 8 * 1024 * 1024, max_redirects: 5 }
    }
}

/// What was fetched.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The address it came from, after redirects.
    pub url: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its bytes.
    pub body: Bytes,
}

/// Gets files over http, and over https when it was given a TLS configuration.
#[derive(Clone)]
pub struct Fetcher {
    tls: Option<TlsConnector>,
    user_agent: String,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher")
            .field("tls", &self.tls.is_some())
            .field("user_agent", &self.user_agent)
            .finish()
    }
}

impl Fetcher {
    /// A fetcher that names itself `user_agent`; without `tls` every https address is refused.
    #[must_use]
    pub fn new(tls: Option<Arc<ClientConfig>>, user_agent: impl Into<String>) -> Self {
        Self { tls: tls.map(TlsConnector::from), user_agent: user_agent.into() }
    }

    /// Gets what lies at `url`.
    ///
    /// Redirects are followed within `limits`, but never from https to http. Dropping the future
    /// ends the connection.
    ///
    /// # Errors
    /// [`FetchError`]: everything but a complete 2xx answer within `limits` is one.
    pub async fn get(&self, url: &str, limits: &Limits) -> Result<Fetched, FetchError> {
        // without a mark nothing is "unchanged"
        let not_modified = || FetchError::Status { url: url.to_owned(), status: 304 };
        self.get_if_changed(url, None, limits).await?.ok_or_else(not_modified)
    }

    /// Gets what lies at `url` unless it is still what `tag` (an `ETag`) marks; nothing then.
    ///
    /// # Errors
    /// As [`Fetcher::get`].
    pub async fn get_if_changed(
        &self,
        url: &str,
        tag: Option<&str>,
        limits: &Limits,
    ) -> Result<Option<Fetched>, FetchError> {
        let late = || FetchError::Deadline {
            url: url.to_owned(),
            millis: u64::try_from(limits.deadline.as_millis()).unwrap_or(u64::MAX),
        };
        let follow = self.follow(url, tag, limits);
        tokio::time::timeout(limits.deadline, follow).await.map_err(|_| late())?
    }

    /// Gets what lies at `url` and has this digest.
    ///
    /// # Errors
    /// [`FetchError::Digest`] for anything else, and as [`Fetcher::get`].
    pub async fn get_verified(
        &self,
        url: &str,
        expected: Digest,
        limits: &Limits,
    ) -> Result<Fetched, FetchError> {
        let fetched = self.get(url, limits).await?;
        let found = Digest::of(&fetched.body);
        if found != expected {
            return Err(FetchError::Digest { url: fetched.url, expected, found });
        }
        Ok(fetched)
    }

    async fn follow(
        &self,
        first: &str,
        tag: Option<&str>,
        limits: &Limits,
    ) -> Result<Option<Fetched>, FetchError> {
        let mut url = Url::parse(first)?;
        for _ in 0..=limits.max_redirects {
            let answer = self.one(&url, tag, limits.max_bytes).await?;
            if tag.is_some() && answer.status == http::StatusCode::NOT_MODIFIED {
                return Ok(None);
            }
            if answer.status.is_success() {
                let Answer { headers, body, .. } = answer;
                return Ok(Some(Fetched { url: url.to_string(), headers, body }));
            }
            let location = answer.headers.get(header::LOCATION);
            let (true, Some(location)) = (is_redirect(answer.status), location) else {
                let status = answer.status.as_u16();
                return Err(FetchError::Status { url: url.to_string(), status });
            };
            let target = url.join(&String::from_utf8_lossy(location.as_bytes()))?;
            if url.secure && !target.secure {
                let (url, target) = (url.to_string(), target.to_string());
                return Err(FetchError::InsecureRedirect { url, target });
            }
            url = target;
        }
        Err(FetchError::Redirects { url: first.to_owned(), limit: limits.max_redirects })
    }

    /// Sends `body` to `url`. A redirect is no success: what was meant for one place goes to no
    /// other. Of the answer only the status counts.
    ///
    /// # Errors
    /// [`FetchError`]: everything but a 2xx answer within the deadline is one.
    pub async fn post(
        &self,
        url: &str,
        headers: &HeaderMap,
        body: Bytes,
        deadline: Duration,
    ) -> Result<(), FetchError> {
        let send = async {
            let url = Url::parse(url)?;
            let answer = self.send(&url, Method::POST, headers, body, None).await?;
            match answer.status {
                status if status.is_success() => Ok(()),
                status => Err(FetchError::Status { url: url.to_string(), status: status.as_u16() }),
            }
        };
        let late = || FetchError::Deadline {
            url: url.to_owned(),
            millis: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
        };
        tokio::time::timeout(deadline, send).await.map_err(|_| late())?
    }

    async fn one(
        &self,
        url: &Url,
        tag: Option<&str>,
        max_bytes: u64,
    ) -> Result<Answer, FetchError> {
        let mut headers = HeaderMap::new();
        if let Some(tag) = tag {
            let tag = HeaderValue::from_str(tag).map_err(|error| FetchError::Url {
                url: url.to_string(),
                reason: format!("its mark cannot be sent: {error}"),
            })?;
            headers.insert(header::IF_NONE_MATCH, tag);
        }
        self.send(url, Method::GET, &headers, Bytes::new(), Some(max_bytes)).await
    }

    /// One request; the body of a good answer is read up to `max_bytes`, or not at all.
    async fn send(
        &self,
        url: &Url,
        method: Method,
        headers: &HeaderMap,
        body: Bytes,
        max_bytes: Option<u64>,
    ) -> Result<Answer, FetchError> {
        let text = url.to_string();
        let mut request = Request::builder()
            .method(method)
            .uri(url.target())
            .header(header::HOST, url.authority())
            .header(header::USER_AGENT, &self.user_agent)
            .header(header::ACCEPT, "*/*")
            .header(header::ACCEPT_ENCODING, "identity")
            .header(header::CONNECTION, "close")
            .body(Full::new(body))
            .map_err(|error| FetchError::Url { url: text.clone(), reason: error.to_string() })?;
        request.headers_mut().extend(headers.clone());
        let connector = match (&self.tls, url.secure) {
            (None, true) => {
                let reason = "no trusted roots were configured".to_owned();
                return Err(FetchError::Tls { host: url.endpoint(), reason });
            }
            (Some(connector), true) => Some(connector),
            (_, false) => None,
        };
        let stream = TcpStream::connect((url.host.as_str(), url.port)).await.map_err(|error| {
            FetchError::Connect { host: url.endpoint(), reason: error.to_string() }
        })?;
        let size = Size::AtMost(max_bytes.unwrap_or(0));
        let wanted = |status: http::StatusCode| max_bytes.is_some() && status.is_success();
        let Some(connector) = connector else {
            return connection::exchange(stream, request, &text, size, wanted).await;
        };
        let failed = |reason| FetchError::Tls { host: url.endpoint(), reason };
        let name =
            ServerName::try_from(url.host.clone()).map_err(|error| failed(error.to_string()))?;
        let stream =
            connector.connect(name, stream).await.map_err(|error| failed(reasons(&error)))?;
        connection::exchange(stream, request, &text, size, wanted).await
    }
}

fn is_redirect(status: http::StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// A TLS configuration (ring, TLS 1.2 and 1.3) that trusts the certificates in a PEM file's text.
///
/// # Errors
/// [`FetchError::Tls`] when there is no certificate in it.
pub fn tls_config(roots_pem: &[u8]) -> Result<Arc<ClientConfig>, FetchError> {
    tls_config_of(CertificateDer::pem_slice_iter(roots_pem).filter_map(Result::ok))
}

/// The same with certificates that were read.
///
/// # Errors
/// [`FetchError::Tls`] when there is none.
pub fn tls_config_of<'a>(
    certificates: impl IntoIterator<Item = CertificateDer<'a>>,
) -> Result<Arc<ClientConfig>, FetchError> {
    let failed = |reason: String| FetchError::Tls { host: "any host".to_owned(), reason };
    let mut roots = RootCertStore::empty();
    // A system's bundle may have old roots that cannot be read; the others count.
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(failed("there is no certificate among the trusted roots".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Trusted roots of a Debian machine.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A TLS configuration with the roots that this machine trusts; none when it has none. Blocks.
#[must_use]
pub fn system_tls() -> Option<Arc<ClientConfig>> {
    let roots = std::fs::read(SYSTEM_ROOTS);
    let roots = roots.inspect_err(|error| tracing::warn!(%error, "{SYSTEM_ROOTS} cannot be read"));
    tls_config(&roots.ok()?).ok()
}
