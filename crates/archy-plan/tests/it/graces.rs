//! An app gets its grace: every deadline above it is longer, up to the host's.

use archy_plan::{DesiredState, Intent, Step, assess, plan, render_app};
use archy_types::Timestamp;
use proptest::prelude::*;

use crate::apps::app;
use crate::world::World;

/// The user manager that runs the apps, as the package sets it up.
const MANAGER: &str = include_str!("../../../../packaging/systemd/user-manager.conf");

fn manager_secs() -> u32 {
    let said = MANAGER.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    said.strip_suffix("min").and_then(|minutes| minutes.parse::<u32>().ok()).unwrap() * 60
}

fn seconds(text: &str, key: &str) -> u32 {
    let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    found.unwrap().trim_end_matches('s').parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_deadline_is_longer_than_the_grace(graces in prop::collection::vec(10..=600_u32, 1..4)) {
        let services: String = graces.iter().enumerate().map(|(index, grace)| {
            format!("    s{index}: {{ image: a.example/x:1, stop_grace_secs: {grace} }}\n")
        }).collect();
        let mut app = app(&format!(
            "app:\n  id: diary\n  name: Diary\n  version: 1.0.0\n  services:\n{services}"
        ));
        let mut world = World::new();
        world.run(&app, std::slice::from_ref(&app), Intent::Install);
        let all: u32 = graces.iter().sum();
        let names = graces.iter().enumerate();
        let units: Vec<u32> = names.map(|(index, grace)| {
            let name = if graces.len() == 1 { "diary".to_owned() } else { format!("diary-s{index}") };
            let text = world.files.get(&format!("{name}.container"))
                .or_else(|| world.files.get(&format!("diary-s{index}.container"))).unwrap();
            assert_eq!(seconds(text, "StopTimeout"), *grace, "podman stops it with its grace");
            let unit = seconds(text, "TimeoutStopSec");
            assert!(unit > *grace, "systemd kills {name} within its grace");
            assert!(manager_secs() > unit, "the host's shutdown ends {name} within its grace");
            unit
        }).collect();
        // systemd may stop one after the other
        let stop_secs = |steps: &[archy_plan::PlannedStep]| {
            steps.iter().find_map(|planned| match &planned.step {
                Step::StopUnits { deadline_secs, .. } => Some(*deadline_secs),
                _ => None,
            })
        };
        let restart = plan(&app, &world.observe(), std::slice::from_ref(&app), Intent::Restart);
        prop_assert!(stop_secs(&restart.steps).unwrap() > units.iter().sum(), "{}", restart.to_text());
        for state in [DesiredState::Stopped, DesiredState::Removed, DesiredState::Purged] {
            app.state = state;
            app.since = Timestamp(world.clock);
            let made = plan(&app, &world.observe(), std::slice::from_ref(&app), Intent::Converge);
            prop_assert!(stop_secs(&made.steps).unwrap() > units.iter().sum(), "{}", made.to_text());
            for planned in &made.steps {
                if let Step::RemoveContainer { deadline_secs, .. } = planned.step {
                    prop_assert!(deadline_secs > *graces.iter().min().unwrap());
                }
            }
            // and what is shown counts as overdue only after all of that
            let deployment = render_app(&app, &world.observe(), std::slice::from_ref(&app)).unwrap();
            let now = Timestamp(world.clock);
            let shown = assess(&app, &deployment, &world.observe(), None, now).report;
            let until = shown.deadline.unwrap().seconds_since(now);
            prop_assert!(until > u64::from(all), "{shown:?}");
        }
        // without Podman as well
        let mut blind = world.observe();
        let silent = archy_types::Cause::new("podman-silent", "Podman does not answer.");
        blind.containers = archy_plan::Known::No(silent);
        let made = plan(&app, &blind, std::slice::from_ref(&app), Intent::Converge);
        prop_assert!(stop_secs(&made.steps).unwrap() > units.iter().sum(), "{}", made.to_text());
    }
}
