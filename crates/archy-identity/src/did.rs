//! Ed25519 keys as `did:key`: of the node and of each identity.
//!
//! The method is <https://w3c-ccg.github.io/did-key-spec/>: multibase `z` (base58btc) over the
//! multicodec prefix `ed01` and the 32 bytes of the public key.

use std::fmt;

use archy_types::UserError;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use zeroize::Zeroizing;

/// Multicodec of an Ed25519 public key.
const MULTICODEC: [u8; 2] = [0xed, 0x01];
const PREFIX: &str = "did:key:z";
const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// Longest text that is looked at as a did: a key's has 56 characters.
const MAX_DID: usize = 128;

/// A secret Ed25519 key. It does not print, and is wiped when dropped.
pub struct DidKey {
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
}

impl DidKey {
    /// The key of 32 secret bytes (the seed of RFC 8032).
    #[must_use]
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).ok()?;
        Some(Self { seed, pair })
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> DidPublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        DidPublicKey(bytes)
    }

    /// Signs bytes; the signature has 64 bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.pair.sign(message).as_ref());
        bytes
    }

    /// The 32 secret bytes; name it at the one place that hands them over.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.seed
    }
}

impl fmt::Debug for DidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DidKey({})", self.public())
    }
}

/// A public Ed25519 key. Prints as `did:key:z6Mk…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DidPublicKey([u8; 32]);

impl DidPublicKey {
    /// Wraps the 32 bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads `did:key:z6Mk…`.
    ///
    /// # Errors
    /// `did-invalid`.
    pub fn parse(did: &str) -> Result<Self, UserError> {
        let invalid = || {
            UserError::new("did-invalid", "Invalid did: it is not a did:key of an Ed25519 key.")
                .hint("A did of this kind begins with did:key:z6Mk.")
        };
        if did.len() > MAX_DID {
            return Err(invalid());
        }
        let text = did.strip_prefix(PREFIX).ok_or_else(invalid)?;
        let bytes = base58_decode(text).ok_or_else(invalid)?;
        let key = bytes.strip_prefix(&MULTICODEC).ok_or_else(invalid)?;
        key.try_into().map(Self).map_err(|_| invalid())
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The bytes as lower-case hex.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// True when `signature` is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Display for DidPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(34);
        bytes.extend_from_slice(&MULTICODEC);
        bytes.extend_from_slice(&self.0);
        write!(f, "{PREFIX}{}", base58_encode(&bytes))
    }
}

impl fmt::Debug for DidPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Base58 with Bitcoin's alphabet. Digits of a number, so quadratic: for keys, not for texts.
fn base58_encode(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut digits: Vec<u8> = Vec::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = low(carry % 58);
            carry /= 58;
        }
        while carry > 0 {
            digits.push(low(carry % 58));
            carry /= 58;
        }
    }
    let leading = std::iter::repeat_n('1', zeros);
    let rest = digits.iter().rev().map(|digit| char::from(BASE58[usize::from(*digit)]));
    leading.chain(rest).collect()
}

fn base58_decode(text: &str) -> Option<Vec<u8>> {
    let zeros = text.bytes().take_while(|byte| *byte == b'1').count();
    let mut bytes: Vec<u8> = Vec::with_capacity(text.len());
    for character in text.bytes() {
        let digit = BASE58.iter().position(|known| *known == character)?;
        let mut carry = u32::try_from(digit).ok()?;
        for byte in &mut bytes {
            carry += u32::from(*byte) * 58;
            *byte = low(carry & 0xff);
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push(low(carry & 0xff));
            carry >>= 8;
        }
    }
    bytes.extend(std::iter::repeat_n(0, zeros));
    bytes.reverse();
    Some(bytes)
}

/// The low byte of a number.
const fn low(number: u32) -> u8 {
    number.to_le_bytes()[0]
}

#[cfg(test)]
mod tests;
