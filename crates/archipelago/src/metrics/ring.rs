//! One measure over time, at three grains, in bounded room.

use std::collections::VecDeque;

use archy_api::metrics::MetricsRange;
use serde::{Deserialize, Serialize};

/// Milliseconds of a value and how many values are kept, from fine to coarse.
const GRAINS: [(i64, usize); 3] = [(10_000, 360), (300_000, 288), (1_800_000, 336)];

/// The grain that shows a range.
pub(super) const fn grain(range: MetricsRange) -> (i64, usize) {
    GRAINS[index(range)]
}

const fn index(range: MetricsRange) -> usize {
    match range {
        MetricsRange::Hour => 0,
        MetricsRange::Day => 1,
        MetricsRange::Week => 2,
    }
}

/// Values of one grain. A value is the mean of what was measured in its time.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct Ring {
    /// Number of the last value's time since 1970, in grains.
    last: i64,
    /// Oldest first; nothing where nothing was measured.
    values: VecDeque<Option<f32>>,
    /// How many measurements the last value is the mean of.
    count: u32,
}

impl Ring {
    fn push(&mut self, at: i64, value: f32, (step, room): (i64, usize)) {
        let slot = at.div_euclid(step);
        let ahead = slot.saturating_sub(self.last);
        if ahead == 0
            && let Some(Some(last)) = self.values.back_mut()
        {
            self.count = self.count.saturating_add(1);
            #[expect(clippy::cast_precision_loss, reason = "a count of some hundreds")]
            let weight = self.count as f32;
            *last += (value - *last) / weight;
            return;
        }
        // a clock that went back, or was away for longer than is kept: nothing before it fits
        if ahead <= 0 || usize::try_from(ahead).is_ok_and(|ahead| ahead >= room) {
            self.values.clear();
        } else if !self.values.is_empty() {
            self.values.extend((1..ahead).map(|_| None));
        }
        self.values.push_back(Some(value));
        (self.last, self.count) = (slot, 1);
        let over = self.values.len().saturating_sub(room);
        self.values.drain(..over);
    }

    /// `room` values up to and with the one of a moment.
    fn read(&self, now: i64, (step, room): (i64, usize)) -> Vec<Option<f32>> {
        let end = now.div_euclid(step);
        let first = self.last - i64::try_from(self.values.len()).unwrap_or(0) + 1;
        let begin = end - i64::try_from(room).unwrap_or(0) + 1;
        let at = |slot: i64| {
            let place = usize::try_from(slot - first).ok()?;
            self.values.get(place).copied().flatten()
        };
        (begin..=end).map(at).collect()
    }
}

/// One measure at all grains.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Track {
    rings: [Ring; GRAINS.len()],
    /// What the measure cannot exceed.
    pub(super) limit: Option<f64>,
    /// When it was measured last (milliseconds since 1970).
    pub(super) seen: i64,
}

impl Track {
    /// Adds a measurement.
    pub(super) fn push(&mut self, at: i64, value: f32) {
        if !value.is_finite() {
            return;
        }
        for (ring, grain) in self.rings.iter_mut().zip(GRAINS) {
            ring.push(at, value, grain);
        }
        self.seen = at;
    }

    /// The values of a range up to a moment; nothing when none was measured in it.
    pub(super) fn read(&self, now: i64, range: MetricsRange) -> Option<Vec<Option<f32>>> {
        let values = self.rings[index(range)].read(now, grain(range));
        values.iter().any(Option::is_some).then_some(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: MetricsRange = MetricsRange::Hour;

    #[test]
    fn a_value_is_the_mean_of_its_time_and_gaps_stay_gaps() {
        let mut track = Track::default();
        for (at, value) in [(0, 10.0), (5_000, 20.0), (9_999, 60.0), (30_000, 1.0)] {
            track.push(at, value);
        }
        let values = track.read(39_999, HOUR).unwrap();
        assert_eq!(values.len(), 360);
        assert_eq!(values[356..], [Some(30.0), None, None, Some(1.0)]);
        // coarser: all of it is one value
        let day = track.read(39_999, MetricsRange::Day).unwrap();
        assert_eq!(day.last(), Some(&Some(22.75)));
        // what is not there yet is a gap at the end
        assert_eq!(track.read(49_999, HOUR).unwrap()[358..], [Some(1.0), None]);
        assert_eq!(track.read(4_000_000, HOUR), None);
    }

    #[test]
    fn the_room_is_bounded() {
        let mut track = Track::default();
        for second in 0..200_000_i64 {
            track.push(second * 10_000, 1.0);
        }
        let held: Vec<usize> = track.rings.iter().map(|ring| ring.values.len()).collect();
        assert_eq!(held, [360, 288, 336]);
        assert!(track.rings.iter().all(|ring| ring.values.capacity() <= 1024));
    }

    #[test]
    fn a_clock_that_jumps_does_not_mix_times() {
        let mut track = Track::default();
        track.push(100_000_000, 1.0);
        track.push(50_000_000, 2.0);
        let values = track.read(50_000_000, HOUR).unwrap();
        assert_eq!(values.iter().flatten().count(), 1);
        track.push(i64::MAX, 3.0);
        assert_eq!(track.rings[0].values.len(), 1);
        track.push(0, f32::NAN);
        assert_eq!(track.seen, i64::MAX);
    }
}
