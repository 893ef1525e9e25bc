//! The rules of TUF (specification 1.0, §5.3 to §5.6) over bytes: no network, no files, no clock.

use archy_types::Digest;

use crate::error::RegistryError;
use crate::schema::{
    Delegation, Delegations, Hashes, MetaFile, Moment, ROOT, Role, RoleKeys, Root, SNAPSHOT,
    Snapshot, TARGETS, TIMESTAMP, TargetFile, Targets, Timestamp,
};
use crate::signed::Envelope;

/// Name of the snapshot's file, as the timestamp lists it.
pub const SNAPSHOT_FILE: &str = "snapshot.json";

/// Keys of a top role.
fn keys_of<'a>(root: &'a Root, role: &str) -> Result<&'a RoleKeys, RegistryError> {
    let missing = || RegistryError::format(ROOT, format!("it has no keys for {role}"));
    root.roles.get(role).filter(|keys| keys.threshold > 0).ok_or_else(missing)
}

/// A root that is signed by its own keys. Whether they are the right ones is told by its fingerprint.
///
/// # Errors
/// It is not a root, or not signed by enough of its own keys.
pub fn first_root(bytes: &[u8]) -> Result<Root, RegistryError> {
    let envelope = Envelope::parse(ROOT, bytes)?;
    let root: Root = envelope.peek()?;
    for role in [ROOT, TARGETS, SNAPSHOT, TIMESTAMP] {
        keys_of(&root, role)?;
    }
    envelope.verify(ROOT, &root.keys, keys_of(&root, ROOT)?)
}

/// The root after `current` (§5.3): signed by enough keys of both, its version one more.
///
/// # Errors
/// It is not.
pub fn next_root(current: &Root, bytes: &[u8]) -> Result<Root, RegistryError> {
    let envelope = Envelope::parse(ROOT, bytes)?;
    envelope.verify::<Root>(ROOT, &current.keys, keys_of(current, ROOT)?)?;
    let next = first_root(bytes)?;
    if next.version != current.version + 1 {
        let (have, got) = (current.version + 1, next.version);
        return Err(RegistryError::Rollback { role: ROOT.to_owned(), have, got });
    }
    Ok(next)
}

/// True when the keys of timestamp or snapshot changed: then versions that were seen do not count
/// any more, so that a registry recovers from stolen keys that signed very high versions (§5.3.11).
#[must_use]
pub fn forgets_versions(old: &Root, new: &Root) -> bool {
    let keys = |root: &Root, role: &str| {
        let keys = root.roles.get(role).cloned().unwrap_or_default();
        (keys.keyids.into_iter().collect::<std::collections::BTreeSet<_>>(), keys.threshold)
    };
    [TIMESTAMP, SNAPSHOT].iter().any(|role| keys(old, role) != keys(new, role))
}

/// The timestamp (§5.4).
///
/// # Errors
/// It is not signed by its keys, or older than the one before.
pub fn timestamp(
    root: &Root,
    before: Option<&Timestamp>,
    bytes: &[u8],
) -> Result<Timestamp, RegistryError> {
    let envelope = Envelope::parse(TIMESTAMP, bytes)?;
    let new: Timestamp = envelope.verify(TIMESTAMP, &root.keys, keys_of(root, TIMESTAMP)?)?;
    let meta = snapshot_meta(&new)?;
    if let Some(before) = before {
        not_older(TIMESTAMP, before.version, new.version)?;
        not_older(SNAPSHOT, snapshot_meta(before)?.version, meta.version)?;
    }
    Ok(new)
}

/// What a timestamp says about the snapshot.
///
/// # Errors
/// It says nothing.
pub fn snapshot_meta(timestamp: &Timestamp) -> Result<&MetaFile, RegistryError> {
    let missing = || RegistryError::format(TIMESTAMP, "it names no snapshot");
    timestamp.meta.get(SNAPSHOT_FILE).ok_or_else(missing)
}

/// The snapshot (§5.5).
///
/// # Errors
/// It is not the one that the timestamp names, not signed by its keys, or lists an older version of something or no longer lists it.
pub fn snapshot(
    root: &Root,
    timestamp: &Timestamp,
    before: Option<&Snapshot>,
    bytes: &[u8],
) -> Result<Snapshot, RegistryError> {
    let meta = snapshot_meta(timestamp)?;
    check_meta(SNAPSHOT_FILE, meta, bytes)?;
    let envelope = Envelope::parse(SNAPSHOT, bytes)?;
    let new: Snapshot = envelope.verify(SNAPSHOT, &root.keys, keys_of(root, SNAPSHOT)?)?;
    same_version(SNAPSHOT_FILE, meta, new.version)?;
    for (file, old) in before.iter().flat_map(|before| &before.meta) {
        let role = file.trim_end_matches(".json");
        let Some(now) = new.meta.get(file) else {
            let reason = "the new snapshot no longer lists it".to_owned();
            return Err(RegistryError::Mixed { file: file.clone(), reason });
        };
        not_older(role, old.version, now.version)?;
    }
    Ok(new)
}

