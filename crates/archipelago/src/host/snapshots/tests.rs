//! Snapshots of a data directory; `podman unshare` runs in this namespace.

use std::sync::Arc;

use archy_manifest::Manifest;
use archy_plan::DesiredState;
use archy_types::{Actor, Digest};

use super::*;
use crate::host::testing::host;

fn app() -> DesiredApp {
    let text = "app:\n  id: demo\n  name: Demo\n  version: 2.0.0\n  container:\n    image: a.example/b:1\n";
    DesiredApp {
        manifest: Arc::new(Manifest::parse(text.as_bytes()).unwrap()),
        digest: Digest::of(text.as_bytes()),
        generation: Generation(4),
        state: DesiredState::Running,
        actor: Actor::System,
        since: Timestamp(1),
        settings: BTreeMap::new(),
        port_overrides: BTreeMap::new(),
        package_dir: None,
        data_due: None,
        adopted: None,
    }
}

fn whole(host: &SystemHost) -> Snapshots {
    host.snapshots().unwrap().0
}

#[tokio::test]
async fn data_is_saved_put_back_and_removed() {
    let root = tempfile::tempdir().unwrap();
    let (host, app) = (host(root.path()), app());
    let id = app.manifest.id.clone();
    let data = root.path().join("data/demo/data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("a"), "old").unwrap();
    std::os::unix::fs::symlink("a", data.join("link")).unwrap();
    // what a cut left of another one
    let cut = root.path().join("data/snapshots/demo/.3/data");
    std::fs::create_dir_all(&cut).unwrap();

    host.save(&app, Generation(4), &[]).await.unwrap();
    assert!(!cut.exists());
    let seen = whole(&host);
    let state = &seen[&id][&Generation(4)];
    assert_eq!((state.restored, state.expires), (None, state.taken.plus_millis(60_000)));
    assert!(state.bytes > 0);

    for wish in [Generation(5), Generation(6)] {
        std::fs::write(data.join("a"), "new").unwrap();
        std::fs::write(data.join("b"), "more").unwrap();
        // as a cut leaves it
        std::fs::create_dir_all(root.path().join("data/.demo.restore/half")).unwrap();
        host.put_back(&id, Generation(4), wish).await.unwrap();
        assert_eq!(std::fs::read_to_string(data.join("a")).unwrap(), "old");
        assert_eq!(std::fs::read_link(data.join("link")).unwrap(), Path::new("a"));
        assert!(!data.join("b").exists());
        assert!(!root.path().join("data/.demo.restore").exists());
        assert_eq!(whole(&host)[&id][&Generation(4)].restored, Some(wish));
    }

    // taken again: the newer data counts, and it was never put back
    std::fs::write(data.join("a"), "newer").unwrap();
    host.save(&app, Generation(4), &[]).await.unwrap();
    let saved = root.path().join("data/snapshots/demo/4");
    assert_eq!(std::fs::read_to_string(saved.join("data/data/a")).unwrap(), "newer");
    assert_eq!(whole(&host)[&id][&Generation(4)].restored, None);

    host.clear(&id, &[Generation(4), Generation(9)]).await.unwrap();
    assert_eq!(whole(&host).get(&id), None);
    let gone = host.put_back(&id, Generation(4), Generation(7)).await.unwrap_err();
    assert_eq!(gone.error.code.as_str(), "snapshot-missing");
}

#[tokio::test]
async fn half_a_snapshot_is_none_and_a_lost_directory_comes_back() {
    let root = tempfile::tempdir().unwrap();
    let (host, app) = (host(root.path()), app());
    let id = app.manifest.id.clone();
    let dir = root.path().join("data/snapshots/demo");
    std::fs::create_dir_all(dir.join("2/data")).unwrap();
    assert_eq!(whole(&host).get(&id), None);
    assert_eq!(host.snapshots().unwrap().1[&id], [Generation(2)].into());
    host.clear(&id, &[Generation(2)]).await.unwrap();
    assert!(!dir.exists());
    assert!(host.snapshots().unwrap().1.is_empty());
    // the rest of one that was being removed is told, so that it is cleared
    std::fs::create_dir_all(dir.join(".gone-1/data")).unwrap();
    assert!(whole(&host)[&id].is_empty());
    host.clear(&id, &[]).await.unwrap();
    assert!(!dir.join(".gone-1").exists());
    assert_eq!(whole(&host).get(&id), None);
    let data = root.path().join("data/demo");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("a"), "old").unwrap();
    host.save(&app, Generation(4), &[]).await.unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    host.put_back(&id, Generation(4), Generation(5)).await.unwrap();
    assert_eq!(std::fs::read_to_string(data.join("a")).unwrap(), "old");
}

