//! Keys: who founds a registry, who signs, and how keys are changed.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::{Project, Settings};
use crate::error::RegistryError;
use crate::files;
use crate::keys::PrivateKey;
use crate::names;
use crate::schema::{
    Delegation, Delegations, Key, Moment, ROOT, RoleKeys, Root, SNAPSHOT, SPEC_VERSION, TARGETS,
    TIMESTAMP,
};
use crate::signed::Envelope;
use crate::store::MAX_FILE;

/// Public keys of a new registry, and how many signatures each role needs.
#[derive(Debug, Clone, Default)]
pub struct Founders {
    /// Keys by role; all four top roles.
    pub keys: BTreeMap<String, Vec<Key>>,
    /// Signatures by role; one where nothing is said.
    pub thresholds: BTreeMap<String, u32>,
}

/// A change of a role's keys.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// `root`, `targets`, `snapshot`, `timestamp`, or a publisher, who is made when new.
    pub role: String,
    /// Keys to add.
    pub add: Vec<Key>,
    /// Ids of keys to take away; the beginning of an id is enough when it is the only one.
    pub remove: Vec<String>,
    /// Signatures needed.
    pub threshold: Option<u32>,
    /// Apps that a publisher may offer, `*` and `?` standing for others.
    pub apps: Option<Vec<String>>,
    /// Take the publisher away.
    pub revoke: bool,
}

/// What became of a file by signing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignedFile {
    /// The role.
    pub role: String,
    /// Ids of keys that signed it now.
    pub by: Vec<String>,
}

impl Project {
    /// Begins a registry; its root waits to be signed.
    ///
    /// # Errors
    /// There is one in this directory, a role has too few keys, or files cannot be written.
    pub fn init(
        dir: &Path,
        settings: Settings,
        founders: &Founders,
        now: Moment,
    ) -> Result<Self, RegistryError> {
        if dir.join("registry.json").exists() {
            let place = dir.display();
            return Err(RegistryError::Project(format!("{place} is a registry already")));
        }
        let mut root = Root {
            kind: ROOT.to_owned(),
            spec_version: SPEC_VERSION.to_owned(),
            version: 1,
            expires: now.plus_days(settings.days.root),
            consistent_snapshot: true,
            keys: BTreeMap::new(),
            roles: BTreeMap::new(),
        };
        for role in [ROOT, TARGETS, SNAPSHOT, TIMESTAMP] {
            let mut keys = RoleKeys { keyids: Vec::new(), threshold: 1 };
            let threshold = founders.thresholds.get(role).copied();
            let add = founders.keys.get(role).map_or(&[][..], Vec::as_slice);
            change_keys(role, &mut keys, &mut root.keys, add, &[], threshold)?;
            root.roles.insert(role.to_owned(), keys);
        }
        let text = serde_json::to_vec_pretty(&settings)
            .map_err(|error| RegistryError::format("registry.json", error))?;
        let project = Self { dir: dir.to_owned(), settings };
        project.stage(ROOT, &Envelope::of(&root)?)?;
        let targets = super::empty_targets();
        project.put_targets(TARGETS, targets, now)?;
        files::write(&dir.join("registry.json"), &text)?;
        Ok(project)
    }

    /// Signs every file that waits with those of the keys that count for it.
    ///
    /// # Errors
    /// Files cannot be read or written.
    pub fn sign(&self, keys: &[PrivateKey]) -> Result<Vec<SignedFile>, RegistryError> {
        let mut signed = Vec::new();
        for role in self.staged_roles()? {
            let Some(mut envelope) = self.staged(&role)? else { continue };
            let mut counting = self.keys_of(&role)?.1.keyids;
            if role == ROOT {
                let before = self.root()?.and_then(|root| root.roles.get(ROOT).cloned());
                counting.extend(before.unwrap_or_default().keyids);
            }
            let mut by = Vec::new();
            for key in keys.iter().filter(|key| counting.iter().any(|id| id == key.id())) {
                envelope.sign(key)?;
                by.push(key.id().to_owned());
            }
            if !by.is_empty() {
                self.stage(&role, &envelope)?;
                signed.push(SignedFile { role, by });
            }
        }
        Ok(signed)
    }

    /// Takes over signatures of a file that was carried elsewhere to be signed.
    ///
    /// # Errors
    /// It is not the file that waits here.
    pub fn take_back(&self, role: &str, path: &Path) -> Result<(), RegistryError> {
        let signed = Envelope::parse(role, &files::read(path, MAX_FILE)?)?;
        let nothing = || RegistryError::Project(format!("no {role} waits to be signed here"));
        let mut waiting = self.staged(role)?.ok_or_else(nothing)?;
        if waiting.fingerprint()? != signed.fingerprint()? {
            let text = format!("{} is not the {role} that waits here", path.display());
            return Err(RegistryError::Project(text));
        }
        for signature in signed.signatures {
            waiting.signatures.retain(|it| it.keyid != signature.keyid);
            waiting.signatures.push(signature);
        }
        self.stage(role, &waiting)
    }

    /// Changes a role's keys. What the old keys signed alone waits to be signed again.
    ///
    /// # Errors
    /// A key is not known, too few would be left, or files cannot be written.
    pub fn rotate(&self, change: &Change, now: Moment) -> Result<(), RegistryError> {
        if [ROOT, TARGETS, SNAPSHOT, TIMESTAMP].contains(&change.role.as_str()) {
            self.rotate_top(change, now)
        } else {
            self.rotate_publisher(change, now)
        }
    }

