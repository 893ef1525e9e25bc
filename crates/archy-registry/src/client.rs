//! The node's side: confirm a registry, load what is known of it, ask for news.

use std::path::PathBuf;
use std::time::Duration;

use archy_types::Digest;
use bytes::Bytes;

use crate::error::RegistryError;
use crate::known::{Known, Part, RoleCatalog};
use crate::names;
use crate::schema::{
    Delegations, MetaFile, Moment, ROOT, Root, SNAPSHOT, Snapshot, TARGETS, TIMESTAMP, TargetFile,
    Targets, Timestamp,
};
use crate::signed::Envelope;
use crate::store::{Index, MAX_FILE, MAX_ROOT, Store};
use crate::transport::{Got, Transport, Want};
use crate::trust;

/// Most roots that follow one another in one look.
const MAX_ROOTS: usize = 256;
/// Most publishers of one registry.
const MAX_PARTS: usize = 256;
/// Largest timestamp, in bytes.
const MAX_TIMESTAMP: u64 = 64 * 1024;
/// Largest snapshot whose length is not signed.
const MAX_SNAPSHOT: u64 = 2 * 1024 * 1024;

/// How long files may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Time for any file.
    pub base: Duration,
    /// Bytes a second that are enough for a larger one.
    pub rate: u64,
}

impl Default for Patience {
    /// 20 s, and 32 KiB/s.
    fn default() -> Self {
        Self { base: Duration::from_secs(20), rate: 32 * 1024 }
    }
}

/// What a look brought.
#[derive(Debug, Clone)]
pub enum Refreshed {
    /// Nothing new.
    Unchanged(Box<Known>),
    /// A newer catalog, in force now.
    New(Box<Known>),
}

impl Refreshed {
    /// The catalog.
    #[must_use]
    pub fn known(self) -> Known {
        match self {
            Self::Unchanged(known) | Self::New(known) => *known,
        }
    }
}

/// Whose keys a registry has.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Fingerprint of the newest root.
    pub fingerprint: Digest,
    /// The newest root.
    pub root: Root,
}

/// One registry on a node.
#[derive(Debug, Clone)]
pub struct Client {
    store: Store,
    patience: Patience,
}

/// A root with its file.
struct RootFile {
    root: Root,
    bytes: Bytes,
    fingerprint: Digest,
}

impl RootFile {
    fn of(root: Root, bytes: Bytes) -> Result<Self, RegistryError> {
        let fingerprint = Envelope::parse(ROOT, &bytes)?.fingerprint()?;
        Ok(Self { root, bytes, fingerprint })
    }
}

