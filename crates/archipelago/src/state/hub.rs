//! The published state: serialized once per change, with the last changes as patches.
//!
//! Apps whose view did not change are neither mapped nor serialized nor compared again, so a
//! change of one app among hundreds costs what that app costs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use archy_api::state::{Notice, ServerInfo};
use archy_engine::{AppView, Snapshot};
use bytes::Bytes;
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, PatchOperation, RemoveOperation, ReplaceOperation};
use serde_json::Value;
use tokio::sync::watch;

use super::map;

/// Changes that are kept for clients that come back.
const RING: usize = 256;

/// What is published now.
#[derive(Debug, Clone, Default)]
pub struct Published {
    /// Sequence number.
    pub seq: u64,
    /// The state document as JSON.
    pub data: Bytes,
    /// The result of `server.get-state` as JSON.
    pub result: Bytes,
}

/// One change.
#[derive(Debug, Clone)]
struct Change {
    from: u64,
    seq: u64,
    /// The frame that clients get.
    frame: Bytes,
}

/// What a client that has a sequence number gets.
#[derive(Debug, Clone)]
pub enum Catchup {
    /// Nothing; it is up to date.
    Current(u64),
    /// Frames of patches, and the number afterwards.
    Patches(Vec<Bytes>, u64),
    /// The frame of a snapshot, and its number.
    Snapshot(Bytes, u64),
}

struct App {
    view: Arc<AppView>,
    value: Value,
    json: String,
}

#[derive(Default)]
struct Inner {
    apps: BTreeMap<String, App>,
    rest: BTreeMap<&'static str, Value>,
    server: ServerInfo,
    links: map::Links,
    snapshot: Arc<Snapshot>,
    notices: Vec<Notice>,
    unread: u32,
    ring: VecDeque<Change>,
}

/// Holds what is published.
pub struct Hub {
    inner: Mutex<Inner>,
    now: RwLock<Published>,
    seq: watch::Sender<u64>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("seq", &*self.seq.borrow()).finish_non_exhaustive()
    }
}

impl Hub {
    /// A hub whose numbers begin above `base`, which must be greater than every number of an
    /// earlier run of the daemon: then a client of that run is never patched by mistake.
    #[must_use]
    pub fn new(base: u64, server: ServerInfo, host_ip: Option<Ipv4Addr>) -> Self {
        let hub = Self {
            inner: Mutex::new(Inner {
                server,
                links: map::Links { host_ip, ..map::Links::default() },
                ..Inner::default()
            }),
            now: RwLock::default(),
            seq: watch::Sender::new(base),
        };
        hub.update(|_| {});
        hub
    }

    /// What is published now.
    #[must_use]
    pub fn now(&self) -> Published {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The node's name.
    #[must_use]
    pub fn name(&self) -> String {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).server.name.clone()
    }

    /// A receiver that wakes with each change.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.seq.subscribe()
    }

    /// Publishes a snapshot of the engine.
    pub fn set_snapshot(&self, snapshot: Arc<Snapshot>) {
        self.update(|inner| inner.snapshot = snapshot);
    }

    /// Publishes what the owner should know of the node.
    pub fn set_notices(&self, notices: Vec<Notice>) {
        self.update(|inner| inner.notices = notices);
    }

    /// What the owner should know of the node.
    #[must_use]
    pub fn notices(&self) -> Vec<Notice> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.notices.clone()
    }

    /// Publishes how many entries of the list nobody has read.
    pub fn set_unread(&self, unread: u32) {
        self.update(|inner| inner.unread = unread);
    }

    /// Publishes another name of the node.
    pub fn set_name(&self, name: String) {
        self.update(|inner| inner.server.name = name);
    }

    /// Publishes another address; links of all apps are made anew.
    pub fn set_host_ip(&self, host_ip: Option<Ipv4Addr>) {
        self.set_links(|links| links.host_ip = host_ip);
    }

    /// Publishes the ports that the app gate stands before; `secure` when it speaks TLS.
    pub fn set_guarded(&self, guarded: BTreeSet<u16>, secure: bool) {
        self.set_links(|links| (links.guarded, links.secure) = (guarded, secure));
    }

    /// Publishes the ports whose pages forbid frames.
    pub fn set_unframed(&self, unframed: BTreeSet<u16>) {
        self.set_links(|links| links.unframed = unframed);
    }

    /// True when the app gate speaks TLS.
    #[must_use]
    pub fn links_secure(&self) -> bool {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).links.secure
    }

    fn set_links(&self, change: impl FnOnce(&mut map::Links)) {
        self.update(|inner| {
            let before = inner.links.clone();
            change(&mut inner.links);
            if inner.links != before {
                inner.apps.values_mut().for_each(|app| app.view = Arc::new((*app.view).clone()));
            }
        });
    }

    /// What a client needs that has `since`.
    #[must_use]
    pub fn catch_up(&self, since: Option<u64>) -> Catchup {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        if since == Some(now.seq) {
            return Catchup::Current(now.seq);
        }
        let start = since.and_then(|s| inner.ring.iter().position(|change| change.from == s));
        if let Some(start) = start {
            let frames = inner.ring.iter().skip(start).map(|change| change.frame.clone()).collect();
            return Catchup::Patches(frames, now.seq);
        }
        let mut frame = format!("{{\"seq\":{},\"snapshot\":", now.seq).into_bytes();
        frame.extend_from_slice(&now.data);
        frame.push(b'}');
        Catchup::Snapshot(frame.into(), now.seq)
    }

    fn update(&self, change: impl FnOnce(&mut Inner)) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut inner);
        let mut patch = inner.refresh_apps();
        patch.extend(inner.refresh_rest());
        let from = *self.seq.borrow();
        let first = self.now.read().unwrap_or_else(PoisonError::into_inner).data.is_empty();
        if patch.is_empty() && !first {
            return;
        }
        let seq = from + 1;
        let data = inner.serialize();
        let result = format!("{{\"seq\":{seq},\"data\":{data}}}");
        *self.now.write().unwrap_or_else(PoisonError::into_inner) =
            Published { seq, data: data.into(), result: result.into() };
        if !first {
            let patch = serde_json::to_string(&patch).unwrap_or_default();
            let frame = format!("{{\"seq\":{seq},\"from\":{from},\"patch\":{patch}}}");
            inner.ring.push_back(Change { from, seq, frame: frame.into() });
            while inner.ring.len() > RING {
                inner.ring.pop_front();
            }
        }
        debug_assert!(inner.ring.back().is_none_or(|last| last.seq == seq));
        self.seq.send_replace(seq);
    }
}

