//! The daemon's unix socket: made anew at each start, and who may use it.

use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};
use tokio::net::{UnixListener, UnixStream};

use super::Peer;

/// Members of this group are administrators.
pub const GROUP: &str = "archipelago";

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon answers on it.
    #[error("another daemon is listening on {}", .0.display())]
    InUse(PathBuf),
    /// Something that is no socket lies there.
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot listen on {}: {reason}", path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
        /// The system's words.
        reason: std::io::Error,
    },
}

/// Binds the socket with mode 0660, for the group where it exists. A socket that nobody listens
/// on any more is replaced.
///
/// # Errors
/// Somebody listens there, something else lies there, or the system refuses.
pub fn bind(path: &Path) -> Result<UnixListener, SocketError> {
    let refused = |reason| SocketError::Refused { path: path.to_owned(), reason };
    if let Some(parent) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(refused)?;
    }
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(refused(error)),
        Ok(data) if !data.file_type().is_socket() => {
            return Err(SocketError::NotASocket(path.to_owned()));
        }
        Ok(_) => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(SocketError::InUse(path.to_owned()));
            }
            std::fs::remove_file(path).map_err(refused)?;
        }
    }
    let listener = UnixListener::bind(path).map_err(refused)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(refused)?;
    if let Ok(Some(group)) = Group::from_name(GROUP) {
        // only possible for a member of the group; others keep their own group
        if let Err(error) = std::os::unix::fs::chown(path, None, Some(group.gid.as_raw())) {
            tracing::debug!(%error, "the socket keeps this user's own group");
        }
    }
    Ok(listener)
}

/// Says who connected, or nothing when they may not. Looks into the user database, so it blocks.
#[must_use]
pub fn admit(stream: &UnixStream, own_uid: u32) -> Option<Peer> {
    let who = stream.peer_cred().ok()?;
    let peer = Peer::Unix { uid: who.uid(), pid: who.pid() };
    (who.uid() == 0 || who.uid() == own_uid || in_group(who.uid(), who.gid())).then_some(peer)
}

fn in_group(uid: u32, gid: u32) -> bool {
    let Ok(Some(group)) = Group::from_name(GROUP) else { return false };
    if group.gid == Gid::from_raw(gid) {
        return true;
    }
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.is_some_and(|user| user.gid == group.gid || group.mem.contains(&user.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er.sock");
        let first = bind(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(matches!(bind(&path), Err(SocketError::InUse(_))));
        drop(first);
        let second = bind(&path).unwrap();
        let (accepted, connected) = tokio::join!(second.accept(), UnixStream::connect(&path));
        let own = rustix::process::geteuid().as_raw();
        assert!(
            matches!(admit(&accepted.unwrap().0, own), Some(Peer::Unix { uid, .. }) if uid == own)
        );
        drop(connected);
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(bind(&file), Err(SocketError::NotASocket(_))));
    }
}
