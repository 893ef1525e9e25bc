//! The identities of a node: one file each, the default, the node's own.
//!
//! Calls block on the disk. One lock guards all of them; a file is written whole or not at all, and
//! memory changes after the disk did. A file that does not open is named and left as it is.

mod edit;
mod load;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use archy_types::UserError;
use nostr::key::{Keys, PublicKey};
use nostr::nips::nip19::ToBech32 as _;
use serde_json::Value;

use crate::did::DidPublicKey;
use crate::files;
use crate::keeper::SeedKeeper;
use crate::record::{FileRecord, LinkedSigner, NostrKey, Origin, Purpose, Secrets};
use crate::seal::SealKey;

pub use edit::rfc3339;
pub use edit::{Exported, Verified};
pub(crate) use edit::{linked, taken, valid_name};
pub use load::Damaged;

/// Id that the node's own identity is listed under.
pub const NODE_ID: &str = "node-identity";
/// Most identities.
pub const MAX_IDENTITIES: usize = 256;
/// Longest name, in characters.
pub const MAX_NAME: usize = 100;

/// Directories of the store; both get mode 0700.
#[derive(Debug, Clone)]
pub struct Dirs {
    /// One file per identity: `<data>/identities`.
    pub identities: PathBuf,
    /// The seed and the key that secrets are sealed with: `<data>/identity`.
    pub node: PathBuf,
}

impl Dirs {
    /// The usual places in a data directory.
    #[must_use]
    pub fn below(data: &std::path::Path) -> Self {
        Self { identities: data.join("identities"), node: data.join("identity") }
    }

    /// The key that secrets are sealed with; one is made when nothing was sealed yet.
    ///
    /// # Errors
    /// `seal-key-missing`, `seal-key-damaged`.
    pub(crate) fn seal_key(&self) -> Result<SealKey, UserError> {
        SealKey::open(&self.node.join("seal.key"), || {
            let all = files::list(&self.identities, ".json").unwrap_or_default();
            !crate::keeper::is_sealed(self) && !load::any_sealed(&all)
        })
    }
}

/// All identities.
#[derive(Debug)]
pub struct Identities {
    dirs: Dirs,
    key: Arc<SealKey>,
    keeper: SeedKeeper,
    all: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    entries: BTreeMap<String, Entry>,
    default: Option<String>,
    damaged: Vec<Damaged>,
    /// Public keys of the node, and the state of the seed's file that they were derived from.
    node: Option<([u8; 32], DidPublicKey, PublicKey)>,
}

#[derive(Debug)]
struct Entry {
    record: FileRecord,
    secrets: Secrets,
}

/// An identity as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// A UUID, or [`NODE_ID`].
    pub id: String,
    /// Name for people.
    pub name: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Ed25519 key in hex.
    pub pubkey: String,
    /// The same as `did:key`.
    pub did: String,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// It is taken where none is named.
    pub is_default: bool,
    /// It is the node's own.
    pub is_node: bool,
    /// Nostr key in hex.
    pub nostr_pubkey: Option<String>,
    /// The same as `npub`.
    pub nostr_npub: Option<String>,
    /// What the owner publishes about it.
    pub profile: Option<Value>,
    /// Where the Nostr key comes from.
    pub origin: Origin,
    /// Index below the recovery seed.
    pub derivation_index: Option<u32>,
    /// The linked signer.
    pub signer: Option<SignerInfo>,
}

/// A linked signer as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerInfo {
    /// Key of the signer itself.
    pub remote_signer_pubkey: String,
    /// Where it is met.
    pub relays: Vec<String>,
}

/// Who signs for an identity.
#[derive(Debug, Clone)]
pub enum Signs {
    /// This node.
    Local(Keys),
    /// A linked signer.
    Linked(Box<LinkedSigner>),
}

impl Signs {
    /// The Nostr key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        match self {
            Self::Local(keys) => keys.public_key(),
            Self::Linked(link) => link.user,
        }
    }
}