impl Inner {
    fn refresh_apps(&mut self) -> Vec<PatchOperation> {
        let mut patch = Vec::new();
        let snapshot = self.snapshot.clone();
        let at = |id: &str| PointerBuf::from_tokens(["package-data", id]);
        self.apps.retain(|id, _| {
            let stays = snapshot.apps.contains_key(id.as_str());
            if !stays {
                patch.push(PatchOperation::Remove(RemoveOperation { path: at(id) }));
            }
            stays
        });
        for (id, view) in &snapshot.apps {
            let before = self.apps.get(id.as_str());
            if before.is_some_and(|app| Arc::ptr_eq(&app.view, view)) {
                continue;
            }
            let value = serde_json::to_value(map::package(view, &self.links)).unwrap_or_default();
            match before {
                Some(app) => {
                    patch.extend(below(&["package-data", id.as_str()], &app.value, &value))
                }
                None => patch.push(PatchOperation::Add(AddOperation {
                    path: at(id.as_str()),
                    value: value.clone(),
                })),
            }
            let json = value.to_string();
            self.apps.insert(id.to_string(), App { view: view.clone(), value, json });
        }
        patch
    }

    fn refresh_rest(&mut self) -> Vec<PatchOperation> {
        let rest = BTreeMap::from([
            ("observed-at", Value::from(self.snapshot.observed_at.0)),
            ("server_info", serde_json::to_value(&self.server).unwrap_or_default()),
            ("notices", serde_json::to_value(&self.notices).unwrap_or_default()),
            ("unread", Value::from(self.unread)),
            (
                "stale-because",
                serde_json::to_value(&self.snapshot.stale_because).unwrap_or_default(),
            ),
        ]);
        let changed = rest.iter().filter(|(key, value)| self.rest.get(*key) != Some(value));
        let patch = changed
            .map(|(key, value)| {
                PatchOperation::Replace(ReplaceOperation {
                    path: PointerBuf::from_tokens([*key]),
                    value: value.clone(),
                })
            })
            .collect();
        self.rest = rest;
        patch
    }

    fn serialize(&self) -> String {
        let length: usize = self.apps.values().map(|app| app.json.len() + 80).sum();
        let mut out = String::with_capacity(length + 1024);
        out.push_str("{\"package-data\":{");
        for (index, (id, app)) in self.apps.iter().enumerate() {
            // an id has no character that JSON escapes
            out.extend([if index == 0 { "\"" } else { ",\"" }, id, "\":", &app.json]);
        }
        out.push('}');
        for (key, value) in &self.rest {
            out.extend([",\"", key, "\":", &value.to_string()]);
        }
        out.push('}');
        out
    }
}

/// The difference of two values, as operations below a place.
fn below(place: &[&str], before: &Value, after: &Value) -> Vec<PatchOperation> {
    let base = PointerBuf::from_tokens(place.iter().copied());
    let mut patch = json_patch::diff(before, after).0;
    for operation in &mut patch {
        let path = match operation {
            PatchOperation::Add(it) => &mut it.path,
            PatchOperation::Remove(it) => &mut it.path,
            PatchOperation::Replace(it) => &mut it.path,
            PatchOperation::Test(it) => &mut it.path,
            PatchOperation::Move(it) => {
                it.from = joined(&base, &it.from);
                &mut it.path
            }
            PatchOperation::Copy(it) => {
                it.from = joined(&base, &it.from);
                &mut it.path
            }
        };
        *path = joined(&base, path);
    }
    patch
}

fn joined(base: &PointerBuf, path: &PointerBuf) -> PointerBuf {
    let mut out = base.clone();
    out.append(path);
    out
}
