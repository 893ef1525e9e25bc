//! How units ended that do not run: whether the kernel ended them for want of memory, and what they
//! said last. Their containers are gone when a look comes; the journal and their logs are not.
//!
//! systemd's own word for the want of memory (`Result=oom-kill`) is not there for containers: their
//! units delegate their cgroups, and in these systemd leaves such an end alone. It logs it all the
//! same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use archy_engine::ports::Files as _;
use archy_manifest::{Manifest, names};
use archy_plan::observed::{ActiveState, UnitState};
use archy_types::{Timestamp, UserError, doctor};

use super::SystemHost;
use crate::{clock, rpc::errors::cut};

/// Last lines that are kept of a log, and characters of each.
const LINES: u32 = 3;
const LINE_CHARS: usize = 200;
/// A process that was ended so long before its unit ended was not the reason: Podman may take a while to
/// clear away on a slow machine.
const OOM_MILLIS: i64 = 120_000;
/// Lines of a unit that never was active count when they are so young at its end.
const WORDS_MILLIS: i64 = 600_000;
/// The journal may have so much of a delay.
const SETTLED_MILLIS: i64 = 3_000;

/// What is known of units that do not run. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Endings(Arc<Mutex<BTreeMap<String, Ending>>>);

/// How one run of a unit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ending {
    /// Which run: when it ended, and its number.
    run: (Option<Timestamp>, u32),
    /// When it was looked at.
    asked: Timestamp,
    /// The kernel ended it for want of memory.
    out_of_memory: bool,
    /// Its last lines.
    words: Option<String>,
}

impl Ending {
    /// It cannot become another one: all that is said of it has been written.
    fn is_settled(&self) -> bool {
        let ended = self.run.0.map_or(0, |at| at.0);
        self.asked.0.saturating_sub(ended) > SETTLED_MILLIS
    }
}

fn run(unit: &UnitState) -> (Option<Timestamp>, u32) {
    (unit.inactive_since, unit.restarts)
}

/// It failed, or waits to be started again.
fn is_down(unit: &UnitState) -> bool {
    let restarts = unit.active == ActiveState::Activating && unit.sub.starts_with("auto-restart");
    restarts || unit.active == ActiveState::Failed
}

/// From when on a process that the kernel ended was the reason of the unit's end.
fn window(unit: &UnitState) -> Timestamp {
    let ended = unit.inactive_since.unwrap_or(Timestamp(0));
    Timestamp(ended.0.saturating_sub(OOM_MILLIS)).max(unit.active_since.unwrap_or(Timestamp(0)))
}

impl Endings {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Ending>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets what runs again; the units whose last run is not known yet.
    fn due(&self, units: &BTreeMap<String, UnitState>) -> Vec<String> {
        let down: BTreeMap<_, _> = units.iter().filter(|(_, unit)| is_down(unit)).collect();
        self.with(|known| {
            known.retain(|name, ending| {
                down.get(name).is_some_and(|unit| ending.run == run(unit) && ending.is_settled())
            });
            down.keys().filter(|name| !known.contains_key(**name)).map(|n| (*n).clone()).collect()
        })
    }

    /// Says of the units what is known of their ends.
    fn apply(&self, units: &mut BTreeMap<String, UnitState>) {
        self.with(|known| {
            for (name, ending) in known.iter() {
                let Some(unit) = units.get_mut(name) else { continue };
                if ending.out_of_memory {
                    unit.result = UnitState::OUT_OF_MEMORY.to_owned();
                }
                unit.last_words.clone_from(&ending.words);
            }
        });
    }
}

impl SystemHost {
    /// Says of units that failed or wait for their next start how they ended. Each end is looked
    /// into once.
    pub(super) async fn mark_endings(
        &self,
        apps: &[Arc<Manifest>],
        units: &mut BTreeMap<String, UnitState>,
    ) {
        let due = self.endings.due(units);
        if !due.is_empty() {
            let found = self.look_into(&due, apps, units).await;
            self.endings.with(|known| known.extend(found));
        }
        self.endings.apply(units);
    }

