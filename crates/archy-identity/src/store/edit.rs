//! Changes to the identities.

use archy_types::{Timestamp, UserError};
use nostr::key::{Keys, PublicKey, SecretKey};
use nostr::nips::nip19::ToBech32 as _;
use serde_json::Value;
use zeroize::Zeroizing;

use super::load::{self, DEFAULT};
use super::{
    All, Entry, Identities, Identity, MAX_IDENTITIES, MAX_NAME, NODE_ID, not_found, shown,
};
use crate::did::{DidKey, DidPublicKey};
use crate::record::{FileRecord, LinkedSigner, NostrKey, Purpose, Secrets};
use crate::seed::MAX_INDEX;
use crate::{files, random};

/// Largest profile, in bytes of JSON.
const MAX_PROFILE: usize = 32 * 1024;
/// Holds the least index that no identity ever had: a deleted one's key comes never back by itself.
const NEXT_INDEX: &str = ".next-index";

/// Shows that the owner gave the password a moment ago. There is no other way to make one.
#[derive(Debug)]
pub struct Verified(());

impl Verified {
    /// Asks the check.
    ///
    /// # Errors
    /// `password-incorrect`.
    pub fn by(check: impl FnOnce() -> bool) -> Result<Self, UserError> {
        if check() {
            Ok(Self(()))
        } else {
            Err(UserError::new("password-incorrect", "Password Incorrect")
                .hint("Try again; 5 attempts a minute are allowed."))
        }
    }
}

/// Secret keys of an identity, on their way to the owner. It does not print.
pub struct Exported {
    /// Nostr key as `nsec1…`.
    pub nsec: Zeroizing<String>,
    /// The same in hex.
    pub nostr_secret_hex: Zeroizing<String>,
    /// Ed25519 key in hex (the seed of RFC 8032).
    pub did_secret_hex: Zeroizing<String>,
}

impl std::fmt::Debug for Exported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exported(…)")
    }
}

impl Identities {
    /// Makes an identity. Its keys derive from the recovery seed: from an index that no identity
    /// ever had, or from `index` (to get an identity back). The first identity becomes the default.
    ///
    /// # Errors
    /// `identity-name-invalid`, `identity-key-taken`, `identity-limit`, `seed-index-invalid`, or
    /// the file cannot be written.
    pub fn create(
        &self,
        name: &str,
        purpose: Purpose,
        index: Option<u32>,
        now: Timestamp,
    ) -> Result<Identity, UserError> {
        let name = valid_name(name)?;
        if let Some(index) = index.filter(|index| *index > MAX_INDEX) {
            return Err(crate::seed::SeedError::Index(index).into());
        }
        let seed = self.keeper.seed_or_new()?;
        let node = self.node_public();
        let mut all = self.lock();
        all.check_room()?;
        let free = self.next_index(&all)?;
        let key = seed.identity_key(index.unwrap_or(free))?;
        if all.holds(key.nostr.public_key()) {
            return Err(taken());
        }
        // counts as taken even when what follows fails
        self.note_index(free.max(key.index.saturating_add(1)))?;
        let index = key.index;
        let mut record = self.record(name, purpose, now);
        record.derivation_index = Some(index);
        let secrets = Secrets { did: key.did, nostr: NostrKey::Local(key.nostr) };
        self.insert(&mut all, node, record, secrets)
    }

    /// The least index that no identity ever had.
    fn next_index(&self, all: &All) -> Result<u32, UserError> {
        let used = all.entries.values().filter_map(|entry| entry.record.derivation_index).max();
        let noted = files::read(&self.dirs.identities.join(NEXT_INDEX), 64)?;
        let noted = noted.and_then(|text| String::from_utf8(text).ok()?.trim().parse().ok());
        Ok(noted.unwrap_or(0).max(used.map_or(0, |used| used.saturating_add(1))))
    }

    fn note_index(&self, next: u32) -> Result<(), UserError> {
        let path = self.dirs.identities.join(NEXT_INDEX);
        Ok(files::write(&path, format!("{next}\n").as_bytes())?)
    }

    /// Takes a Nostr key that was made elsewhere: `nsec1…` or 64 hex digits.
    ///
    /// # Errors
    /// `nsec-invalid`, `identity-key-taken`, and as [`Self::create`].
    pub fn import(
        &self,
        name: &str,
        purpose: Purpose,
        nsec: &str,
        now: Timestamp,
    ) -> Result<Identity, UserError> {
        let name = valid_name(name)?;
        let secret = SecretKey::parse(nsec.trim()).map_err(|_| {
            UserError::new("nsec-invalid", "Invalid key: it is neither an nsec nor 64 hex digits.")
                .hint("Copy the whole key; it begins with nsec1.")
        })?;
        let secrets = Secrets { did: new_did()?, nostr: NostrKey::Local(Keys::new(secret)) };
        let node = self.node_public();
        let mut all = self.lock();
        self.insert(&mut all, node, self.record(name, purpose, now), secrets)
    }

