//! The recovery seed at rest: made once, shown until it was confirmed, then never again.
//!
//! The file is `seed.json` in the node's directory, sealed. A file in the clear, as earlier versions
//! wrote it, is read and sealed with the next change. Nothing is cached: whoever changes the file,
//! the next call sees it. Calls block on the disk.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use archy_types::UserError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::files;
use crate::seed::Seed;
use crate::store::Dirs;

const FILE: &str = "seed.json";
const ABOUT: &[u8] = b"seed";
const MAX_FILE: u64 = 64 * 1024;

/// Guards changes of the file, whichever keeper makes them.
static CHANGES: Mutex<()> = Mutex::new(());

/// How far the owner is with the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There is none.
    Missing,
    /// It is there; nobody has proved that it was written down, so it may be shown.
    Unconfirmed,
    /// It was written down, or brought along; it is never shown again.
    Confirmed,
}

/// Keeps the seed. Cheap to make; several keepers of one directory see the same seed.
#[derive(Debug, Clone)]
pub struct SeedKeeper {
    dirs: Dirs,
    path: PathBuf,
}

struct Kept {
    seed: Seed,
    confirmed: bool,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct File {
    sealed: String,
}

/// What is sealed, or in the clear in files of earlier versions.
#[derive(Serialize, Deserialize)]
struct Content {
    entropy: String,
    confirmed: bool,
}

impl Drop for Content {
    fn drop(&mut self) {
        self.entropy.zeroize();
    }
}

impl SeedKeeper {
    /// The keeper of these directories.
    #[must_use]
    pub fn new(dirs: Dirs) -> Self {
        let path = dirs.node.join(FILE);
        Self { dirs, path }
    }

    /// How far the owner is.
    ///
    /// # Errors
    /// `seed-unreadable`: the file is there but does not open. It is never taken for a node without
    /// a seed, and left as it is.
    pub fn standing(&self) -> Result<Standing, UserError> {
        Ok(match self.kept()? {
            None => Standing::Missing,
            Some(Kept { confirmed: false, .. }) => Standing::Unconfirmed,
            Some(_) => Standing::Confirmed,
        })
    }

    /// The seed, for deriving keys.
    ///
    /// # Errors
    /// `seed-missing`, `seed-unreadable`.
    pub fn seed(&self) -> Result<Seed, UserError> {
        self.kept()?.map(|kept| kept.seed).ok_or_else(missing)
    }

    /// The seed; one is made when there is none. It can be shown until it is confirmed.
    ///
    /// # Errors
    /// `seed-unreadable`, or it cannot be saved.
    pub fn seed_or_new(&self) -> Result<Seed, UserError> {
        let guard = lock();
        if let Some(kept) = self.kept()? {
            return Ok(kept.seed);
        }
        let new = Kept { seed: Seed::generate()?, confirmed: false };
        self.save(&new, &guard)?;
        Ok(new.seed)
    }

    /// The seed, to be shown to the owner; one is made when there is none. The same one is given
    /// until it is confirmed.
    ///
    /// # Errors
    /// `seed-confirmed`: it was written down and is never shown again.
    pub fn show(&self) -> Result<Seed, UserError> {
        if self.standing()? == Standing::Confirmed {
            return Err(confirmed());
        }
        self.seed_or_new()
    }

    /// Notes that the owner wrote the seed down: `proof` holds positions (from one) with the words
    /// there.
    ///
    /// # Errors
    /// `seed-missing`, `seed-confirmed`, or `seed-words-wrong`, which does not tell which word.
    pub fn confirm(&self, proof: &[(usize, &str)]) -> Result<(), UserError> {
        let guard = lock();
        let kept = self.kept()?.ok_or_else(missing)?;
        if kept.confirmed {
            return Err(confirmed());
        }
        let right = proof.iter().filter(|(at, word)| kept.seed.has_word(*at, word)).count();
        if proof.is_empty() || right != proof.len() {
            return Err(UserError::new(
                "seed-words-wrong",
                "Invalid words: one of them is another.",
            )
            .hint("Compare each with your note; the seed can be shown again."));
        }
        self.save(&Kept { confirmed: true, ..kept }, &guard)
    }

