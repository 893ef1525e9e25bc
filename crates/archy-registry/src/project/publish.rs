//! What waits becomes what is served: checked as a node would, then put in place, timestamp last.

use std::collections::BTreeMap;

use archy_types::Digest;

use super::Project;
use crate::error::RegistryError;
use crate::files;
use crate::keys::PrivateKey;
use crate::schema::{
    Hashes, MetaFile, Moment, ROOT, Role, Root, SNAPSHOT, SPEC_VERSION, Snapshot, TARGETS,
    TIMESTAMP, Targets, Timestamp,
};
use crate::signed::Envelope;
use crate::store::MAX_FILE;
use crate::trust;

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Published {
    /// Fingerprint of the root, for owners to compare.
    pub fingerprint: String,
    /// Version of the root.
    pub root: u64,
    /// Version of the timestamp.
    pub timestamp: u64,
    /// Versions of lists of targets by role.
    pub roles: BTreeMap<String, u64>,
    /// Until when all of it is good.
    pub good_until: String,
}

/// A file ready to be put in place.
struct Ready {
    role: String,
    version: u64,
    bytes: Vec<u8>,
}

impl Project {
    /// Publishes what waits, with a new snapshot and timestamp signed by `keys`; when nothing
    /// waits, the dates of these two are renewed.
    ///
    /// # Errors
    /// Signatures are missing, or files cannot be written. What was published stays in force then.
    pub fn publish(&self, keys: &[PrivateKey], now: Moment) -> Result<Published, RegistryError> {
        let staged_root = self.ready_root()?;
        let (root, root_bytes) = match &staged_root {
            Some(ready) => (trust::first_root(&ready.bytes)?, ready.bytes.clone()),
            None => {
                let bytes = files::read(&self.metadata().join("root.json"), MAX_FILE)?;
                (trust::first_root(&bytes)?, bytes)
            }
        };
        let lists = self.lists(&root)?;
        let before = self.before()?;
        let snapshot_version = before.as_ref().map_or(1, |(_, snapshot)| snapshot.version + 1);
        let timestamp_version = before.as_ref().map_or(1, |(timestamp, _)| timestamp.version + 1);
        let expires = now.plus_days(self.settings.days.snapshot);
        let mut snapshot = snapshot_of(&lists, snapshot_version, expires);
        // nodes insist that what was listed once is listed for ever, a revoked publisher as well
        for (file, meta) in before.iter().flat_map(|(_, snapshot)| &snapshot.meta) {
            snapshot.meta.entry(file.clone()).or_insert_with(|| meta.clone());
        }
        let snapshot_bytes = sign_online(&root, SNAPSHOT, &snapshot, keys)?;
        let meta = meta_of(snapshot.version, &snapshot_bytes);
        let timestamp = Timestamp {
            kind: TIMESTAMP.to_owned(),
            spec_version: SPEC_VERSION.to_owned(),
            version: timestamp_version,
            expires: now.plus_days(self.settings.days.timestamp),
            meta: [(trust::SNAPSHOT_FILE.to_owned(), meta)].into(),
        };
        let timestamp_bytes = sign_online(&root, TIMESTAMP, &timestamp, keys)?;
        let mut dates = vec![
            (ROOT, root.expires),
            (SNAPSHOT, snapshot.expires),
            (TIMESTAMP, timestamp.expires),
        ];
        let mut roles = BTreeMap::new();
        for list in &lists {
            let targets: Targets = Envelope::parse(&list.role, &list.bytes)?.peek()?;
            dates.push((&list.role, targets.expires));
            roles.insert(list.role.clone(), list.version);
        }
        trust::check_dates(dates.iter().copied(), now)?;
        self.check(&root, &timestamp_bytes, &snapshot_bytes, &lists, before.as_ref())?;
        let snapshot_file =
            Ready { role: SNAPSHOT.to_owned(), version: snapshot_version, bytes: snapshot_bytes };
        self.put_in_place(staged_root.as_ref(), &lists, &snapshot_file, &timestamp_bytes)?;
        let (_, until) = trust::first_to_expire(dates.iter().copied());
        Ok(Published {
            fingerprint: Envelope::parse(ROOT, &root_bytes)?.fingerprint()?.to_string(),
            root: root.version,
            timestamp: timestamp_version,
            roles,
            good_until: until.to_string(),
        })
    }

    fn ready_root(&self) -> Result<Option<Ready>, RegistryError> {
        let Some(envelope) = self.staged(ROOT)? else { return Ok(None) };
        let state = self.state_of(ROOT, &envelope)?;
        let Some(before) = self.root()? else {
            let bytes = envelope.to_bytes()?;
            let root = trust::first_root(&bytes)?;
            return Ok(Some(Ready { role: ROOT.to_owned(), version: root.version, bytes }));
        };
        if !state.is_ready() {
            let (have, need) = (state.have, state.need);
            return Err(RegistryError::Signature { role: ROOT.to_owned(), have, need });
        }
        let bytes = envelope.to_bytes()?;
        let root = trust::next_root(&before, &bytes)?;
        Ok(Some(Ready { role: ROOT.to_owned(), version: root.version, bytes }))
    }