    /// Adds an identity whose events a linked signer signs. The caller has seen its proof.
    ///
    /// # Errors
    /// As [`Self::import`].
    pub fn link(
        &self,
        name: &str,
        purpose: Purpose,
        link: LinkedSigner,
        now: Timestamp,
    ) -> Result<Identity, UserError> {
        let name = valid_name(name)?;
        let secrets = Secrets { did: new_did()?, nostr: NostrKey::Linked(Box::new(link)) };
        let node = self.node_public();
        let mut all = self.lock();
        self.insert(&mut all, node, self.record(name, purpose, now), secrets)
    }

    /// Renames an identity.
    ///
    /// # Errors
    /// `identity-name-invalid`, `identity-not-found`.
    pub fn rename(&self, id: &str, name: &str) -> Result<Identity, UserError> {
        let name = valid_name(name)?;
        self.change(id, |record| record.name = name)
    }

    /// Changes what an identity is for.
    ///
    /// # Errors
    /// `identity-not-found`.
    pub fn set_purpose(&self, id: &str, purpose: Purpose) -> Result<Identity, UserError> {
        self.change(id, |record| record.purpose = purpose.word().to_owned())
    }

    /// Changes what the owner publishes about an identity.
    ///
    /// # Errors
    /// `profile-invalid`, `identity-not-found`.
    pub fn set_profile(&self, id: &str, profile: Option<Value>) -> Result<Identity, UserError> {
        let fits = |value: &Value| value.is_object() && value.to_string().len() <= MAX_PROFILE;
        if profile.as_ref().is_some_and(|value| !fits(value)) {
            return Err(UserError::new(
                "profile-invalid",
                "Invalid profile: it is no object, or too large.",
            )
            .hint(format!("Send an object of at most {MAX_PROFILE} bytes.")));
        }
        self.change(id, |record| record.profile = profile)
    }

    /// Makes an identity the default.
    ///
    /// # Errors
    /// `identity-not-found`.
    pub fn set_default(&self, id: &str) -> Result<Identity, UserError> {
        let mut all = self.lock();
        if !all.entries.contains_key(id) {
            return Err(not_found(id));
        }
        self.write_default(&mut all, Some(id))?;
        let entry = all.entries.get(id).ok_or_else(|| not_found(id))?;
        Ok(shown(entry, Some(id)))
    }

    /// Deletes an identity. Its index below the seed is never given to another one.
    ///
    /// # Errors
    /// `identity-not-found`; `identity-is-node`.
    pub fn delete(&self, id: &str) -> Result<(), UserError> {
        let mut all = self.lock();
        if id == NODE_ID {
            return Err(UserError::new(
                "identity-is-node",
                "Invalid id: the node's own identity stays.",
            )
            .hint("It derives from the recovery seed."));
        }
        if !all.entries.contains_key(id) {
            return Err(not_found(id));
        }
        if all.default.as_deref() == Some(id) {
            self.write_default(&mut all, None)?;
        }
        files::remove(&self.path(id))?;
        all.entries.remove(id);
        Ok(())
    }

    /// Gives an identity a Nostr key, when it has none.
    ///
    /// # Errors
    /// `identity-linked`, `identity-key-exists`, `identity-not-found`.
    pub fn create_nostr_key(&self, id: &str) -> Result<Identity, UserError> {
        let mut all = self.lock();
        let entry = all.entries.get(id).ok_or_else(|| not_found(id))?;
        match &entry.secrets.nostr {
            NostrKey::Linked(_) => return Err(linked("cannot get a Nostr key of their own")),
            NostrKey::Local(_) => {
                return Err(UserError::new(
                    "identity-key-exists",
                    "Already exists: it has a Nostr key.",
                )
                .hint("Create another identity for another key."));
            }
            NostrKey::None => {}
        }
        let secrets = Secrets {
            did: DidKey::from_seed(Zeroizing::new(*entry.secrets.did.expose()))
                .ok_or_else(no_key)?,
            nostr: NostrKey::Local(Keys::generate()),
        };
        let mut record = entry.record.clone();
        record.seal(&self.key, &secrets)?;
        load::save(&self.path(id), &record)?;
        let entry = Entry { record, secrets };
        let identity = shown(&entry, all.default.as_deref());
        all.entries.insert(id.to_owned(), entry);
        Ok(identity)
    }

