//! The first steps: the recovery seed, and whether they are over. All of it is on the disk, so that a
//! browser that is closed half way goes on where it was.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use archy_api::door::SeedState;
use archy_identity::seed::{Seed, WORDS};
use archy_identity::{Dirs, SeedKeeper, Standing};
use archy_types::UserError;
use rand::seq::SliceRandom as _;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::file;
use super::totp::random;

/// Words that are asked for.
pub const ASKED: usize = 4;
/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// The first steps.
pub struct Onboarding {
    done: PathBuf,
    keeper: SeedKeeper,
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
            keeper: SeedKeeper::new(Dirs::below(data_dir)),
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
        Ok(match self.on_seed(|keeper| keeper.standing()).await? {
            Standing::Missing => SeedState::Missing,
            Standing::Unconfirmed => SeedState::Unconfirmed,
            Standing::Confirmed => SeedState::Confirmed,
        })
    }

    /// Works on the seed's file beside the async threads.
    async fn on_seed<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SeedKeeper) -> Result<T, UserError> + Send + 'static,
    ) -> Result<T, UserError> {
        let keeper = self.keeper.clone();
        let done = tokio::task::spawn_blocking(move || work(&keeper)).await;
        done.map_err(|error| UserError::new("internal", error.to_string()))?
    }

    /// The words to be shown and the places that will be asked for. The seed is made when there is
    /// none; the same one is shown until it was confirmed.
    ///
    /// # Errors
    /// `seed-confirmed`: it was, and is not shown again. Files that cannot be read or written.
    pub async fn show(&self) -> Result<(Seed, Vec<u32>), UserError> {
        let _guard = self.lock.lock().await;
        let seed = self.on_seed(SeedKeeper::show).await?;
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
        if asked.is_empty() && self.state().await? != SeedState::Confirmed {
            let message = "Missing seed: it was not shown yet.";
            return Err(
                UserError::new("seed-not-shown", message).hint("Show it with seed.generate first.")
            );
        }
        // what is missing counts as wrong, and so does what is too much
        let places = asked.iter().map(|place| *place as usize).chain(std::iter::repeat(0));
        let count = words.len().max(asked.len());
        let given = words.iter().map(|word| Zeroizing::new((*word).to_owned()));
        let given = given.chain(std::iter::repeat(Zeroizing::default()));
        let proof: Vec<(usize, Zeroizing<String>)> = places.zip(given).take(count).collect();
        self.on_seed(move |keeper| {
            let proof: Vec<(usize, &str)> =
                proof.iter().map(|(place, word)| (*place, word.as_str())).collect();
            keeper.confirm(&proof)
        })
        .await?;
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
        let in_use = self.in_use().await;
        self.on_seed(move |keeper| keeper.restore(seed, in_use)).await
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
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&hex::encode(*seed.entropy())), "it is sealed at rest");
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
        assert!(again.keeper.seed().unwrap() == seed);
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
