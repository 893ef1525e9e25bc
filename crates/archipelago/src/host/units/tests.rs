//! Unit files against a generator that treats broken ones as Podman's does.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::host::testing::host;

/// As Podman 5.4: a file with a bad key is left out, one that cannot be parsed takes all with it.
const GENERATOR: &str = r#"#!/bin/sh
cd "$QUADLET_UNIT_DIRS" || exit 9
for f in *.container; do
    if grep -q Torn "$f"; then
        echo "quadlet-generator[1]: No files parsed from [$PWD]" >&2
        echo "quadlet-generator[1]: error loading \"$PWD/$f\", file contains line 1: Torn" >&2
        exit 1
    fi
done
for f in *.container; do
    if grep -q Foo= "$f"; then
        echo "quadlet-generator[1]: converting \"$f\": unsupported key 'Foo' in group 'Container'" >&2
        bad=1
    else
        echo "---${f%.container}.service---"
        echo "SourcePath=$PWD/$f"
    fi
done
exit ${bad:-0}
"#;
const GOOD: &str = "[Container]\nImage=a\n";
const BAD: &str = "[Container]\nFoo=a\n";
const TORN: &str = "Torn";

#[tokio::test]
async fn only_what_is_wrong_with_our_own_files_is_held_against_them() {
    for (what, foreign, own, code, words) in [
        ("good", GOOD, GOOD, None, ""),
        ("ours is bad", GOOD, BAD, Some("unit-rejected"), "rejects demo.container: converting"),
        ("ours cannot be parsed", GOOD, TORN, Some("unit-rejected"), "rejects demo.container"),
        ("another's is bad", BAD, GOOD, None, ""),
        ("both are bad", BAD, BAD, Some("unit-rejected"), "rejects demo.container"),
        (
            "another's takes all with it",
            TORN,
            GOOD,
            Some("foreign-unit-broken"),
            "cannot parse mine.container",
        ),
    ] {
        let root = tempfile::tempdir().unwrap();
        let host = host(root.path());
        let generator = root.path().join("generator");
        std::fs::write(&generator, GENERATOR).unwrap();
        std::fs::set_permissions(&generator, std::fs::Permissions::from_mode(0o755)).unwrap();
        let quadlet = root.path().join("quadlet");
        std::fs::create_dir_all(&quadlet).unwrap();
        std::fs::write(quadlet.join("mine.container"), foreign).unwrap();
        let new = [("demo.container".to_owned(), own.to_owned())];
        let checked = host.check_unit_files(&new).await;
        let failure = checked.err().map(|failure| failure.error);
        assert_eq!(failure.as_ref().map(|error| error.code.as_str()), code, "{what}");
        if let Some(failure) = failure {
            assert!(failure.message.contains(words), "{what}: {}", failure.message);
            assert!(failure.hint.is_some(), "{what}");
        }
        assert!(!quadlet.join("demo.container").exists(), "{what}: nothing is written");
    }
}

#[tokio::test]
async fn without_a_generator_it_says_so() {
    let root = tempfile::tempdir().unwrap();
    let new = [("demo.container".to_owned(), GOOD.to_owned())];
    let error = host(root.path()).check_unit_files(&new).await.unwrap_err().error;
    assert_eq!(error.code.as_str(), "generator-not-run");
    assert!(error.hint.is_some());
}
