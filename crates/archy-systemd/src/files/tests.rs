//! Writing, replacing, removing, and what is refused.

use super::*;

fn files(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect()
}

#[tokio::test]
async fn there_and_back() {
    let temp = tempfile::tempdir().unwrap();
    let dir = UnitDir::new(temp.path().join("containers/systemd"));
    assert!(dir.read().await.unwrap().is_empty(), "no directory, no files");
    dir.remove(vec!["a.container".to_owned()]).await.unwrap();
    dir.write(files(&[("a.container", "1"), ("n.network", "2")])).await.unwrap();
    dir.write(files(&[("a.container", "3")])).await.unwrap();
    fs::create_dir(dir.path().join("a.container.d")).unwrap();
    fs::write(dir.path().join(".b.container.tmp"), "left by a crash").unwrap();
    let all = dir.read().await.unwrap();
    assert_eq!(all, BTreeMap::from_iter(files(&[("a.container", "3"), ("n.network", "2")])));
    dir.remove(vec!["a.container".to_owned(), "none".to_owned()]).await.unwrap();
    assert_eq!(dir.read().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_equal_file_is_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    let dir = UnitDir::new(temp.path());
    dir.write(files(&[("a.container", "1")])).await.unwrap();
    let inode = |()| {
        std::os::unix::fs::MetadataExt::ino(&fs::metadata(temp.path().join("a.container")).unwrap())
    };
    let before = inode(());
    dir.write(files(&[("a.container", "1")])).await.unwrap();
    assert_eq!(inode(()), before);
    dir.write(files(&[("a.container", "2")])).await.unwrap();
    assert_ne!(inode(()), before, "replaced, not written over");
}

#[tokio::test]
async fn names_stay_inside() {
    let temp = tempfile::tempdir().unwrap();
    let dir = UnitDir::new(temp.path().join("d"));
    for bad in ["", "../x", "a/b", ".hidden", "a\nb"] {
        let error = dir.write(files(&[("ok.container", ""), (bad, "")])).await.unwrap_err();
        assert!(matches!(error, FilesError::Name(_)), "{error:?}");
        assert!(dir.remove(vec![bad.to_owned()]).await.is_err());
    }
    assert!(!dir.path().exists(), "nothing is written when one name is bad");
}

#[tokio::test]
async fn a_huge_file_is_an_error() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("a.container"), vec![b'x'; 2 << 20]).unwrap();
    assert!(matches!(UnitDir::new(temp.path()).read().await, Err(FilesError::Io { .. })));
}

#[test]
fn controllers() {
    let temp = tempfile::tempdir().unwrap();
    assert!(delegated_controllers(temp.path()).is_err());
    fs::write(temp.path().join("cgroup.controllers"), "cpu memory pids\n").unwrap();
    assert_eq!(delegated_controllers(temp.path()).unwrap(), ["cpu", "memory", "pids"]);
}
