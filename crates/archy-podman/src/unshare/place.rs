//! Putting a tree in the place of another, where only an id of a container may: the directory of a
//! volume belongs to the volume's owner.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Stdio,
};

use super::{Unshare, UnshareError, check};

impl Unshare {
    /// Brings everything that was written to the file system of a path to the disk.
    ///
    /// # Errors
    /// A path that is not absolute, a failed command, or the deadline.
    pub async fn sync(&self, path: &Path) -> Result<(), UnshareError> {
        check(path)?;
        self.run("sync", &["-f".as_ref()], path, Stdio::null()).await
    }

    /// True for a directory with nothing in it.
    ///
    /// # Errors
    /// As [`Self::sync`]; also when there is nothing.
    pub async fn is_empty(&self, path: &Path) -> Result<bool, UnshareError> {
        check(path)?;
        let names = self.output("ls", &["-A".as_ref()], path, Stdio::null()).await?;
        Ok(names.is_empty())
    }

    /// Exchanges a tree with what is in the place of `live`, in the same directory; with nothing
    /// there it is moved there.
    ///
    /// At once where `mv` (coreutils 9.5) and the file system can. Elsewhere the old one is moved
    /// aside first: a cut in between leaves nothing in the place, and the new one whole beside it,
    /// so that whoever exchanges must be able to do it again from the start, with
    /// [`Self::clear_beside`].
    ///
    /// # Errors
    /// As [`Self::sync`].
    pub async fn exchange(&self, new: &Path, live: &Path) -> Result<(), UnshareError> {
        check(live)?;
        match self.rename(&["--exchange"], new, live).await {
            Err(UnshareError::Failed { .. }) => {}
            done => return done,
        }
        let aside = aside(new);
        self.remove_all(&aside).await?;
        // with nothing to move the next one works, else it says why not
        let moved = self.rename(&[], live, &aside).await.is_ok();
        let done = self.rename(&[], new, live).await;
        match (done, moved) {
            (Ok(()), true) => self.rename(&[], &aside, new).await,
            (Err(error), true) => {
                // back as it was
                self.rename(&[], &aside, live).await?;
                Err(error)
            }
            (done, false) => done,
        }
    }

    /// Removes what is beside the place of a tree: what [`Self::exchange`] put there, or a cut left.
    ///
    /// # Errors
    /// As [`Self::sync`].
    pub async fn clear_beside(&self, beside: &Path) -> Result<(), UnshareError> {
        check(beside)?;
        let aside = aside(beside);
        let flags = ["-rf", "--one-file-system", "--"].map(OsStr::new);
        let arguments: Vec<&OsStr> = flags.into_iter().chain([aside.as_os_str()]).collect();
        self.run("rm", &arguments, beside, Stdio::null()).await
    }

    async fn rename(&self, flags: &[&str], from: &Path, to: &Path) -> Result<(), UnshareError> {
        check(from)?;
        let flags = flags.iter().copied().chain(["-T", "--"]).map(OsStr::new);
        let arguments: Vec<&OsStr> = flags.chain([from.as_os_str()]).collect();
        self.run("mv", &arguments, to, Stdio::null()).await
    }
}

/// Where the old tree is between the steps of an exchange that is not at once.
fn aside(new: &Path) -> PathBuf {
    let mut name = OsString::from(new);
    name.push(".old");
    PathBuf::from(name)
}
