//! The node's certificate: made when there is none, read again when its files change.

use std::io::{ErrorKind, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

/// Why a pair of certificate and key is not used.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// A file cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The files do not make a pair.
    #[error("{} and its key are not used: {reason}", path.display())]
    Pair {
        /// The certificate.
        path: PathBuf,
        /// What is wrong with them.
        reason: String,
    },
    /// A certificate could not be made.
    #[error("a certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// Two files, and the pair that was last read from them.
#[derive(Debug)]
struct Pair {
    crt: PathBuf,
    key: PathBuf,
    /// The name that it must cover, if one is demanded.
    covers: Option<String>,
    seen: RwLock<Option<[SystemTime; 2]>>,
    good: RwLock<Option<Arc<CertifiedKey>>>,
}

impl Pair {
    fn new(crt: PathBuf, key: PathBuf, covers: Option<String>) -> Self {
        Self { crt, key, covers, seen: RwLock::default(), good: RwLock::default() }
    }

    fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.good.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files if they changed. After a failure the last good pair stays, and the same
    /// files are not tried again until they change.
    fn refresh(&self, provider: &CryptoProvider, force: bool) -> Result<bool, CertError> {
        let times = [modified(&self.crt)?, modified(&self.key)?];
        let seen = self.seen.write().unwrap_or_else(PoisonError::into_inner).replace(times);
        if seen == Some(times) && !force {
            return Ok(false);
        }
        let pair = self.read(provider)?;
        *self.good.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(pair));
        Ok(true)
    }

    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, CertError> {
        let bad = |reason: String| CertError::Pair { path: self.crt.clone(), reason };
        let chain = CertificateDer::pem_file_iter(&self.crt)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| bad(error.to_string()))?;
        let key =
            PrivateKeyDer::from_pem_file(&self.key).map_err(|error| bad(error.to_string()))?;
        let pair =
            CertifiedKey::from_der(chain, key, provider).map_err(|error| bad(error.to_string()))?;
        pair.keys_match().map_err(|error| bad(error.to_string()))?;
        if let Some(name) = &self.covers {
            let leaf = pair.end_entity_cert().map_err(|error| bad(error.to_string()))?;
            let covered = ServerName::try_from(name.as_str()).ok().is_some_and(|name| {
                ParsedCertificate::try_from(leaf)
                    .is_ok_and(|leaf| verify_server_name(&leaf, &name).is_ok())
            });
            if !covered {
                return Err(bad(format!("it does not cover {name}")));
            }
        }
        Ok(pair)
    }
}

/// Chooses the certificate of a handshake: the public pair for the public name, else the node's.
#[derive(Debug)]
pub struct Certs {
    node: Pair,
    public: Option<Pair>,
    provider: Arc<CryptoProvider>,
}

impl Certs {
    /// The certificates in `ssl_dir`; a self-signed one for `names` is made when there is none.
    /// Blocks.
    ///
    /// # Errors
    /// The directory cannot be written. A pair that cannot be used is only logged: handshakes
    /// fail until it is mended.
    pub fn open(
        ssl_dir: &Path,
        public: Option<(String, PathBuf, PathBuf)>,
        names: &[String],
    ) -> Result<Arc<Self>, CertError> {
        let (crt, key) = (ssl_dir.join("archipelago.crt"), ssl_dir.join("archipelago.key"));
        if !crt.exists() && !key.exists() {
            make(ssl_dir, &crt, &key, names)?;
        }
        let certs = Arc::new(Self {
            node: Pair::new(crt, key, None),
            public: public.map(|(name, crt, key)| Pair::new(crt, key, Some(name))),
            provider: Arc::new(rustls::crypto::ring::default_provider()),
        });
        certs.refresh(true);
        Ok(certs)
    }

    /// Reads files that changed (all of them with `force`). Blocks.
    pub fn refresh(&self, force: bool) {
        for pair in std::iter::once(&self.node).chain(&self.public) {
            match pair.refresh(&self.provider, force) {
                Ok(false) => {}
                Ok(true) => tracing::info!(certificate = %pair.crt.display(), "certificate read"),
                Err(error) => tracing::warn!(%error, "the last good certificate stays in use"),
            }
        }
    }

