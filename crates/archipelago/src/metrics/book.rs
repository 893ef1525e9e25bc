//! All measures over time, and how readings become measures.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use archy_api::metrics::{MetricKind, MetricSeries, MetricsRange, MetricsResult};
use serde::{Deserialize, Serialize};

use super::ring::{Track, grain};
use super::{node, service};
use crate::auth::file;

/// Most measures that are kept.
const MOST: usize = 4096;
/// A measure that was not seen for so long is forgotten (milliseconds).
const FORGET: i64 = 7 * 24 * 3600 * 1000;
/// Largest file of measures, in bytes.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// What a measure is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Key {
    /// The app; empty for the node.
    app: String,
    kind: MetricKind,
    /// Service, directory, interface, sensor.
    of: String,
}

/// Counters at the last reading.
#[derive(Debug, Clone, Copy)]
struct Counted {
    /// By the steady clock (milliseconds).
    steady: u64,
    value: u64,
}

/// All measures.
#[derive(Debug, Default)]
pub(super) struct Book {
    tracks: BTreeMap<Key, Track>,
    counters: BTreeMap<Key, Counted>,
    /// Busy and total time of the cores at the last reading.
    cores: Option<(u64, u64)>,
}

/// When something was read, by both clocks (milliseconds).
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) wall: i64,
    pub(super) steady: u64,
}

/// Measures as they lie in their file.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    version: u32,
    tracks: Vec<(Key, Track)>,
}

impl Book {
    /// Adds what a service was seen to use.
    pub(super) fn service(&mut self, at: At, app: &str, name: &str, seen: &service::Reading) {
        let key = |kind| Key { app: app.to_owned(), kind, of: name.to_owned() };
        if let Some(micros) = seen.cpu {
            // microseconds in a second are ten thousandths of a percent
            self.rate(at, key(MetricKind::Cpu), micros, 1e-4);
        }
        if let Some(bytes) = seen.memory {
            self.put(at, key(MetricKind::Memory), float(bytes), seen.memory_limit);
        }
        if let Some((received, sent)) = seen.network {
            self.rate(at, key(MetricKind::NetIn), received, 1.0);
            self.rate(at, key(MetricKind::NetOut), sent, 1.0);
        }
    }

    /// Adds the size of an app's data.
    pub(super) fn data(&mut self, at: At, app: &str, bytes: u64) {
        let key = Key { app: app.to_owned(), kind: MetricKind::Disk, of: String::new() };
        self.put(at, key, float(bytes), None);
    }

    /// Adds what the node was seen to use.
    pub(super) fn node(&mut self, at: At, seen: &node::Reading) {
        let key = |kind, of: &str| Key { app: String::new(), kind, of: of.to_owned() };
        if let Some((busy, total)) = seen.cpu {
            let before = self.cores.replace((busy, total));
            let span = before.map(|(b, t)| (busy.saturating_sub(b), total.saturating_sub(t)));
            if let Some((used, all)) = span.filter(|(used, all)| *all > 0 && used <= all) {
                let percent = 100.0 * float(used) / float(all);
                self.put(at, key(MetricKind::Cpu, ""), percent, Some(100));
            }
        }
        if let Some((used, total)) = seen.memory {
            self.put(at, key(MetricKind::Memory, ""), float(used), Some(total));
        }
        for (dir, used, total) in &seen.disks {
            self.put(at, key(MetricKind::Disk, dir), float(*used), Some(*total));
        }
        for (name, (received, sent)) in &seen.network {
            self.rate(at, key(MetricKind::NetIn, name), *received, 1.0);
            self.rate(at, key(MetricKind::NetOut, name), *sent, 1.0);
        }
        for (name, degrees) in &seen.temperatures {
            self.put(at, key(MetricKind::Temperature, name), f64::from(*degrees), None);
        }
    }

    /// Forgets apps that are not installed, and what was not seen for long.
    pub(super) fn prune(&mut self, now: i64, installed: &BTreeSet<String>) {
        let stays = |key: &Key| key.app.is_empty() || installed.contains(&key.app);
        self.tracks.retain(|key, track| stays(key) && now.saturating_sub(track.seen) < FORGET);
        let tracks = &self.tracks;
        // of a counter there is no measure before its second reading
        self.counters
            .retain(|key, _| stays(key) && (tracks.len() < MOST || tracks.contains_key(key)));
    }

    /// What is known of an app, or of the node where that is empty.
    pub(super) fn read(&self, app: &str, range: MetricsRange, now: i64) -> MetricsResult {
        let (step, room) = grain(range);
        let first = now.div_euclid(step) - i64::try_from(room).unwrap_or(0) + 1;
        let series = self.tracks.iter().filter(|(key, _)| key.app == app);
        let series = series.filter_map(|(key, track)| {
            let values = track.read(now, range)?;
            Some(MetricSeries {
                kind: key.kind,
                of: key.of.clone(),
                limit: track.limit,
                values: values.into_iter().map(|value| value.map(rounded)).collect(),
            })
        });
        MetricsResult { from: first * step, step, series: series.collect() }
    }

    /// A counter's growth a second, times `factor`.
    fn rate(&mut self, at: At, key: Key, value: u64, factor: f64) {
        let now = Counted { steady: at.steady, value };
        let Some(before) = self.counters.insert(key.clone(), now) else { return };
        let millis = at.steady.saturating_sub(before.steady);
        // a container that began anew counts from nought
        let Some(grown) = value.checked_sub(before.value) else { return };
        if millis > 0 {
            self.put(at, key, factor * 1000.0 * float(grown) / float(millis), None);
        }
    }

    fn put(&mut self, at: At, key: Key, value: f64, limit: Option<u64>) {
        if self.tracks.len() >= MOST && !self.tracks.contains_key(&key) {
            return;
        }
        let track = self.tracks.entry(key).or_default();
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough for a chart")]
        track.push(at.wall, value as f32);
        track.limit = limit.map(float);
    }

    /// The measures as they lie in their file.
    pub(super) fn text(&self) -> Vec<u8> {
        let tracks = self.tracks.iter().map(|(key, track)| (key.clone(), track.clone())).collect();
        serde_json::to_vec(&Kept { version: 1, tracks }).unwrap_or_default()
    }

    /// The measures of a file; none when there is none or it does not fit. Blocks.
    pub(super) fn load(path: &Path) -> Self {
        let read = file::read_bounded(path, MAX_FILE).and_then(|bytes| {
            bytes
                .map(|bytes| serde_json::from_slice::<Kept>(&bytes))
                .transpose()
                .map_err(Into::into)
        });
        match read {
            Ok(Some(kept)) if kept.version == 1 => {
                let tracks = kept.tracks.into_iter().take(MOST).collect();
                Self { tracks, ..Self::default() }
            }
            Ok(_) => Self::default(),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "figures begin anew");
                Self::default()
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "seven digits are enough for a chart")]
const fn float(number: u64) -> f64 {
    number as f64
}

/// A hundredth is as exact as it gets.
fn rounded(value: f32) -> f64 {
    (f64::from(value) * 100.0).round() / 100.0
}
