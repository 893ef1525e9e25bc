//! A signed file: what is signed, and by whom. Only bytes that were verified are ever parsed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::canon::canonical;
use crate::error::RegistryError;
use crate::keys::{PrivateKey, is_signed_by};
use crate::schema::{Key, Role, RoleKeys};

/// Most signatures that are looked at.
const MAX_SIGNATURES: usize = 256;

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Id of the key.
    pub keyid: String,
    /// Hex digits.
    pub sig: String,
}

/// A signed file as it was read; nothing of it is verified yet.
#[derive(Debug, Clone)]
pub struct Envelope {
    signed: Box<RawValue>,
    /// Its signatures.
    pub signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct RawEnvelope {
    signed: Box<RawValue>,
    signatures: Vec<Signature>,
}

impl Envelope {
    /// Reads a file.
    ///
    /// # Errors
    /// It is no signed file.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self, RegistryError> {
        let raw: RawEnvelope =
            serde_json::from_slice(bytes).map_err(|error| RegistryError::format(what, error))?;
        if raw.signatures.len() > MAX_SIGNATURES {
            return Err(RegistryError::format(what, "it has too many signatures"));
        }
        Ok(Self { signed: raw.signed, signatures: raw.signatures })
    }

    /// A file without signatures.
    ///
    /// # Errors
    /// It cannot be written as canonical JSON.
    pub fn of(role: &impl Serialize) -> Result<Self, RegistryError> {
        let bad = |error: &dyn std::fmt::Display| RegistryError::format("JSON", error.to_string());
        let text = String::from_utf8(canonical(role)?).map_err(|error| bad(&error))?;
        // control characters stand bare in canonical JSON, and JSON has no place for them
        let signed = match RawValue::from_string(text) {
            Ok(signed) => signed,
            Err(_) => serde_json::value::to_raw_value(role).map_err(|error| bad(&error))?,
        };
        Ok(Self { signed, signatures: Vec::new() })
    }

    /// What is signed, unverified: for those who sign.
    ///
    /// # Errors
    /// It is not of this role.
    pub fn peek<T: Role>(&self) -> Result<T, RegistryError> {
        check_role(T::KIND, serde_json::from_str(self.signed.get()))
    }

    /// What `_type` says, unverified.
    #[must_use]
    pub fn kind(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Kind {
            #[serde(rename = "_type")]
            kind: String,
        }
        serde_json::from_str::<Kind>(self.signed.get()).ok().map(|it| it.kind)
    }

    /// Adds a signature, or replaces that of the same key.
    ///
    /// # Errors
    /// What is signed is no canonical JSON.
    pub fn sign(&mut self, key: &PrivateKey) -> Result<(), RegistryError> {
        let sig = key.sign(&canonical(&self.signed)?);
        self.signatures.retain(|it| it.keyid != key.id());
        self.signatures.push(Signature { keyid: key.id().to_owned(), sig });
        Ok(())
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, RegistryError> {
        let signatures = serde_json::to_string(&self.signatures)
            .map_err(|error| RegistryError::format("JSON", error))?;
        Ok(format!("{{\"signatures\":{signatures},\"signed\":{}}}", self.signed.get()).into_bytes())
    }

    /// The digest of what is signed, in its canonical form: the same whoever signs it.
    ///
    /// # Errors
    /// What is signed is no canonical JSON.
    pub fn fingerprint(&self) -> Result<archy_types::Digest, RegistryError> {
        Ok(archy_types::Digest::of(&canonical(&self.signed)?))
    }

    /// What is signed, once enough of the role's keys have signed it.
    ///
    /// # Errors
    /// [`RegistryError::Signature`], and [`RegistryError::Format`] when it is not of this role.
    pub fn verify<T: Role>(
        &self,
        name: &str,
        keys: &BTreeMap<String, Key>,
        role: &RoleKeys,
    ) -> Result<T, RegistryError> {
        let need = usize::try_from(role.threshold.max(1)).unwrap_or(usize::MAX);
        // files that are written in canonical form are not turned over once more
        let raw = self.signed.get().as_bytes();
        let as_is = self.signers(raw, keys, role);
        if as_is >= need {
            return check_role(name, serde_json::from_slice(raw));
        }
        // what is signed is this value, and this value is what is read
        let value: serde_json::Value =
            serde_json::from_slice(raw).map_err(|error| RegistryError::format(name, error))?;
        let bytes = canonical(&value)?;
        let have = self.signers(&bytes, keys, role);
        if have < need {
            return Err(RegistryError::Signature { role: name.to_owned(), have, need });
        }
        check_role(name, serde_json::from_value(value))
    }

    /// How many different keys of the role have signed these bytes. Two ids of one key count once.
    fn signers(&self, bytes: &[u8], keys: &BTreeMap<String, Key>, role: &RoleKeys) -> usize {
        let mut signers = BTreeSet::new();
        for signature in &self.signatures {
            let listed = role.keyids.contains(&signature.keyid);
            let key = keys.get(&signature.keyid).filter(|_| listed).and_then(Key::bytes);
            let Some(key) = key.filter(|key| !signers.contains(key)) else { continue };
            if is_signed_by(&key, bytes, &signature.sig) {
                signers.insert(key);
            }
        }
        signers.len()
    }
}

fn check_role<T: Role>(name: &str, read: serde_json::Result<T>) -> Result<T, RegistryError> {
    let role = read.map_err(|error| RegistryError::format(name, error))?;
    if role.kind() != T::KIND {
        let reason = format!("it is a {:?}, not a {:?}", role.kind(), T::KIND);
        return Err(RegistryError::format(name, reason));
    }
    if role.spec_version() != "1.0" && !role.spec_version().starts_with("1.") {
        let reason = format!("it follows version {:?} of TUF", role.spec_version());
        return Err(RegistryError::format(name, reason));
    }
    if role.version() == 0 {
        return Err(RegistryError::format(name, "its version is nought"));
    }
    Ok(role)
}