/// A file system in a file that can share blocks, mounted while it lives.
struct Shared(tempfile::TempDir);

impl Shared {
    /// Nothing where this machine cannot make one; the reason is told.
    #[expect(clippy::disallowed_methods, reason = "only these programs make and mount one")]
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let (image, at) = (dir.path().join("image"), dir.path().join("at"));
        std::fs::create_dir(&at).unwrap();
        let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
            let done = std::process::Command::new(program).args(arguments).output();
            done.is_ok_and(|done| done.status.success())
        };
        let made = ["mkfs.btrfs", "mkfs.xfs"].iter().any(|mkfs| {
            std::fs::File::create(&image).unwrap().set_len(320 << 20).unwrap();
            run(mkfs, &["-q".as_ref(), image.as_ref()])
                && run("mount", &["-o".as_ref(), "loop".as_ref(), image.as_ref(), at.as_ref()])
        });
        if !made {
            eprintln!("skipped: no btrfs or xfs can be made and mounted here");
        }
        // not made before it is mounted: dropping it unmounts
        made.then(|| Self(dir))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("at")
    }
}

impl Drop for Shared {
    #[expect(clippy::disallowed_methods, reason = "the counterpart of mount(8)")]
    fn drop(&mut self) {
        let gone = std::process::Command::new("umount").arg(self.path()).status();
        assert!(gone.is_ok_and(|status| status.success()), "it stays mounted");
    }
}

#[tokio::test]
async fn a_snapshot_shares_the_blocks_where_the_file_system_can() {
    let Some(shared) = Shared::new() else { return };
    let (host, app) = (host(&shared.path()), app());
    let id = app.manifest.id.clone();
    let data = shared.path().join("data/demo/data");
    std::fs::create_dir_all(&data).unwrap();
    const SIZE: u64 = 48 << 20;
    // content that nothing can compress
    let mut state = 1_u64;
    let content: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(SIZE as usize)
    .collect();
    std::fs::write(data.join("a"), &content).unwrap();
    assert!(host.shares_copies());
    let free = || {
        rustix::fs::sync();
        facts::disk(&shared.path()).unwrap().free
    };

    let before = free();
    host.save(&app, Generation(4), &[]).await.unwrap();
    let taken = before.saturating_sub(free());
    assert!(taken < SIZE / 4, "the copy takes {taken} bytes of its own");
    assert_eq!(whole(&host)[&id][&Generation(4)].bytes / SIZE, 1);

    // what is written afterwards is in one of them only
    std::fs::write(data.join("a"), "new").unwrap();
    let before = free();
    host.put_back(&id, Generation(4), Generation(5)).await.unwrap();
    assert!(std::fs::read(data.join("a")).unwrap() == content);
    let taken = before.saturating_sub(free());
    assert!(taken < SIZE / 4, "putting it back takes {taken} bytes");
}

#[test]
fn a_file_system_that_cannot_share_says_so() {
    // tmpfs has no clones (ioctl_ficlone(2))
    let Ok(root) = tempfile::tempdir_in("/dev/shm") else {
        eprintln!("skipped: there is no /dev/shm");
        return;
    };
    std::fs::create_dir(root.path().join("data")).unwrap();
    assert!(!host(root.path()).shares_copies());
}
