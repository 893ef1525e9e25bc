//! The node's certificate: issued by its own authority, anew when names or addresses change, and read
//! again when its files change; and the operator's own pair for the public name.

use std::io::{ErrorKind, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use archy_api::door::{LeafInfo, NodeCa, PublicPair};
use archy_types::Timestamp;
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::authority::{self, Authority, Facts};
use crate::config::Config;

/// Names of one certificate at most: machines with many containers have many addresses.
const MAX_NAMES: usize = 100;

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
    /// The system gives no random bytes.
    #[error("{0}")]
    NoRandomness(String),
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
    /// Why the files as they are now are not used.
    fault: RwLock<Option<String>>,
}

impl Pair {
    fn new(crt: PathBuf, key: PathBuf, covers: Option<String>) -> Self {
        Self {
            crt,
            key,
            covers,
            seen: RwLock::default(),
            good: RwLock::default(),
            fault: RwLock::default(),
        }
    }

    fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.good.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files if they changed. After a failure the last good pair stays, and the files are
    /// tried again each time: their permissions may be mended without a trace in their times.
    fn refresh(&self, provider: &CryptoProvider, force: bool) -> Result<bool, CertError> {
        let times = [modified(&self.crt)?, modified(&self.key)?];
        if *self.seen.read().unwrap_or_else(PoisonError::into_inner) == Some(times) && !force {
            return Ok(false);
        }
        let pair = self.read(provider)?;
        *self.good.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(pair));
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = Some(times);
        Ok(true)
    }

    /// Notes a failure; true when it is news.
    fn note(&self, fault: Option<String>) -> bool {
        let mut noted = self.fault.write().unwrap_or_else(PoisonError::into_inner);
        let news = *noted != fault;
        *noted = fault;
        news
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
    authority: Option<Authority>,
    node: Pair,
    public: Option<Pair>,
    provider: Arc<CryptoProvider>,
    /// One certificate is issued at a time.
    issuing: std::sync::Mutex<()>,
}

impl Certs {
    /// The certificates in `ssl_dir`. The authority is made when there is none; it issues the
    /// node's certificate for `names` unless the operator put one of their own there. Blocks.
    ///
    /// # Errors
    /// There is no certificate, and none can be made. A pair that cannot be used is only logged:
    /// handshakes fail until it is mended.
    pub fn open(
        ssl_dir: &Path,
        public: Option<(String, PathBuf, PathBuf)>,
        names: &[String],
        now: Timestamp,
    ) -> Result<Arc<Self>, CertError> {
        let (crt, key) = (ssl_dir.join("archipelago.crt"), ssl_dir.join("archipelago.key"));
        let there = crt.exists() && key.exists();
        let host = names.first().map_or("node", String::as_str);
        let authority = match Authority::open(ssl_dir, host) {
            Ok(authority) => Some(authority),
            Err(error) if there => {
                tracing::warn!(%error, "this node has no certificate authority of its own");
                None
            }
            Err(error) => return Err(error),
        };
        let certs = Arc::new(Self {
            authority,
            node: Pair::new(crt, key, None),
            public: public.map(|(name, crt, key)| Pair::new(crt, key, Some(name))),
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            issuing: std::sync::Mutex::default(),
        });
        match certs.issue(names, now, false) {
            Err(error) if there => tracing::warn!(%error, "the certificate stays as it is"),
            issued => drop(issued?),
        }
        certs.refresh(true);
        Ok(certs)
    }

