//! Tokens that outlive sessions: of devices, and of browsers that are to be remembered. Kept as
//! hashes in `tokens.json`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use archy_types::{Timestamp, UserError};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::Mutex;

use super::file;
use super::totp::random;

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// Tokens of one user and kind; beyond that the longest unused one goes.
const MAX_EACH: usize = 50;
/// A remembered browser that did not come for so long is forgotten (milliseconds).
const REMEMBERED: i64 = 90 * 24 * 3600 * 1000;
/// Uses are written at most this often (milliseconds).
const SAVE_EVERY: i64 = 3600 * 1000;

/// Seconds that the cookie of a remembered browser lasts.
pub const REMEMBER_SECS: i64 = REMEMBERED / 1000;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A program or a phone, until it is revoked.
    Device,
    /// A browser whose session may begin anew.
    Remember,
}

/// A token's record; the token itself is not in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Names it.
    pub id: String,
    /// What it is for.
    pub kind: Kind,
    /// Whose it is.
    pub user: String,
    /// Name for people.
    pub name: String,
    /// SHA-256 of the token as hex.
    hash: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used.
    pub last_used: Option<Timestamp>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Token {
    fn counts(&self, now: Timestamp) -> bool {
        let seen = self.last_used.unwrap_or(self.created);
        self.kind == Kind::Device || now.0 - seen.0 < REMEMBERED
    }
}

/// All tokens.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    rows: RwLock<Vec<Token>>,
    lock: Mutex<()>,
}

impl TokenFile {
    /// Reads the file of this data directory. One that cannot be read is put aside: whoever it let
    /// in logs in again. Blocks.
    #[must_use]
    pub fn load(data_dir: &Path) -> Self {
        let path = data_dir.join("tokens.json");
        let read = file::read_bounded(&path, MAX_FILE);
        let rows = read.and_then(|text| match text {
            None => Ok(Vec::new()),
            Some(text) => serde_json::from_slice(&text).map_err(std::io::Error::other),
        });
        let rows = rows.unwrap_or_else(|error| {
            tracing::error!(%error, "tokens.json cannot be read and is put aside");
            if let Err(error) = std::fs::rename(&path, path.with_extension("json.bad")) {
                tracing::warn!(%error, "it stays where it is");
            }
            Vec::new()
        });
        Self { path, rows: RwLock::new(rows), lock: Mutex::new(()) }
    }

    /// Makes a token; gives its record and the token, which is not kept.
    ///
    /// # Errors
    /// No randomness, or the file cannot be written.
    pub async fn create(
        &self,
        kind: Kind,
        user: &str,
        name: &str,
        now: Timestamp,
    ) -> Result<(Token, String), UserError> {
        let text = format!("{}{}", prefix(kind), hex::encode(random::<32>()?));
        let row = Token {
            id: hex::encode(random::<8>()?),
            kind,
            user: user.to_owned(),
            name: name.to_owned(),
            hash: hash(&text),
            created: now,
            last_used: None,
        };
        let kept = row.clone();
        self.edit(move |rows| {
            rows.retain(|row| row.counts(now));
            let same = |row: &&Token| row.kind == kind && row.user == kept.user;
            if rows.iter().filter(same).count() >= MAX_EACH {
                let used = |row: &&Token| row.last_used.unwrap_or(row.created);
                let oldest = rows.iter().filter(same).min_by_key(used).map(|row| row.id.clone());
                rows.retain(|row| Some(&row.id) != oldest.as_ref());
            }
            rows.push(kept);
        })
        .await?;
        Ok((row, text))
    }

    /// The record of a token that counts.
    #[must_use]
    pub fn find(&self, kind: Kind, token: &str, now: Timestamp) -> Option<Token> {
        let given = hash(token);
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let mut fitting = rows.iter().filter(|row| row.kind == kind && row.counts(now));
        fitting.find(|row| row.hash.as_bytes().ct_eq(given.as_bytes()).into()).cloned()
    }

