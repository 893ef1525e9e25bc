//! What may have become of data: it grows by what containers add, goes back when that was asked for,
//! and is never anything else.
//!
//! Data is the list of its writers (see `archy_testkit::sim`): `5@1 8@2` was written by a container of
//! version 1, then by one of version 2.

use std::collections::{BTreeMap, BTreeSet};

use archy_testkit::Sim;
use archy_types::AppId;

use crate::invariants::belongs;
use crate::node::{Ask, Node, Wish};
use crate::shapes::{APPS, id};

/// Data by place.
type Places = BTreeMap<String, String>;

/// The owner's account of all data.
#[derive(Debug, Default)]
pub(crate) struct Data {
    /// As it was at the last rest.
    rest: Places,
    /// What rollbacks may have brought back.
    may_be: Vec<Places>,
    /// What a rollback must have brought back.
    must_be: BTreeMap<AppId, Places>,
    /// Apps that may run on data of a later version, since the owner wanted it so.
    mixed: BTreeSet<AppId>,
    /// Apps whose data may have been copied from elsewhere.
    copied: BTreeSet<AppId>,
}

impl Data {
    /// As it is.
    pub(crate) fn of(sim: &Sim) -> Self {
        Self { rest: sim.model().data.clone(), ..Self::default() }
    }

    /// Everything rests.
    pub(crate) fn rest(&mut self, sim: &Sim) {
        *self = Self::of(sim);
    }

    /// A wish was taken, or may have been. `wishes` is what the app may be by now.
    pub(crate) fn asked(
        &mut self,
        app: &AppId,
        ask: Ask,
        saved: Option<Places>,
        certain: bool,
        wishes: &BTreeSet<Wish>,
    ) {
        let newer = |asked: u32| {
            let versions = wishes.iter().filter_map(|wish| match wish {
                Wish::Present { version, .. } => Some(*version),
                Wish::Absent => None,
            });
            versions.into_iter().any(|version| version > asked)
        };
        match ask {
            Ask::Rollback { keep_data: true } => _ = self.mixed.insert(app.clone()),
            Ask::Rollback { keep_data: false } => match (saved, certain) {
                (Some(saved), true) => _ = self.must_be.insert(app.clone(), saved),
                (Some(saved), false) => self.may_be.push(saved),
                // the data stays as it is
                (None, _) => _ = self.mixed.insert(app.clone()),
            },
            Ask::Uninstall | Ask::Purge | Ask::PurgeLeft => {
                self.mixed.insert(app.clone());
                self.may_be.extend(self.must_be.remove(app));
            }
            Ask::Install(version) | Ask::Update(version) if newer(version) => {
                self.mixed.insert(app.clone());
            }
            Ask::Migrate | Ask::MigrateBack => _ = self.copied.insert(app.clone()),
            _ => {}
        }
    }

    /// What it may begin with.
    fn beginnings<'a>(&'a self, app: Option<&AppId>, place: &str) -> Vec<&'a str> {
        if let Some(must) = app.and_then(|app| self.must_be.get(app)) {
            // what was not there then is not touched
            let must = must.get(place).or(self.rest.get(place));
            return vec![must.map_or("", String::as_str)];
        }
        let may = self.may_be.iter().filter_map(|places| places.get(place));
        let all: Vec<&str> =
            self.rest.get(place).into_iter().chain(may).map(String::as_str).collect();
        if all.is_empty() { vec![""] } else { all }
    }
}

/// What was added after a beginning; nothing when it does not begin so.
fn added<'a>(now: &'a str, beginning: &str) -> Option<&'a str> {
    let rest = now.strip_prefix(beginning)?;
    (beginning.is_empty() || rest.is_empty() || rest.starts_with(' ')).then_some(rest)
}

/// The highest version of the writers.
fn newest(writers: &str) -> u32 {
    let versions = writers.split(' ').filter_map(|writer| writer.split_once('@')?.1.parse().ok());
    versions.max().unwrap_or_default()
}

/// The app that a place belongs to; a path of the host belongs to none.
fn owner(place: &str) -> Option<AppId> {
    let (kind, name) = place.split_once(' ')?;
    let name = name.split('/').next().unwrap_or(name);
    let own = |app: &AppId| kind != "path" && belongs(name, app);
    APPS.map(id).into_iter().find(own)
}

/// Data that is not what it may be.
pub(crate) fn wrong(node: &Node) -> Vec<String> {
    let now = node.sim.model().data.clone();
    let books = node.sim.books();
    let account = &node.data;
    let mut found = Vec::new();
    let places: BTreeSet<&String> = account.rest.keys().chain(now.keys()).collect();
    for place in places {
        let app = owner(place);
        let is_in = |apps: &BTreeSet<AppId>| app.as_ref().is_some_and(|app| apps.contains(app));
        if is_in(&node.purged) {
            continue;
        }
        let Some(content) = now.get(place) else {
            found.push(format!("data of {place} was {}, and is lost", account.rest[place]));
            continue;
        };
        if is_in(&account.copied) && place.starts_with("directory") {
            continue;
        }
        let beginnings = account.beginnings(app.as_ref(), place);
        let added: Vec<&str> =
            beginnings.iter().filter_map(|beginning| added(content, beginning)).collect();
        if added.is_empty() {
            found.push(format!("data of {place} is {content}, and was {beginnings:?}"));
        }
        let desired = app.as_ref().and_then(|app| books.apps.get(app));
        let Some(desired) = desired.filter(|desired| !desired.is_watched()) else { continue };
        let version = crate::node::version(desired);
        let fits = |added: &&str| newest(added) <= version;
        if !is_in(&account.mixed) && !added.is_empty() && !added.iter().any(fits) {
            found.push(format!("version {version} has data {content} in {place}"));
        }
    }
    found
}
