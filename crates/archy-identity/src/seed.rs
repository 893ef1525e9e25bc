//! The recovery seed: 24 words of BIP-39, and the keys that derive from them.
//!
//! | Key | Derived how |
//! |---|---|
//! | node key (Ed25519) | HKDF-SHA-256 over the BIP-39 seed, label `archipelago/node-did/v1` |
//! | node's discovery key (Nostr) | HKDF, label `archipelago/node-nostr/v1` |
//! | identity n, Nostr | NIP-06: `m/44'/1237'/n'/0/0` |
//! | identity n, Ed25519 | HKDF, label `archipelago/identity-did/v1/n` |
//! | backup key | HKDF, label `archipelago/backup/v1` |
//!
//! The BIP-39 seed is the one of an empty passphrase. Labels are final: a changed label is another
//! key, and what the old one protected is lost.

use std::fmt;

use archy_types::UserError;
use bip39::{Language, Mnemonic};
use nostr::key::{Keys, SecretKey};
use nostr::nips::nip06::FromMnemonic as _;
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::did::DidKey;
use crate::random;

/// Words of a seed.
pub const WORDS: usize = 24;
/// Accounts of NIP-06 are hardened, so they end here.
pub const MAX_INDEX: u32 = (1 << 31) - 1;
/// Longest text that is looked at as a seed: 24 words have at most 215 characters.
const MAX_TEXT: usize = 2048;
const SALT: &[u8] = b"archipelago/seed/v1";
const NODE_DID: &str = "archipelago/node-did/v1";
const NODE_NOSTR: &str = "archipelago/node-nostr/v1";
const IDENTITY_DID: &str = "archipelago/identity-did/v1";
const BACKUP: &str = "archipelago/backup/v1";

/// A recovery seed. It does not print, and is wiped when dropped.
#[derive(Clone)]
pub struct Seed(Mnemonic);

/// Why words are not a seed. No message repeats a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// Not 24 words.
    #[error("Invalid seed: it has {0} words, not {WORDS}.")]
    Count(usize),
    /// A word is not in the list; counted from one.
    #[error("Invalid seed: word {0} is not one of the list.")]
    Word(usize),
    /// All words are of the list, but they do not belong together.
    #[error("Invalid seed: the words do not fit together.")]
    Checksum,
    /// The index is beyond [`MAX_INDEX`].
    #[error("Invalid index: {0} is beyond {MAX_INDEX}.")]
    Index(u32),
    /// A key could not be derived.
    #[error("The key could not be derived from the seed.")]
    Derive,
}

impl SeedError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Count(_) => "seed-word-count",
            Self::Word(_) => "seed-word-unknown",
            Self::Checksum => "seed-checksum",
            Self::Index(_) => "seed-index-invalid",
            Self::Derive => "seed-derivation-failed",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Count(_) => "Write all 24 words in their order, with spaces between them.",
            Self::Word(_) => "Look at that word again; its first four letters suffice.",
            Self::Checksum => "A word is wrong or two are swapped: compare each with your note.",
            Self::Index(_) => "Choose a smaller index.",
            Self::Derive => "Try another index.",
        }
    }
}

impl From<SeedError> for UserError {
    fn from(error: SeedError) -> Self {
        Self::new(error.code(), error.to_string()).hint(error.hint())
    }
}

impl Seed {
    /// A new seed of 256 random bits.
    ///
    /// # Errors
    /// `random-unavailable`.
    pub fn generate() -> Result<Self, UserError> {
        let entropy = Zeroizing::new(random::bytes::<32>()?);
        Ok(Self::from_entropy(&entropy)?)
    }

    /// The seed of 256 bits.
    ///
    /// # Errors
    /// None in practice: any 32 bytes are a seed.
    pub fn from_entropy(entropy: &[u8; 32]) -> Result<Self, SeedError> {
        let mnemonic = Mnemonic::from_entropy_in(Language::English, entropy);
        mnemonic.map(Self).map_err(|_| SeedError::Derive)
    }

