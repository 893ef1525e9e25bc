//! Messages for one reader: NIP-44, and NIP-04 where others still use it.

use archy_types::UserError;
use nostr::key::{Keys, PublicKey};
use nostr::nips::{nip04, nip44};
use serde::{Deserialize, Serialize};

/// Longest text, in bytes: what version 2 of NIP-44 pads.
pub const MAX_PLAINTEXT: usize = 65_535;
/// Longest ciphertext, in bytes.
pub const MAX_CIPHERTEXT: usize = 132_000;

/// How a message is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// NIP-04: AES-CBC without authentication, for old apps.
    Nip04,
    /// NIP-44, version 2.
    Nip44,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Text to ciphertext.
    Encrypt,
    /// Ciphertext to text.
    Decrypt,
}

/// Refuses texts that are too long, before any work.
///
/// # Errors
/// `cipher-too-long`, `cipher-empty`.
pub fn check(direction: Direction, scheme: Scheme, text: &str) -> Result<(), UserError> {
    let limit = match direction {
        Direction::Encrypt => MAX_PLAINTEXT,
        Direction::Decrypt => MAX_CIPHERTEXT,
    };
    if text.len() > limit {
        return Err(UserError::new("cipher-too-long", "Invalid text: it is too long.")
            .hint(format!("At most {limit} bytes.")));
    }
    let needs_text = direction == Direction::Decrypt || scheme == Scheme::Nip44;
    if text.is_empty() && needs_text {
        return Err(UserError::new("cipher-empty", "Invalid text: it is empty.")
            .hint("Send at least one character."));
    }
    Ok(())
}

/// Encrypts or decrypts between a local key and a peer.
///
/// # Errors
/// As [`check`]; `cipher-undecryptable`: it was not written between these two keys, or changed.
pub fn run(
    keys: &Keys,
    peer: &PublicKey,
    direction: Direction,
    scheme: Scheme,
    text: &str,
) -> Result<String, UserError> {
    check(direction, scheme, text)?;
    let secret = keys.secret_key();
    let done = match (direction, scheme) {
        (Direction::Encrypt, Scheme::Nip04) => nip04::encrypt(secret, peer, text),
        (Direction::Decrypt, Scheme::Nip04) => nip04::decrypt(secret, peer, text),
        (Direction::Encrypt, Scheme::Nip44) => {
            nip44::encrypt(secret, peer, text, nip44::Version::default())
        }
        (Direction::Decrypt, Scheme::Nip44) => nip44::decrypt(secret, peer, text),
    };
    done.map_err(|_| match direction {
        Direction::Encrypt => UserError::new("pubkey-invalid", "Invalid public key of the peer.")
            .hint("Give 64 hex digits or an npub."),
        Direction::Decrypt => {
            UserError::new("cipher-undecryptable", "Invalid ciphertext: it does not open.")
                .hint("It was written for another identity, by another peer, or was changed.")
        }
    })
}

#[cfg(test)]
mod tests;
