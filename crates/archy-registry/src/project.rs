//! The publisher's side: a directory with what is published and what waits for signatures.
//!
//! ```text
//! registry.json      name, how long each role is good
//! staged/ROLE.json   next versions, signed or not yet
//! public/metadata    what was published   } a static server serves
//! public/targets     files by digest      } this directory
//! ```
//!
//! Private keys are not part of it: they lie where the publisher wants them, at best on a machine
//! without a network, where a staged file is carried to and signed ([`ceremony::sign_file`]).

pub mod ceremony;
pub mod content;
pub mod publish;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::RegistryError;
use crate::files;
use crate::schema::{
    Delegation, Key, Moment, ROOT, Role, RoleKeys, Root, SNAPSHOT, SPEC_VERSION, Snapshot, TARGETS,
    TIMESTAMP, Targets,
};
use crate::signed::Envelope;
use crate::store::MAX_FILE;

pub use ceremony::{Change, Founders, SignedFile};
pub use content::{Added, AppFiles};
pub use publish::Published;

/// How many days each role is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Days {
    /// The root.
    pub root: u32,
    /// Lists of targets.
    pub targets: u32,
    /// Snapshot.
    pub snapshot: u32,
    /// Timestamp.
    pub timestamp: u32,
}

impl Default for Days {
    /// Two years, a year, and twice thirty days.
    fn default() -> Self {
        Self { root: 730, targets: 365, snapshot: 30, timestamp: 30 }
    }
}

/// `registry.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Name for people.
    pub name: String,
    /// How long each role is good.
    #[serde(default)]
    pub days: Days,
}

/// A file that waits to be published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Staged {
    /// The role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// Valid signatures.
    pub have: usize,
    /// Signatures needed; for a root those of the keys before and of the new ones.
    pub need: usize,
}

impl Staged {
    /// True when nothing is missing.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.have >= self.need
    }
}

/// A registry's project directory.
#[derive(Debug, Clone)]
pub struct Project {
    dir: PathBuf,
    settings: Settings,
}

impl Project {
    /// Opens a project.
    ///
    /// # Errors
    /// There is none in this directory.
    pub fn open(dir: &Path) -> Result<Self, RegistryError> {
        let path = dir.join("registry.json");
        let Some(text) = files::read_if_there(&path, 64 * 1024)? else {
            let place = dir.display();
            return Err(RegistryError::Project(format!("{place} is no registry's directory")));
        };
        let settings = serde_json::from_slice(&text)
            .map_err(|error| RegistryError::format("registry.json", error))?;
        Ok(Self { dir: dir.to_owned(), settings })
    }

    /// Its settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The directory that is served.
    #[must_use]
    pub fn public(&self) -> PathBuf {
        self.dir.join("public")
    }

    fn staged_path(&self, role: &str) -> PathBuf {
        self.dir.join("staged").join(format!("{role}.json"))
    }

    fn metadata(&self) -> PathBuf {
        self.dir.join("public/metadata")
    }

