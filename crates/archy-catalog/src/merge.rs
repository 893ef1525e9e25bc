//! Merges sources into one catalog.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use archy_manifest::Manifest;
use archy_types::{AppId, Digest};

use crate::order::compare_versions;
use crate::search;

/// A manifest with the text it was read from.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Digest of `text`.
    pub digest: Digest,
    /// The manifest.
    pub manifest: Arc<Manifest>,
    /// The text.
    pub text: Arc<[u8]>,
    /// Directory with the package's other files, if it has one.
    pub dir: Option<PathBuf>,
}

impl Entry {
    /// An entry of a manifest and the text it was read from.
    #[must_use]
    pub fn new(manifest: Manifest, text: impl Into<Vec<u8>>) -> Self {
        let text: Vec<u8> = text.into();
        let (digest, manifest) = (Digest::of(&text), Arc::new(manifest));
        Self { digest, manifest, text: text.into(), dir: None }
    }

    /// The same with the directory of its package.
    #[must_use]
    pub fn at(self, dir: Option<PathBuf>) -> Self {
        Self { dir, ..self }
    }
}

/// A place that manifests come from: a signed catalog, the sideload directory, a marketplace.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name for people, different for each source.
    pub name: String,
    /// Its place among the sources: offers of a smaller rank win, whatever their version.
    pub rank: u32,
    /// What it offers, in any order.
    pub entries: Vec<Entry>,
}

/// An entry and the source that it came from.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Name of the source.
    pub source: Arc<str>,
    /// Rank of the source.
    pub rank: u32,
    /// The entry.
    pub entry: Entry,
}

impl Offer {
    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.entry.manifest
    }
}

/// Why an offer did not win.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShadowReason {
    /// The winner's source comes first.
    Rank,
    /// The winner's source has the same rank, and its version is newer.
    OlderVersion {
        /// The winner's version.
        winner: String,
    },
    /// The winner is the very same text.
    SameText,
    /// Rank and version are the same, the text is not: the order of names and digests decided.
    Tie,
}

impl fmt::Display for ShadowReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rank => f.write_str("another source comes first"),
            Self::OlderVersion { winner } => write!(f, "version {winner} is newer"),
            Self::SameText => f.write_str("it is the same"),
            Self::Tie => f.write_str("another one of the same version comes first by name"),
        }
    }
}

/// An offer that did not win.
#[derive(Debug, Clone)]
pub struct Shadowed {
    /// The offer.
    pub offer: Offer,
    /// Why it did not win.
    pub reason: ShadowReason,
}

/// All offers of one app.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The one that counts.
    pub winner: Offer,
    /// The others, best first.
    pub shadowed: Vec<Shadowed>,
}

/// All known apps.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    apps: BTreeMap<AppId, Listing>,
}

impl Catalog {
    /// Merges sources. The result does not depend on the order of sources or entries.
    #[must_use]
    pub fn merge(sources: impl IntoIterator<Item = Source>) -> Self {
        let mut offers: BTreeMap<AppId, Vec<Offer>> = BTreeMap::new();
        for source in sources {
            let name: Arc<str> = source.name.into();
            for entry in source.entries {
                let offer = Offer { source: name.clone(), rank: source.rank, entry };
                offers.entry(offer.manifest().id.clone()).or_default().push(offer);
            }
        }
        let apps = offers
            .into_iter()
            .filter_map(|(id, offers)| listing(offers).map(|listing| (id, listing)));
        Self { apps: apps.collect() }
    }

    /// Number of apps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.apps.len()
    }

    /// True when no app is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.apps.is_empty()
    }

    /// All apps by id.
    pub fn iter(&self) -> impl Iterator<Item = (&AppId, &Listing)> {
        self.apps.iter()
    }

    /// The winning offer of an app.
    #[must_use]
    pub fn get(&self, id: &AppId) -> Option<&Offer> {
        self.apps.get(id).map(|listing| &listing.winner)
    }

    /// All offers of an app.
    #[must_use]
    pub fn listing(&self, id: &AppId) -> Option<&Listing> {
        self.apps.get(id)
    }

    /// The offer, winning or not, whose text has this digest.
    #[must_use]
    pub fn by_digest(&self, digest: Digest) -> Option<&Offer> {
        self.apps
            .values()
            .flat_map(|it| std::iter::once(&it.winner).chain(it.shadowed.iter().map(|s| &s.offer)))
            .find(|offer| offer.entry.digest == digest)
    }

    /// Apps that fill a role, by id. With a version requirement (semver), only those whose role has
    /// a version within it.
    #[must_use]
    pub fn providers(&self, role: &str, version: Option<&semver::VersionReq>) -> Vec<&Offer> {
        let fills = |offer: &&Offer| {
            offer.manifest().provides.iter().filter(|it| it.role == role).any(|it| {
                let Some(wanted) = version else { return true };
                let has = it.version.as_deref().and_then(archy_manifest::lenient_version);
                has.is_some_and(|has| wanted.matches(&has))
            })
        };
        self.apps.values().map(|listing| &listing.winner).filter(fills).collect()
    }

    /// Apps in which every word of `text` appears (id, name, roles, category, tags, author,
    /// description), best matches first; all apps when there is no word.
    #[must_use]
    pub fn search(&self, text: &str) -> Vec<&Offer> {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        let scored = self.apps.values().map(|listing| &listing.winner).filter_map(|offer| {
            let score = search::score(offer.manifest(), &words)?;
            Some((Reverse(score), &offer.manifest().id, offer))
        });
        let mut found: Vec<_> = scored.collect();
        found.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        found.into_iter().map(|(_, _, offer)| offer).collect()
    }
}

fn listing(mut offers: Vec<Offer>) -> Option<Listing> {
    offers.sort_by(better_first);
    let mut offers = offers.into_iter();
    let winner = offers.next()?;
    let shadowed = offers.map(|offer| Shadowed { reason: why(&winner, &offer), offer }).collect();
    Some(Listing { winner, shadowed })
}

fn better_first(a: &Offer, b: &Offer) -> Ordering {
    a.rank
        .cmp(&b.rank)
        .then_with(|| compare_versions(&b.manifest().version, &a.manifest().version))
        .then_with(|| a.source.cmp(&b.source))
        .then_with(|| a.entry.digest.cmp(&b.entry.digest))
}

fn why(winner: &Offer, offer: &Offer) -> ShadowReason {
    let version = &winner.manifest().version;
    if winner.entry.digest == offer.entry.digest {
        ShadowReason::SameText
    } else if winner.rank != offer.rank {
        ShadowReason::Rank
    } else if compare_versions(version, &offer.manifest().version).is_gt() {
        ShadowReason::OlderVersion { winner: version.clone() }
    } else {
        ShadowReason::Tie
    }
}
