//! The first steps: the recovery seed, and whether they are over. All of it is on the disk, so that a
//! browser that is closed half way goes on where it was.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use archy_api::door::SeedState;
use archy_identity::seed::{Seed, WORDS};
use archy_types::UserError;
use rand::seq::SliceRandom as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::file;
use super::totp::random;

/// Words that are asked for.
pub const ASKED: usize = 4;
/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// What is kept of a seed.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// 32 bytes as hex.
    entropy: String,
    /// The owner proved that they have it.
    confirmed: bool,
}

/// The first steps.
pub struct Onboarding {
    done: PathBuf,
    seed: PathBuf,
    identities: PathBuf,
    /// Places of the words that are asked for, from 1, since the seed was last shown.
    asked: Mutex<Vec<u32>>,
    lock: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Onboarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Onboarding").finish_non_exhaustive()
    }
}

impl Onboarding {
    /// The files in this data directory.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self {
            done: data_dir.join("onboarding.json"),
            seed: data_dir.join("identity/seed.json"),
            identities: data_dir.join("identities"),
            asked: Mutex::default(),
            lock: tokio::sync::Mutex::default(),
        }
    }

    /// True when the first steps in the dashboard were finished.
    pub async fn is_complete(&self) -> bool {
        self.notes().await.get("complete") == Some(&Value::Bool(true))
    }

    /// Notes that they were.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn complete(&self) -> Result<(), UserError> {
        let _guard = self.lock.lock().await;
        let mut notes = self.notes().await;
        notes.insert("complete".into(), Value::Bool(true));
        let (path, text) = (self.done.clone(), Value::Object(notes).to_string());
        file::blocking(move || file::write_whole(&path, text.as_bytes(), 0o600))
            .await
            .map_err(|error| unwritable(&error))
    }

    async fn notes(&self) -> Map<String, Value> {
        let path = self.done.clone();
        let text = file::blocking(move || file::read_bounded(&path, MAX_FILE)).await;
        let text = text.ok().flatten().unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// How far the node is with its seed.
    ///
    /// # Errors
    /// `seed-unreadable`.
    pub async fn state(&self) -> Result<SeedState, UserError> {
        Ok(match self.kept().await? {
            None => SeedState::Missing,
            Some((_, false)) => SeedState::Unconfirmed,
            Some((_, true)) => SeedState::Confirmed,
        })
    }

    /// The seed, if there is one; keys derive from it.
    ///
    /// # Errors
    /// `seed-unreadable`.
    pub async fn seed(&self) -> Result<Option<Seed>, UserError> {
        Ok(self.kept().await?.map(|(seed, _)| seed))
    }

    async fn kept(&self) -> Result<Option<(Seed, bool)>, UserError> {
        let unreadable = || {
            UserError::new("seed-unreadable", "The recovery seed cannot be read.")
                .hint("Put identity/seed.json back from a backup, or mend its permissions.")
        };
        let path = self.seed.clone();
        let text = file::blocking(move || file::read_bounded(&path, MAX_FILE)).await;
        let Some(text) = text.map_err(|_| unreadable())? else { return Ok(None) };
        let kept: Kept = serde_json::from_slice(&text).map_err(|_| unreadable())?;
        let mut entropy = [0; 32];
        hex::decode_to_slice(&kept.entropy, &mut entropy).map_err(|_| unreadable())?;
        let seed = Seed::from_entropy(&entropy)?;
        entropy.fill(0);
        Ok(Some((seed, kept.confirmed)))
    }

    async fn keep(&self, seed: &Seed, confirmed: bool) -> Result<(), UserError> {
        let kept = Kept { entropy: hex::encode(*seed.entropy()), confirmed };
        let text = serde_json::to_vec(&kept).unwrap_or_default();
        let path = self.seed.clone();
        let write = move || {
            if let Some(dir) = path.parent() {
                use std::os::unix::fs::DirBuilderExt as _;
                std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
            }
            file::write_whole(&path, &text, 0o600)
        };
        file::blocking(write).await.map_err(|error| unwritable(&error))
    }

    /// The words to be shown and the places that will be asked for. The seed is made when there is
    /// none; the same one is shown until it was confirmed.
    ///
    /// # Errors
    /// `seed-confirmed`: it was, and is not shown again. Files that cannot be read or written.
    pub async fn show(&self) -> Result<(Seed, Vec<u32>), UserError> {
        let _guard = self.lock.lock().await;
        let seed = match self.kept().await? {
            Some((_, true)) => return Err(confirmed()),
            Some((seed, false)) => seed,
            None => {
                let seed = Seed::generate()?;
                self.keep(&seed, false).await?;
                seed
            }
        };
        let asked = choose()?;
        (*self.asked.lock().unwrap_or_else(PoisonError::into_inner)).clone_from(&asked);
        Ok((seed, asked))
    }

    /// Takes the words that were asked for as the proof that the seed was written down.
    ///
    /// # Errors
    /// `seed-not-shown`, `seed-words-wrong`, `seed-confirmed`.
    pub async fn confirm(&self, words: &[&str]) -> Result<(), UserError> {
        let _guard = self.lock.lock().await;
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let seed = match self.kept().await? {
            Some((_, true)) => return Err(confirmed()),
            Some((seed, false)) if !asked.is_empty() => seed,
            _ => {
                return Err(UserError::new(
                    "seed-not-shown",
                    "Missing seed: it was not shown yet.",
                )
                .hint("Show it with seed.generate first."));
            }
        };
        let right = |(place, word): (&u32, &&str)| seed.has_word(*place as usize, word);
        if words.len() != asked.len() || !asked.iter().zip(words).all(right) {
            return Err(UserError::new(
                "seed-words-wrong",
                "Invalid words: one of them is another.",
            )
            .hint("Compare each with your note; the seed can be shown again."));
        }
        self.keep(&seed, true).await?;
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    /// Takes a seed that the owner brings along.
    ///
    /// # Errors
    /// Words that are no seed, `seed-confirmed`, `seed-in-use`.
    pub async fn restore(&self, words: &str) -> Result<(), UserError> {
        let seed = Seed::parse(words)?;
        let _guard = self.lock.lock().await;
        match self.kept().await? {
            Some((kept, true)) if kept == seed => return Ok(()),
            Some((_, true)) => return Err(confirmed()),
            Some((kept, false)) if kept != seed && self.in_use().await => {
                let message = "Already exists: identities of this node come from another seed.";
                return Err(UserError::new("seed-in-use", message)
                    .hint("Confirm the present seed, or delete its identities first."));
            }
            _ => {}
        }
        self.keep(&seed, true).await
    }

    /// True when an identity derives from the seed.
    async fn in_use(&self) -> bool {
        let dir = self.identities.clone();
        let look = move || {
            for entry in std::fs::read_dir(&dir)? {
                let text = file::read_bounded(&entry?.path(), MAX_FILE).ok().flatten();
                let value: Value =
                    serde_json::from_slice(&text.unwrap_or_default()).unwrap_or_default();
                if value.get("derivation_index").is_some_and(Value::is_number) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        file::blocking(look).await.unwrap_or(false)
    }
}

/// Places of words, from 1, in order.
fn choose() -> Result<Vec<u32>, UserError> {
    use rand::SeedableRng as _;
    let mut generator = rand::rngs::StdRng::from_seed(random::<32>()?);
    let mut places: Vec<u32> = (1..=WORDS).filter_map(|place| u32::try_from(place).ok()).collect();
    places.shuffle(&mut generator);
    places.truncate(ASKED);
    places.sort_unstable();
    Ok(places)
}

fn confirmed() -> UserError {
    UserError::new("seed-confirmed", "Already exists: the recovery seed was written down.")
        .hint("It is not shown again; your own note is the only copy.")
}

fn unwritable(error: &std::io::Error) -> UserError {
    UserError::new("seed-unwritable", format!("The first steps were not saved: {error}."))
        .hint("Look at the free space and permissions of the data directory.")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn code<T: fmt::Debug>(result: Result<T, UserError>) -> String {
        result.unwrap_err().code.as_str().to_owned()
    }

    #[tokio::test]
    async fn it_is_shown_until_it_was_confirmed() {
        let dir = tempfile::tempdir().unwrap();
        let first = Onboarding::new(dir.path());
        assert_eq!(first.state().await.unwrap(), SeedState::Missing);
        assert_eq!(code(first.confirm(&["abandon"]).await), "seed-not-shown");
        let (seed, _) = first.show().await.unwrap();
        let path = dir.path().join("identity/seed.json");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // the browser was closed and the daemon began anew: the same words
        let again = Onboarding::new(dir.path());
        assert_eq!(again.state().await.unwrap(), SeedState::Unconfirmed);
        let (shown, asked) = again.show().await.unwrap();
        assert!(shown == seed && asked.len() == ASKED && asked.is_sorted());
        let words = seed.words();
        let mut given: Vec<&str> = asked.iter().map(|at| words[*at as usize - 1]).collect();
        given.swap(0, 1);
        if given[0] != given[1] {
            assert_eq!(code(again.confirm(&given).await), "seed-words-wrong");
        }
        given.swap(0, 1);
        assert_eq!(code(again.confirm(&given[1..]).await), "seed-words-wrong");
        again.confirm(&given).await.unwrap();
        assert_eq!(again.state().await.unwrap(), SeedState::Confirmed);
        assert_eq!(code(again.show().await), "seed-confirmed");
        assert_eq!(code(again.confirm(&given).await), "seed-confirmed");
        assert!(again.seed().await.unwrap() == Some(seed));
        assert!(!again.is_complete().await);
        again.complete().await.unwrap();
        assert!(again.is_complete().await);
    }

    #[tokio::test]
    async fn one_is_brought_along() {
        let dir = tempfile::tempdir().unwrap();
        let node = Onboarding::new(dir.path());
        assert_eq!(code(node.restore("abandon about").await), "seed-word-count");
        let brought = Seed::generate().unwrap();
        node.show().await.unwrap();
        std::fs::create_dir(dir.path().join("identities")).unwrap();
        let identity = dir.path().join("identities/a.json");
        std::fs::write(&identity, r#"{"derivation_index":0}"#).unwrap();
        assert_eq!(code(node.restore(&brought.phrase()).await), "seed-in-use");
        std::fs::remove_file(identity).unwrap();
        node.restore(&brought.phrase()).await.unwrap();
        assert_eq!(node.state().await.unwrap(), SeedState::Confirmed);
        node.restore(&brought.phrase()).await.unwrap();
        let other = Seed::generate().unwrap();
        assert_eq!(code(node.restore(&other.phrase()).await), "seed-confirmed");
    }

    #[tokio::test]
    async fn a_broken_file_is_not_a_node_without_seed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("identity")).unwrap();
        std::fs::write(dir.path().join("identity/seed.json"), "{}").unwrap();
        let node = Onboarding::new(dir.path());
        assert_eq!(code(node.state().await), "seed-unreadable");
        assert_eq!(code(node.show().await), "seed-unreadable");
        let seed = Seed::generate().unwrap();
        assert_eq!(code(node.restore(&seed.phrase()).await), "seed-unreadable");
    }
}