    /// The root in force: the newest that was published.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn root(&self) -> Result<Option<Root>, RegistryError> {
        let bytes = files::read_if_there(&self.metadata().join("root.json"), MAX_FILE)?;
        bytes.map(|bytes| crate::trust::first_root(&bytes)).transpose()
    }

    /// The root to come, or else the one in force.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn next_root(&self) -> Result<Root, RegistryError> {
        if let Some(staged) = self.staged(ROOT)? {
            return staged.peek();
        }
        let missing = || RegistryError::Project("this registry has no root yet".to_owned());
        self.root()?.ok_or_else(missing)
    }

    /// The file of a role that waits.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn staged(&self, role: &str) -> Result<Option<Envelope>, RegistryError> {
        let bytes = files::read_if_there(&self.staged_path(role), MAX_FILE)?;
        bytes.map(|bytes| Envelope::parse(role, &bytes)).transpose()
    }

    fn stage(&self, role: &str, envelope: &Envelope) -> Result<(), RegistryError> {
        files::write(&self.staged_path(role), &envelope.to_bytes()?)
    }

    fn unstage(&self, role: &str) -> Result<(), RegistryError> {
        let path = self.staged_path(role);
        std::fs::remove_file(&path).map_err(|error| RegistryError::io(&path, &error))
    }

    /// The file of a role that is in force: what the published timestamp leads to.
    fn published(&self, role: &str) -> Result<Option<Envelope>, RegistryError> {
        let read = |name: String, role: &str| -> Result<Option<Envelope>, RegistryError> {
            let bytes = files::read_if_there(&self.metadata().join(name), MAX_FILE)?;
            bytes.map(|bytes| Envelope::parse(role, &bytes)).transpose()
        };
        let Some(timestamp) = read("timestamp.json".to_owned(), TIMESTAMP)? else {
            return Ok(None);
        };
        if role == TIMESTAMP {
            return Ok(Some(timestamp));
        }
        let version = crate::trust::snapshot_meta(&timestamp.peek()?)?.version;
        let snapshot = read(format!("{version}.snapshot.json"), SNAPSHOT)?;
        if role == SNAPSHOT {
            return Ok(snapshot);
        }
        let Some(snapshot) = snapshot else { return Ok(None) };
        let snapshot: Snapshot = snapshot.peek()?;
        let Some(meta) = snapshot.meta.get(&format!("{role}.json")) else { return Ok(None) };
        read(format!("{}.{role}.json", meta.version), role)
    }

    /// A role's list of targets as it will be published next; an empty one at first.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn targets(&self, role: &str) -> Result<Targets, RegistryError> {
        if let Some(staged) = self.staged(role)? {
            return staged.peek();
        }
        let Some(published) = self.published(role)? else { return Ok(empty_targets()) };
        let mut targets: Targets = published.peek()?;
        targets.version += 1;
        Ok(targets)
    }

    /// Puts a role's list of targets to be signed; signatures that were there do not count.
    fn put_targets(
        &self,
        role: &str,
        mut targets: Targets,
        now: Moment,
    ) -> Result<(), RegistryError> {
        targets.expires = now.plus_days(self.settings.days.targets);
        self.stage(role, &Envelope::of(&targets)?)
    }

    /// A publisher's delegation, as it will be.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn delegation(&self, role: &str) -> Result<Delegation, RegistryError> {
        let targets = self.targets(TARGETS)?;
        let all = targets.delegations.into_iter().flat_map(|it| it.roles);
        let unknown = || RegistryError::Project(format!("there is no publisher {role} here"));
        all.into_iter().find(|it| it.name == role).ok_or_else(unknown)
    }

    /// Keys of a role, as they will be: all keys, and those of the role.
    fn keys_of(
        &self,
        role: &str,
    ) -> Result<(std::collections::BTreeMap<String, Key>, RoleKeys), RegistryError> {
        if [ROOT, TARGETS, SNAPSHOT, TIMESTAMP].contains(&role) {
            let root = self.next_root()?;
            let keys = root.roles.get(role).cloned().unwrap_or_default();
            return Ok((root.keys, keys));
        }
        let delegation = self.delegation(role)?;
        let keys = self.targets(TARGETS)?.delegations.unwrap_or_default().keys;
        Ok((keys, delegation.keys()))
    }

    /// Roles whose files wait to be published: the root, the lists of targets.
    ///
    /// # Errors
    /// Files cannot be read.
    pub fn waiting(&self) -> Result<Vec<Staged>, RegistryError> {
        let mut found = Vec::new();
        for role in self.staged_roles()? {
            let Some(envelope) = self.staged(&role)? else { continue };
            found.push(self.state_of(&role, &envelope)?);
        }
        Ok(found)
    }

    /// The root first, then targets, then publishers.
    fn staged_roles(&self) -> Result<Vec<String>, RegistryError> {
        let dir = self.dir.join("staged");
        let mut roles = Vec::new();
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(role) = name.strip_suffix(".json").filter(|it| !it.starts_with('.')) else {
                continue;
            };
            if ![ROOT, TARGETS].contains(&role) {
                crate::names::check_role(role)?;
            }
            roles.push(role.to_owned());
        }
        let place = |role: &String| match role.as_str() {
            ROOT => 0,
            TARGETS => 1,
            _ => 2,
        };
        roles.sort_by(|a, b| (place(a), a).cmp(&(place(b), b)));
        Ok(roles)
    }

    fn state_of(&self, role: &str, envelope: &Envelope) -> Result<Staged, RegistryError> {
        let (keys, role_keys) = self.keys_of(role)?;
        if role != ROOT {
            let version = envelope.peek::<Targets>()?.version;
            let (have, need) = counted(envelope.verify::<Targets>(role, &keys, &role_keys))?;
            let need = need.max(usize::try_from(role_keys.threshold).unwrap_or(usize::MAX));
            return Ok(Staged { role: role.to_owned(), version, have: have.min(need), need });
        }
        let version = envelope.peek::<Root>()?.version;
        let (mut have, mut need) = count_root(envelope, &keys, &role_keys)?;
        if let Some(before) = self.root()? {
            let keys = before.roles.get(ROOT).cloned().unwrap_or_default();
            let (old_have, old_need) = count_root(envelope, &before.keys, &keys)?;
            (have, need) = (have + old_have, need + old_need);
        }
        Ok(Staged { role: role.to_owned(), version, have, need })
    }
}

fn count_root(
    envelope: &Envelope,
    keys: &std::collections::BTreeMap<String, Key>,
    role: &RoleKeys,
) -> Result<(usize, usize), RegistryError> {
    let threshold = usize::try_from(role.threshold).unwrap_or(usize::MAX);
    let (have, _) = counted(envelope.verify::<Root>(ROOT, keys, role))?;
    Ok((have.min(threshold), threshold))
}

/// Signatures that are there and that are needed; of one that has enough, "very many".
fn counted<T: Role>(verified: Result<T, RegistryError>) -> Result<(usize, usize), RegistryError> {
    match verified {
        Ok(_) => Ok((usize::MAX, 0)),
        Err(RegistryError::Signature { have, need, .. }) => Ok((have, need)),
        Err(other) => Err(other),
    }
}

fn empty_targets() -> Targets {
    Targets {
        kind: TARGETS.to_owned(),
        spec_version: SPEC_VERSION.to_owned(),
        version: 1,
        expires: Moment(0),
        targets: std::collections::BTreeMap::new(),
        delegations: None,
    }
}
