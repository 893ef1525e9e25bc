//! A unix socket here whose connections end at the daemon of a node that is reached through a program.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use super::NodeError;
use super::stream::Piped;

/// The socket, gone with this value.
#[derive(Debug)]
pub(super) struct Bridge {
    /// Open to this user alone.
    _dir: TempDir,
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Bridge {
    /// Opens it; `dial` opens one connection to the daemon.
    pub(super) fn open(
        dial: impl Fn() -> Result<Piped, NodeError> + Send + 'static,
    ) -> Result<Self, NodeError> {
        let failed =
            |error: std::io::Error| NodeError::Failed(format!("no socket for the daemon: {error}"));
        let dir = tempfile::Builder::new().prefix("archy-gate-").tempdir().map_err(failed)?;
        let path = dir.path().join("daemon.sock");
        let listener = UnixListener::bind(&path).map_err(failed)?;
        let task = tokio::spawn(async move {
            while let Ok((mut here, _)) = listener.accept().await {
                // no connection: closing ours says so
                let Ok(mut there) = dial() else { continue };
                tokio::spawn(async move {
                    let _ended = tokio::io::copy_bidirectional(&mut here, &mut there).await;
                });
            }
        });
        Ok(Self { _dir: dir, path, task })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.task.abort();
    }
}
