//! Whether two trees are the same: a digest over names, content, owners, modes and times.

use std::path::Path;
use std::process::Stdio;

use archy_types::Digest;
use sha2::{Digest as _, Sha256};
use tokio::{io::AsyncReadExt as _, process::Command};

use super::{Unshare, UnshareError, cut};

/// How much of the tree is hashed at a time.
const PIECE: usize = 256 << 10;

impl Unshare {
    /// Digest of a directory with all that is in it, or of a file: equal digests mean the same
    /// names, contents, owners, modes and modification times. Sockets do not count.
    ///
    /// # Errors
    /// A path that is not absolute, a failed command (also when something changed meanwhile), or
    /// the deadline.
    #[expect(
        clippy::disallowed_methods,
        reason = "the libpod API has no call that works in the user namespace"
    )]
    pub async fn digest_of(&self, path: &Path) -> Result<Digest, UnshareError> {
        let plain = path.is_absolute() && !path.components().any(|c| c.as_os_str() == "..");
        let (Some(parent), Some(name)) = (path.parent().filter(|_| plain), path.file_name()) else {
            return Err(UnshareError::Path(path.to_path_buf()));
        };
        let start = |source| UnshareError::Start { program: self.podman.clone(), source };
        let mut child = Command::new(&self.podman)
            .args(["unshare", "tar", "--create", "--sort=name", "--format=gnu"])
            // the name of the tree itself does not count
            .args(["--numeric-owner", "--transform=s|^[^/]*|tree|S", "--warning=no-file-ignored"])
            .arg("-C")
            .arg(parent)
            .arg("--")
            .arg(name)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        let (errors, output) = (child.stderr.take(), child.stdout.take());
        let hash = async {
            let mut hasher = Sha256::new();
            if let Some(mut output) = output {
                let mut piece = vec![0; PIECE];
                loop {
                    match output.read(&mut piece).await? {
                        0 => break,
                        read => hasher.update(&piece[..read]),
                    }
                }
            }
            Ok::<_, std::io::Error>(hasher.finalize())
        };
        let work = async {
            let (stderr, hash) = tokio::join!(cut(errors), hash);
            Ok((child.wait().await?, stderr?, hash?))
        };
        let (status, stderr, hash) = match tokio::time::timeout(self.deadline, work).await {
            Ok(done) => done.map_err(start)?,
            Err(_) => {
                let (path, after) = (path.to_path_buf(), self.deadline);
                return Err(UnshareError::Timeout { verb: "tar", path, after });
            }
        };
        if !status.success() {
            let stderr = String::from_utf8_lossy(&stderr).trim().to_owned();
            return Err(UnshareError::Failed {
                verb: "tar",
                path: path.to_path_buf(),
                status,
                stderr,
            });
        }
        Ok(Digest::of(&hash))
    }
}
