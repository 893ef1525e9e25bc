//! `explain`, `doctor`, `support-bundle`, `history --full` against the fake daemon.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::fake::Fake;
use crate::run::{archy, golden};

#[test]
fn an_app_is_explained_in_sentences() {
    let fake = Fake::start();
    golden("explain-running.txt", &fake.run(&["explain", "blog"]).code(0).out);
    let failed = fake.run(&["explain", "mail"]).code(0);
    golden("explain-failed.txt", &failed.out);
    assert!(!failed.out.contains('\u{1b}'), "an app must not steer the terminal");
    let json = fake.run(&["--json", "explain", "mail"]).code(0).json();
    assert_eq!(json["repair"]["command"], "archy restart mail");
    fake.run(&["explain", "nobody"]).code(4).err("app-not-found");
}

#[test]
fn checks_are_a_table_and_mends_are_asked_for() {
    let fake = Fake::start();
    golden("doctor.txt", &fake.run(&["doctor"]).code(1).out);
    let json = fake.run(&["--json", "doctor"]).code(1).json();
    assert_eq!(json["checks"][4]["fix"], "remove-container:old");
    assert_eq!(json["mends"], json!(null));
    // without a terminal nothing is mended unasked
    fake.run(&["doctor", "--fix"]).code(2).err("remove-container:old").err("--yes");
    assert_eq!(fake.called("system.mend"), None);
    let mended = fake.run(&["doctor", "--fix", "--yes"]).code(1).out("Container old is removed.");
    assert!(!mended.out.contains("(--fix does it)"), "it is looked at again: {}", mended.out);
    assert_eq!(fake.params("system.mend"), json!({"fixes": ["remove-container:old"]}));
    let none = fake.run(&["doctor", "--fix", "--yes"]).code(1);
    assert!(none.err.contains("No check offers a mend."), "{}", none.err);
}

#[test]
fn without_the_daemon_the_machine_itself_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let run = archy(dir.path(), &["--socket", "none.sock", "--json", "doctor"]).code(1);
    let checks = run.json()["checks"].as_array().unwrap().clone();
    assert_eq!((&checks[0]["name"], &checks[0]["level"]), (&json!("daemon"), &json!("fail")));
    assert!(checks.iter().any(|check| check["name"] == "kernel"));
    let fix = archy(dir.path(), &["--socket", "none.sock", "doctor", "--fix", "--yes"]).code(1);
    assert!(fix.err.contains("it does not answer"), "{}", fix.err);
}

#[test]
fn a_store_in_use_is_not_built_again() {
    let fake = Fake::start();
    fake.run(&["doctor", "--rebuild"]).code(3).err("daemon-running").err("systemctl stop");
}

#[test]
fn a_bundle_is_for_its_owner_alone_and_is_never_written_over() {
    let fake = Fake::start();
    let args = ["support-bundle", "--out", "b.tar.gz", "--anonymous", "-n", "7"];
    let written = fake.run(&args).code(0).out("logs/blog.log").out("doctor.txt");
    assert!(written.out.contains("readable by you alone"), "{}", written.out);
    assert_eq!(fake.params("system.support"), json!({"lines": 7, "anonymous": true}));
    let path = fake.dir().join("b.tar.gz");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut text = String::new();
    let bytes = std::fs::read(&path).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut text)
        .unwrap();
    for words in [
        "archy-support/CONTENTS.txt",
        "archy-support/logs/blog.log",
        "password=•••",
        "its beginning is cut",
    ] {
        assert!(text.contains(words), "{words}");
    }
    fake.run(&args).code(1).err("cannot be written");
    let json = fake.run(&["--json", "support-bundle", "--out", "c.tar.gz"]).code(0).json();
    assert_eq!(json["contents"][0]["name"], "doctor.txt");
    // without the daemon and without rights there are no logs in it
    let dir = tempfile::tempdir().unwrap();
    let alone = ["--socket", "none.sock", "support-bundle", "--out", "d.tar.gz"];
    archy(dir.path(), &alone).code(0).err("does not answer").out("doctor.json");
}

#[test]
fn history_shows_plans_and_outcomes_when_asked() {
    let fake = Fake::start();
    fake.run(&["--quiet", "stop", "blog"]).code(0);
    fake.run(&["history", "blog", "--full"]).code(0).out("stop blog");
    assert_eq!(fake.params("package.history")["full"], true);
    fake.run(&["history", "--full", "--steps"]).code(2);
}
