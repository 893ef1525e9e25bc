//! The root file system of the base image: Debian's minimal variant, slimmed.
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::error::ImagesError;
use crate::cache::{Cache, at, recipe_hash};
use crate::node::{debootstrap, put, recipe, remove_tree};
use crate::sh::{Cmd, step};

/// Package scripts may not start daemons in a build.
const POLICY: &str = "#!/bin/sh\nexit 101\n";
/// What dpkg leaves out from now on.
const EXCLUDES: &str = "path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/lintian/*
";
const APT: &str = "APT::Install-Recommends \"false\";\nAcquire::Languages \"none\";\n";
/// Takes out what a build leaves and no program needs.
const STRIP: &str = "#!/bin/sh
rm -rf /var/cache/debconf/*-old /var/cache/ldconfig /var/cache/man /var/cache/apt/*.bin /var/lib/dpkg/*-old /etc/*- /tmp/*
find /var/log -type f -delete
";
const GONE: &[&str] = &[
    "dev",
    "run",
    "tmp",
    "var/log",
    "var/cache/apt",
    "var/cache/ldconfig",
    "var/cache/debconf",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
];

/// Stands for everything this file does.
pub(super) fn fingerprint() -> String {
    recipe_hash([include_bytes!("rootfs.rs").as_slice(), recipe::SUITE.as_bytes()])
}

/// Makes the archive `rootfs.tar` in a directory.
pub(super) fn make(cache: &Cache, into: &Path) -> Result<(), ImagesError> {
    let root = into.join("rootfs");
    remove_tree(&root)?;
    step("build the images' base root file system", || {
        debootstrap(cache, &root, &[])?;
        for dir in GONE {
            empty(&root.join(dir))?;
        }
        for dir in ["tmp", "var/tmp"] {
            let dir = root.join(dir);
            fs::set_permissions(&dir, Permissions::from_mode(0o1777))
                .map_err(at("cannot set", &dir))?;
        }
        for dir in ["var/cache/apt/archives/partial", "var/lib/apt/lists/partial"] {
            let dir = root.join(dir);
            fs::create_dir_all(&dir).map_err(at("cannot make", &dir))?;
        }
        put(&root.join("etc/dpkg/dpkg.cfg.d/archy"), EXCLUDES)?;
        put(&root.join("etc/apt/apt.conf.d/90archy"), APT)?;
        for (path, text) in [("usr/sbin/policy-rc.d", POLICY), ("usr/local/bin/archy-strip", STRIP)]
        {
            let path = root.join(path);
            put(&path, text)?;
            fs::set_permissions(&path, Permissions::from_mode(0o755))
                .map_err(at("cannot set", &path))?;
        }
        let tar = Cmd::new("tar").args(["--sort=name", "--numeric-owner", "--xattrs", "-C"]);
        tar.arg(&root).arg("-cf").arg(into.join("rootfs.tar")).arg(".").run()?;
        Ok::<(), ImagesError>(remove_tree(&root)?)
    })
}

/// Removes what a directory holds, keeping itself.
fn empty(dir: &Path) -> Result<(), ImagesError> {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&path)?;
        } else {
            fs::remove_file(&path).map_err(at("cannot remove", &path))?;
        }
    }
    Ok(())
}