impl Client {
    /// The registry whose files are in `dir`.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { store: Store::new(dir), patience: Patience::default() }
    }

    /// The same with other deadlines.
    #[must_use]
    pub fn patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Whose keys a registry has, without trusting it.
    ///
    /// # Errors
    /// It cannot be reached, or its roots do not follow from one another.
    pub async fn look(transport: &dyn Transport) -> Result<Identity, RegistryError> {
        let client = Self::new(PathBuf::new());
        let chain = client.chain_from_first(transport).await?;
        let newest = chain.into_iter().next_back();
        let newest = newest.ok_or_else(|| RegistryError::Missing("1.root.json".to_owned()))?;
        Ok(Identity { fingerprint: newest.fingerprint, root: newest.root })
    }

    /// Trusts a registry from the root with this fingerprint on, which the owner has compared.
    ///
    /// # Errors
    /// [`RegistryError::Fingerprint`] when it has no such root, and as [`Client::look`].
    pub async fn trust(
        &self,
        transport: &dyn Transport,
        fingerprint: Digest,
    ) -> Result<Identity, RegistryError> {
        let chain = self.chain_from_first(transport).await?;
        if !chain.iter().any(|file| file.fingerprint == fingerprint) {
            return Err(RegistryError::Fingerprint(fingerprint.to_string()));
        }
        let newest = chain.into_iter().next_back();
        let newest = newest.ok_or_else(|| RegistryError::Missing("1.root.json".to_owned()))?;
        self.store.put_root(&newest.bytes)?;
        Ok(Identity { fingerprint: newest.fingerprint, root: newest.root })
    }

    /// Trusts a root that came with a file, for example in a package.
    ///
    /// # Errors
    /// It is no root, or cannot be written.
    pub fn trust_root(&self, bytes: &[u8]) -> Result<Identity, RegistryError> {
        let file = RootFile::of(trust::first_root(bytes)?, Bytes::copy_from_slice(bytes))?;
        self.store.put_root(bytes)?;
        Ok(Identity { fingerprint: file.fingerprint, root: file.root })
    }

    /// Forgets the registry.
    ///
    /// # Errors
    /// Its files cannot be removed.
    pub fn forget(&self) -> Result<(), RegistryError> {
        self.store.clear()
    }

    /// The last good catalog, verified again; nothing when none ever came. Whether it is stale is
    /// for [`Known::check_fresh`].
    ///
    /// # Errors
    /// [`RegistryError::NotTrusted`], or what is on disk is damaged.
    pub fn load(&self) -> Result<Option<Known>, RegistryError> {
        let root = self.trusted()?;
        let Some(index) = self.store.index()? else { return Ok(None) };
        let timestamp = trust::timestamp(&root.root, None, &self.store.get(&index.timestamp)?)?;
        let snapshot = self.store.get(&index.snapshot)?;
        let snapshot = trust::snapshot(&root.root, &timestamp, None, &snapshot)?;
        let role = |name: &str| {
            let missing = || RegistryError::Missing(format!("{name}.json"));
            self.store.get(index.roles.get(name).ok_or_else(missing)?)
        };
        let targets = trust::targets(&root.root, &snapshot, &role(TARGETS)?)?;
        let mut parts = Vec::new();
        for (delegations, delegation) in publishers(&targets, &snapshot) {
            let bytes = role(&delegation.name)?;
            let part = trust::delegated(delegations, delegation, &snapshot, &bytes)?;
            parts.push(Part { delegation: delegation.clone(), targets: part });
        }
        let RootFile { root, fingerprint, .. } = root;
        let catalogs = Vec::new();
        let mut known =
            Known { root, fingerprint, timestamp, snapshot, targets, parts, catalogs, index };
        for (role, name, target) in wanted_catalogs(&known.targets, &known.parts) {
            let digest = trust::sha256(&target.hashes);
            let bytes = digest.map(|digest| self.store.get(digest)).transpose()?;
            let text = bytes.unwrap_or_default();
            trust::check_target(&name, target, &text)?;
            known.catalogs.push(catalog(&known.parts, role, text));
        }
        Ok(Some(known))
    }

    /// Asks for news. Whatever goes wrong, the last good catalog stays as it is.
    ///
    /// # Errors
    /// [`RegistryError`]: what came was not used.
    pub async fn refresh(
        &self,
        transport: &dyn Transport,
        now: Moment,
    ) -> Result<Refreshed, RegistryError> {
        let before = self.load().or_else(|error| match error {
            RegistryError::NotTrusted => Err(error),
            // what is damaged here is fetched anew
            other => {
                tracing::warn!(error = %other, "what is kept of a registry cannot be used");
                Ok(None)
            }
        })?;
        let old_root = self.trusted()?;
        let later = self.chain(transport, &old_root.root, true).await?;
        let same_root = later.is_empty();
        let root = later.into_iter().next_back();
        let forgets =
            root.as_ref().is_some_and(|new| trust::forgets_versions(&old_root.root, &new.root));
        let root = root.unwrap_or(old_root);
        let now = before.as_ref().map_or(now, |it| now.max(Moment(it.index.checked)));
        let seen = before.as_ref().filter(|_| !forgets);
        let tag = seen.filter(|_| same_root).and_then(|it| it.index.tag.as_deref());
        let want = self.want("metadata/timestamp.json", MAX_TIMESTAMP, None, tag);
        let (bytes, tag) = match transport.get(want).await? {
            Got::Absent => return Err(RegistryError::Missing("timestamp.json".to_owned())),
            Got::Unchanged => return self.unchanged(before, None, now),
            Got::File { bytes, tag } => (bytes, tag),
        };
        let timestamp = trust::timestamp(&root.root, seen.map(|it| &it.timestamp), &bytes)?;
        let same = seen.is_some_and(|it| it.index.timestamp == Digest::of(&bytes).hex());
        if same && same_root {
            return self.unchanged(before, tag, now);
        }
        let dates = [trust::dated(ROOT, &root.root), trust::dated(TIMESTAMP, &timestamp)];
        trust::check_dates(dates, now)?;
        let round = Round { client: self, transport, root, before: before.as_ref(), seen };
        let known = round.fetch(timestamp, &bytes, tag, now).await?;
        Ok(Refreshed::New(Box::new(known)))
    }

    /// Fetches a target and checks it.
    ///
    /// # Errors
    /// There is none of this name, it is larger than `max_bytes`, or it is not what was signed.
    pub async fn target(
        &self,
        transport: &dyn Transport,
        known: &Known,
        name: &str,
        max_bytes: u64,
    ) -> Result<Bytes, RegistryError> {
        let missing = || RegistryError::Missing(name.to_owned());
        let target = known.target(name).ok_or_else(missing)?;
        if target.length > max_bytes {
            return Err(RegistryError::TooLarge { file: name.to_owned(), limit: max_bytes });
        }
        self.fetch_target(transport, known.root.consistent_snapshot, name, target).await
    }

    fn trusted(&self) -> Result<RootFile, RegistryError> {
        let bytes = self.store.root()?.ok_or(RegistryError::NotTrusted)?;
        RootFile::of(trust::first_root(&bytes)?, bytes.into())
    }

    fn unchanged(
        &self,
        before: Option<Known>,
        tag: Option<String>,
        now: Moment,
    ) -> Result<Refreshed, RegistryError> {
        let missing = || RegistryError::Missing("timestamp.json".to_owned());
        let mut known = before.ok_or_else(missing)?;
        // a server that holds back news looks like this one, until the date has passed
        known.check_fresh(now)?;
        known.index.checked = now.0;
        known.index.tag = tag.or(known.index.tag);
        self.store.commit(&known.index)?;
        Ok(Refreshed::Unchanged(Box::new(known)))
    }

    async fn chain_from_first(
        &self,
        transport: &dyn Transport,
    ) -> Result<Vec<RootFile>, RegistryError> {
        let want = self.want("metadata/1.root.json", MAX_ROOT, None, None);
        let Got::File { bytes, .. } = transport.get(want).await? else {
            return Err(RegistryError::Missing("1.root.json".to_owned()));
        };
        let first = RootFile::of(trust::first_root(&bytes)?, bytes)?;
        let later = self.chain(transport, &first.root, false).await?;
        Ok(std::iter::once(first).chain(later).collect())
    }

    /// The roots after `from`. Each one is kept as soon as it is verified, so that a cut in the
    /// middle does not lead back.
    async fn chain(
        &self,
        transport: &dyn Transport,
        from: &Root,
        keep: bool,
    ) -> Result<Vec<RootFile>, RegistryError> {
        let mut found: Vec<RootFile> = Vec::new();
        while found.len() < MAX_ROOTS {
            let current = found.last().map_or(from, |file| &file.root);
            let path = format!("metadata/{}.root.json", current.version.saturating_add(1));
            let Got::File { bytes, .. } =
                transport.get(self.want(&path, MAX_ROOT, None, None)).await?
            else {
                return Ok(found);
            };
            let next = RootFile::of(trust::next_root(current, &bytes)?, bytes)?;
            if keep {
                self.store.put_root(&next.bytes)?;
            }
            found.push(next);
        }
        Ok(found)
    }

    /// A request for a file whose length may be signed.
    fn want<'a>(
        &self,
        path: &'a str,
        limit: u64,
        length: Option<u64>,
        tag: Option<&'a str>,
    ) -> Want<'a> {
        let max_bytes = length.map_or(limit, |length| length.min(MAX_FILE));
        let more = Duration::from_secs(max_bytes / self.patience.rate.max(1));
        Want { path, max_bytes, deadline: self.patience.base + more, tag }
    }

    async fn fetch(
        &self,
        transport: &dyn Transport,
        path: &str,
        limit: u64,
        length: Option<u64>,
    ) -> Result<Bytes, RegistryError> {
        match transport.get(self.want(path, limit, length, None)).await? {
            Got::File { bytes, .. } => Ok(bytes),
            _ => Err(RegistryError::Missing(path.to_owned())),
        }
    }

    async fn fetch_target(
        &self,
        transport: &dyn Transport,
        consistent: bool,
        name: &str,
        target: &TargetFile,
    ) -> Result<Bytes, RegistryError> {
        names::check_target(name)?;
        let digest = trust::sha256(&target.hashes)
            .filter(|digest| digest.len() == 64 && digest.bytes().all(|c| c.is_ascii_hexdigit()))
            .ok_or_else(|| RegistryError::format(name, "it has no sha256"))?;
        let path =
            if consistent { format!("targets/{digest}.{name}") } else { format!("targets/{name}") };
        if target.length > MAX_FILE {
            return Err(RegistryError::TooLarge { file: name.to_owned(), limit: MAX_FILE });
        }
        let bytes = self.fetch(transport, &path, MAX_FILE, Some(target.length)).await?;
        trust::check_target(name, target, &bytes)?;
        Ok(bytes)
    }
}