    /// Issues the node's certificate if it has none, or if the authority's lacks a name or ends
    /// soon, or in any case with `force`; says whether it did. One that the operator put there is
    /// left alone. The key stays. Blocks.
    ///
    /// # Errors
    /// Files cannot be read or written.
    pub fn issue(&self, names: &[String], now: Timestamp, force: bool) -> Result<bool, CertError> {
        let Some(authority) = &self.authority else { return Ok(false) };
        let _guard = self.issuing.lock().unwrap_or_else(PoisonError::into_inner);
        let own = authority.facts();
        let leaf = authority::first(&self.node.crt).and_then(|der| Facts::of(&der));
        let due = match (&leaf, &own) {
            (Some(leaf), Some(own)) if leaf.is_of(own) => force || leaf.is_stale(names, now),
            (Some(leaf), _) => leaf.is_self_made(),
            // what is there and is no certificate is not ours to replace
            (None, _) => !self.node.crt.exists(),
        };
        if !due {
            return Ok(false);
        }
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error: std::io::Error| CertError::File { path, reason: error.to_string() }
        };
        let key = if self.node.key.exists() {
            authority::read_key(&self.node.key)?
        } else {
            let key = rcgen::KeyPair::generate()?;
            write_new(&self.node.key, &key.serialize_pem(), 0o600).map_err(io(&self.node.key))?;
            key
        };
        let certificate = authority.issue(&key, names, now)?;
        // whoever is given this file as what to trust finds the authority in it
        let chain = format!("{}{}", certificate.pem(), authority.pem().unwrap_or_default());
        write_new(&self.node.crt, &chain, 0o644).map_err(io(&self.node.crt))?;
        tracing::info!(certificate = %self.node.crt.display(), ?names, "certificate issued");
        self.refresh(false);
        Ok(true)
    }

    /// The authority's certificate as PEM. Blocks.
    #[must_use]
    pub fn authority_pem(&self) -> Option<String> {
        self.authority.as_ref()?.pem()
    }

    /// All certificates in words. Blocks for a moment.
    #[must_use]
    pub fn describe(&self) -> NodeCa {
        let authority = self.authority.as_ref();
        let own = authority.and_then(Authority::facts);
        let leaf = self.node.current().and_then(|pair| Facts::of(pair.end_entity_cert().ok()?));
        NodeCa {
            fingerprint: authority.and_then(Authority::fingerprint),
            subject: own.as_ref().map(|own| own.common_name.clone()),
            path: authority::PATH.to_owned(),
            expires: own.as_ref().map(|own| own.ends.0),
            leaf: leaf.map(|leaf| LeafInfo {
                own: own.as_ref().is_some_and(|own| leaf.is_of(own)),
                expires: leaf.ends.0,
                names: leaf.names,
            }),
            public: self.public.as_ref().map(|pair| PublicPair {
                host: pair.covers.clone().unwrap_or_default(),
                in_use: pair.current().is_some(),
                fault: pair.fault.read().unwrap_or_else(PoisonError::into_inner).clone(),
            }),
        }
    }

    /// Reads files that changed (all of them with `force`). Blocks.
    pub fn refresh(&self, force: bool) {
        for pair in std::iter::once(&self.node).chain(&self.public) {
            match pair.refresh(&self.provider, force) {
                Ok(read) => {
                    pair.note(None);
                    if read {
                        tracing::info!(certificate = %pair.crt.display(), "certificate read");
                    }
                }
                Err(error) => {
                    if pair.note(Some(error.to_string())) {
                        tracing::warn!(%error, "the last good certificate stays in use");
                    }
                }
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

/// Writes a file that appears whole or not at all.
pub(super) fn write_new(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
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

/// What the node's own certificate is to cover now. Asks the system for its name and addresses.
#[must_use]
pub fn names_of(config: &Config) -> Vec<String> {
    let naming = &config.naming;
    let more: Vec<_> = naming.host_ip.map(IpAddr::V4).into_iter().collect();
    let mut names = own_names(&super::hostname(), &more);
    // without a pair of its own the public name is at least covered by the node's authority
    names.extend(naming.public_host.clone().filter(|_| naming.public_pair.is_none()));
    names
}

/// Names and addresses that the node's own certificate covers: host name, `.local`, localhost,
/// every address of its interfaces, and what the owner set.
#[must_use]
pub fn own_names(hostname: &str, more: &[IpAddr]) -> Vec<String> {
    let mut names = Vec::new();
    // a host that calls itself by its full name is known by the first label in the local network
    let label = hostname.split('.').next().unwrap_or_default();
    if archy_types::id::check_dns_label(label).is_ok() {
        names.extend([label.to_owned(), format!("{label}.local")]);
    }
    if label != hostname && crate::config::public_name(hostname).is_some() {
        names.push(hostname.to_owned());
    }
    names.retain(|name| name != "localhost");
    names.push("localhost".to_owned());
    // link-local addresses need a zone, which no certificate can name
    let usable = super::addresses()
        .into_iter()
        .chain(more.iter().copied())
        .filter(|ip| !matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local()));
    for ip in usable {
        let text = ip.to_string();
        if !names.contains(&text) && names.len() < MAX_NAMES {
            names.push(text);
        }
    }
    names
}

#[cfg(test)]
mod tests;
