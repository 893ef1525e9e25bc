//! Registries that the owner trusts: what is kept of each, when it is asked, what it offers.
//!
//! The rules are `archy-registry`'s; here they meet network, clock and store. Whatever goes wrong,
//! the last good catalog of a registry stays in force and says how old it is.

pub mod follow;
mod kept;
pub mod news;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use archy_api::registry::{RegistryRecord, RegistryRole, RegistryTrust, UpdatePolicy};
use archy_catalog::{Entry, Source};
use archy_fetch::{Fetcher, system_tls};
use archy_registry::schema::ROOT;
use archy_registry::{Client, HttpTransport, Known, Moment, RegistryError, RoleCatalog};
use archy_store::Store;
use archy_types::{Digest, UserError};

use crate::clock;
use crate::config::Paths;

pub use kept::Kept;

/// Rank of the first registry; pinned apps stand before it, manifests on disk behind the last.
const RANK: u32 = 10_000;
/// Most registries, and the largest order.
const MAX: usize = 64;
/// A document of so many bytes is read by several threads.
const LARGE: usize = 256 * 1024;
/// Findings that are kept of a catalog.
const FINDINGS: usize = 20;

/// What is known of one registry.
#[derive(Debug, Clone, Default)]
struct State {
    kept: Kept,
    offered: Option<Arc<Offered>>,
    error: Option<UserError>,
    /// Failures in a row.
    failures: u32,
    /// When it is asked next, by the steady clock.
    due: u64,
}

/// A catalog in force.
#[derive(Debug)]
struct Offered {
    entries: Arc<[Entry]>,
    findings: Vec<String>,
    trust: RegistryTrust,
    /// All that dates are judged by, without the catalog's texts.
    known: Known,
}

/// The registries of this node.
#[derive(Debug)]
pub struct Registries {
    dir: PathBuf,
    store: Store,
    fetcher: Fetcher,
    states: RwLock<BTreeMap<String, State>>,
    /// One look or change at a time.
    busy: tokio::sync::Mutex<()>,
}

/// Now, as registries count.
#[must_use]
pub fn now() -> Moment {
    Moment(clock::now().0 / 1000)
}

