//! The result document: what was tested where, what became of it, signed by who tested.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::canonical::{NotCanonical, canonical};
use crate::outcome::{Life, Verdict};

/// Form of the document.
pub const FORMAT: &str = "archipelago-gate/1";
/// The only algorithm.
const ALGORITHM: &str = "ed25519";

/// The node that was tested on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Digest of its machine id: the id itself is not for the public.
    pub machine: String,
    /// Boot ids in the order in which they were seen; the first one is that of the start.
    pub boots: Vec<String>,
    /// Name of the host.
    pub hostname: String,
    /// Version of the platform.
    pub platform: String,
    /// Operating system.
    pub os: String,
    /// Kernel.
    pub kernel: String,
    /// Architecture in OCI words.
    pub architecture: String,
    /// Version of Podman.
    pub podman: String,
    /// Version of systemd.
    pub systemd: String,
    /// Cgroup controllers: limits of others were not enforced.
    pub controllers: Vec<String>,
    /// How the node was reached: `local` or the driver's program.
    pub driver: String,
}

/// What was tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRecord {
    /// Id.
    pub id: String,
    /// Version.
    pub version: String,
    /// Digest of the manifest.
    pub manifest: String,
    /// Places with data that were watched.
    pub places: Vec<String>,
    /// Steps of its own test.
    pub steps: u32,
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// [`FORMAT`].
    pub format: String,
    /// The app.
    pub app: AppRecord,
    /// The node.
    pub node: NodeRecord,
    /// When the first life began (milliseconds since 1970).
    pub started: i64,
    /// When the last one ended.
    pub ended: i64,
    /// Other apps that lived on the node at the same time.
    pub beside: Vec<String>,
    /// Seed of the harms, if there were any; in decimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chaos: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// Lives in order.
    pub lives: Vec<Life>,
}

/// The signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// `ed25519`.
    pub algorithm: String,
    /// The public key in hex.
    pub key: String,
    /// The signature over the canonical text of the payload, in hex.
    pub value: String,
}

/// A signed result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What is signed.
    pub payload: Payload,
    /// The signature.
    pub signature: Signature,
}

/// Why a document cannot be made or trusted.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The key's file cannot be read or made.
    #[error("the tester's key {} cannot be used: {source}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gave no randomness.
    #[error("no randomness for a new key")]
    Random,
    /// The payload has no canonical text.
    #[error(transparent)]
    Canonical(#[from] NotCanonical),
    /// It is not a document of this form.
    #[error("not a result of the form {FORMAT}: {0}")]
    Form(String),
    /// The signature does not fit the payload.
    #[error("the signature does not fit: the document was changed, or is of another key")]
    Forged,
}

impl DocumentError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Key { .. } => "gate-key",
            Self::Random => "gate-random",
            Self::Canonical(_) => "gate-canonical",
            Self::Form(_) => "gate-document-form",
            Self::Forged => "gate-document-forged",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Key { .. } => {
                "The file must be yours, readable by you alone, and hold 64 hex digits."
            }
            Self::Random => "Try again; the kernel's random source does not answer.",
            Self::Canonical(_) => "Please report this.",
            Self::Form(_) => "Give a result document as `archy app test --out` writes it.",
            Self::Forged => "Do not rely on this result; test the app again.",
        }
    }
}

/// The tester's key.
pub struct Key {
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("public", &self.public()).finish_non_exhaustive()
    }
}

impl Key {
    /// The key of these 32 bytes.
    ///
    /// # Errors
    /// There are not 32.
    pub fn from_seed(seed: &[u8]) -> Result<Self, DocumentError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| DocumentError::Form("a key has 32 bytes".to_owned()))?;
        Ok(Self { pair })
    }

    /// The key in a file; made with mode 0600 when there is none.
    ///
    /// # Errors
    /// The file cannot be read or made, others can read it, or it holds no key.
    pub fn open(path: &Path) -> Result<Self, DocumentError> {
        let failed = |source| DocumentError::Key { path: path.to_owned(), source };
        match read_private(path) {
            Ok(text) => {
                let seed = hex::decode(text.trim())
                    .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
                Self::from_seed(&seed).map_err(|_| failed(io::ErrorKind::InvalidData.into()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut seed = [0_u8; 32];
                SystemRandom::new().fill(&mut seed).map_err(|_| DocumentError::Random)?;
                make_private(path, &hex::encode(seed)).map_err(failed)?;
                Self::from_seed(&seed)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// The public key in hex.
    #[must_use]
    pub fn public(&self) -> String {
        hex::encode(self.pair.public_key().as_ref())
    }

    /// Signs a payload.
    ///
    /// # Errors
    /// It has no canonical text.
    pub fn sign(&self, payload: Payload) -> Result<Document, DocumentError> {
        let text = text(&payload)?;
        let value = hex::encode(self.pair.sign(text.as_bytes()).as_ref());
        let signature = Signature { algorithm: ALGORITHM.to_owned(), key: self.public(), value };
        Ok(Document { payload, signature })
    }
}

fn read_private(path: &Path) -> io::Result<String> {
    use std::os::unix::fs::MetadataExt as _;
    let mut file = std::fs::File::open(path)?;
    if file.metadata()?.mode() & 0o077 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "others can read it; `chmod 600` it, or make a new one",
        ));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

fn make_private(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

fn text(payload: &Payload) -> Result<String, DocumentError> {
    let value =
        serde_json::to_value(payload).map_err(|error| DocumentError::Form(error.to_string()))?;
    Ok(canonical(&value)?)
}

/// Reads a document and checks its signature. What the signature covers is the text of the payload as it was
/// given: keys that this version does not know are covered as well.
///
/// # Errors
/// It has another form, or was changed after it was signed.
pub fn verify(bytes: &[u8]) -> Result<Document, DocumentError> {
    let form = |text: &str| DocumentError::Form(text.to_owned());
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|error| form(&error.to_string()))?;
    let signed = canonical(value.get("payload").ok_or_else(|| form("there is no payload"))?)?;
    let document: Document =
        serde_json::from_value(value).map_err(|error| form(&error.to_string()))?;
    if document.payload.format != FORMAT {
        return Err(form(&document.payload.format));
    }
    if document.signature.algorithm != ALGORITHM {
        return Err(form(&document.signature.algorithm));
    }
    let key = hex::decode(&document.signature.key).map_err(|_| form("the key is not hex"))?;
    let value = hex::decode(&document.signature.value).map_err(|_| DocumentError::Forged)?;
    UnparsedPublicKey::new(&ED25519, key)
        .verify(signed.as_bytes(), &value)
        .map_err(|_| DocumentError::Forged)?;
    let told = document.payload.verdict;
    if told != crate::outcome::verdict(&document.payload.lives) {
        return Err(form("the verdict is not that of the lives"));
    }
    Ok(document)
}

#[cfg(test)]
mod tests;
