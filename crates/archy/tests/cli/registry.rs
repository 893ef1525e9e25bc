//! `archy registry`: needs no daemon.

use std::path::Path;

use crate::run::archy;

const MANIFEST: &str = "\
app:
  id: blog
  name: Blog
  version: 1.0.0
  description: A blog.
  container:
    image: registry.example/blog:1.0.0
";

fn package(dir: &Path, version: &str) {
    std::fs::create_dir_all(dir.join("blog")).unwrap();
    let text = MANIFEST.replace("version: 1.0.0", &format!("version: {version}"));
    std::fs::write(dir.join("blog/manifest.yml"), text).unwrap();
    std::fs::write(dir.join("blog/icon.svg"), "<svg xmlns='http://www.w3.org/2000/svg'/>").unwrap();
}

const KEYS: [&str; 6] = [
    "--key",
    "shop/keys/root.key",
    "--key",
    "shop/keys/targets.key",
    "--key",
    "shop/keys/online.key",
];

#[test]
fn a_registry_is_founded_filled_published_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    package(dir, "1.0.0");
    archy(dir, &["registry", "init", "shop"]).code(0).out("Made the key shop/keys/root.key");
    archy(dir, &["registry", "init", "shop"]).code(3).err("error[registry-project]");
    archy(dir, &["registry", "verify", "shop"]).code(4).err("error[registry-missing-file]");
    archy(dir, &["registry", "add", "shop", "blog"]).code(0).out("blog 1.0.0");
    archy(dir, &["registry", "add", "shop", "nothing"]).code(4);
    let online = ["registry", "publish", "shop", "--key", "shop/keys/online.key"];
    archy(dir, &online).code(3).err("error[registry-signature]");
    let publish = [&["--json", "registry", "publish", "shop"], &KEYS[..]].concat();
    let published = archy(dir, &publish).code(0).json();
    let fingerprint = published["fingerprint"].as_str().unwrap();
    let verify = ["--json", "registry", "verify", "shop", "--full", "--fingerprint", fingerprint];
    let verified = archy(dir, &verify).code(0).json();
    assert_eq!(verified["catalogs"][0]["apps"], 1, "{verified}");
    assert_eq!(verified["files"], 3, "{verified}");
    package(dir, "1.1.0");
    archy(dir, &["registry", "add", "shop", "blog"]).code(0).out("blog 1.1.0 (was 1.0.0)");
    archy(dir, &publish).code(0);
    // what was changed by hand is seen
    for entry in std::fs::read_dir(dir.join("shop/public/targets")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains("app-catalog") {
            std::fs::write(path, "{}").unwrap();
        }
    }
    archy(dir, &["registry", "verify", "shop"]).code(3).err("error[registry-target]");
    archy(dir, &["registry", "add", "shop", "--remove", "wiki"]).code(3);
}

#[test]
fn a_root_is_signed_by_keepers_on_other_machines() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for name in ["ann", "bob", "targets", "online"] {
        archy(dir, &["registry", "key", name]).code(0).out("keep it offline");
    }
    archy(dir, &["registry", "key", "ann"]).code(1).err("error[registry-io]");
    let id = archy(dir, &["registry", "key", "ann", "--show"]).code(0).out;
    let id = id.trim();
    let init = [
        "registry",
        "init",
        "shop",
        "--root-key",
        "ann.pub",
        "--root-key",
        "bob.pub",
        "--root-threshold",
        "2",
        "--targets-key",
        "targets.pub",
        "--online-key",
        "online.pub",
    ];
    archy(dir, &init).code(0);
    std::fs::copy(dir.join("shop/staged/root.json"), dir.join("stick.json")).unwrap();
    for name in ["ann", "bob"] {
        archy(dir, &["registry", "sign", "stick.json", "--key", name]).code(0);
    }
    archy(dir, &["registry", "sign", "shop", "--from", "stick.json"])
        .code(0)
        .out("root version 1: 2 of 2 signatures, ready");
    let publish = ["registry", "publish", "shop", "--key", "targets", "--key", "online"];
    archy(dir, &publish).code(0).out("Fingerprint for owners to compare: sha256:");
    // bob's key is lost: the root needs ann alone from now on
    let rotate = ["registry", "rotate", "shop", "root", "--threshold", "1", "--remove", id];
    archy(dir, &rotate).code(0).out("signatures are missing");
    archy(dir, &["registry", "rotate", "shop", "root", "--remove", "zzz"]).code(3);
    archy(dir, &["registry", "rotate", "shop", "acme", "--add", "ann.pub", "--app", "blog"])
        .code(0)
        .out("acme version 1: 0 of 1 signatures");
}