impl Registries {
    /// What the store and the disk have.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn load(paths: &Paths, store: Store) -> Result<Self, UserError> {
        let agent = concat!("archipelago/", env!("CARGO_PKG_VERSION"));
        let registries = Self {
            dir: paths.state_dir.join("registries"),
            fetcher: Fetcher::new(tokio::task::block_in_place(system_tls), agent),
            states: RwLock::default(),
            busy: tokio::sync::Mutex::default(),
            store,
        };
        for (name, kept) in kept::all(&registries.store).await? {
            let mut state = State { kept, ..State::default() };
            match tokio::task::block_in_place(|| registries.client(&name).load()) {
                Ok(Some(known)) => state.offered = Some(Arc::new(read(known))),
                Ok(None) => {}
                Err(error) => state.error = Some(error.into()),
            }
            registries.put(&name, state);
        }
        Ok(registries)
    }

    fn client(&self, name: &str) -> Client {
        Client::new(self.dir.join(name))
    }

    fn transport(&self, url: &str) -> HttpTransport {
        HttpTransport::new(self.fetcher.clone(), url)
    }

    fn states(&self) -> BTreeMap<String, State> {
        self.states.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, name: &str, state: State) {
        let mut states = self.states.write().unwrap_or_else(PoisonError::into_inner);
        states.insert(name.to_owned(), state);
    }

    fn state(&self, name: &str) -> Result<State, UserError> {
        self.states().remove(name).ok_or_else(|| {
            let text = format!("Not found: there is no registry {name:.64} here.");
            UserError::new("registry-not-found", text).hint("`archy source list` shows them.")
        })
    }

    /// What all of them offer, for the merged catalog.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        let mut sources = Vec::new();
        for (name, state) in self.states() {
            let Some(offered) = &state.offered else { continue };
            let pinned = |entry: &&Entry| state.kept.pins.contains(entry.manifest.id.as_str());
            let (pins, others): (Vec<_>, Vec<_>) = offered.entries.iter().partition(pinned);
            for (rank, entries) in [(RANK / 2, pins), (RANK, others)] {
                let entries = entries.into_iter().cloned().collect();
                sources.push(Source { name: name.clone(), rank: rank + state.kept.order, entries });
            }
        }
        sources
    }

    /// True when a source of the catalog is a registry.
    #[must_use]
    pub fn has(&self, source: &str) -> bool {
        self.states.read().unwrap_or_else(PoisonError::into_inner).contains_key(source)
    }

    /// Why nothing is installed from this source without consent; nothing for one that is fresh,
    /// that the owner consented to, or that is no registry.
    #[must_use]
    pub fn stale(&self, source: &str) -> Option<UserError> {
        let state = self.states().remove(source)?;
        let error = state.stale()?;
        (!state.is_accepted()).then(|| {
            let hint = format!(
                "Ask the publisher for a fresh signature. `archy source accept-stale {source}` consents to it as it is."
            );
            UserError { hint: Some(hint), ..error }
        })
    }

    /// Records in the order in which they win.
    #[must_use]
    pub fn list(&self) -> Vec<RegistryRecord> {
        let mut records: Vec<_> =
            self.states().iter().map(|(name, state)| state.record(name)).collect();
        records.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
        records
    }

    /// The record of one.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn record(&self, name: &str) -> Result<RegistryRecord, UserError> {
        Ok(self.state(name)?.record(name))
    }

    /// Whose keys the registry at an address has.
    ///
    /// # Errors
    /// It cannot be reached, or is none.
    pub async fn inspect(&self, url: &str) -> Result<RegistryTrust, UserError> {
        let identity = Client::look(&self.transport(url)).await?;
        Ok(trust_of(&identity.root, identity.fingerprint))
    }

    /// Adds a registry.
    ///
    /// # Errors
    /// Its name is taken or no name, it has no root of this fingerprint, or its catalog is refused.
    pub async fn add(
        &self,
        name: &str,
        kept: Kept,
        fingerprint: Digest,
    ) -> Result<RegistryRecord, UserError> {
        let _busy = self.busy.lock().await;
        let states = self.states();
        if archy_registry::names::check_role(name).is_err() || ["local", "bundled"].contains(&name)
        {
            return Err(UserError::new("registry-name", format!("Invalid name: {name:.64?}."))
                .hint("Use a-z, 0-9 and hyphens, at most 63 characters."));
        }
        if states.contains_key(name) || states.len() >= MAX {
            let text = format!("There is a registry {name} already, or there are {MAX} of them.");
            return Err(UserError::new("registry-exists", text).hint("Remove it first."));
        }
        let last = states.values().map(|state| state.kept.order).max().unwrap_or_default();
        let order = if kept.order == 0 { last + 1 } else { kept.order };
        let kept = Kept { order: order.min(u32::try_from(MAX).unwrap_or(u32::MAX)), ..kept };
        let (client, transport) = (self.client(name), self.transport(&kept.url));
        // what is left of one that was removed does not count
        client.forget()?;
        client.trust(&transport, fingerprint).await?;
        let fetched = client.refresh(&transport, now()).await;
        let known = match fetched {
            Ok(refreshed) => refreshed.known(),
            Err(error) => {
                client.forget()?;
                return Err(error.into());
            }
        };
        kept::put(&self.store, name, &kept).await?;
        let offered = Some(Arc::new(tokio::task::block_in_place(|| read(known))));
        self.put(name, State { kept, offered, ..State::default() });
        self.record(name)
    }

    /// Changes what the owner decides about a registry.
    ///
    /// # Errors
    /// There is none of this name, or the store cannot be written.
    pub async fn change(
        &self,
        name: &str,
        change: impl FnOnce(&mut Kept, Option<u64>) + Send,
    ) -> Result<RegistryRecord, UserError> {
        let _busy = self.busy.lock().await;
        let mut state = self.state(name)?;
        let version = state.offered.as_ref().map(|it| it.known.timestamp.version);
        change(&mut state.kept, version);
        kept::put(&self.store, name, &state.kept).await?;
        self.put(name, state);
        self.record(name)
    }

    /// Removes a registry.
    ///
    /// # Errors
    /// There is none of this name, or the store cannot be written.
    pub async fn remove(&self, name: &str) -> Result<(), UserError> {
        let _busy = self.busy.lock().await;
        self.state(name)?;
        kept::forget(&self.store, name).await?;
        self.states.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(self.client(name).forget()?)
    }

    /// The update policy.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn policy(&self) -> Result<UpdatePolicy, UserError> {
        kept::policy(&self.store).await
    }

    /// Sets the update policy.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn set_policy(&self, policy: &UpdatePolicy) -> Result<(), UserError> {
        kept::put_policy(&self.store, policy).await
    }
}

impl State {
    fn stale(&self) -> Option<UserError> {
        let known = &self.offered.as_ref()?.known;
        known.check_fresh(now()).err().map(UserError::from)
    }

    /// The owner consented to this very catalog.
    fn is_accepted(&self) -> bool {
        let version = self.offered.as_ref().map(|it| it.known.timestamp.version);
        version.is_some() && self.kept.accepted == version
    }

