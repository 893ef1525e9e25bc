//! The order in which files are changed so that after a power cut each of them is the old one or
//! the new one, whole: as a value that adapters carry out and tests cut at every place.
//!
//! What the order rests on (fsync(2), rename(2)): the content of a file is on the disk once the file
//! was synced, a name once its directory was. Before that a cut may leave the one without the
//! other, an empty file or a part of one.

use std::path::{Path, PathBuf};

/// One operation on the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOp {
    /// Makes a file and writes all its content, without waiting for the disk.
    Write(PathBuf),
    /// Brings a file's content to the disk.
    Sync(PathBuf),
    /// Puts a file in the place of another, in one moment.
    Rename {
        /// Its name so far.
        from: PathBuf,
        /// The name it takes, from another file if that has it.
        to: PathBuf,
    },
    /// Gives a file a second name; fails when a file has that name.
    Link {
        /// The name that it has.
        from: PathBuf,
        /// The name it gets as well.
        to: PathBuf,
    },
    /// Takes a name away; one that is not there is no error.
    Remove(PathBuf),
    /// Brings the names in a directory to the disk.
    SyncDir(PathBuf),
}

/// A file to be written: where it waits until it is whole, and its place. Both are in one directory.
#[derive(Debug, Clone, Copy)]
pub struct Staged<'a> {
    /// A name that nobody reads.
    pub temporary: &'a Path,
    /// Its place.
    pub target: &'a Path,
}

/// Writes files of one directory, in the place of others if there are any. When the last operation
/// is over, all are on the disk.
#[must_use]
pub fn replace(files: &[Staged<'_>]) -> Vec<FileOp> {
    let mut ops = Vec::new();
    for file in files {
        ops.push(FileOp::Write(file.temporary.to_owned()));
        ops.push(FileOp::Sync(file.temporary.to_owned()));
    }
    for file in files {
        let (from, to) = (file.temporary.to_owned(), file.target.to_owned());
        ops.push(FileOp::Rename { from, to });
    }
    ops.extend(files.first().map(|file| FileOp::SyncDir(parent(file.target))));
    ops
}

/// Writes one file where none is; the link fails where one is.
#[must_use]
pub fn create(file: Staged<'_>) -> Vec<FileOp> {
    let temporary = file.temporary.to_owned();
    vec![
        FileOp::Write(temporary.clone()),
        FileOp::Sync(temporary.clone()),
        FileOp::Link { from: temporary.clone(), to: file.target.to_owned() },
        FileOp::Remove(temporary),
        FileOp::SyncDir(parent(file.target)),
    ]
}

/// Removes files of one directory. When the last operation is over, they are gone for good.
#[must_use]
pub fn remove(files: &[&Path]) -> Vec<FileOp> {
    let mut ops: Vec<FileOp> = files.iter().map(|file| FileOp::Remove((*file).into())).collect();
    ops.extend(files.first().map(|file| FileOp::SyncDir(parent(file))));
    ops
}

/// The directory that a file's name is in.
#[must_use]
pub fn parent(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests;