    /// Notes that a token was used; seldom to the file.
    pub async fn used(&self, id: &str, now: Timestamp) {
        let due = {
            let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
            let row = rows.iter().find(|row| row.id == id);
            row.is_some_and(|row| row.last_used.is_none_or(|at| now.0 - at.0 >= SAVE_EVERY))
        };
        if !due {
            return;
        }
        let noted = self.edit(|rows| {
            rows.iter_mut().filter(|row| row.id == id).for_each(|row| row.last_used = Some(now));
        });
        if let Err(error) = noted.await {
            tracing::warn!(%error, "the use of a token was not noted");
        }
    }

    /// The tokens of a user, newest first.
    #[must_use]
    pub fn of(&self, kind: Kind, user: &str) -> Vec<Token> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        rows.iter().filter(|row| row.kind == kind && row.user == user).rev().cloned().collect()
    }

    /// Takes tokens back; says how many.
    ///
    /// # Errors
    /// The file cannot be written; they do not count in this process all the same.
    pub async fn revoke(&self, which: impl Fn(&Token) -> bool) -> Result<u32, UserError> {
        let mut gone = 0;
        self.edit(|rows| {
            let before = rows.len();
            rows.retain(|row| !which(row));
            gone = u32::try_from(before - rows.len()).unwrap_or(u32::MAX);
        })
        .await?;
        Ok(gone)
    }

    async fn edit(&self, change: impl FnOnce(&mut Vec<Token>)) -> Result<(), UserError> {
        let _guard = self.lock.lock().await;
        let text = {
            let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
            let before = rows.clone();
            change(&mut rows);
            if *rows == before {
                return Ok(());
            }
            serde_json::to_vec_pretty(&*rows).unwrap_or_default()
        };
        let path = self.path.clone();
        file::blocking(move || file::write_whole(&path, &text, 0o600)).await.map_err(|error| {
            let message = format!("tokens.json was not saved: {error}");
            UserError::new("token-file-unwritable", message)
                .hint("Look at the free space and permissions of the data directory.")
        })
    }
}

/// What a token begins with, so that people and scanners know one when they see it.
const fn prefix(kind: Kind) -> &'static str {
    match kind {
        Kind::Device => "archy_device_",
        Kind::Remember => "",
    }
}

fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn life_of_a_token() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp(1_000_000);
        let file = TokenFile::load(dir.path());
        let (row, token) = file.create(Kind::Device, "ann", "phone", now).await.unwrap();
        let (_, other) = file.create(Kind::Remember, "ann", "", now).await.unwrap();
        assert!(token.starts_with("archy_device_"));
        let path = dir.path().join("tokens.json");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!std::fs::read_to_string(&path).unwrap().contains(&token[13..]));
        // the next daemon knows it, for its own purpose alone
        let file = TokenFile::load(dir.path());
        assert_eq!(file.find(Kind::Device, &token, now).unwrap().id, row.id);
        assert!(file.find(Kind::Remember, &token, now).is_none());
        assert!(file.find(Kind::Remember, &other, now.plus_millis(REMEMBERED - 1)).is_some());
        assert!(file.find(Kind::Remember, &other, now.plus_millis(REMEMBERED)).is_none());
        file.used(&row.id, now.plus_millis(5)).await;
        assert_eq!(file.of(Kind::Device, "ann")[0].last_used, Some(now.plus_millis(5)));
        assert_eq!(file.revoke(|row| row.user == "ann").await.unwrap(), 2);
        assert!(file.find(Kind::Device, &token, now).is_none());
    }

    #[tokio::test]
    async fn they_are_bounded_and_a_broken_file_lets_nobody_in() {
        let dir = tempfile::tempdir().unwrap();
        let file = TokenFile::load(dir.path());
        for at in 0..(MAX_EACH as i64 + 3) {
            file.create(Kind::Device, "ann", &at.to_string(), Timestamp(at)).await.unwrap();
        }
        let left = file.of(Kind::Device, "ann");
        assert_eq!((left.len(), left.last().unwrap().name.as_str()), (MAX_EACH, "3"));
        std::fs::write(dir.path().join("tokens.json"), "{").unwrap();
        assert!(TokenFile::load(dir.path()).of(Kind::Device, "ann").is_empty());
        assert!(dir.path().join("tokens.json.bad").exists());
    }
}
