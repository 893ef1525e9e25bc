//! `archy app import`: needs no daemon.

use std::path::Path;

use crate::run::archy;

const SHELF: &str = "\
services:
  web:
    image: registry.example/shelf:1
    ports: ['8085:80']
    volumes: ['./shelf.conf:/etc/shelf.conf:ro']
";
const SPY: &str = "\
services:
  spy:
    image: registry.example/spy:1
    volumes: ['/var/run/docker.sock:/var/run/docker.sock']
";

fn put(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn one_app_is_printed_or_written() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "shelf/compose.yaml", SHELF);
    put(dir.path(), "shelf/shelf.conf", "x\n");
    let run = archy(dir.path(), &["app", "import", "shelf"]).code(0).err("shelf: ready");
    assert!(run.out.contains("id: shelf"), "{}", run.out);
    archy(dir.path(), &["app", "import", "shelf", "--out", "apps"]).code(0).out("apps/shelf");
    assert!(dir.path().join("apps/shelf/shelf.conf").is_file());
    archy(dir.path(), &["app", "validate", "apps/shelf"]).code(0).out("valid");
    archy(dir.path(), &["app", "import", "shelf", "--out", "apps"])
        .code(3)
        .err("error[manifest-exists]");
    archy(dir.path(), &["app", "import", "shelf", "--out", "apps", "--force"]).code(0);
    // a file stands for its directory
    archy(dir.path(), &["app", "import", "shelf/compose.yaml"]).code(0).out("id: shelf");
}

#[test]
fn a_store_is_reported_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "store/shelf/compose.yaml", SHELF);
    put(dir.path(), "store/spy/compose.yaml", SPY);
    put(dir.path(), "store/empty/compose.yaml", "services: {}\n");
    let run = archy(dir.path(), &["app", "import", "store", "--out", "out"]).code(3);
    for part in ["shelf: needs files beside", "spy: needs an edit", "0 of 3 apps are ready"] {
        assert!(run.out.contains(part), "{part} in {}", run.out);
    }
    assert!(run.err.contains("error[import-empty]"), "{}", run.err);
    let json = archy(dir.path(), &["app", "import", "store", "--report", "json"]).code(3).json();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["totals"]["apps"], 3);
    assert_eq!(json["totals"]["needs_edit"], 1);
    assert_eq!(json["failed"][0]["code"], "import-empty");
    let spy = json["apps"].as_array().unwrap().iter().find(|app| app["id"] == "spy").unwrap();
    assert_eq!(spy["findings"][0]["reason"], "engine-socket");
    assert_eq!(spy["findings"][0]["severity"], "edit");
}

#[test]
fn errors_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "notes/readme.md", "nothing\n");
    put(dir.path(), "broken/compose.yaml", "services: [\n");
    archy(dir.path(), &["app", "import", "notes"]).code(4).err("error[import-nothing]");
    archy(dir.path(), &["app", "import", "nowhere"]).code(4).err("error[import-unreadable]");
    archy(dir.path(), &["app", "import", "broken"]).code(3).err("hint: mend the file");
    archy(dir.path(), &["app", "import", "x", "--from", "windows"]).code(2);
}