    fn record(&self, name: &str) -> RegistryRecord {
        let offered = self.offered.as_deref();
        let millis = |seconds: i64| seconds.saturating_mul(1000);
        RegistryRecord {
            name: name.to_owned(),
            url: self.kept.url.clone(),
            order: self.kept.order,
            pins: self.kept.pins.iter().cloned().collect(),
            apps: offered.map_or(0, |it| u32::try_from(it.entries.len()).unwrap_or(u32::MAX)),
            findings: offered.map(|it| it.findings.clone()).unwrap_or_default(),
            trust: offered.map(|it| it.trust.clone()),
            fetched: offered.map(|it| millis(it.known.index.fetched)),
            checked: offered.map(|it| millis(it.known.index.checked)),
            good_until: offered.map(|it| millis(it.known.good_until().1.0)),
            stale: self.stale(),
            stale_accepted: self.is_accepted(),
            error: self.error.clone(),
        }
    }
}

/// Reads a verified catalog. What a publisher may not offer, or what is no valid manifest, is left
/// out and told.
fn read(mut known: Known) -> Offered {
    let (mut entries, mut findings) = (Vec::new(), Vec::new());
    let mut tell = |finding: String| {
        if findings.len() < FINDINGS {
            findings.push(finding);
        }
    };
    for catalog in std::mem::take(&mut known.catalogs) {
        match parse(&catalog.text) {
            Ok(document) => {
                document.findings.iter().filter(|it| it.is_error()).for_each(|it| {
                    tell(it.to_string());
                });
                entries.extend(document.entries.into_iter().filter(|entry| {
                    let refusal = refusal(&catalog, entry);
                    refusal.into_iter().map(&mut tell).count() == 0
                }));
            }
            Err(error) => tell(format!("{}: {error}", catalog.role)),
        }
    }
    // an app that the registry itself offers is not a publisher's
    let mut seen = std::collections::BTreeSet::new();
    entries.retain(|entry| seen.insert(entry.manifest.id.clone()));
    let trust = trust_with_parts(&known);
    Offered { entries: entries.into(), findings, trust, known: known.slim() }
}

/// The catalog of a look; one whose documents are the same is not read again.
fn read_again(known: Known, before: &Offered) -> Offered {
    let allowed =
        |known: &Known| known.parts.iter().map(|part| part.delegation.clone()).collect::<Vec<_>>();
    let same = known.index.catalogs == before.known.index.catalogs
        && allowed(&known) == allowed(&before.known);
    if !same {
        return read(known);
    }
    let trust = trust_with_parts(&known);
    let (entries, findings) = (Arc::clone(&before.entries), before.findings.clone());
    Offered { entries, findings, trust, known: known.slim() }
}

/// Reads a catalog's document, a large one with several threads.
fn parse(text: &[u8]) -> Result<archy_catalog::CatalogDocument, archy_catalog::DocumentError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    if text.len() < LARGE || threads == 1 {
        return archy_catalog::document::parse(text);
    }
    std::thread::scope(|scope| {
        let parts = (0..threads)
            .map(|part| {
                scope.spawn(move || archy_catalog::document::parse_part(text, part, threads))
            })
            .collect::<Vec<_>>();
        let mut whole = archy_catalog::CatalogDocument::default();
        for part in parts {
            let panicked = |_| archy_catalog::DocumentError::Json("it broke the reader".into());
            let part = part.join().map_err(panicked)??;
            whole.entries.extend(part.entries);
            whole.findings.extend(part.findings);
        }
        Ok(whole)
    })
}

fn refusal(catalog: &RoleCatalog, entry: &Entry) -> Option<String> {
    let id = &entry.manifest.id;
    if !catalog.may_offer(id.as_str()) {
        return Some(format!("{} may not offer {id}", catalog.role));
    }
    Paths::is_reserved_name(id.as_str()).then(|| format!("the id {id} is the platform's own"))
}

fn trust_of(root: &archy_registry::schema::Root, fingerprint: Digest) -> RegistryTrust {
    let roles = root.roles.iter().map(|(name, keys)| RegistryRole {
        name: name.clone(),
        keys: keys.keyids.clone(),
        threshold: keys.threshold,
        paths: Vec::new(),
    });
    let mut roles: Vec<_> = roles.collect();
    roles.sort_by_key(|role| role.name != ROOT);
    RegistryTrust {
        fingerprint: fingerprint.to_string(),
        root_version: root.version,
        root_good_until: root.expires.0.saturating_mul(1000),
        roles,
    }
}

fn trust_with_parts(known: &Known) -> RegistryTrust {
    let mut trust = trust_of(&known.root, known.fingerprint);
    trust.roles.extend(known.parts.iter().map(|part| RegistryRole {
        name: part.delegation.name.clone(),
        keys: part.delegation.keyids.clone(),
        threshold: part.delegation.threshold,
        paths: part.delegation.paths.clone().unwrap_or_default(),
    }));
    trust
}

/// True for what a publisher has to mend, not the network.
fn is_refusal(error: &RegistryError) -> bool {
    !error.is_passing()
}
