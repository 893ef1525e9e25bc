//! `user.json`: the owner and the other users. Fields of others are kept as they are.
//!
//! The owner's fields are the document's own, as clients of the first version know them; the other
//! users are below `users` by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use archy_types::{AppId, UserError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::file;
use super::passkeys::KeptKey;
use super::totp::SecondFactor;
use super::{Role, role_of};

/// Largest `user.json` that is read, in bytes.
const MAX_FILE: u64 = 256 * 1024;
/// Users beside the owner.
const MAX_USERS: usize = 64;
/// Name of the one who set the node up.
pub const OWNER: &str = "owner";

/// What the file says of one user.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Argon2 or bcrypt hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// The role in words; `Admin` unless written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The apps they may open; all of them when it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apps: Option<BTreeSet<AppId>>,
    /// The second factor, when it is switched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<SecondFactor>,
    /// Passkeys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passkeys: Vec<KeptKey>,
    /// Linked signers that may approve their logins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub login_signers: Vec<Value>,
    /// When they were made (milliseconds since 1970).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<i64>,
    /// What this version does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("role", &self.role)
            .field("apps", &self.apps)
            .finish_non_exhaustive()
    }
}

impl Record {
    /// What they may do: the least when the word is unknown.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role.as_deref().map_or(Role::Admin, |word| role_of(word).unwrap_or(Role::AppUser))
    }
}

/// The whole file.
#[derive(Default, Serialize, Deserialize)]
struct Document {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    users: BTreeMap<String, Record>,
    #[serde(flatten)]
    owner: Record,
}

impl Document {
    fn get(&self, name: &str) -> Option<&Record> {
        let found = if name == OWNER { Some(&self.owner) } else { self.users.get(name) };
        found.filter(|record| record.password_hash.is_some())
    }
}

/// What the file says about the owner.
#[derive(Clone, PartialEq, Eq)]
pub struct Owner {
    /// Argon2 or bcrypt hash.
    pub password_hash: String,
    /// The role in words; `Admin` unless written.
    pub role: String,
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").field("role", &self.role).finish_non_exhaustive()
    }
}

/// The file and the one lock for changing it.
#[derive(Debug)]
pub struct UserFile {
    path: PathBuf,
    lock: Mutex<()>,
    /// As last read or written; for the gate, which cannot wait.
    reach: RwLock<Option<Reach>>,
}

/// Who may open what.
#[derive(Debug, Default)]
struct Reach {
    /// The apps of users who may open some only.
    apps: BTreeMap<String, BTreeSet<AppId>>,
    /// There are users beside the owner.
    others: bool,
}