    /// Gives the owner the secret keys of an identity.
    ///
    /// # Errors
    /// `identity-linked`: the key is somewhere else; `identity-not-found`, `identity-no-nostr-key`.
    pub fn export(&self, id: &str, _verified: &Verified) -> Result<Exported, UserError> {
        let all = self.lock();
        let entry = all.entries.get(id).ok_or_else(|| not_found(id))?;
        let keys = match &entry.secrets.nostr {
            NostrKey::Local(keys) => keys,
            NostrKey::Linked(_) => return Err(linked("cannot be exported: the key is not here")),
            NostrKey::None => {
                return Err(UserError::new(
                    "identity-no-nostr-key",
                    "Missing key: it has no Nostr key.",
                )
                .hint("Make one with identity.create-nostr-key."));
            }
        };
        let nsec = keys.secret_key().to_bech32().map_err(|_| no_key())?;
        Ok(Exported {
            nsec: Zeroizing::new(nsec),
            nostr_secret_hex: Zeroizing::new(keys.secret_key().to_secret_hex()),
            did_secret_hex: Zeroizing::new(hex::encode(entry.secrets.did.expose())),
        })
    }

    fn record(&self, name: String, purpose: Purpose, now: Timestamp) -> FileRecord {
        FileRecord::new(uuid::Uuid::new_v4().to_string(), name, purpose, rfc3339(now))
    }

    /// Seals and saves a new identity.
    fn insert(
        &self,
        all: &mut All,
        node: Option<(DidPublicKey, PublicKey)>,
        mut record: FileRecord,
        secrets: Secrets,
    ) -> Result<Identity, UserError> {
        all.check_room()?;
        let public = secrets.nostr.public();
        let of_node = |key| node.is_some_and(|(_, node)| node == key);
        if public.is_some_and(|key| all.holds(key) || of_node(key)) {
            return Err(taken());
        }
        record.seal(&self.key, &secrets)?;
        load::save(&self.path(&record.id), &record)?;
        let id = record.id.clone();
        if all.entries.is_empty() {
            self.write_default(all, Some(&id))?;
        }
        let entry = Entry { record, secrets };
        let identity = shown(&entry, all.default.as_deref());
        all.entries.insert(id, entry);
        Ok(identity)
    }

    /// Changes what is public, on the disk first.
    fn change(
        &self,
        id: &str,
        change: impl FnOnce(&mut FileRecord),
    ) -> Result<Identity, UserError> {
        let mut all = self.lock();
        let default = all.default.clone();
        let entry = all.entries.get_mut(id).ok_or_else(|| not_found(id))?;
        let mut record = entry.record.clone();
        change(&mut record);
        load::save(&self.path(id), &record)?;
        entry.record = record;
        Ok(shown(entry, default.as_deref()))
    }

    fn write_default(&self, all: &mut All, id: Option<&str>) -> Result<(), UserError> {
        let path = self.dirs.identities.join(DEFAULT);
        match id {
            Some(id) => files::write(&path, format!("{id}\n").as_bytes())?,
            None => files::remove(&path)?,
        }
        all.default = id.map(str::to_owned);
        Ok(())
    }
}

impl All {
    fn check_room(&self) -> Result<(), UserError> {
        if self.entries.len() < MAX_IDENTITIES {
            return Ok(());
        }
        Err(UserError::new(
            "identity-limit",
            format!("There are {MAX_IDENTITIES} identities already."),
        )
        .hint("Delete one that is not needed."))
    }
}

/// A name of 1 to 100 characters, without those that do not show.
pub(crate) fn valid_name(name: &str) -> Result<String, UserError> {
    let name = name.trim();
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME || name.chars().any(char::is_control) {
        let message = format!("Invalid name: it must have 1 to {MAX_NAME} characters.");
        return Err(
            UserError::new("identity-name-invalid", message).hint("Leave out control characters.")
        );
    }
    Ok(name.to_owned())
}

fn new_did() -> Result<DidKey, UserError> {
    DidKey::from_seed(Zeroizing::new(random::bytes::<32>()?)).ok_or_else(no_key)
}

fn no_key() -> UserError {
    UserError::new("key-failed", "The key could not be made.").hint("Try again.")
}

pub(crate) fn taken() -> UserError {
    UserError::new("identity-key-taken", "Already exists: an identity of this node has this key.")
        .hint("Use that identity, or delete it first.")
}

/// The answer for what a linked identity cannot do; clients know its first words.
pub(crate) fn linked(what: &str) -> UserError {
    UserError::new("identity-linked", format!("linked identities {what}"))
        .hint("Use the app that holds the key.")
}

/// A moment in the words of RFC 3339.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| String::new(), |at| at.to_string())
}