    /// Takes a seed that the owner brings along. `in_use`: identities derive from the present one.
    ///
    /// # Errors
    /// `seed-in-use`; `seed-confirmed`: another one was written down already.
    pub fn restore(&self, seed: Seed, in_use: bool) -> Result<(), UserError> {
        let guard = lock();
        match self.kept()? {
            Some(kept) if kept.seed == seed => {}
            Some(kept) if kept.confirmed => return Err(confirmed()),
            Some(_) if in_use => {
                let message = "Already exists: identities of this node come from another seed.";
                return Err(UserError::new("seed-in-use", message)
                    .hint("Confirm the present seed, or delete its identities first."));
            }
            _ => {}
        }
        self.save(&Kept { seed, confirmed: true }, &guard)
    }

    /// Tells one state of the file from another; nothing when there is none.
    pub(crate) fn mark(&self) -> Option<[u8; 32]> {
        let content = files::read(&self.path, MAX_FILE).ok()??;
        Some(Sha256::digest(&content).into())
    }

    fn kept(&self) -> Result<Option<Kept>, UserError> {
        let Some(text) = files::read(&self.path, MAX_FILE)?.map(Zeroizing::new) else {
            return Ok(None);
        };
        if let Ok(file) = serde_json::from_slice::<File>(&text) {
            let key = self.dirs.seal_key()?;
            let bytes = STANDARD.decode(&file.sealed).map_err(|_| unreadable())?;
            let content = key.open_sealed(ABOUT, &bytes).ok_or_else(unreadable)?;
            return opened(&content).map(Some);
        }
        opened(&text).map(Some)
    }

    fn save(&self, kept: &Kept, _guard: &MutexGuard<'_, ()>) -> Result<(), UserError> {
        let content = Content {
            entropy: hex::encode(kept.seed.entropy().as_slice()),
            confirmed: kept.confirmed,
        };
        let internal = |error: serde_json::Error| {
            UserError::new("internal", format!("The seed could not be written: {error}."))
        };
        let text = Zeroizing::new(serde_json::to_vec(&content).map_err(internal)?);
        files::private_dir(&self.dirs.node)?;
        let sealed = self.dirs.seal_key()?.seal(ABOUT, &text)?;
        let file = File { sealed: STANDARD.encode(sealed) };
        Ok(files::write(&self.path, &serde_json::to_vec(&file).map_err(internal)?)?)
    }
}

/// True when the seed of this directory is sealed.
pub(crate) fn is_sealed(dirs: &Dirs) -> bool {
    match files::read(&dirs.node.join(FILE), MAX_FILE) {
        Ok(None) => false,
        // what cannot be read may be sealed
        Err(_) => true,
        Ok(Some(text)) => serde_json::from_slice::<Content>(&text).is_err(),
    }
}

fn lock() -> MutexGuard<'static, ()> {
    CHANGES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn opened(text: &[u8]) -> Result<Kept, UserError> {
    let content: Content = serde_json::from_slice(text).map_err(|_| unreadable())?;
    let bytes = Zeroizing::new(hex::decode(&content.entropy).map_err(|_| unreadable())?);
    let entropy: Result<[u8; 32], _> = bytes.as_slice().try_into();
    let entropy = Zeroizing::new(entropy.map_err(|_| unreadable())?);
    Ok(Kept { seed: Seed::from_entropy(&entropy)?, confirmed: content.confirmed })
}

fn missing() -> UserError {
    UserError::new("seed-missing", "Missing: this node has no recovery seed yet.")
        .hint("Make one with seed.generate, or bring one along with seed.restore.")
}

fn confirmed() -> UserError {
    UserError::new("seed-confirmed", "Already exists: the recovery seed was written down.")
        .hint("It is not shown again; your own note is the only copy.")
}

fn unreadable() -> UserError {
    UserError::new("seed-unreadable", "The recovery seed cannot be read.").hint(
        "Put identity/seed.json and identity/seal.key back from one backup; nothing was changed.",
    )
}