impl UserFile {
    /// The file in this data directory.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        let path = data_dir.join("user.json");
        Self { path, lock: Mutex::new(()), reach: RwLock::default() }
    }

    /// The owner, if one was set up.
    ///
    /// # Errors
    /// `user-file-unreadable`: the file is there but cannot be read. It is never taken for a node
    /// without an owner.
    pub async fn owner(&self) -> Result<Option<Owner>, UserError> {
        let record = self.find(OWNER).await?;
        Ok(record.and_then(|record| {
            let role = record.role.unwrap_or_else(|| "Admin".to_owned());
            Some(Owner { password_hash: record.password_hash?, role })
        }))
    }

    /// A user who can log in.
    ///
    /// # Errors
    /// The file is there but cannot be read.
    pub async fn find(&self, name: &str) -> Result<Option<Record>, UserError> {
        Ok(self.read().await?.get(name).cloned())
    }

    /// All users by name, the owner first.
    ///
    /// # Errors
    /// The file is there but cannot be read.
    pub async fn list(&self) -> Result<Vec<(String, Record)>, UserError> {
        let Document { users, owner } = self.read().await?;
        let owner = owner.password_hash.is_some().then(|| (OWNER.to_owned(), owner));
        Ok(owner.into_iter().chain(users).collect())
    }

    /// Makes the owner.
    ///
    /// # Errors
    /// `already-set-up`, or the file cannot be read or written.
    pub async fn create(&self, password_hash: String) -> Result<(), UserError> {
        let _guard = self.lock.lock().await;
        let mut document = self.read().await?;
        if document.owner.password_hash.is_some() {
            return Err(already_set_up());
        }
        document.owner.password_hash = Some(password_hash);
        document.owner.role.get_or_insert_with(|| "Admin".to_owned());
        self.write(document).await
    }

    /// Makes another user.
    ///
    /// # Errors
    /// `user-exists`, `too-many-users`, or the file cannot be read or written.
    pub async fn add(&self, name: &str, record: Record) -> Result<(), UserError> {
        let _guard = self.lock.lock().await;
        let mut document = self.read().await?;
        if name == OWNER || document.users.contains_key(name) {
            let message = format!("Already exists: there is a user {name:?}.");
            return Err(UserError::new("user-exists", message).hint("Choose another name."));
        }
        if document.users.len() >= MAX_USERS {
            let message = format!("Invalid request: a node has at most {MAX_USERS} users.");
            return Err(UserError::new("too-many-users", message)
                .hint("Delete users who do not come any more."));
        }
        document.users.insert(name.to_owned(), record);
        self.write(document).await
    }

    /// Changes a user, one change after the other; what `change` gives is returned. Nothing is
    /// written when it refuses.
    ///
    /// # Errors
    /// `user-not-found`, what `change` refuses, or the file cannot be read or written.
    pub async fn change<T>(
        &self,
        name: &str,
        change: impl FnOnce(&mut Record) -> Result<T, UserError>,
    ) -> Result<T, UserError> {
        let _guard = self.lock.lock().await;
        let mut document = self.read().await?;
        let record = match name {
            OWNER => Some(&mut document.owner),
            name => document.users.get_mut(name),
        };
        let record = record.filter(|record| record.password_hash.is_some());
        let before = record.ok_or_else(|| not_found(name))?;
        let mut after = before.clone();
        let given = change(&mut after)?;
        if *before != after {
            *before = after;
            self.write(document).await?;
        }
        Ok(given)
    }

    /// Deletes a user.
    ///
    /// # Errors
    /// `user-not-found`, `owner-stays`, or the file cannot be read or written.
    pub async fn remove(&self, name: &str) -> Result<(), UserError> {
        if name == OWNER {
            return Err(owner_stays());
        }
        let _guard = self.lock.lock().await;
        let mut document = self.read().await?;
        document.users.remove(name).ok_or_else(|| not_found(name))?;
        self.write(document).await
    }

    /// Replaces a user's hash, when it is still `old`.
    ///
    /// # Errors
    /// `password-changed-meanwhile`, or the file cannot be read or written.
    pub async fn replace(&self, name: &str, old: &str, new: String) -> Result<(), UserError> {
        let change = |record: &mut Record| {
            if record.password_hash.as_deref() != Some(old) {
                let message = "The password was changed by somebody else in the meantime.";
                return Err(UserError::new("password-changed-meanwhile", message)
                    .hint("Log in again with the present password."));
            }
            record.password_hash = Some(new);
            Ok(())
        };
        self.change(name, change).await
    }

    /// True when a user of this role may open the app.
    #[must_use]
    pub fn may_open(&self, user: &str, role: Role, app: &AppId) -> bool {
        let reach = self.reach.read().unwrap_or_else(PoisonError::into_inner);
        let free = |reach: &Reach| reach.apps.get(user).is_none_or(|apps| apps.contains(app));
        // a file that was never read opens nothing
        role == Role::Admin || reach.as_ref().is_some_and(free)
    }

    /// True when others than the owner may log in.
    #[must_use]
    pub fn has_others(&self) -> bool {
        let reach = self.reach.read().unwrap_or_else(PoisonError::into_inner);
        reach.as_ref().is_some_and(|reach| reach.others)
    }

    fn note_reach(&self, document: &Document) {
        let owner = std::iter::once((OWNER, &document.owner));
        let others = document.users.iter().map(|(name, record)| (name.as_str(), record));
        let apps = owner
            .chain(others)
            .filter_map(|(name, record)| Some((name.to_owned(), record.apps.clone()?)))
            .collect();
        let reach = Reach { apps, others: !document.users.is_empty() };
        *self.reach.write().unwrap_or_else(PoisonError::into_inner) = Some(reach);
    }

    async fn read(&self) -> Result<Document, UserError> {
        let unreadable = |reason: String| {
            UserError::new("user-file-unreadable", format!("user.json cannot be read: {reason}"))
                .hint("Put back a copy of user.json from a backup, or mend its permissions.")
        };
        let path = self.path.clone();
        let text = file::blocking(move || file::read_bounded(&path, MAX_FILE)).await;
        let Some(text) = text.map_err(|error| unreadable(error.to_string()))? else {
            return Ok(Document::default());
        };
        let document =
            serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
        self.note_reach(&document);
        Ok(document)
    }

    async fn write(&self, document: Document) -> Result<(), UserError> {
        let path = self.path.clone();
        let unwritable = |reason: String| {
            UserError::new("user-file-unwritable", format!("user.json was not saved: {reason}"))
                .hint("Look at the free space and permissions of the data directory.")
        };
        let mut text =
            serde_json::to_vec_pretty(&document).map_err(|error| unwritable(error.to_string()))?;
        text.push(b'\n');
        file::blocking(move || file::write_whole(&path, &text, 0o600))
            .await
            .map_err(|error| unwritable(error.to_string()))?;
        self.note_reach(&document);
        Ok(())
    }
}

