//! Rust programs of ours that go in images, linked statically so that they run anywhere.
use std::fs;
use std::path::{Path, PathBuf};

use super::error::ImagesError;
use crate::cache::{Cache, at};
use crate::sh::{Cmd, step};

/// Compiles the crate `archy-NAME` in a directory of the images' sources; it lies alone in the returned directory.
pub(super) fn program(cache: &Cache, sources: &Path, name: &str) -> Result<PathBuf, ImagesError> {
    let source = sources.join(name);
    let target = cache.dir(&format!("images/target-{name}"))?;
    let out = cache.dir(&format!("images/bin-{name}"))?;
    let version = Cmd::new("rustc").arg("-vV").dir(&source).run()?;
    let host = version.stdout.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.unwrap_or("x86_64-unknown-linux-gnu").to_owned();
    // a target named even if it is the host's: else build scripts would be linked statically too
    let cargo = Cmd::new("cargo").args(["build", "--release", "--locked", "--target", &host]);
    let cargo = cargo.arg("--target-dir").arg(&target).dir(&source);
    let log = cache.dir("logs")?.join(format!("program-{name}.log"));
    step(&format!("compile {name}"), || {
        cargo.env("RUSTFLAGS", "-C target-feature=+crt-static").logged(&log)
    })?;
    let built = target.join(host).join("release").join(format!("archy-{name}"));
    let file = out.join(name);
    // another build may be reading the old one: replaced, not written over
    let part = out.join(format!(".{name}"));
    fs::copy(&built, &part).map_err(at("cannot copy", &built))?;
    fs::rename(&part, &file).map_err(at("cannot rename", &part))?;
    Ok(out)
}
