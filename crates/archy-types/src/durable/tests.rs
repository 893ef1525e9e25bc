//! A disk that forgets: every list of operations is cut at every place, and the disk then holds
//! every mixture of what it was told and what it had to keep.

use std::collections::BTreeMap;

use super::*;

/// A file's content: what was written, and how much of it a cut may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Inode {
    content: &'static str,
    synced: bool,
}

type Names = BTreeMap<PathBuf, usize>;

/// One change of a directory that is not yet on the disk.
#[derive(Debug, Clone)]
enum Change {
    Put(PathBuf, usize),
    Move(PathBuf, PathBuf, usize),
    Take(PathBuf),
}

#[derive(Debug, Default, Clone)]
struct Disk {
    inodes: Vec<Inode>,
    /// As programs see it.
    names: Names,
    /// As a cut leaves it at least.
    durable: Names,
    pending: Vec<Change>,
}

impl Change {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Put(name, inode) => drop(names.insert(name.clone(), *inode)),
            Self::Move(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            Self::Take(name) => drop(names.remove(name)),
        }
    }
}

impl Disk {
    fn with(files: &[(&Path, &'static str)]) -> Self {
        let mut disk = Self::default();
        for (name, content) in files {
            disk.inodes.push(Inode { content, synced: true });
            disk.durable.insert((*name).to_owned(), disk.inodes.len() - 1);
        }
        disk.names = disk.durable.clone();
        disk
    }

    /// Carries out an operation. False when it fails, which ends the list.
    fn run(&mut self, op: &FileOp, content: &'static str) -> bool {
        let change = match op {
            FileOp::Write(name) => {
                self.inodes.push(Inode { content, synced: false });
                Change::Put(name.clone(), self.inodes.len() - 1)
            }
            FileOp::Sync(name) => {
                let inode = self.names[name];
                self.inodes[inode].synced = true;
                return true;
            }
            FileOp::Rename { from, to } => Change::Move(from.clone(), to.clone(), self.names[from]),
            FileOp::Link { to, .. } if self.names.contains_key(to) => return false,
            FileOp::Link { from, to } => Change::Put(to.clone(), self.names[from]),
            FileOp::Remove(name) => Change::Take(name.clone()),
            FileOp::SyncDir(_) => {
                self.durable = self.names.clone();
                self.pending.clear();
                return true;
            }
        };
        change.apply(&mut self.names);
        self.pending.push(change);
        true
    }

    /// Everything that a file may hold after a cut: nothing at all, old, new, or a part.
    fn after_cut(&self, file: &Path) -> Vec<Option<String>> {
        let mut found = Vec::new();
        for kept in 0..1_u32 << self.pending.len() {
            let mut names = self.durable.clone();
            for (index, change) in self.pending.iter().enumerate() {
                if kept & (1 << index) != 0 {
                    change.apply(&mut names);
                }
            }
            let Some(inode) = names.get(file).map(|inode| &self.inodes[*inode]) else {
                found.push(None);
                continue;
            };
            found.push(Some(inode.content.to_owned()));
            if !inode.synced {
                found.push(Some(String::new()));
                found.push(Some(inode.content[..inode.content.len() / 2].to_owned()));
            }
        }
        found.sort();
        found.dedup();
        found
    }
}

/// Cuts a list at every place. Gives what is wrong with it.
fn cut_everywhere(
    ops: &[FileOp],
    targets: &[&Path],
    old: Option<&'static str>,
    new: Option<&'static str>,
) -> Vec<String> {
    let (a, b) = (Path::new("/d/a"), Path::new("/d/b"));
    let files: Vec<_> = old.into_iter().flat_map(|old| [(a, old), (b, old)]).collect();
    let mut disk = Disk::with(&files);
    let mut wrong = Vec::new();
    for (index, op) in ops.iter().enumerate() {
        if !disk.run(op, new.unwrap_or_default()) {
            break;
        }
        let last = index + 1 == ops.len();
        for file in targets {
            for content in disk.after_cut(file) {
                let content = content.as_deref();
                if content != new && (last || content != old) {
                    wrong.push(format!("{} after {op:?}: {content:?}", file.display()));
                }
            }
        }
    }
    wrong
}

fn staged() -> [Staged<'static>; 2] {
    ["a", "b"].map(|name| match name {
        "a" => Staged { temporary: Path::new("/d/.a.tmp"), target: Path::new("/d/a") },
        _ => Staged { temporary: Path::new("/d/.b.tmp"), target: Path::new("/d/b") },
    })
}

const OLD: Option<&str> = Some("the old text");
const NEW: Option<&str> = Some("a new text");

/// The places of the files that are staged.
fn targets() -> [&'static Path; 2] {
    staged().map(|file| file.target)
}

#[test]
fn every_file_is_old_or_new_after_a_cut_anywhere() {
    let both = targets();
    for old in [OLD, None] {
        assert_eq!(cut_everywhere(&replace(&staged()), &both, old, NEW), [""; 0]);
        assert_eq!(cut_everywhere(&replace(&staged()[..1]), &both[..1], old, NEW), [""; 0]);
    }
    assert_eq!(cut_everywhere(&create(staged()[0]), &both[..1], None, NEW), [""; 0]);
    assert_eq!(cut_everywhere(&remove(&both), &both, OLD, None), [""; 0]);
}

#[test]
fn a_file_that_is_there_is_not_touched_by_a_creation() {
    assert_eq!(cut_everywhere(&create(staged()[0]), &targets()[..1], OLD, OLD), [""; 0]);
}

#[test]
fn no_operation_can_be_left_out() {
    let (both, one) = (targets(), &targets()[..1]);
    for (ops, files, old, new) in [
        (replace(&staged()), &both[..], OLD, NEW),
        (create(staged()[0]), one, None, NEW),
        (remove(one), one, OLD, None),
    ] {
        for (index, left_out) in ops.iter().enumerate() {
            // without the file itself nothing can be done, and what nobody reads may stay
            let temporary = |name: &Path| name == staged()[0].temporary;
            let needless = match left_out {
                FileOp::Write(_) => true,
                FileOp::Remove(name) => temporary(name),
                _ => false,
            };
            if needless {
                continue;
            }
            let mut fewer = ops.clone();
            fewer.remove(index);
            let wrong = cut_everywhere(&fewer, files, old, new);
            assert_ne!(wrong, [""; 0], "without {left_out:?}");
        }
    }
}

#[test]
fn other_orders_are_seen_to_tear() {
    let (file, temporary) = (PathBuf::from("/d/a"), PathBuf::from("/d/.a.tmp"));
    let dir = || FileOp::SyncDir("/d".into());
    let in_place = [FileOp::Write(file.clone()), FileOp::Sync(file.clone()), dir()];
    let too_early = [
        FileOp::Write(temporary.clone()),
        FileOp::Rename { from: temporary, to: file.clone() },
        FileOp::Sync(file),
        dir(),
    ];
    for ops in [&in_place[..], &too_early[..]] {
        let wrong = cut_everywhere(ops, &targets()[..1], OLD, NEW);
        assert!(wrong.iter().any(|text| text.contains("Some(\"\")")), "{wrong:?}");
    }
}