    /// Reads 24 words: upper or lower case, white space of any kind, numbers before the words
    /// (`1. abandon`), and words cut to four letters or more.
    ///
    /// # Errors
    /// How many words there are, which is unknown, or that they do not fit together.
    pub fn parse(words: &str) -> Result<Self, SeedError> {
        if words.len() > MAX_TEXT {
            return Err(SeedError::Count(words.split_whitespace().count()));
        }
        let lower = Zeroizing::new(words.to_lowercase());
        let given: Vec<&str> =
            lower.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).collect();
        if given.len() != WORDS {
            return Err(SeedError::Count(given.len()));
        }
        let mut phrase = Zeroizing::new(String::with_capacity(MAX_TEXT));
        for (index, word) in given.iter().enumerate() {
            let known = known_word(word).ok_or(SeedError::Word(index + 1))?;
            if index > 0 {
                phrase.push(' ');
            }
            phrase.push_str(known);
        }
        let mnemonic = Mnemonic::parse_in_normalized(Language::English, &phrase);
        mnemonic.map(Self).map_err(|_| SeedError::Checksum)
    }

    /// The words in their order, to be shown to the owner.
    #[must_use]
    pub fn words(&self) -> Vec<&'static str> {
        self.0.words().collect()
    }

    /// The words as one text.
    #[must_use]
    pub fn phrase(&self) -> Zeroizing<String> {
        Zeroizing::new(self.words().join(" "))
    }

    /// The 32 bytes that the words stand for.
    #[must_use]
    pub fn entropy(&self) -> Zeroizing<[u8; 32]> {
        let (bytes, _) = self.0.to_entropy_array();
        let bytes = Zeroizing::new(bytes);
        let mut entropy = Zeroizing::new([0; 32]);
        entropy.copy_from_slice(&bytes[..32]);
        entropy
    }

    /// True when the word at this position (counted from one) is the given one: how the owner
    /// shows that the words were written down.
    #[must_use]
    pub fn has_word(&self, position: usize, word: &str) -> bool {
        let expected = position.checked_sub(1).and_then(|index| self.0.words().nth(index));
        let given = known_word(&Zeroizing::new(word.trim().to_lowercase()));
        expected.is_some() && expected == given
    }

    /// The node's own key: its `did:key`.
    ///
    /// # Errors
    /// `seed-derivation-failed`; not met in practice.
    pub fn node_key(&self) -> Result<DidKey, SeedError> {
        DidKey::from_seed(self.derive(&[NODE_DID.as_bytes()])?).ok_or(SeedError::Derive)
    }

    /// The node's discovery key on Nostr; no app ever signs with it.
    ///
    /// # Errors
    /// `seed-derivation-failed`; not met in practice.
    pub fn node_nostr_key(&self) -> Result<Keys, SeedError> {
        let bytes = self.derive(&[NODE_NOSTR.as_bytes()])?;
        let secret = SecretKey::from_slice(bytes.as_slice()).map_err(|_| SeedError::Derive)?;
        Ok(Keys::new(secret))
    }

    /// The keys of the identity with this index.
    ///
    /// # Errors
    /// The index is beyond [`MAX_INDEX`].
    pub fn identity_key(&self, index: u32) -> Result<IdentityKey, SeedError> {
        if index > MAX_INDEX {
            return Err(SeedError::Index(index));
        }
        let phrase = self.phrase();
        let nostr = Keys::from_mnemonic_with_account(phrase.as_str(), None, Some(index))
            .map_err(|_| SeedError::Derive)?;
        let number = index.to_string();
        let bytes = self.derive(&[IDENTITY_DID.as_bytes(), b"/", number.as_bytes()])?;
        let did = DidKey::from_seed(bytes).ok_or(SeedError::Derive)?;
        Ok(IdentityKey { index, nostr, did })
    }

    /// The key that backups are encrypted with.
    ///
    /// # Errors
    /// `seed-derivation-failed`; not met in practice.
    pub fn backup_key(&self) -> Result<BackupKey, SeedError> {
        Ok(BackupKey(self.derive(&[BACKUP.as_bytes()])?))
    }

    /// 32 bytes for a label.
    fn derive(&self, label: &[&[u8]]) -> Result<Zeroizing<[u8; 32]>, SeedError> {
        let seed = Zeroizing::new(self.0.to_seed_normalized(""));
        let prk: Prk = Salt::new(HKDF_SHA256, SALT).extract(seed.as_slice());
        let mut bytes = Zeroizing::new([0; 32]);
        prk.expand(label, Bytes32)
            .and_then(|okm| okm.fill(bytes.as_mut_slice()))
            .map_err(|_| SeedError::Derive)?;
        Ok(bytes)
    }
}

/// Length of what is derived.
struct Bytes32;

impl KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

/// The word of the list that is meant; four letters tell all words apart.
fn known_word(word: &str) -> Option<&'static str> {
    let list = Language::English;
    if let Some(index) = list.find_word(word) {
        return list.word_list().get(usize::from(index)).copied();
    }
    if word.chars().count() < 4 {
        return None;
    }
    match list.words_by_prefix(word) {
        [only] => Some(only),
        _ => None,
    }
}

impl PartialEq for Seed {
    fn eq(&self, other: &Self) -> bool {
        self.entropy().ct_eq(other.entropy().as_slice()).into()
    }
}

impl Eq for Seed {}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// Both keys of an identity.
pub struct IdentityKey {
    /// Index that they derive from.
    pub index: u32,
    /// The Nostr key.
    pub nostr: Keys,
    /// The Ed25519 key.
    pub did: DidKey,
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityKey").field("index", &self.index).finish_non_exhaustive()
    }
}

/// The key that backups are encrypted with. It does not print, and is wiped when dropped.
#[derive(Clone)]
pub struct BackupKey(Zeroizing<[u8; 32]>);

impl BackupKey {
    /// The bytes; name it at the one place that hands them over.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for BackupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackupKey(…)")
    }
}

#[cfg(test)]
mod tests;