impl Identities {
    /// Reads all identities. A damaged file stops none of the others; see [`Self::damaged`].
    ///
    /// # Errors
    /// A directory cannot be used; `seal-key-missing`, `seal-key-damaged`, `seed-unreadable`.
    pub fn open(dirs: Dirs) -> Result<Self, UserError> {
        files::private_dir(&dirs.identities)?;
        files::private_dir(&dirs.node)?;
        let key = Arc::new(dirs.seal_key()?);
        let keeper = SeedKeeper::new(dirs.clone());
        keeper.standing()?;
        let all = load::all(&dirs, &key)?;
        Ok(Self { dirs, key, keeper, all: Mutex::new(all) })
    }

    /// The recovery seed.
    #[must_use]
    pub const fn seed(&self) -> &SeedKeeper {
        &self.keeper
    }

    /// Takes the seed of an earlier node; see [`SeedKeeper::restore`].
    ///
    /// # Errors
    /// `seed-in-use`.
    pub fn restore_seed(&self, seed: crate::seed::Seed) -> Result<(), UserError> {
        let all = self.lock();
        let in_use = all.entries.values().any(|e| e.record.derivation_index.is_some());
        self.keeper.restore(seed, in_use)
    }

    /// Files that could not be opened.
    #[must_use]
    pub fn damaged(&self) -> Vec<Damaged> {
        self.lock().damaged.clone()
    }

    /// The node's own identity first, when there is a seed; then all others by the time that they
    /// were made.
    #[must_use]
    pub fn list(&self) -> Vec<Identity> {
        let all = self.lock();
        let mut list: Vec<Identity> =
            all.entries.values().map(|entry| shown(entry, all.default.as_deref())).collect();
        list.sort_by(|a, b| (&a.created_at, &a.id).cmp(&(&b.created_at, &b.id)));
        drop(all);
        list.splice(0..0, self.node_identity());
        list
    }

    /// One identity.
    ///
    /// # Errors
    /// `identity-not-found`.
    pub fn get(&self, id: &str) -> Result<Identity, UserError> {
        if id == NODE_ID
            && let Some(node) = self.node_identity()
        {
            return Ok(node);
        }
        let all = self.lock();
        let entry = all.entries.get(id).ok_or_else(|| not_found(id))?;
        Ok(shown(entry, all.default.as_deref()))
    }

    /// Id of the default identity.
    #[must_use]
    pub fn default_id(&self) -> Option<String> {
        self.lock().default.clone()
    }

    /// Who signs for an identity; the default one where none is named. The node's own identity
    /// does not sign for apps.
    ///
    /// # Errors
    /// `identity-not-found`, `identity-none`, `identity-no-nostr-key`.
    pub fn signs(&self, id: Option<&str>) -> Result<(String, Signs), UserError> {
        let all = self.lock();
        let id = match id {
            Some(id) => id.to_owned(),
            None => all.default.clone().ok_or_else(|| {
                UserError::new("identity-none", "Missing identity: there is no default one.")
                    .hint("Create one on the identities page, or choose a default.")
            })?,
        };
        let entry = all.entries.get(&id).ok_or_else(|| not_found(&id))?;
        let signs = match &entry.secrets.nostr {
            NostrKey::Local(keys) => Signs::Local(keys.clone()),
            NostrKey::Linked(link) => Signs::Linked(link.clone()),
            NostrKey::None => {
                return Err(UserError::new(
                    "identity-no-nostr-key",
                    format!("Missing key: {} has no Nostr key.", entry.record.name),
                )
                .hint("Make one with identity.create-nostr-key."));
            }
        };
        Ok((id, signs))
    }

    /// Signs bytes with an identity's did key, or the node's for [`NODE_ID`].
    ///
    /// # Errors
    /// `identity-not-found`, `seed-missing`.
    pub fn did_sign(
        &self,
        id: &str,
        message: &[u8],
    ) -> Result<(DidPublicKey, [u8; 64]), UserError> {
        if id == NODE_ID {
            let key = self.keeper.seed()?.node_key()?;
            return Ok((key.public(), key.sign(message)));
        }
        let all = self.lock();
        let entry = all.entries.get(id).ok_or_else(|| not_found(id))?;
        Ok((entry.secrets.did.public(), entry.secrets.did.sign(message)))
    }