    fn rotate_top(&self, change: &Change, now: Moment) -> Result<(), RegistryError> {
        if change.revoke || change.apps.is_some() {
            let text = format!("{} is not a publisher", change.role);
            return Err(RegistryError::Project(text));
        }
        let mut root = self.next_root()?;
        if let Some(published) = self.root()? {
            root.version = published.version + 1;
        }
        root.expires = now.plus_days(self.settings.days.root);
        let keys = root.roles.entry(change.role.clone()).or_default();
        let (add, remove) = (&change.add, &change.remove);
        change_keys(&change.role, keys, &mut root.keys, add, remove, change.threshold)?;
        let used: std::collections::BTreeSet<String> =
            root.roles.values().flat_map(|keys| keys.keyids.clone()).collect();
        root.keys.retain(|id, _| used.contains(id));
        self.stage(ROOT, &Envelope::of(&root)?)?;
        if change.role == TARGETS {
            let targets = self.targets(TARGETS)?;
            self.put_targets(TARGETS, targets, now)?;
        }
        Ok(())
    }

    fn rotate_publisher(&self, change: &Change, now: Moment) -> Result<(), RegistryError> {
        names::check_role(&change.role)?;
        let mut targets = self.targets(TARGETS)?;
        let mut all = targets.delegations.take().unwrap_or_default();
        if change.revoke {
            revoke(&mut all, &change.role)?;
        } else {
            change_publisher(&mut all, change)?;
        }
        let used: std::collections::BTreeSet<String> =
            all.roles.iter().flat_map(|role| role.keyids.clone()).collect();
        all.keys.retain(|id, _| used.contains(id));
        targets.delegations = (!all.roles.is_empty()).then_some(all);
        self.put_targets(TARGETS, targets, now)?;
        if change.revoke {
            // what is staged of a publisher who is gone is nobody's any more
            if self.staged(&change.role)?.is_some() {
                self.unstage(&change.role)?;
            }
        } else {
            let own = self.targets(&change.role)?;
            self.put_targets(&change.role, own, now)?;
        }
        Ok(())
    }
}

fn revoke(all: &mut Delegations, role: &str) -> Result<(), RegistryError> {
    let before = all.roles.len();
    all.roles.retain(|it| it.name != role);
    if all.roles.len() == before {
        return Err(RegistryError::Project(format!("there is no publisher {role} here")));
    }
    Ok(())
}

fn change_publisher(all: &mut Delegations, change: &Change) -> Result<(), RegistryError> {
    let place = all.roles.iter().position(|it| it.name == change.role);
    let place = place.unwrap_or_else(|| {
        all.roles.push(Delegation {
            name: change.role.clone(),
            keyids: Vec::new(),
            threshold: 1,
            terminating: false,
            paths: None,
        });
        all.roles.len() - 1
    });
    let Some(role) = all.roles.get_mut(place) else { return Ok(()) };
    let mut keys = role.keys();
    let (add, remove) = (&change.add, &change.remove);
    change_keys(&change.role, &mut keys, &mut all.keys, add, remove, change.threshold)?;
    (role.keyids, role.threshold) = (keys.keyids, keys.threshold);
    if let Some(apps) = &change.apps {
        let mut paths = vec![names::catalog(&change.role)];
        for app in apps {
            if app.is_empty() || app.contains(['.', '/']) {
                return Err(RegistryError::Name(app.clone()));
            }
            paths.push(format!("app.{app}.*"));
        }
        role.paths = Some(paths);
    }
    if role.paths.is_none() {
        let text = format!("say which apps {} may offer", change.role);
        return Err(RegistryError::Project(text));
    }
    Ok(())
}

fn change_keys(
    role: &str,
    keys: &mut RoleKeys,
    all: &mut BTreeMap<String, Key>,
    add: &[Key],
    remove: &[String],
    threshold: Option<u32>,
) -> Result<(), RegistryError> {
    for start in remove {
        let found: Vec<_> = keys.keyids.iter().filter(|id| id.starts_with(start)).collect();
        let [found] = found.as_slice() else {
            let text = format!("{} keys of {role} begin with {start:?}", found.len());
            return Err(RegistryError::Project(text));
        };
        let found = (*found).clone();
        keys.keyids.retain(|id| *id != found);
    }
    for key in add {
        let id = key.id()?;
        if !keys.keyids.contains(&id) {
            keys.keyids.push(id.clone());
        }
        all.insert(id, key.clone());
    }
    keys.threshold = threshold.unwrap_or(keys.threshold);
    let count = keys.keyids.len();
    if keys.threshold == 0 || usize::try_from(keys.threshold).is_ok_and(|need| need > count) {
        let text = format!("{role} would need {} signatures of {count} keys", keys.threshold);
        return Err(RegistryError::Project(text));
    }
    Ok(())
}

/// Signs one file that was carried here, on a machine that has nothing else of the registry.
///
/// # Errors
/// It is no signed file, or cannot be written.
pub fn sign_file(path: &Path, keys: &[PrivateKey]) -> Result<SignedFile, RegistryError> {
    let what = path.display().to_string();
    let mut envelope = Envelope::parse(&what, &files::read(path, MAX_FILE)?)?;
    let unknown = || RegistryError::format(&what, "it does not say which role it is of");
    let role = envelope.kind().ok_or_else(unknown)?;
    let mut by = Vec::new();
    for key in keys {
        envelope.sign(key)?;
        by.push(key.id().to_owned());
    }
    files::write(path, &envelope.to_bytes()?)?;
    Ok(SignedFile { role, by })
}
