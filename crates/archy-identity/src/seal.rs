//! Secrets at rest: ChaCha20-Poly1305, a nonce of 12 bytes before the ciphertext.
//!
//! The key lies in a file of its own beside the node's keys, so that a copy of the identities alone
//! tells nothing. Whether something opens is asked of the key and of nothing else: no look at first
//! bytes, and what does not open is never written over.

use std::fmt;
use std::path::Path;

use archy_types::UserError;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::{files, random};

/// The key. It does not print.
pub struct SealKey(LessSafeKey);

impl SealKey {
    /// The key of 32 bytes.
    ///
    /// # Errors
    /// `seal-key-damaged`: the length is wrong.
    pub fn new(bytes: &[u8]) -> Result<Self, UserError> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, bytes).map_err(|_| damaged())?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Reads the key's file, or makes one when there is none and `may_make` allows it.
    ///
    /// # Errors
    /// `seal-key-damaged`; `seal-key-missing`: there is none, and something was sealed with it.
    pub fn open(path: &Path, may_make: impl FnOnce() -> bool) -> Result<Self, UserError> {
        if let Some(text) = files::read(path, 4096)? {
            let text = Zeroizing::new(text);
            let text = std::str::from_utf8(&text).map_err(|_| damaged())?;
            let bytes = Zeroizing::new(hex::decode(text.trim()).map_err(|_| damaged())?);
            return Self::new(&bytes);
        }
        if !may_make() {
            let message = "The key that the identities are encrypted with is missing: seal.key.";
            return Err(UserError::new("seal-key-missing", message)
                .hint("Put the file back from a backup; nothing was changed."));
        }
        let bytes = Zeroizing::new(random::bytes::<32>()?);
        let text = Zeroizing::new(hex::encode(bytes.as_slice()) + "\n");
        files::write(path, text.as_bytes())?;
        Self::new(bytes.as_slice())
    }

    /// Seals bytes. `about` is not hidden, but the same must be said to open them.
    ///
    /// # Errors
    /// `random-unavailable`.
    pub fn seal(&self, about: &[u8], secret: &[u8]) -> Result<Vec<u8>, UserError> {
        let nonce = random::bytes::<NONCE_LEN>()?;
        let mut sealed = nonce.to_vec();
        let mut text = secret.to_vec();
        let key = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(key, Aad::from(about), &mut text).map_err(|_| {
            UserError::new("seal-failed", "The secret could not be encrypted.")
                .hint("Try again; please report it if it stays so.")
        })?;
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// Opens what was sealed; nothing when it was sealed with another key, about something else,
    /// or was changed.
    #[must_use]
    pub fn open_sealed(&self, about: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self.0.open_in_place(nonce, Aad::from(about), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

fn damaged() -> UserError {
    UserError::new("seal-key-damaged", "seal.key is damaged: it does not hold 32 bytes in hex.")
        .hint("Put the file back from a backup; nothing was changed.")
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}
