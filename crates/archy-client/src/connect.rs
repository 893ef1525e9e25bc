//! Connections: a unix socket, or TCP with TLS.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::ClientError;

/// An open connection.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Where the daemon is.
#[derive(Debug)]
pub(crate) enum Target {
    Unix(PathBuf),
    Https(Https),
}

/// A daemon over HTTPS.
pub(crate) struct Https {
    host: String,
    port: u16,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
}

impl std::fmt::Debug for Https {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "https://{}:{}", self.host, self.port)
    }
}

impl Https {
    pub(crate) fn new(url: &str, ca_pem: &[u8]) -> Result<Self, ClientError> {
        let (host, port) = split(url)
            .ok_or_else(|| ClientError::Address(format!("{url:?} is not https://host[:port]")))?;
        let name = ServerName::try_from(host.clone())
            .map_err(|_| ClientError::Address(format!("{host:?} is not a host name")))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem) {
            certificate
                .map_err(|error| error.to_string())
                .and_then(|der| roots.add(der).map_err(|error| error.to_string()))
                .map_err(|error| ClientError::Address(format!("the CA file is broken: {error}")))?;
        }
        if roots.is_empty() {
            return Err(ClientError::Address("the CA file holds no certificate".to_owned()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ClientError::Address(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { host, port, name, tls: Arc::new(tls) })
    }
}

fn split(url: &str) -> Option<(String, u16)> {
    let rest = url.strip_prefix("https://")?.trim_end_matches('/');
    if rest.is_empty() || rest.contains(['/', '?', '#', '@']) {
        return None;
    }
    if let Some(v6) = rest.strip_prefix('[') {
        let (host, tail) = v6.split_once(']')?;
        let port = match tail.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if tail.is_empty() => 443,
            None => return None,
        };
        return Some((host.to_owned(), port));
    }
    match rest.split_once(':') {
        Some((host, port)) => Some((host.to_owned(), port.parse().ok()?)),
        None => Some((rest.to_owned(), 443)),
    }
}

impl Target {
    /// Opens a connection.
    pub(crate) async fn open(&self) -> Result<Box<dyn Io>, ClientError> {
        self.try_open().await.map_err(|source| self.unreachable(source))
    }

    async fn try_open(&self) -> io::Result<Box<dyn Io>> {
        match self {
            Self::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Self::Https(https) => {
                let tcp = TcpStream::connect((https.host.as_str(), https.port)).await?;
                tcp.set_nodelay(true)?;
                let tls = TlsConnector::from(Arc::clone(&https.tls));
                Ok(Box::new(tls.connect(https.name.clone(), tcp).await?))
            }
        }
    }

    /// Value of the `Host` header.
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Unix(_) => "localhost".to_owned(),
            Self::Https(https) if https.host.contains(':') => {
                format!("[{}]:{}", https.host, https.port)
            }
            Self::Https(https) if https.port == 443 => https.host.clone(),
            Self::Https(https) => format!("{}:{}", https.host, https.port),
        }
    }

    /// An error that names the target.
    pub(crate) fn unreachable(&self, source: io::Error) -> ClientError {
        let target = match self {
            Self::Unix(path) => path.display().to_string(),
            Self::Https(https) => format!("{https:?}"),
        };
        ClientError::Unreachable { target, source }
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn urls() {
        for (url, parts) in [
            ("https://node.local", Some(("node.local", 443))),
            ("https://10.0.0.1:8443/", Some(("10.0.0.1", 8443))),
            ("https://[::1]:9", Some(("::1", 9))),
            ("https://[::1]", Some(("::1", 443))),
            ("http://node", None),
            ("https://", None),
            ("https://a/b", None),
            ("https://u@h", None),
            ("https://h:x", None),
        ] {
            let want = parts.map(|(host, port): (&str, u16)| (host.to_owned(), port));
            assert_eq!(split(url), want, "{url}");
        }
    }
}
