//! One app of each kind, written for this test, with the manifest and the findings that must come
//! of it. `UPDATE_GOLDEN=1` writes the files anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use archy_import::{Files, Kind, Store, find, import};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn read(kind: &str) -> Files {
    let dir = fixtures().join("fixtures").join(kind);
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

fn check(kind: Kind) {
    let files = read(kind.as_str());
    let sources = find(&files, kind.as_str(), None);
    let source = sources.first().unwrap();
    assert_eq!((sources.len(), source.kind), (1, kind));
    let made = import(source, &Store::new(&sources)).unwrap();
    let mut text = made.manifest.clone();
    text.push_str("# findings\n");
    for f in &made.findings {
        let severity = format!("{:?}", f.severity).to_lowercase();
        writeln!(text, "# {severity} {} [{}] {}", f.reason, f.place, f.message).unwrap();
    }
    writeln!(text, "# package: {:?}", made.files.keys().collect::<Vec<_>>()).unwrap();
    assert!(made.is_valid(), "{:#?}\n{text}", made.diagnostics);
    let path = fixtures().join("golden").join(format!("{}.yml", kind.as_str()));
    #[expect(clippy::disallowed_methods, reason = "a switch of the test")]
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == wanted, "{} differs; got:\n{text}", path.display());
}

#[test]
fn compose() {
    check(Kind::Compose);
}

#[test]
fn umbrel() {
    check(Kind::Umbrel);
}

#[test]
fn runtipi() {
    check(Kind::Runtipi);
}

#[test]
fn casaos() {
    check(Kind::Casaos);
}
