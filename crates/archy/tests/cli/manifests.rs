//! `archy app`: needs no daemon.

use std::path::Path;

use crate::run::{archy, golden};

const BAD: &str = "\
app:
  id: Bad_Id
  name: Bad
  version: 1.0.0
  container:
    image: nginx
    derived_env:
      - { key: A, template: '{{NOT_A_PLACEHOLDER}}' }
";

#[test]
fn a_new_manifest_is_valid() {
    let dir = tempfile::tempdir().unwrap();
    archy(dir.path(), &["app", "new", "my-blog"]).code(0).out("Wrote my-blog/manifest.yml.");
    archy(dir.path(), &["app", "validate", "my-blog"]).code(0).out("my-blog/manifest.yml: valid");
    let text = std::fs::read_to_string(dir.path().join("my-blog/manifest.yml")).unwrap();
    assert!(text.contains("name: \"My blog\""), "{text}");
    archy(dir.path(), &["app", "new", "my-blog"]).code(3).err("error[manifest-exists]");
    archy(dir.path(), &["app", "new", "My_Blog"]).code(2).err("error[id-invalid]");
    let json =
        archy(dir.path(), &["--json", "app", "new", "b", "--dir", "elsewhere"]).code(0).json();
    assert_eq!(json["path"], "elsewhere/manifest.yml");
}

#[test]
fn a_bad_manifest_is_shown_with_mends() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bad.yml"), BAD).unwrap();
    let run = archy(dir.path(), &["app", "validate", "bad.yml"]).code(3).out("unknown placeholder");
    golden("validate-bad.txt", &run.out);
    let json = archy(dir.path(), &["--json", "app", "validate", "bad.yml"]).code(3).json();
    assert_eq!(json[0]["valid"], false);
    assert!(json[0]["findings"].as_array().unwrap().len() >= 3, "{json}");
    archy(dir.path(), &["app", "render", "bad.yml"]).code(3).err("error[manifest-invalid]");
}

#[test]
fn missing_files_are_not_found() {
    let dir = tempfile::tempdir().unwrap();
    archy(dir.path(), &["app", "validate", "no.yml"]).code(4).err("error[manifest-unreadable]");
    archy(dir.path(), &["app", "validate", "."])
        .code(4)
        .err("hint: It must be called manifest.yml");
}

#[test]
fn rendering_prints_units() {
    let dir = tempfile::tempdir().unwrap();
    archy(dir.path(), &["app", "new", "blog"]).code(0);
    let run = archy(dir.path(), &["app", "render", "blog"]).code(0);
    for word in ["# blog.container (blog.service)", "[Container]", "Image=", "DropCapability=all"] {
        assert!(run.out.contains(word), "no {word} in\n{}", run.out);
    }
    let less = archy(dir.path(), &["app", "render", "blog", "--controllers", "pids"]).code(0);
    less.err("the memory limit of main is not enforced here");
    archy(dir.path(), &["app", "render", "blog", "--podman", "5.3.0"]).code(3).err("error[podman");
    archy(dir.path(), &["app", "render", "blog", "--out", "units"]).code(0).out("Wrote units/");
    assert!(Path::new(&dir.path().join("units/blog.container")).exists());
    archy(dir.path(), &["app", "render", "blog", "--value", "NO=1"])
        .code(2)
        .err("error[placeholder-unknown]");
    archy(dir.path(), &["app", "render", "blog", "--set", "no=1"])
        .code(4)
        .err("error[setting-unknown]");
}
