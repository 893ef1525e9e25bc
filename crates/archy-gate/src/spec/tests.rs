//! The next version and other values of settings.
use serde_json::json;

use super::*;

fn test_apps() -> Vec<(String, String)> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/apps");
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    let read = |entry: std::fs::DirEntry| {
        let text = std::fs::read_to_string(entry.path().join("manifest.yml")).ok()?;
        Some((entry.file_name().to_string_lossy().into_owned(), text))
    };
    entries.filter_map(read).collect()
}

#[test]
fn every_test_app_has_a_next_version_that_differs_in_version_and_environment_alone() {
    let apps = test_apps();
    assert!(apps.len() >= 12);
    for (name, text) in apps {
        let spec = AppSpec::new(text, OwnTest::default(), None).unwrap();
        let next = Manifest::parse(spec.next.as_bytes()).unwrap();
        assert_ne!(next.version, spec.manifest.version, "{name}");
        let mut same = next;
        same.version.clone_from(&spec.manifest.version);
        same.update = spec.manifest.update.clone();
        for service in same.services.values_mut() {
            assert!(service.env.shift_remove(MARK).is_some(), "{name}");
        }
        assert_eq!(same, spec.manifest, "{name}");
    }
}

#[test]
fn the_test_apps_own_steps_are_valid() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/apps");
    let mut found = 0;
    for (name, _) in test_apps() {
        if let Ok(text) = std::fs::read(format!("{dir}/{name}/gate.yml")) {
            let own = OwnTest::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(!own.verify.is_empty(), "{name} verifies nothing");
            found += 1;
        }
    }
    assert!(found >= 8, "{found}");
}

#[test]
fn versions() {
    for (from, to) in
        [("1.0.0", "1.0.1"), ("17", "18"), ("1.9", "1.10"), ("2.0-rc", "2.0-rc.1"), ("v1", "v2")]
    {
        assert_eq!(raised(from), to);
    }
}

#[test]
fn other_values_fit() {
    let text = |max_length| SettingKind::Text { min_length: None, max_length, pattern: None };
    let number = |min, max| SettingKind::Number { min, max, integer: true };
    let choice = SettingKind::Choice(vec!["a".into(), "b".into()]);
    for (kind, default, other) in [
        (text(None), json!("x"), json!("x2")),
        (text(Some(1)), json!("x"), json!("")),
        (number(None, Some(3.0)), json!(3), json!(2)),
        (number(Some(0.0), Some(0.0)), json!(0), Value::Null),
        (SettingKind::Boolean, json!(true), json!(false)),
        (choice, json!("a"), json!("b")),
        (SettingKind::Secret, Value::Null, Value::Null),
    ] {
        assert_eq!(other_value(&kind, Some(&default)).unwrap_or_default(), other, "{kind:?}");
    }
}