    /// The node's discovery key. It is made from the seed, and a seed is made when there is none.
    ///
    /// # Errors
    /// The seed cannot be saved.
    pub fn node_keys(&self) -> Result<Keys, UserError> {
        Ok(self.keeper.seed_or_new()?.node_nostr_key()?)
    }

    /// Nostr keys that apps may be signed for: lower-case hex, sorted, each once. Never makes keys.
    #[must_use]
    pub fn signable_pubkeys(&self) -> Vec<String> {
        let node = self.node_public().map(|(did, _)| did.hex());
        let all = self.lock();
        let signable = |entry: &&Entry| {
            node.as_deref() != Some(entry.record.pubkey_hex.as_str())
                && !entry.record.id.starts_with("node-")
                && entry.record.name.trim().to_lowercase() != "node"
        };
        let mut keys: Vec<String> = all
            .entries
            .values()
            .filter(signable)
            .filter_map(|entry| Some(entry.secrets.nostr.public()?.to_hex()))
            .collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// The node's discovery key in hex, when there is a seed. Never makes one.
    #[must_use]
    pub fn node_pubkey(&self) -> Option<String> {
        self.node_public().map(|(_, nostr)| nostr.to_hex())
    }

    /// True when an identity or the node has this Nostr key.
    #[must_use]
    pub fn holds(&self, key: PublicKey) -> bool {
        self.lock().holds(key) || self.node_public().is_some_and(|(_, node)| node == key)
    }

    /// Public keys of the node, when there is a seed.
    fn node_public(&self) -> Option<(DidPublicKey, PublicKey)> {
        let mark = self.keeper.mark()?;
        if let Some((known, did, nostr)) = self.lock().node
            && known == mark
        {
            return Some((did, nostr));
        }
        let seed = self.keeper.seed().ok()?;
        let did = seed.node_key().ok()?.public();
        let nostr = seed.node_nostr_key().ok()?.public_key();
        self.lock().node = Some((mark, did, nostr));
        Some((did, nostr))
    }

    fn node_identity(&self) -> Option<Identity> {
        let (did, nostr) = self.node_public()?;
        Some(Identity {
            id: NODE_ID.to_owned(),
            name: "Node".to_owned(),
            purpose: Purpose::Personal,
            pubkey: did.hex(),
            did: did.to_string(),
            created_at: String::new(),
            is_default: false,
            is_node: true,
            nostr_pubkey: Some(nostr.to_hex()),
            nostr_npub: npub(&nostr),
            profile: None,
            origin: Origin::Seed,
            derivation_index: None,
            signer: None,
        })
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, id: &str) -> PathBuf {
        self.dirs.identities.join(format!("{id}.json"))
    }
}

impl All {
    fn holds(&self, key: PublicKey) -> bool {
        self.entries.values().any(|entry| entry.secrets.nostr.public() == Some(key))
    }
}

fn shown(entry: &Entry, default: Option<&str>) -> Identity {
    let (record, secrets) = (&entry.record, &entry.secrets);
    let public = secrets.nostr.public();
    let signer = match &secrets.nostr {
        NostrKey::Linked(link) => Some(SignerInfo {
            remote_signer_pubkey: link.remote.to_hex(),
            relays: link.relays.clone(),
        }),
        _ => None,
    };
    Identity {
        id: record.id.clone(),
        name: record.name.clone(),
        purpose: Purpose::of(&record.purpose),
        pubkey: secrets.did.public().hex(),
        did: secrets.did.public().to_string(),
        created_at: record.created_at.clone(),
        is_default: default == Some(record.id.as_str()),
        is_node: false,
        nostr_pubkey: public.map(|key| key.to_hex()),
        nostr_npub: public.and_then(|key| npub(&key)),
        profile: record.profile.clone(),
        origin: record.origin(),
        derivation_index: record.derivation_index,
        signer,
    }
}

/// A public key as `npub1…`.
#[must_use]
pub fn npub(key: &PublicKey) -> Option<String> {
    key.to_bech32().ok()
}

fn not_found(id: &str) -> UserError {
    let shown: String = id.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
    UserError::new("identity-not-found", format!("Not found: there is no identity {shown}."))
        .hint("identity.list shows them all.")
}

#[cfg(test)]
mod tests;
