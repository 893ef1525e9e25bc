//! Ends of units against a journal whose program is a script.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;
use crate::host::journal::Journal;
use crate::host::testing;

const APP: &str = "app:\n  id: demo\n  name: Demo\n  version: 1.0.0\n  container:\n    image: a.example/b:1\n    secret_env: { TOKEN: demo-token }\n  secrets: { demo-token: hex32 }\n";

/// A journal that says what lies in `json` and `cat`, and keeps what it was asked.
fn host(root: &Path) -> SystemHost {
    let program = root.join("journalctl");
    let script = format!(
        "#!/bin/sh\ncd {}\necho \"$*\" >> asked\ncase \"$*\" in *MESSAGE_ID*) cat json ;; *) cat cat ;; esac\n",
        root.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["json", "cat", "asked"] {
        std::fs::write(root.join(name), "").unwrap();
    }
    let mut host = testing::host(root);
    host.journal = Journal::of(program);
    host
}

fn message(unit: &str, millis: i64) -> String {
    format!(
        "{{\"__REALTIME_TIMESTAMP\":\"{}\",\"USER_UNIT\":\"{unit}\",\"__CURSOR\":\"s=1\"}}\n",
        millis * 1000
    )
}

fn unit(active: ActiveState, sub: &str, since: Option<i64>, ended: i64) -> UnitState {
    UnitState {
        load: "loaded".to_owned(),
        active,
        sub: sub.to_owned(),
        result: "start-limit-hit".to_owned(),
        exit_status: Some(137),
        restarts: 9,
        active_since: since.map(Timestamp),
        inactive_since: Some(Timestamp(ended)),
        last_words: None,
    }
}

#[tokio::test]
async fn want_of_memory_is_read_from_the_journal() {
    let (failed, again) = (ActiveState::Failed, ActiveState::Activating);
    for (what, active, sub, since, said, named) in [
        ("failed", failed, "failed", None, 1_000_000, true),
        ("again", again, "auto-restart", None, 990_000, true),
        ("starting", again, "start-post", None, 1_000_000, false),
        ("runs", ActiveState::Active, "running", Some(999_000), 999_500, false),
        // another process of it was ended long before, or in an earlier run
        ("long ago", failed, "failed", Some(800_000), 870_000, false),
        ("another run", failed, "failed", Some(999_000), 998_000, false),
    ] {
        let root = tempfile::tempdir().unwrap();
        let host = host(root.path());
        let other = message("other.service", 1_000_000);
        let text = format!("{other}nonsense\n{}", message("demo.service", said));
        std::fs::write(root.path().join("json"), text).unwrap();
        let mut units = [("demo.service".to_owned(), unit(active, sub, since, 1_000_000))].into();
        host.mark_endings(&[], &mut units).await;
        let result = units.values().next().unwrap().result.clone();
        assert_eq!(result == UnitState::OUT_OF_MEMORY, named, "{what}: {result}");
        let asked = std::fs::read_to_string(root.path().join("asked")).unwrap();
        assert_eq!(asked.is_empty(), !is_down(&units["demo.service"]), "{what}");
        assert!(asked.is_empty() || asked.contains("USER_UNIT=demo.service"), "{asked}");
    }
}

#[tokio::test]
async fn each_end_is_looked_into_once() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path());
    let asked = || std::fs::read_to_string(root.path().join("asked")).unwrap();
    let times = || asked().lines().filter(|line| line.contains("MESSAGE_ID=")).count();
    let seen = unit(ActiveState::Failed, "failed", None, 1_000_000);
    for _ in 0..3 {
        let mut units = [("demo.service".to_owned(), seen.clone())].into();
        host.mark_endings(&[], &mut units).await;
    }
    assert_eq!(times(), 1);
    let mut units =
        [("demo.service".to_owned(), UnitState { restarts: 10, ..seen.clone() })].into();
    host.mark_endings(&[], &mut units).await;
    assert_eq!(times(), 2, "another run");
    // of one that has just ended the journal may not have all yet
    let young = UnitState { inactive_since: Some(clock::now()), ..seen };
    for _ in 0..2 {
        let mut units = [("demo.service".to_owned(), young.clone())].into();
        host.mark_endings(&[], &mut units).await;
    }
    assert_eq!(times(), 4);
}

#[tokio::test]
async fn the_last_words_are_the_containers_else_podmans_and_hold_no_secret() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path());
    host.secrets.ensure("demo-token", archy_types::SecretKind::Hex32).unwrap();
    let secret = std::fs::read_to_string(root.path().join("secrets/demo-token")).unwrap();
    let secret = secret.trim();
    let app = Arc::new(Manifest::parse(APP.as_bytes()).unwrap());
    // 2026-05-01T10:00:09Z
    let ended = 1_777_629_609_000;
    let words = async |restarts| {
        let seen = UnitState { restarts, ..unit(ActiveState::Failed, "failed", None, ended) };
        let mut units = [("demo.service".to_owned(), seen)].into();
        host.mark_endings(std::slice::from_ref(&app), &mut units).await;
        units["demo.service"].last_words.clone()
    };
    assert_eq!(words(0).await, None);

    let id = "ab".repeat(32);
    let text = format!("{id}\nError: no such image\n{id}\n");
    std::fs::write(root.path().join("cat"), text).unwrap();
    assert_eq!(words(1).await.as_deref(), Some("Error: no such image"));

    let log = root.path().join("data/logs/demo.log");
    std::fs::create_dir_all(log.parent().unwrap()).unwrap();
    let line = |at: &str, text: &str| format!("2026-05-01T{at}Z stderr F {text}\n");
    let long = format!("token {secret} is {}", "x".repeat(400));
    let text = [
        line("08:00:00", "of an earlier life"),
        line("10:00:07", "one"),
        line("10:00:08", &long),
        line("10:00:08", "bye"),
    ];
    std::fs::write(&log, text.concat()).unwrap();
    let said = words(2).await.unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[2]), (3, "one", "bye"));
    assert!(lines[1].starts_with("token ") && lines[1].len() <= LINE_CHARS, "{said}");
    assert!(!said.contains(secret));
}

#[tokio::test]
async fn a_start_that_failed_for_want_of_memory_is_named_so() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path());
    let quadlet = root.path().join("quadlet");
    std::fs::create_dir_all(&quadlet).unwrap();
    let text = "[Container]\nImage=a\nPodmanArgs=--memory=67108864\n";
    std::fs::write(quadlet.join("demo.container"), text).unwrap();
    let failure = || UserError::new("unit-failed", "demo.service did not start: failed.");
    let mut error = failure();
    host.name_want_of_memory("demo.service", Timestamp(5_000), &mut error).await;
    assert_eq!(error.code.as_str(), "unit-failed");
    std::fs::write(root.path().join("json"), message("demo.service", 4_000)).unwrap();
    host.name_want_of_memory("demo.service", Timestamp(5_000), &mut error).await;
    assert_eq!(error.code.as_str(), "unit-failed", "of an earlier start");
    std::fs::write(root.path().join("json"), message("demo.service", 6_000)).unwrap();
    host.name_want_of_memory("demo.service", Timestamp(5_000), &mut error).await;
    assert_eq!(error.code.as_str(), "out-of-memory");
    assert!(error.message.contains("its budget of 64 MiB"), "{}", error.message);
    assert!(error.message.ends_with(failure().message.as_str()));
    assert_eq!(memory("[Container]\nMemory=5\n"), Some(5));
}
