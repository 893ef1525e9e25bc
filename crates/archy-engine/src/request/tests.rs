//! Wishes that depend on what an app was before.

use archy_plan::adopt::{Adopted, Origin, Stage};

use super::*;

fn app(version: &str, generation: u64, stage: Option<Stage>) -> DesiredApp {
    let text = format!(
        "app:\n  id: demo\n  name: Demo\n  version: {version}\n  container:\n    image: a.example/b:1\n"
    );
    let adopted = |stage| Adopted {
        origin: Origin::PodmanRun,
        since: Timestamp(1),
        stage,
        parts: BTreeMap::new(),
    };
    DesiredApp {
        manifest: Arc::new(Manifest::parse(text.as_bytes()).unwrap()),
        digest: Digest::of(text.as_bytes()),
        generation: Generation(generation),
        state: DesiredState::Running,
        actor: Actor::System,
        since: Timestamp(1),
        settings: BTreeMap::new(),
        port_overrides: BTreeMap::new(),
        package_dir: None,
        data_due: None,
        adopted: stage.map(adopted),
    }
}

fn rolled_back(before: Option<Stage>, now: Option<Stage>) -> Result<DesiredApp, UserError> {
    let desired = app("2.0.0", 4, now);
    let previous = Previous {
        app: app("1.0.0", 2, before),
        replaced_by: Generation(3),
        replaced: Timestamp(5),
    };
    let current = Current {
        desired: &desired,
        state: AppState::Running,
        busy: false,
        transaction: false,
        previous: Some(&previous),
    };
    let kind = RequestKind::Rollback { app: desired.manifest.id.clone(), keep_data: false };
    let wish = Wish { kind: &kind, actor: &Actor::System, now: Timestamp(10) };
    match decide(Some(current), &wish, Duration::from_secs(60))? {
        Decision::Do(app, OperationKind::Rollback) => Ok(*app),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_rollback_leaves_alone_how_far_an_adoption_has_come() {
    let wish = Generation(2);
    let migrated = Some(Stage::Migrated { version: 1, since: Timestamp(2), wish });
    // migrated back and anew, after the update
    let wish = Generation(4);
    let anew = Some(Stage::Migrated { version: 1, since: Timestamp(8), wish });
    let committed = Some(Stage::Committed { version: 1, since: Timestamp(7) });
    for (before, now) in [
        (None, None),
        (migrated, migrated),
        (migrated, committed),
        (migrated, anew),
        (committed, committed),
    ] {
        let app = rolled_back(before, now).unwrap();
        assert_eq!(app.manifest.version, "1.0.0");
        assert_eq!(app.adopted.map(|adopted| adopted.stage), now, "{before:?}, now {now:?}");
    }
    // what runs in containers of somebody else is none of ours to take back
    let refused = rolled_back(migrated, Some(Stage::Watched)).unwrap_err();
    assert_eq!(refused.code.as_str(), "adopted-not-migrated");
}
