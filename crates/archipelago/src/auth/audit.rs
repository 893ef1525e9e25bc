//! Who did what, when, from where: lines of JSON, appended, in two files of bounded size.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use archy_api::auth::AuditEntry;

use super::file;

/// A file that has grown so large becomes the older one of the two (bytes).
const TURN: u64 = 1024 * 1024;
/// Longest of each text, in bytes.
const MAX_TEXT: usize = 120;

/// The log.
#[derive(Debug, Clone)]
pub struct Audit(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    older: PathBuf,
    open: Option<(File, u64)>,
    next: u64,
}

/// Something that somebody did, or was refused.
#[derive(Debug, Clone)]
pub struct Deed {
    /// The user, or who they said they are.
    pub who: String,
    /// Where they were.
    pub from: String,
    /// The method.
    pub what: &'static str,
    /// What it was about.
    pub target: Option<String>,
    /// `ok`, or a code.
    pub outcome: String,
}

impl Audit {
    /// The log in this data directory, going on after its last line. Blocks.
    #[must_use]
    pub fn open(data_dir: &Path) -> Self {
        let (path, older) = (data_dir.join("audit.jsonl"), data_dir.join("audit.old.jsonl"));
        let last = |path: &Path| lines(path).last().map(|entry| entry.seq);
        let last = last(&path).or_else(|| last(&older)).unwrap_or_default();
        Self(Arc::new(Mutex::new(Inner { path, older, open: None, next: last + 1 })))
    }

    /// Writes a line; what cannot be written is told to the journal.
    pub async fn note(&self, at: i64, deed: Deed) {
        let log = self.clone();
        let work = move || log.append(at, deed);
        if let Err(error) = file::blocking(work).await {
            tracing::warn!(%error, "the audit log could not be written");
        }
    }

    fn append(&self, at: i64, deed: Deed) -> std::io::Result<()> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = AuditEntry {
            seq: inner.next,
            at,
            who: short(&deed.who),
            from: short(&deed.from),
            what: deed.what.to_owned(),
            target: deed.target.as_deref().map(short),
            outcome: short(&deed.outcome),
        };
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        inner.next += 1;
        inner.write(&line)
    }

    /// The last entries, newest first: at most `limit`, with a number below `before`. Blocks.
    #[must_use]
    pub fn last(&self, limit: usize, before: Option<u64>) -> Vec<AuditEntry> {
        let (path, older) = {
            let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            (inner.path.clone(), inner.older.clone())
        };
        let all = lines(&older).into_iter().chain(lines(&path));
        let mut fitting: Vec<_> =
            all.filter(|entry| before.is_none_or(|before| entry.seq < before)).collect();
        let skip = fitting.len().saturating_sub(limit);
        fitting.drain(..skip);
        fitting.reverse();
        fitting
    }
}

impl Inner {
    fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        let (mut file, size) = match self.open.take() {
            Some(open) => open,
            None => {
                let mut options = File::options();
                let mut file = options.append(true).create(true).mode(0o600).open(&self.path)?;
                let size = file.metadata()?.len();
                if size > 0 {
                    // what a power cut left of a line shall not take the next one with it
                    file.write_all(b"\n")?;
                }
                (file, size)
            }
        };
        file.write_all(line)?;
        file.sync_data()?;
        let size = size + line.len() as u64;
        if size < TURN {
            self.open = Some((file, size));
        } else {
            std::fs::rename(&self.path, &self.older)?;
        }
        Ok(())
    }
}

/// The entries of a file; a line that a power cut left in pieces is passed over.
fn lines(path: &Path) -> Vec<AuditEntry> {
    let text = file::read_bounded(path, 2 * TURN).ok().flatten().unwrap_or_default();
    let lines = text.split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// Without control characters, and not too long.
fn short(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    crate::rpc::errors::cut(&plain, MAX_TEXT)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn deed(target: &str) -> Deed {
        Deed {
            who: "ann\n{\"seq\":9}".into(),
            from: "10.0.0.1".into(),
            what: "package.stop",
            target: Some(target.into()),
            outcome: "ok".into(),
        }
    }

    #[tokio::test]
    async fn it_goes_on_after_a_restart_and_a_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        let log = Audit::open(dir.path());
        log.note(5, deed("a")).await;
        log.note(6, deed("b")).await;
        let path = dir.path().join("audit.jsonl");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut text = std::fs::read(&path).unwrap();
        text.extend(b"{\"seq\":3,\"at\"");
        std::fs::write(&path, text).unwrap();
        let log = Audit::open(dir.path());
        log.note(7, deed("c")).await;
        let seen: Vec<_> =
            log.last(10, None).into_iter().map(|e| (e.seq, e.target.unwrap())).collect();
        assert_eq!(seen, [(3, "c".into()), (2, "b".into()), (1, "a".to_owned())]);
        assert_eq!(log.last(1, Some(3))[0].seq, 2);
        assert_eq!(log.last(1, None)[0].who, "ann{\"seq\":9}");
    }

    #[test]
    fn it_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let log = Audit::open(dir.path());
        {
            let mut inner = log.0.lock().unwrap();
            let line = [b'x'; 64 * 1024];
            (0..70).for_each(|_| inner.write(&line).unwrap());
        }
        let size = |name: &str| std::fs::metadata(dir.path().join(name)).map_or(0, |d| d.len());
        assert!(size("audit.jsonl") < 2 * TURN && size("audit.old.jsonl") < 2 * TURN);
        assert!(size("audit.old.jsonl") >= TURN);
    }
}
