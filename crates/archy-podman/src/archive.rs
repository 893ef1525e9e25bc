//! Files into a container: a tar archive made in memory, and the call that unpacks it there.

use archy_types::Timestamp;
use http::Method;
use thiserror::Error;

use crate::{Podman, PodmanError, call::Call};

const BLOCK: usize = 512;
/// Longest name that fits the header without an extension record.
const SHORT_NAME: usize = 100;
/// Largest file that the header's octal field can name (POSIX ustar), far above what is sent.
const MAX_FILE: u64 = 0o777_7777_7777;

/// A tar archive that is being made (POSIX ustar, with pax records for long names).
#[derive(Debug, Clone)]
pub struct Tar {
    bytes: Vec<u8>,
    mtime: u64,
}

/// Why something does not go into an archive.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ArchiveError {
    /// The name is empty, absolute, has `..` or a NUL.
    #[error("{0:?} is not a relative path without `..`")]
    Name(String),
    /// A number does not fit the header.
    #[error("{what} {value} of {name:?} does not fit a tar header")]
    Number {
        /// Which number.
        what: &'static str,
        /// Its value.
        value: u64,
        /// Of which entry.
        name: String,
    },
}

// === impl Tar ===

impl Tar {
    /// An empty archive whose entries all carry this time.
    #[must_use]
    pub fn new(mtime: Timestamp) -> Self {
        Self { bytes: Vec::new(), mtime: u64::try_from(mtime.0 / 1000).unwrap_or(0) }
    }

    /// Adds a file; `mode` holds permission bits, owner ids are the container's.
    ///
    /// # Errors
    /// A name that leaves the archive's root, or a number too large.
    pub fn file(
        &mut self,
        name: &str,
        mode: u32,
        owner: (u32, u32),
        data: &[u8],
    ) -> Result<&mut Self, ArchiveError> {
        self.entry(name, b'0', mode, owner, data)?;
        Ok(self)
    }

    /// Adds a directory.
    ///
    /// # Errors
    /// Those of [`Self::file`].
    pub fn directory(
        &mut self,
        name: &str,
        mode: u32,
        owner: (u32, u32),
    ) -> Result<&mut Self, ArchiveError> {
        self.entry(&format!("{}/", name.trim_end_matches('/')), b'5', mode, owner, &[])?;
        Ok(self)
    }

    /// The archive with its end mark.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 2 * BLOCK, 0);
        self.bytes
    }

    fn entry(
        &mut self,
        name: &str,
        kind: u8,
        mode: u32,
        owner: (u32, u32),
        data: &[u8],
    ) -> Result<(), ArchiveError> {
        let escapes = name.split('/').any(|part| part == "..");
        if name.is_empty() || name.starts_with('/') || name.contains('\0') || escapes {
            return Err(ArchiveError::Name(name.to_owned()));
        }
        if name.len() > SHORT_NAME || !name.is_ascii() {
            let record = pax_record("path", name);
            self.record("pax-path", b'x', 0o644, (0, 0), &record)?;
        }
        self.record(name, kind, mode, owner, data)
    }

    fn record(
        &mut self,
        name: &str,
        kind: u8,
        mode: u32,
        owner: (u32, u32),
        data: &[u8],
    ) -> Result<(), ArchiveError> {
        let size = data.len() as u64;
        let mut header = [0u8; BLOCK];
        let short = &name[..name.floor_char_boundary(SHORT_NAME)];
        header[..short.len()].copy_from_slice(short.as_bytes());
        let numbers = [
            ("mode", 100..108, u64::from(mode & 0o7777)),
            ("uid", 108..116, u64::from(owner.0)),
            ("gid", 116..124, u64::from(owner.1)),
            ("size", 124..136, size),
            ("mtime", 136..148, self.mtime.min(MAX_FILE)),
        ];
        for (what, range, value) in numbers {
            let width = range.len() - 1;
            let text = format!("{value:0width$o}");
            if text.len() > width {
                return Err(ArchiveError::Number { what, value, name: name.to_owned() });
            }
            header[range][..width].copy_from_slice(text.as_bytes());
        }
        header[156] = kind;
        header[257..265].copy_from_slice(b"ustar\x0000");
        // the sum is taken with its own field as spaces
        header[148..156].copy_from_slice(b"        ");
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        Ok(())
    }
}

/// A pax record: its own length in decimal, key, value.
fn pax_record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}").into_bytes()
}

// === impl Podman ===

impl Podman {
    /// Unpacks an archive at a directory of a container, which need not run. A directory that is
    /// not there is made.
    ///
    /// # Errors
    /// Those of every call; 404 when the container does not exist.
    pub async fn put_archive(
        &self,
        container: &str,
        directory: &str,
        archive: Vec<u8>,
    ) -> Result<(), PodmanError> {
        let call = Call::new(Method::PUT, &["containers", container, "archive"])
            .query("path", directory)
            // true would give everything to the container's own user
            .query("copyUIDGID", "false")
            .bytes("application/x-tar", archive);
        self.done(&call).await
    }
}

#[cfg(test)]
mod tests;