/// One look, once there is a new timestamp.
struct Round<'a> {
    client: &'a Client,
    transport: &'a dyn Transport,
    root: RootFile,
    /// What is on disk.
    before: Option<&'a Known>,
    /// What it says about versions, unless that does not count any more.
    seen: Option<&'a Known>,
}

impl Round<'_> {
    async fn fetch(
        self,
        timestamp: Timestamp,
        timestamp_file: &[u8],
        tag: Option<String>,
        now: Moment,
    ) -> Result<Known, RegistryError> {
        let store = &self.client.store;
        let mut index = Index {
            tag,
            checked: now.0,
            fetched: now.0,
            timestamp: store.put(timestamp_file)?,
            ..Index::default()
        };
        let (snapshot, file) = self.snapshot(&timestamp).await?;
        index.snapshot = store.put(&file)?;
        let meta = trust::meta_of(&snapshot, TARGETS)?;
        let file = self.metadata(TARGETS, meta, MAX_FILE).await?;
        let targets = trust::targets(&self.root.root, &snapshot, &file)?;
        index.roles.insert(TARGETS.to_owned(), store.put(&file)?);
        let mut parts = Vec::new();
        for (delegations, delegation) in publishers(&targets, &snapshot) {
            names::check_role(&delegation.name)?;
            let meta = trust::meta_of(&snapshot, &delegation.name)?;
            let file = self.metadata(&delegation.name, meta, MAX_FILE).await?;
            let part = trust::delegated(delegations, delegation, &snapshot, &file)?;
            index.roles.insert(delegation.name.clone(), store.put(&file)?);
            parts.push(Part { delegation: delegation.clone(), targets: part });
        }
        let catalogs = self.catalogs(&targets, &parts, &mut index).await?;
        let RootFile { root, fingerprint, .. } = self.root;
        let known =
            Known { root, fingerprint, timestamp, snapshot, targets, parts, catalogs, index };
        known.check_fresh(now)?;
        store.commit(&known.index)?;
        Ok(known)
    }

    async fn snapshot(&self, timestamp: &Timestamp) -> Result<(Snapshot, Bytes), RegistryError> {
        let meta = trust::snapshot_meta(timestamp)?;
        let file = self.metadata(SNAPSHOT, meta, MAX_SNAPSHOT).await?;
        let seen = self.seen.map(|it| &it.snapshot);
        let snapshot = trust::snapshot(&self.root.root, timestamp, seen, &file)?;
        Ok((snapshot, file))
    }

    /// A metadata file: what is here already when it is of the signed version and digest.
    async fn metadata(
        &self,
        role: &str,
        meta: &MetaFile,
        limit: u64,
    ) -> Result<Bytes, RegistryError> {
        if let Some(bytes) = self.kept(role, meta) {
            return Ok(bytes);
        }
        let path = if self.root.root.consistent_snapshot {
            format!("metadata/{}.{role}.json", meta.version)
        } else {
            format!("metadata/{role}.json")
        };
        if meta.length.is_some_and(|length| length > MAX_FILE) {
            return Err(RegistryError::TooLarge { file: path, limit: MAX_FILE });
        }
        self.client.fetch(self.transport, &path, limit, meta.length).await
    }

    fn kept(&self, role: &str, meta: &MetaFile) -> Option<Bytes> {
        let before = self.before?;
        let (digest, version) = if role == SNAPSHOT {
            (&before.index.snapshot, before.snapshot.version)
        } else {
            let version = before.snapshot.meta.get(&format!("{role}.json"))?.version;
            (before.index.roles.get(role)?, version)
        };
        let signed = meta.hashes.as_ref().and_then(trust::sha256);
        let same = signed.map_or(version == meta.version, |signed| signed == digest);
        if !same {
            return None;
        }
        self.client.store.get(digest).ok().map(Bytes::from)
    }

    async fn catalogs(
        &self,
        targets: &Targets,
        parts: &[Part],
        index: &mut Index,
    ) -> Result<Vec<RoleCatalog>, RegistryError> {
        let mut catalogs = Vec::new();
        for (role, name, target) in wanted_catalogs(targets, parts) {
            let kept = trust::sha256(&target.hashes);
            let kept = kept.and_then(|digest| self.client.store.get(digest).ok());
            let kept = kept.filter(|bytes| trust::check_target(&name, target, bytes).is_ok());
            let text = match kept {
                Some(bytes) => bytes,
                None => {
                    let consistent = self.root.root.consistent_snapshot;
                    let fetched =
                        self.client.fetch_target(self.transport, consistent, &name, target).await?;
                    self.client.store.put(&fetched)?;
                    fetched.to_vec()
                }
            };
            index.catalogs.insert(role.to_owned(), Digest::of(&text).hex());
            catalogs.push(catalog(parts, role, text));
        }
        Ok(catalogs)
    }
}