    async fn look_into(
        &self,
        due: &[String],
        apps: &[Arc<Manifest>],
        units: &BTreeMap<String, UnitState>,
    ) -> BTreeMap<String, Ending> {
        let asked = clock::now();
        let names: Vec<&str> = due.iter().map(String::as_str).collect();
        let since = due.iter().filter_map(|name| units.get(name)).map(window).min();
        let ended = self.journal.out_of_memory(&names, since.unwrap_or(asked)).await;
        let mut found = BTreeMap::new();
        for name in due {
            let Some(unit) = units.get(name) else { continue };
            let out_of_memory = ended.get(name).is_some_and(|at| *at >= window(unit));
            let words = self.words(name, unit, apps).await;
            let ending = Ending { run: run(unit), asked, out_of_memory, words };
            found.insert(name.clone(), ending);
        }
        found
    }

    /// The last lines of a unit's container, or of its unit where the container wrote none.
    async fn words(&self, name: &str, unit: &UnitState, apps: &[Arc<Manifest>]) -> Option<String> {
        let container = name.strip_suffix(".service")?;
        let ended = unit.inactive_since.unwrap_or_else(clock::now);
        let young = Timestamp(ended.0.saturating_sub(WORDS_MILLIS));
        let since = unit.active_since.unwrap_or(young);
        let count = usize::try_from(LINES).unwrap_or(usize::MAX);
        let kept = self.kept_log(container, count).await.into_iter();
        let kept = kept.filter(|line| line.time.is_none_or(|time| time >= since));
        let mut lines: Vec<String> = kept.map(|line| line.text).collect();
        if lines.is_empty() {
            lines = self.journal.last_lines(name, LINES, since.max(young)).await;
        }
        let text = lines.join("\n");
        if text.trim().is_empty() {
            return None;
        }
        let of = |app: &&Arc<Manifest>| {
            let mut own = app.services.keys().map(|service| names::container(app, service));
            own.any(|own| own == container)
        };
        let text = match apps.iter().find(of) {
            Some(app) => self.strike_secrets(app, text).await,
            None => text,
        };
        let cut: Vec<String> = text.lines().map(|line| cut(line, LINE_CHARS)).collect();
        Some(cut.join("\n"))
    }

    /// Names a start that failed since the kernel ended the container for want of memory.
    pub(super) async fn name_want_of_memory(
        &self,
        unit: &str,
        began: Timestamp,
        error: &mut UserError,
    ) {
        if !self.journal.out_of_memory(&[unit], began).await.contains_key(unit) {
            return;
        }
        let budget = self.budget(unit).await;
        let budget = budget.map(|bytes| format!(" of {}", doctor::size(bytes))).unwrap_or_default();
        let text = format!(
            "{unit} ran out of memory: it needed more than its budget{budget}, and the kernel ended it. {}",
            error.message
        );
        *error = UserError::new("out-of-memory", text).hint(
            "Raise `resources.memory` in the app's manifest, or give it less to do; then start it again.",
        );
    }

    /// The memory that a unit's file allows.
    async fn budget(&self, unit: &str) -> Option<u64> {
        let file = format!("{}.container", unit.strip_suffix(".service")?);
        let files = self.unit_dir().read().await.ok()?;
        memory(files.get(&file)?)
    }
}

/// `Memory=`, or `--memory=` for a Podman that does not know it.
fn memory(text: &str) -> Option<u64> {
    let words: BTreeSet<&str> = text.split_whitespace().collect();
    let prefixes = ["Memory=", "PodmanArgs=--memory="];
    words.iter().find_map(|word| prefixes.iter().find_map(|it| word.strip_prefix(it)))?.parse().ok()
}

#[cfg(test)]
mod tests;