    /// Lists of targets of all roles: those that wait, else those in force.
    fn lists(&self, root: &Root) -> Result<Vec<Ready>, RegistryError> {
        let keys = root.roles.get(TARGETS).cloned().unwrap_or_default();
        let missing = || RegistryError::Project("there is nothing to publish yet".to_owned());
        let top = self.current(TARGETS)?.ok_or_else(missing)?;
        let targets: Targets = top.verify(TARGETS, &root.keys, &keys)?;
        let mut lists = vec![ready(TARGETS, &targets, &top)?];
        for delegation in targets.delegations.iter().flat_map(|it| &it.roles) {
            let Some(envelope) = self.current(&delegation.name)? else { continue };
            let all = targets.delegations.as_ref().map(|it| &it.keys);
            let Some(all) = all else { continue };
            let list: Targets = envelope.verify(&delegation.name, all, &delegation.keys())?;
            lists.push(ready(&delegation.name, &list, &envelope)?);
        }
        Ok(lists)
    }

    fn current(&self, role: &str) -> Result<Option<Envelope>, RegistryError> {
        match self.staged(role)? {
            Some(staged) => Ok(Some(staged)),
            None => self.published(role),
        }
    }

    fn before(&self) -> Result<Option<(Timestamp, Snapshot)>, RegistryError> {
        let read = |role: &str| self.published(role);
        let (Some(timestamp), Some(snapshot)) = (read(TIMESTAMP)?, read(SNAPSHOT)?) else {
            return Ok(None);
        };
        Ok(Some((timestamp.peek()?, snapshot.peek()?)))
    }

    /// What a node would say to it.
    fn check(
        &self,
        root: &Root,
        timestamp: &[u8],
        snapshot: &[u8],
        lists: &[Ready],
        before: Option<&(Timestamp, Snapshot)>,
    ) -> Result<(), RegistryError> {
        let forgets = self.root()?.is_some_and(|old| trust::forgets_versions(&old, root));
        let before = before.filter(|_| !forgets);
        let new = trust::timestamp(root, before.map(|(timestamp, _)| timestamp), timestamp)?;
        let seen = before.map(|(_, snapshot)| snapshot);
        let new = trust::snapshot(root, &new, seen, snapshot)?;
        let top = lists.first().map(|list| list.bytes.as_slice()).unwrap_or_default();
        let targets = trust::targets(root, &new, top)?;
        let Some(delegations) = &targets.delegations else { return Ok(()) };
        for list in lists.iter().skip(1) {
            let role = delegations.roles.iter().find(|it| it.name == list.role);
            let Some(role) = role else { continue };
            trust::delegated(delegations, role, &new, &list.bytes)?;
        }
        Ok(())
    }

    fn put_in_place(
        &self,
        root: Option<&Ready>,
        lists: &[Ready],
        snapshot: &Ready,
        timestamp: &[u8],
    ) -> Result<(), RegistryError> {
        let metadata = self.metadata();
        for file in lists.iter().chain([snapshot]) {
            let name = format!("{}.{}.json", file.version, file.role);
            files::write(&metadata.join(name), &file.bytes)?;
        }
        if let Some(root) = root {
            files::write(&metadata.join(format!("{}.root.json", root.version)), &root.bytes)?;
        }
        files::write(&metadata.join("timestamp.json"), timestamp)?;
        if let Some(root) = root {
            files::write(&metadata.join("root.json"), &root.bytes)?;
        }
        for role in self.staged_roles()? {
            self.unstage(&role)?;
        }
        Ok(())
    }
}

fn ready(role: &str, targets: &Targets, envelope: &Envelope) -> Result<Ready, RegistryError> {
    Ok(Ready { role: role.to_owned(), version: targets.version, bytes: envelope.to_bytes()? })
}

fn snapshot_of(lists: &[Ready], version: u64, expires: Moment) -> Snapshot {
    let meta = lists.iter();
    let meta = meta.map(|it| (format!("{}.json", it.role), meta_of(it.version, &it.bytes)));
    Snapshot {
        kind: SNAPSHOT.to_owned(),
        spec_version: SPEC_VERSION.to_owned(),
        version,
        expires,
        meta: meta.collect(),
    }
}

fn meta_of(version: u64, bytes: &[u8]) -> MetaFile {
    let hashes: Hashes = [("sha256".to_owned(), Digest::of(bytes).hex())].into();
    MetaFile { version, length: Some(bytes.len() as u64), hashes: Some(hashes) }
}

/// Signs a file of a role whose keys are at hand.
fn sign_online<T: Role>(
    root: &Root,
    name: &str,
    role: &T,
    keys: &[PrivateKey],
) -> Result<Vec<u8>, RegistryError> {
    let role_keys = root.roles.get(name).cloned().unwrap_or_default();
    let mut envelope = Envelope::of(role)?;
    for key in keys.iter().filter(|key| role_keys.keyids.iter().any(|id| id == key.id())) {
        envelope.sign(key)?;
    }
    envelope.verify::<T>(name, &root.keys, &role_keys)?;
    envelope.to_bytes()
}
