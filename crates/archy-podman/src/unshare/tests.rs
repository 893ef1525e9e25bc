//! With a stand-in for `podman` that writes down its arguments.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn fake(dir: &Path, script: &str) -> PathBuf {
    let program = dir.join("podman");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

#[tokio::test]
async fn arguments_are_handed_over_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let program = fake(dir.path(), &format!("printf '%s\\n' \"$@\" > {}", log.display()));
    let unshare = Unshare::new(program, Duration::from_secs(10));
    unshare.chown(Path::new("/data/a $(b)/c"), (100, 102), true).await.unwrap();
    let got = std::fs::read_to_string(log).unwrap();
    assert_eq!(got, "unshare\nchown\n-hR\n100:102\n--\n/data/a $(b)/c\n");
}

#[tokio::test]
async fn failures_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = Path::new("/data/x");
    let program = fake(dir.path(), "echo no ranges >&2; exit 3");
    let error = Unshare::new(program, Duration::from_secs(10)).remove_all(path).await;
    assert!(
        matches!(&error, Err(UnshareError::Failed { stderr, status, .. })
            if stderr == "no ranges" && status.code() == Some(3)),
        "{error:?}"
    );
    assert_eq!(error.unwrap_err().code(), "unshare-failed");
    let said = "echo \"cp: error writing x: $(test \"$LC_ALL\" = C && echo No space left on device)\" >&2; exit 1";
    let full = Unshare::new(fake(dir.path(), said), Duration::from_secs(10));
    let error = full.copy_tree(path, Path::new("/data/y")).await.unwrap_err();
    assert_eq!(error.code(), "disk-full", "{error}");
    let program = fake(dir.path(), "exec sleep 1000");
    let error = Unshare::new(program, Duration::from_millis(50)).remove_all(path).await;
    assert!(matches!(error, Err(UnshareError::Timeout { verb: "rm", .. })), "{error:?}");
    let error = Unshare::new("/nonexistent", Duration::from_secs(1)).remove_all(path).await;
    assert!(matches!(error, Err(UnshareError::Start { .. })), "{error:?}");
}

#[test]
fn paths() {
    for bad in ["", "/", "data/x", "/data", "/data/../etc", "/data/x/.."] {
        assert!(check(Path::new(bad)).is_err(), "{bad}");
    }
    assert!(check(Path::new("/var/lib/x")).is_ok());
}

/// Runs what it is told to, in this namespace.
fn here(dir: &Path) -> Unshare {
    Unshare::new(fake(dir, "shift; exec \"$@\""), Duration::from_secs(10))
}

#[tokio::test]
async fn an_open_directory_is_not_lost_by_renames() {
    use std::os::fd::AsFd as _;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let unshare = here(dir.path());
    for name in ["real", "victim"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    let open = std::fs::File::open(at("real")).unwrap();
    // the container swaps its directory for a link
    std::fs::rename(at("real"), at("moved")).unwrap();
    std::os::unix::fs::symlink(at("victim"), at("real")).unwrap();
    std::os::unix::fs::symlink(at("victim/f"), at("moved/f")).unwrap();
    std::fs::write(at("staged"), "x").unwrap();
    unshare.move_into(&at("staged"), open.as_fd(), "f").await.unwrap();
    unshare.make_directory(open.as_fd(), "d").await.unwrap();
    assert_eq!(std::fs::read_to_string(at("moved/f")).unwrap(), "x");
    assert!(at("moved/f").symlink_metadata().unwrap().is_file());
    assert!(at("moved/d").is_dir() && !at("staged").exists());
    assert_eq!(std::fs::read_dir(at("victim")).unwrap().count(), 0);
    for bad in ["", ".", "..", "a/b", "/a", "a/"] {
        let error = unshare.make_directory(open.as_fd(), bad).await;
        assert!(matches!(error, Err(UnshareError::Path(_))), "{bad}: {error:?}");
    }
}

#[tokio::test]
async fn trees_are_copied_as_they_are_and_measured() {
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    let unshare = here(dir.path()).within(Duration::from_secs(20));
    let (source, target) = (dir.path().join("a"), dir.path().join("b"));
    std::fs::create_dir_all(source.join("d")).unwrap();
    std::fs::write(source.join("d/f"), [7; 100_000]).unwrap();
    std::fs::hard_link(source.join("d/f"), source.join("g")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", source.join("link")).unwrap();
    std::fs::set_permissions(source.join("d"), std::fs::Permissions::from_mode(0o2750)).unwrap();
    unshare.copy_tree(&source, &target).await.unwrap();
    assert_eq!(std::fs::read(target.join("d/f")).unwrap(), [7; 100_000]);
    let node = |path: &str| target.join(path).symlink_metadata().unwrap();
    assert_eq!(node("g").ino(), node("d/f").ino(), "one file with two names");
    assert_eq!(node("d").mode() & 0o7777, 0o2750);
    assert!(node("link").is_symlink());
    let bytes = unshare.size_of(&target).await.unwrap();
    assert!((100_000..300_000).contains(&bytes), "{bytes}");
    assert!(unshare.size_of(&dir.path().join("nothing")).await.is_err());
}

#[tokio::test]
async fn trees_change_places_with_an_old_mv_too() {
    let old = "shift; [ \"$2\" = --exchange ] && exit 1; exec \"$@\"";
    for script in [old, "shift; exec \"$@\""] {
        let dir = tempfile::tempdir().unwrap();
        let unshare = Unshare::new(fake(dir.path(), script), Duration::from_secs(20));
        let (new, live) = (dir.path().join(".live.new"), dir.path().join("live"));
        let aside = dir.path().join(".live.new.old");
        let read = |path: &Path| std::fs::read_to_string(path.join("f")).unwrap();
        for there in [true, false] {
            unshare.clear_beside(&new).await.unwrap();
            assert!(!new.exists() && !aside.exists());
            std::fs::create_dir(&new).unwrap();
            std::fs::write(new.join("f"), "new").unwrap();
            // what a cut left
            std::fs::create_dir(&aside).unwrap();
            _ = std::fs::remove_dir_all(&live);
            if there {
                std::fs::create_dir(&live).unwrap();
                std::fs::write(live.join("f"), "old").unwrap();
            }
            unshare.sync(&new).await.unwrap();
            unshare.exchange(&new, &live).await.unwrap();
            assert_eq!(read(&live), "new");
            assert_eq!(new.exists(), there);
            assert!(!there || read(&new) == "old");
        }
        assert!(!unshare.is_empty(&live).await.unwrap());
        std::fs::remove_file(live.join("f")).unwrap();
        assert!(unshare.is_empty(&live).await.unwrap());
        // what cannot be done moves nothing
        let error = unshare.exchange(&dir.path().join("none"), &live).await;
        assert!(matches!(error, Err(UnshareError::Failed { verb: "mv", .. })), "{error:?}");
        assert!(live.is_dir());
    }
}