/// Publishers that have published something.
fn publishers<'a>(
    targets: &'a Targets,
    snapshot: &'a Snapshot,
) -> impl Iterator<Item = (&'a Delegations, &'a crate::schema::Delegation)> {
    let all = targets.delegations.iter();
    let all = all.flat_map(|it| it.roles.iter().map(move |role| (it, role)));
    all.filter(|(_, role)| trust::meta_of(snapshot, &role.name).is_ok()).take(MAX_PARTS)
}

/// Roles with a catalog, its name and what is signed about it.
fn wanted_catalogs<'a>(
    targets: &'a Targets,
    parts: &'a [Part],
) -> Vec<(&'a str, String, &'a TargetFile)> {
    let own = (TARGETS, names::catalog(TARGETS), targets);
    let others = parts.iter().filter_map(|part| {
        let name = names::catalog(&part.delegation.name);
        let allowed = part.delegation.allows(&name);
        allowed.then_some((part.delegation.name.as_str(), name, &part.targets))
    });
    let all = std::iter::once(own).chain(others);
    all.filter_map(|(role, name, of)| Some((role, name.clone(), of.targets.get(&name)?))).collect()
}

fn catalog(parts: &[Part], role: &str, text: Vec<u8>) -> RoleCatalog {
    let part = parts.iter().find(|part| part.delegation.name == role);
    let delegation = part.map(|part| part.delegation.clone());
    RoleCatalog { role: role.to_owned(), text, delegation }
}
