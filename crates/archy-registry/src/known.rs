//! A catalog that was verified.

use archy_types::Digest;

use crate::error::RegistryError;
use crate::names;
use crate::schema::{
    Delegation, Moment, ROOT, Root, SNAPSHOT, Snapshot, TARGETS, TIMESTAMP, TargetFile, Targets,
    Timestamp,
};
use crate::store::Index;
use crate::trust;

/// A publisher's part.
#[derive(Debug, Clone)]
pub struct Part {
    /// What it may offer.
    pub delegation: Delegation,
    /// What it offers.
    pub targets: Targets,
}

/// The catalog of one role.
#[derive(Debug, Clone)]
pub struct RoleCatalog {
    /// `targets`, or the publisher.
    pub role: String,
    /// The document: `{"apps": {…}}`.
    pub text: Vec<u8>,
    /// Which apps it may offer; all when absent.
    pub delegation: Option<Delegation>,
}

impl RoleCatalog {
    /// True when this role may offer the app.
    #[must_use]
    pub fn may_offer(&self, app: &str) -> bool {
        self.delegation.as_ref().is_none_or(|it| it.allows(&names::manifest(app)))
    }
}

/// A verified set of metadata, with its catalogs.
#[derive(Debug, Clone)]
pub struct Known {
    /// Whose keys count.
    pub root: Root,
    /// Fingerprint of the root.
    pub fingerprint: Digest,
    /// The newest snapshot.
    pub timestamp: Timestamp,
    /// What belongs together.
    pub snapshot: Snapshot,
    /// The registry's own targets.
    pub targets: Targets,
    /// Publishers in order.
    pub parts: Vec<Part>,
    /// Catalogs: the registry's own first, then publishers'.
    pub catalogs: Vec<RoleCatalog>,
    /// When it came, and when it was last checked.
    pub index: Index,
}

impl Known {
    fn dates(&self) -> impl Iterator<Item = (&str, Moment)> {
        let top = [
            trust::dated(ROOT, &self.root),
            trust::dated(TIMESTAMP, &self.timestamp),
            trust::dated(SNAPSHOT, &self.snapshot),
            trust::dated(TARGETS, &self.targets),
        ];
        let parts = self.parts.iter().map(|it| trust::dated(&it.delegation.name, &it.targets));
        top.into_iter().chain(parts)
    }

    /// Until when all of it is good, and which role's date that is.
    #[must_use]
    pub fn good_until(&self) -> (String, Moment) {
        trust::first_to_expire(self.dates())
    }

    /// Checks that nothing is past its date. A clock that runs behind what was seen does not make
    /// an old catalog young again.
    ///
    /// # Errors
    /// [`RegistryError::Expired`].
    pub fn check_fresh(&self, now: Moment) -> Result<(), RegistryError> {
        let now = now.max(Moment(self.index.checked)).max(Moment(self.index.fetched));
        trust::check_dates(self.dates(), now)
    }

    /// The same without the texts of catalogs and the lists of files, which are long and which dates
    /// need not: for what is kept in memory.
    #[must_use]
    pub fn slim(mut self) -> Self {
        self.catalogs.clear();
        self.targets.targets.clear();
        self.parts.iter_mut().for_each(|part| part.targets.targets.clear());
        self
    }

    /// The target of this name by the one who may offer it: the registry, then publishers in order.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<&TargetFile> {
        if let Some(found) = self.targets.targets.get(name) {
            return Some(found);
        }
        for part in self.parts.iter().filter(|part| part.delegation.allows(name)) {
            if let Some(found) = part.targets.targets.get(name) {
                return Some(found);
            }
            if part.delegation.terminating {
                return None;
            }
        }
        None
    }
}
