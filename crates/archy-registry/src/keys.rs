//! Ed25519 keys: made, kept in PEM files, used to sign.

use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::canon::canonical;
use crate::error::RegistryError;
use crate::schema::{Key, KeyValue};

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// Largest key file that is read.
const MAX_FILE: u64 = 16 * 1024;

impl Key {
    /// Its id: the digest of its canonical form.
    ///
    /// # Errors
    /// Never for a key that was read from JSON.
    pub fn id(&self) -> Result<String, RegistryError> {
        Ok(archy_types::Digest::of(&canonical(self)?).hex())
    }

    /// The public bytes; nothing for kinds that do not count here.
    #[must_use]
    pub fn bytes(&self) -> Option<[u8; 32]> {
        if self.keytype != "ed25519" || self.scheme != "ed25519" {
            return None;
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(&self.keyval.public, &mut bytes).ok()?;
        Some(bytes)
    }

    /// Reads a public key file.
    ///
    /// # Errors
    /// It cannot be read, or is no ed25519 key.
    pub fn read(path: &Path) -> Result<Self, RegistryError> {
        let text = crate::files::read(path, MAX_FILE)?;
        let bad = |reason: String| RegistryError::Key { file: path.display().to_string(), reason };
        let key: Self = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
        key.bytes().ok_or_else(|| bad("only ed25519 keys are used".to_owned()))?;
        Ok(key)
    }
}

/// True when `signature` (hex) over `bytes` is this key's.
pub(crate) fn is_signed_by(public: &[u8; 32], bytes: &[u8], signature: &str) -> bool {
    let Ok(signature) = hex::decode(signature) else { return false };
    UnparsedPublicKey::new(&ED25519, public).verify(bytes, &signature).is_ok()
}

/// A private key.
pub struct PrivateKey {
    pair: Ed25519KeyPair,
    public: Key,
    id: String,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl PrivateKey {
    /// Makes a key and writes it to a new file with mode 0600, the public half beside it with `.pub` at its end.
    ///
    /// # Errors
    /// The file is there already or cannot be written.
    pub fn create(path: &Path) -> Result<Self, RegistryError> {
        let bad = |reason: &str| RegistryError::Key {
            file: path.display().to_string(),
            reason: reason.to_owned(),
        };
        let document = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new())
            .map_err(|_| bad("the system gave no random numbers"))?;
        let mut pem = Zeroizing::new(format!("{BEGIN}\n"));
        let encoded = Zeroizing::new(STANDARD.encode(document.as_ref()));
        for line in encoded.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str(END);
        pem.push('\n');
        let key = Self::parse(&pem).map_err(|reason| bad(&reason))?;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let written = options.open(path).and_then(|mut file| {
            file.write_all(pem.as_bytes())?;
            file.sync_all()
        });
        written.map_err(|error| RegistryError::io(path, &error))?;
        let mut public = canonical(&key.public)?;
        public.push(b'\n');
        crate::files::write(&public_path(path), &public)?;
        Ok(key)
    }

    /// Reads a private key (PKCS#8 in PEM, as OpenSSL writes it, too).
    ///
    /// # Errors
    /// It cannot be read, others may read it, or it is no ed25519 key.
    pub fn read(path: &Path) -> Result<Self, RegistryError> {
        use std::os::unix::fs::PermissionsExt as _;
        let bad = |reason: String| RegistryError::Key { file: path.display().to_string(), reason };
        let meta = std::fs::metadata(path).map_err(|error| RegistryError::io(path, &error))?;
        if meta.permissions().mode() & 0o077 != 0 {
            return Err(bad("others may read it; chmod 600 it".to_owned()));
        }
        let text = Zeroizing::new(crate::files::read(path, MAX_FILE)?);
        let text = std::str::from_utf8(&text).map_err(|_| bad("it is no PEM".to_owned()))?;
        Self::parse(text).map_err(bad)
    }

    fn parse(pem: &str) -> Result<Self, String> {
        let body = pem.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
        let (body, _) = body.ok_or("there is no PRIVATE KEY in it")?;
        let body: Zeroizing<String> =
            Zeroizing::new(body.chars().filter(|c| !c.is_whitespace()).collect());
        let der = Zeroizing::new(STANDARD.decode(body.as_bytes()).map_err(|_| "it is no base64")?);
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
            .map_err(|error| format!("it is no ed25519 key in PKCS#8 ({error})"))?;
        let public = Key {
            keytype: "ed25519".to_owned(),
            scheme: "ed25519".to_owned(),
            keyval: KeyValue { public: hex::encode(pair.public_key().as_ref()) },
        };
        let id = public.id().map_err(|error| error.to_string())?;
        Ok(Self { pair, public, id })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &Key {
        &self.public
    }

    /// Signs bytes; hex.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> String {
        hex::encode(self.pair.sign(bytes).as_ref())
    }
}

/// Where the public half of a key file lies.
#[must_use]
pub fn public_path(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}