    /// The TLS settings of a listener that speaks these protocols (ALPN names).
    ///
    /// # Errors
    /// The crypto provider lacks the protocol versions.
    pub fn server_config(
        self: &Arc<Self>,
        protocols: &[&[u8]],
    ) -> Result<Arc<rustls::ServerConfig>, rustls::Error> {
        let mut config = rustls::ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certs {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let public = self.public.as_ref().filter(|pair| {
            let names = hello.server_name().zip(pair.covers.as_deref());
            names.is_some_and(|(asked, name)| asked.eq_ignore_ascii_case(name))
        });
        public.and_then(Pair::current).or_else(|| self.node.current())
    }
}

fn modified(path: &Path) -> Result<SystemTime, CertError> {
    std::fs::metadata(path)
        .and_then(|data| data.modified())
        .map_err(|error| CertError::File { path: path.to_owned(), reason: error.to_string() })
}

fn make(ssl_dir: &Path, crt: &Path, key: &Path, names: &[String]) -> Result<(), CertError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| CertError::File { path, reason: error.to_string() }
    };
    std::fs::create_dir_all(ssl_dir).map_err(io(ssl_dir))?;
    let pair = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::new(names.to_vec())?;
    let common = names.first().map_or("archipelago", String::as_str);
    params.distinguished_name.push(rcgen::DnType::CommonName, common);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2045, 1, 1);
    let certificate = params.self_signed(&pair)?;
    write_new(key, &pair.serialize_pem(), 0o600).map_err(io(key))?;
    write_new(crt, &certificate.pem(), 0o644).map_err(io(crt))?;
    tracing::info!(certificate = %crt.display(), ?names, "self-signed certificate made");
    Ok(())
}

/// Writes a file that appears whole or not at all.
fn write_new(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}

/// Names and addresses that the node's own certificate covers: host name, `.local`, localhost,
/// every address of its interfaces, and what the owner set.
#[must_use]
pub fn own_names(hostname: &str, more: &[IpAddr]) -> Vec<String> {
    let mut names = Vec::new();
    if archy_types::id::check_dns_label(hostname).is_ok() {
        names.extend([hostname.to_owned(), format!("{hostname}.local")]);
    }
    names.push("localhost".to_owned());
    // link-local addresses need a zone, which no certificate can name
    let usable = super::addresses()
        .into_iter()
        .chain(more.iter().copied())
        .filter(|ip| !matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local()));
    for ip in usable {
        let text = ip.to_string();
        if !names.contains(&text) {
            names.push(text);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn made_once_kept_and_reloaded() {
        let dir = tempfile::tempdir().unwrap();
        let names = own_names("mynode", &["10.1.2.3".parse().unwrap()]);
        assert!(names.starts_with(&["mynode".into(), "mynode.local".into(), "localhost".into()]));
        let certs = Certs::open(dir.path(), None, &names).unwrap();
        let key = dir.path().join("archipelago.key");
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let first = certs.node.current().unwrap();
        let name = ServerName::try_from("mynode.local").unwrap();
        let leaf = ParsedCertificate::try_from(first.end_entity_cert().unwrap()).unwrap();
        assert!(verify_server_name(&leaf, &name).is_ok());
        // a second start keeps it
        let again = Certs::open(dir.path(), None, &names).unwrap();
        assert_eq!(again.node.current().unwrap().cert, first.cert);
        // a key that does not match is refused, the good pair stays
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        std::fs::write(&key, other).unwrap();
        certs.refresh(true);
        assert_eq!(certs.node.current().unwrap().cert, first.cert);
        assert!(certs.server_config(&[b"h2"]).is_ok());
    }

    #[test]
    fn a_public_pair_must_cover_its_name() {
        let (dir, public) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (crt, key) = (public.path().join("c"), public.path().join("k"));
        make(public.path(), &crt, &key, &["node.example.org".into()]).unwrap();
        for (name, used) in [("node.example.org", true), ("other.example.org", false)] {
            let pair = Some((name.to_owned(), crt.clone(), key.clone()));
            let certs = Certs::open(dir.path(), pair, &["n".into()]).unwrap();
            assert_eq!(certs.public.as_ref().unwrap().current().is_some(), used);
        }
    }
}
