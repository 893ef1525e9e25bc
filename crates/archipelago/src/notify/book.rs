//! The list of what needs attention: one entry for each cause until it is over.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use archy_api::notify::{Attention, AttentionKind, AttentionList};
use archy_api::state::Severity;
use serde::{Deserialize, Serialize};

use crate::rpc::errors::cut;

/// Most entries that are kept.
const MOST: usize = 300;
/// An entry that is over and was read is kept so long (milliseconds).
const KEEP: i64 = 30 * 24 * 3600 * 1000;
/// A cause that comes back within so long goes on, and nobody is told again (milliseconds).
const QUIET: i64 = 15 * 60 * 1000;
/// Longest text of an entry, in bytes.
const MAX_TEXT: usize = 600;

/// Where causes are looked for; what was not looked at tells nothing of its causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Group {
    /// The states of apps.
    Apps,
    /// Versions of the catalog.
    Updates,
    /// Notices of the node.
    Node,
    /// The examination of the node.
    Doctor,
}

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    /// The same for as long as it is the same cause.
    pub(super) key: String,
    pub(super) group: Group,
    pub(super) kind: AttentionKind,
    pub(super) severity: Severity,
    pub(super) app: Option<String>,
    pub(super) title: String,
    pub(super) text: String,
    pub(super) mend: Option<String>,
}

impl Cause {
    /// It has to last so long before it counts, in milliseconds: much mends itself.
    const fn hold(&self) -> u64 {
        match self.kind {
            AttentionKind::AppFailed => 20_000,
            AttentionKind::AppUnhealthy => 120_000,
            _ => 0,
        }
    }
}

/// An entry with the cause that it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    key: String,
    group: Group,
    #[serde(flatten)]
    told: Attention,
}

/// What came of a look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// What is to be told.
    pub(super) begun: Vec<Attention>,
    /// The list changed.
    pub(super) changed: bool,
}

/// The list.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Book {
    /// Number of the last entry.
    last: u64,
    /// Oldest first.
    entries: VecDeque<Entry>,
    /// Since when causes are seen that have not lasted long enough, by the steady clock.
    #[serde(skip)]
    young: BTreeMap<String, u64>,
}

impl Book {
    /// Takes what is wrong now in the groups that were looked at.
    pub(super) fn look(
        &mut self,
        causes: Vec<Cause>,
        looked: &BTreeSet<Group>,
        now: i64,
        steady: u64,
    ) -> News {
        let mut news = News::default();
        let keys: BTreeSet<String> = causes.iter().map(|cause| cause.key.clone()).collect();
        self.young.retain(|key, _| keys.contains(key));
        for entry in &mut self.entries {
            let over = looked.contains(&entry.group) && !keys.contains(&entry.key);
            if over && entry.told.ended.is_none() {
                entry.told.ended = Some(now);
                news.changed = true;
            }
        }
        for cause in causes {
            self.see(cause, now, steady, &mut news);
        }
        news.changed |= self.forget(now);
        news
    }

    fn see(&mut self, cause: Cause, now: i64, steady: u64, news: &mut News) {
        let recent = |ended: Option<i64>| ended.is_none_or(|at| (0..QUIET).contains(&(now - at)));
        let same = self.entries.iter_mut().rev().find(|entry| entry.key == cause.key);
        if let Some(entry) = same.filter(|entry| recent(entry.told.ended)) {
            let text = cut(&cause.text, MAX_TEXT);
            if entry.told.ended.is_some() || entry.told.text != text {
                (entry.told.ended, entry.told.text) = (None, text);
                news.changed = true;
            }
            return;
        }
        let since = *self.young.entry(cause.key.clone()).or_insert(steady);
        if steady.saturating_sub(since) < cause.hold() {
            return;
        }
        self.young.remove(&cause.key);
        self.last += 1;
        let told = Attention {
            id: self.last,
            kind: cause.kind,
            severity: cause.severity,
            app: cause.app,
            title: cut(&cause.title, MAX_TEXT),
            text: cut(&cause.text, MAX_TEXT),
            mend: cause.mend.map(|mend| cut(&mend, MAX_TEXT)),
            since: now,
            ended: None,
            read: false,
        };
        news.begun.push(told.clone());
        news.changed = true;
        self.entries.push_back(Entry { key: cause.key, group: cause.group, told });
    }

    /// Forgets what is long over, and the oldest of too many. True when something went.
    fn forget(&mut self, now: i64) -> bool {
        let before = self.entries.len();
        let old = |told: &Attention| told.read && told.ended.is_some_and(|at| now - at > KEEP);
        self.entries.retain(|entry| !old(&entry.told));
        while self.entries.len() > MOST {
            let over = self.entries.iter().position(|entry| entry.told.ended.is_some());
            self.entries.remove(over.unwrap_or(0));
        }
        self.entries.len() != before
    }

    /// Notes that entries were read. True when that is news.
    pub(super) fn mark(&mut self, ids: Option<&[u64]>, read: bool) -> bool {
        let meant = |told: &Attention| ids.is_none_or(|ids| ids.contains(&told.id));
        let mut changed = false;
        for entry in self.entries.iter_mut().filter(|entry| meant(&entry.told)) {
            changed |= entry.told.read != read;
            entry.told.read = read;
        }
        changed
    }

    /// The list, newest first.
    pub(super) fn list(&self) -> AttentionList {
        let entries = self.entries.iter().rev().map(|entry| entry.told.clone()).collect();
        AttentionList { entries, unread: self.unread() }
    }

    /// How many were not read.
    pub(super) fn unread(&self) -> u32 {
        let unread = self.entries.iter().filter(|entry| !entry.told.read).count();
        u32::try_from(unread).unwrap_or(u32::MAX)
    }
}