/// The top list of targets (§5.6).
///
/// # Errors
/// It is not the one that the snapshot names, or not signed by its keys.
pub fn targets(root: &Root, snapshot: &Snapshot, bytes: &[u8]) -> Result<Targets, RegistryError> {
    let meta = meta_of(snapshot, TARGETS)?;
    check_meta("targets.json", meta, bytes)?;
    let envelope = Envelope::parse(TARGETS, bytes)?;
    let new: Targets = envelope.verify(TARGETS, &root.keys, keys_of(root, TARGETS)?)?;
    same_version("targets.json", meta, new.version)?;
    Ok(new)
}

/// A publisher's list of targets (§5.6.7).
///
/// # Errors
/// It is not the one that the snapshot names, or not signed by the publisher's keys.
pub fn delegated(
    parent: &Delegations,
    role: &Delegation,
    snapshot: &Snapshot,
    bytes: &[u8],
) -> Result<Targets, RegistryError> {
    let (file, meta) = (format!("{}.json", role.name), meta_of(snapshot, &role.name)?);
    check_meta(&file, meta, bytes)?;
    let envelope = Envelope::parse(&role.name, bytes)?;
    let new: Targets = envelope.verify(&role.name, &parent.keys, &role.keys())?;
    same_version(&file, meta, new.version)?;
    Ok(new)
}

/// What a snapshot says about a role.
///
/// # Errors
/// It says nothing.
pub fn meta_of<'a>(snapshot: &'a Snapshot, role: &str) -> Result<&'a MetaFile, RegistryError> {
    let missing = || RegistryError::format(SNAPSHOT, format!("it does not list {role}"));
    snapshot.meta.get(&format!("{role}.json")).ok_or_else(missing)
}

/// Checks a target's bytes.
///
/// # Errors
/// [`RegistryError::Target`] when they are not what was signed.
pub fn check_target(name: &str, target: &TargetFile, bytes: &[u8]) -> Result<(), RegistryError> {
    let differs = |what| RegistryError::Target { name: name.to_owned(), what };
    if target.length != bytes.len() as u64 {
        return Err(differs("length"));
    }
    if sha256(&target.hashes).is_none_or(|expected| *expected != Digest::of(bytes).hex()) {
        return Err(differs("digest"));
    }
    Ok(())
}

/// The digest that is used here.
#[must_use]
pub fn sha256(hashes: &Hashes) -> Option<&String> {
    hashes.get("sha256")
}

/// The role whose date passes first.
#[must_use]
pub fn first_to_expire<'a>(roles: impl IntoIterator<Item = (&'a str, Moment)>) -> (String, Moment) {
    let first = roles.into_iter().min_by_key(|(_, until)| *until);
    first.map_or((String::new(), Moment(0)), |(role, until)| (role.to_owned(), until))
}

fn check_meta(file: &str, meta: &MetaFile, bytes: &[u8]) -> Result<(), RegistryError> {
    let mixed = |reason: &str| RegistryError::Mixed {
        file: file.to_owned(),
        reason: format!("its {reason} is not the signed one"),
    };
    if meta.length.is_some_and(|length| length != bytes.len() as u64) {
        return Err(mixed("length"));
    }
    let expected = meta.hashes.as_ref().and_then(sha256);
    if expected.is_some_and(|expected| *expected != Digest::of(bytes).hex()) {
        return Err(mixed("digest"));
    }
    Ok(())
}

fn same_version(file: &str, meta: &MetaFile, got: u64) -> Result<(), RegistryError> {
    if meta.version == got {
        return Ok(());
    }
    let reason = format!("it is version {got}, but version {} is signed", meta.version);
    Err(RegistryError::Mixed { file: file.to_owned(), reason })
}

fn not_older(role: &str, have: u64, got: u64) -> Result<(), RegistryError> {
    if got < have {
        return Err(RegistryError::Rollback { role: role.to_owned(), have, got });
    }
    Ok(())
}

/// Checks that nothing is past its date.
///
/// # Errors
/// [`RegistryError::Expired`] with the role whose date passed first.
pub fn check_dates<'a>(
    roles: impl IntoIterator<Item = (&'a str, Moment)>,
    now: Moment,
) -> Result<(), RegistryError> {
    let (role, until) = first_to_expire(roles);
    if until < now {
        return Err(RegistryError::Expired { role, until: until.to_string() });
    }
    Ok(())
}

/// A role and its date.
pub(crate) fn dated<'a, T: Role>(name: &'a str, role: &T) -> (&'a str, Moment) {
    (name, role.expires())
}