/// The answer to a second setup.
#[must_use]
pub fn already_set_up() -> UserError {
    UserError::new("already-set-up", "Already exists: this node has a password.")
        .hint("Log in with it, or change it with auth.changePassword.")
}

/// There is nobody of this name.
#[must_use]
pub fn not_found(name: &str) -> UserError {
    let name: String = name.chars().take(40).collect();
    UserError::new("user-not-found", format!("Not found: there is no user {name:?}."))
        .hint("`users.list` shows them.")
}

/// The owner is neither deleted nor made less.
#[must_use]
pub fn owner_stays() -> UserError {
    UserError::new("owner-stays", "Invalid request: the owner stays, as an administrator.")
        .hint("Change the owner's password instead.")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn foreign_fields_stay_and_setup_happens_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("user.json");
        std::fs::write(&path, r#"{"login_signers":[1],"role":"Admin","totp":{"a":1}}"#).unwrap();
        let file = UserFile::new(dir.path());
        assert_eq!(file.owner().await.unwrap(), None);
        file.create("h1".into()).await.unwrap();
        assert_eq!(file.create("h2".into()).await.unwrap_err().code.as_str(), "already-set-up");
        file.replace(OWNER, "h1", "h3".into()).await.unwrap();
        let stale = file.replace(OWNER, "h1", "h4".into()).await.unwrap_err();
        assert_eq!(stale.code.as_str(), "password-changed-meanwhile");
        let value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(value["login_signers"], serde_json::json!([1]));
        assert_eq!(value["totp"], serde_json::json!({"a": 1}));
        assert_eq!(value["password_hash"], "h3");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_broken_file_is_not_a_node_without_owner() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("user.json"), "{").unwrap();
        let file = UserFile::new(dir.path());
        assert_eq!(file.owner().await.unwrap_err().code.as_str(), "user-file-unreadable");
        assert!(file.create("h".into()).await.is_err());
    }

    #[tokio::test]
    async fn users_come_change_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let file = UserFile::new(dir.path());
        file.create("h".into()).await.unwrap();
        let blog = AppId::new("blog").unwrap();
        let record = |apps: Option<BTreeSet<AppId>>| Record {
            password_hash: Some("x".into()),
            role: Some("AppUser".into()),
            apps,
            ..Record::default()
        };
        file.add("ann", record(Some(BTreeSet::new()))).await.unwrap();
        for (name, code) in [("ann", "user-exists"), (OWNER, "user-exists")] {
            assert_eq!(file.add(name, record(None)).await.unwrap_err().code.as_str(), code);
        }
        assert!(!file.may_open("ann", Role::AppUser, &blog));
        assert!(file.may_open("ann", Role::Admin, &blog));
        file.change("ann", |ann| {
            ann.apps = Some([blog.clone()].into());
            Ok(())
        })
        .await
        .unwrap();
        // the next daemon reads it again
        let again = UserFile::new(dir.path());
        assert_eq!(again.list().await.unwrap().len(), 2);
        assert!(again.may_open("ann", Role::AppUser, &blog));
        assert_eq!(again.remove(OWNER).await.unwrap_err().code.as_str(), "owner-stays");
        again.remove("ann").await.unwrap();
        assert_eq!(again.remove("ann").await.unwrap_err().code.as_str(), "user-not-found");
        assert_eq!(again.find("ann").await.unwrap(), None);
    }

    #[test]
    fn an_unknown_role_may_do_the_least() {
        for (word, role) in
            [(None, Role::Admin), (Some("Viewer"), Role::Viewer), (Some("Emperor"), Role::AppUser)]
        {
            let record = Record { role: word.map(str::to_owned), ..Record::default() };
            assert_eq!(record.role(), role);
        }
    }
}
