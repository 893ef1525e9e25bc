//! `user.json`: the owner's password hash and role. Fields of others are kept as they are.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use archy_types::UserError;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

/// Largest `user.json` that is read, in bytes.
const MAX_FILE: u64 = 256 * 1024;

/// The file and the one lock for changing it.
#[derive(Debug)]
pub struct UserFile {
    path: PathBuf,
    onboarding: PathBuf,
    lock: Mutex<()>,
}

/// What the file says about the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Argon2 or bcrypt hash.
    pub password_hash: String,
    /// The role in words; `Admin` unless written.
    pub role: String,
}

impl UserFile {
    /// The file in this data directory.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self {
            path: data_dir.join("user.json"),
            onboarding: data_dir.join("onboarding.json"),
            lock: Mutex::new(()),
        }
    }

    /// The owner, if one was set up.
    ///
    /// # Errors
    /// `user-file-unreadable`: the file is there but cannot be read. It is never taken for a node
    /// without an owner.
    pub async fn owner(&self) -> Result<Option<Owner>, UserError> {
        let content = self.read().await?;
        Ok(content.and_then(|map| {
            let text = |key| map.get(key).and_then(Value::as_str).map(str::to_owned);
            Some(Owner {
                password_hash: text("password_hash")?,
                role: text("role").unwrap_or_else(|| "Admin".to_owned()),
            })
        }))
    }

    /// Makes the owner.
    ///
    /// # Errors
    /// `already-set-up`, or the file cannot be read or written.
    pub async fn create(&self, password_hash: String) -> Result<(), UserError> {
        let _guard = self.lock.lock().await;
        let mut map = self.read().await?.unwrap_or_default();
        if map.get("password_hash").is_some_and(Value::is_string) {
            return Err(already_set_up());
        }
        map.insert("password_hash".into(), Value::String(password_hash));
        map.entry("role").or_insert_with(|| Value::String("Admin".into()));
        self.write(map).await
    }

    /// Replaces the hash, when it is still `old`.
    ///
    /// # Errors
    /// `password-changed-meanwhile`, or the file cannot be read or written.
    pub async fn replace(&self, old: &str, new: String) -> Result<(), UserError> {
        let _guard = self.lock.lock().await;
        let mut map = self.read().await?.unwrap_or_default();
        if map.get("password_hash").and_then(Value::as_str) != Some(old) {
            let message = "The password was changed by somebody else in the meantime.";
            return Err(UserError::new("password-changed-meanwhile", message)
                .hint("Log in again with the present password."));
        }
        map.insert("password_hash".into(), Value::String(new));
        self.write(map).await
    }

    /// True when the first steps in the dashboard were finished.
    pub async fn is_onboarded(&self) -> bool {
        let path = self.onboarding.clone();
        let text = tokio::fs::read(path).await.unwrap_or_default();
        serde_json::from_slice::<Value>(&text)
            .is_ok_and(|value| value.get("complete") == Some(&Value::Bool(true)))
    }

    async fn read(&self) -> Result<Option<Map<String, Value>>, UserError> {
        let unreadable = |reason: String| {
            UserError::new("user-file-unreadable", format!("user.json cannot be read: {reason}"))
                .hint("Put back a copy of user.json from a backup, or mend its permissions.")
        };
        match tokio::fs::metadata(&self.path).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error.to_string())),
            Ok(data) if data.len() > MAX_FILE => return Err(unreadable("it is too large".into())),
            Ok(_) => {}
        }
        let text =
            tokio::fs::read(&self.path).await.map_err(|error| unreadable(error.to_string()))?;
        serde_json::from_slice(&text).map(Some).map_err(|error| unreadable(error.to_string()))
    }

    /// Whole or not at all: a temporary file, fsync, rename, fsync of the directory.
    async fn write(&self, map: Map<String, Value>) -> Result<(), UserError> {
        let path = self.path.clone();
        let work = move || write_whole(&path, &Value::Object(map));
        let outcome = tokio::task::spawn_blocking(work).await;
        let reason = match outcome {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        Err(UserError::new("user-file-unwritable", format!("user.json was not saved: {reason}"))
            .hint("Look at the free space and permissions of the data directory."))
    }
}

/// The answer to a second setup.
#[must_use]
pub fn already_set_up() -> UserError {
    UserError::new("already-set-up", "Already exists: this node has a password.")
        .hint("Log in with it, or change it with auth.changePassword.")
}

fn write_whole(path: &Path, value: &Value) -> std::io::Result<()> {
    let temporary = path.with_extension("json.new");
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(serde_json::to_string_pretty(value)?.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    if let Some(directory) = path.parent() {
        std::fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn foreign_fields_stay_and_setup_happens_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("user.json");
        std::fs::write(&path, r#"{"login_signers":[1],"role":"Admin"}"#).unwrap();
        let file = UserFile::new(dir.path());
        assert_eq!(file.owner().await.unwrap(), None);
        file.create("h1".into()).await.unwrap();
        assert_eq!(file.create("h2".into()).await.unwrap_err().code.as_str(), "already-set-up");
        file.replace("h1", "h3".into()).await.unwrap();
        let stale = file.replace("h1", "h4".into()).await.unwrap_err();
        assert_eq!(stale.code.as_str(), "password-changed-meanwhile");
        let value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(value["login_signers"], serde_json::json!([1]));
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
}
