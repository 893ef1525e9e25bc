//! The harms of a chaos run: which, to whom, when. Pure: a seed gives the same sequence for ever.

use serde::{Deserialize, Serialize};

use crate::phase::{PHASES, Phase};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The daemon is killed with SIGKILL.
    KillDaemon,
    /// The power of the node is cut, and it boots again.
    CutPower,
    /// A container of an app is killed with SIGKILL.
    KillContainer,
    /// Podman's service is frozen for some seconds.
    FreezePodman,
    /// A line is added to a unit file of an app.
    EditUnit,
    /// A unit file of an app is deleted.
    DeleteUnit,
}

/// Kinds with how often they come, of 16.
const KINDS: &[(Kind, u64)] = &[
    (Kind::KillDaemon, 4),
    (Kind::CutPower, 2),
    (Kind::KillContainer, 4),
    (Kind::FreezePodman, 2),
    (Kind::EditUnit, 2),
    (Kind::DeleteUnit, 2),
];
/// Most power cuts of one iteration: each costs all apps a boot.
const CUTS: usize = 2;
/// Of eight phases that may be harmed, so many are.
const HARMED_OF_8: u64 = 6;
/// Latest begin of a harm after its phase's begin.
const LATEST_MILLIS: u64 = 4_000;
/// Shortest and longest freeze.
const FREEZE_MILLIS: (u64, u64) = (1_000, 6_000);

impl Kind {
    /// The word in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::KillDaemon => "kill-daemon",
            Self::CutPower => "cut-power",
            Self::KillContainer => "kill-container",
            Self::FreezePodman => "freeze-podman",
            Self::EditUnit => "edit-unit",
            Self::DeleteUnit => "delete-unit",
        }
    }

    /// It is done to one app, not to the node.
    #[must_use]
    pub const fn is_of_an_app(self) -> bool {
        matches!(self, Self::KillContainer | Self::EditUnit | Self::DeleteUnit)
    }
}

/// A harm that is to happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Harm {
    /// In which phase.
    pub phase: Phase,
    /// What.
    pub kind: Kind,
    /// Number of the app among those of the set.
    pub app: usize,
    /// Chooses among the app's services.
    pub pick: usize,
    /// Milliseconds after the phase's begin.
    pub after_millis: u64,
    /// How long a freeze lasts, in milliseconds.
    pub for_millis: u64,
}

/// The harms of one iteration, in order of phases.
#[must_use]
pub fn schedule(
    seed: u64,
    iteration: u32,
    apps: usize,
    allowed: impl Fn(Kind) -> bool,
) -> Vec<Harm> {
    // iterations are independent: a resumed run has the same harms
    let mut dice = Dice(seed ^ u64::from(iteration).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut harms: Vec<Harm> = Vec::new();
    for info in PHASES.iter().filter(|info| info.harmed) {
        let harmed = dice.below(8) < HARMED_OF_8;
        let harm = Harm {
            phase: info.phase,
            kind: kind(dice.below(KINDS.iter().map(|(_, weight)| weight).sum())),
            app: index(dice.below(to_u64(apps.max(1)))),
            pick: index(dice.below(1 << 16)),
            after_millis: dice.below(LATEST_MILLIS),
            for_millis: FREEZE_MILLIS.0 + dice.below(FREEZE_MILLIS.1 - FREEZE_MILLIS.0),
        };
        let cuts = harms.iter().filter(|harm| harm.kind == Kind::CutPower).count();
        let too_much = harm.kind == Kind::CutPower && cuts >= CUTS;
        if harmed && !too_much && allowed(harm.kind) {
            harms.push(harm);
        }
    }
    harms
}

fn kind(mut at: u64) -> Kind {
    for (kind, weight) in KINDS {
        if at < *weight {
            return *kind;
        }
        at -= weight;
    }
    Kind::KillDaemon
}

fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below a bound that is not 0.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_seed_gives_one_sequence_within_its_bounds(
            seed in any::<u64>(), iteration in 1_u32..100, apps in 1_usize..40,
        ) {
            let harms = schedule(seed, iteration, apps, |_| true);
            prop_assert_eq!(&harms, &schedule(seed, iteration, apps, |_| true));
            prop_assert!(harms.windows(2).all(|pair| pair[0].phase < pair[1].phase));
            prop_assert!(harms.iter().filter(|h| h.kind == Kind::CutPower).count() <= CUTS);
            for harm in &harms {
                prop_assert!(harm.phase.info().harmed);
                prop_assert!(harm.app < apps);
                prop_assert!(harm.after_millis < LATEST_MILLIS);
                prop_assert!((FREEZE_MILLIS.0..FREEZE_MILLIS.1).contains(&harm.for_millis));
            }
        }

        #[test]
        fn what_is_not_allowed_does_not_move_the_others(seed in any::<u64>()) {
            let all = schedule(seed, 1, 5, |_| true);
            let calm = schedule(seed, 1, 5, |kind| kind != Kind::KillDaemon);
            let rest: Vec<Harm> =
                all.into_iter().filter(|harm| harm.kind != Kind::KillDaemon).collect();
            prop_assert_eq!(rest, calm);
        }
    }

    #[test]
    fn every_kind_comes_and_iterations_differ() {
        let of = |iteration| schedule(7, iteration, 13, |_| true);
        let kinds: BTreeSet<Kind> = (1..=20).flat_map(of).map(|harm| harm.kind).collect();
        assert_eq!(kinds.len(), KINDS.len());
        assert_ne!(of(1), of(2));
    }
}
