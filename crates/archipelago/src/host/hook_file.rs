//! Files that `copy_from_host` copies into a container: plain files of one directory, and never
//! something that a path or a link leads to outside of it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path};

use archy_types::UserError;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Largest file that a hook may copy.
const MAX_COPY: u64 = 16 << 20;

/// Reads a file of the directory: its name, and what is in it. The kernel resolves the path below
/// the open directory, so that nothing that changes meanwhile leads it elsewhere (openat2(2)); a
/// link is followed where it stays inside.
pub(super) fn read(base: &Path, src: &str) -> Result<(String, Vec<u8>), UserError> {
    let refuse = |why: &str| {
        UserError::new("hook-copy", format!("Invalid source {src:?}: {why}."))
            .hint("copy_from_host takes plain files of the platform's own directory.")
    };
    let failed = |errno: Errno| refuse(&std::io::Error::from(errno).to_string());
    let path = Path::new(src);
    let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
    let Some(name) = path.file_name().filter(|_| plain) else {
        return Err(refuse("it is not a path inside the directory"));
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(base, flags, Mode::empty()).map_err(failed)?;
    // a pipe would hold the open back until somebody writes
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let open = match rustix::fs::openat2(&directory, path, flags, Mode::empty(), inside) {
        Ok(open) => open,
        Err(Errno::XDEV) => return Err(refuse("it leads out of the directory")),
        Err(errno) => return Err(failed(errno)),
    };
    let stat = rustix::fs::fstat(&open).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(refuse("it is no plain file"));
    }
    let mut bytes = Vec::new();
    let read = File::from(open).take(MAX_COPY + 1).read_to_end(&mut bytes);
    read.map_err(|error| refuse(&error.to_string()))?;
    if bytes.len() as u64 > MAX_COPY {
        return Err(refuse("it is larger than 16 MiB"));
    }
    Ok((name.to_string_lossy().into_owned(), bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_plain_files_of_the_directory() {
        let root = tempfile::tempdir().unwrap();
        let (base, outside) = (root.path().join("hooks"), root.path().join("outside"));
        for dir in [&base.join("sub/deep"), &outside] {
            std::fs::create_dir_all(dir).unwrap();
        }
        let secret = outside.join("secret");
        for path in [&secret, &base.join("good.txt"), &base.join("sub/deep/good.txt")] {
            std::fs::write(path, "content").unwrap();
        }
        let sized = |name: &str, size| {
            File::create(base.join(name)).unwrap().set_len(size).unwrap();
        };
        sized("largest", MAX_COPY);
        sized("too-large", MAX_COPY + 1);
        symlink(&secret, base.join("absolute-link")).unwrap();
        symlink("../outside/secret", base.join("link-out")).unwrap();
        symlink("../outside", base.join("linked-dir")).unwrap();
        symlink("sub/deep", base.join("dir-inside")).unwrap();
        symlink("good.txt", base.join("link-inside")).unwrap();
        symlink("../good.txt", base.join("sub/link-up")).unwrap();
        symlink("loop", base.join("loop")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, base.join("pipe"), FileType::Fifo, Mode::RUSR, 0)
            .unwrap();

        let absolute = base.join("good.txt");
        for (src, why) in [
            ("../outside/secret", "not a path inside"),
            ("sub/../good.txt", "not a path inside"),
            ("..", "not a path inside"),
            ("", "not a path inside"),
            (absolute.to_str().unwrap(), "not a path inside"),
            ("absolute-link", "leads out"),
            ("link-out", "leads out"),
            ("linked-dir/secret", "leads out"),
            ("sub", "no plain file"),
            ("pipe", "no plain file"),
            ("too-large", "larger than 16 MiB"),
            ("loop", "symbolic links"),
            ("nothing", "No such file"),
            ("good.txt/x", "Not a directory"),
        ] {
            let error = read(&base, src).unwrap_err();
            assert_eq!(error.code.as_str(), "hook-copy", "{src}");
            assert!(error.message.contains(why), "{src}: {}", error.message);
            assert!(error.hint.is_some());
        }
        for (src, name, length) in [
            ("good.txt", "good.txt", 7),
            ("sub/deep/good.txt", "good.txt", 7),
            ("link-inside", "link-inside", 7),
            ("sub/link-up", "link-up", 7),
            ("dir-inside/good.txt", "good.txt", 7),
            ("largest", "largest", 16 << 20),
        ] {
            let (found, bytes) = read(&base, src).unwrap();
            assert_eq!((found.as_str(), bytes.len()), (name, length), "{src}");
        }
        assert!(read(&root.path().join("nothing"), "good.txt").is_err());
    }
}
