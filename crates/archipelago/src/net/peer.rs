//! Who is at the other end of a connection.

use std::net::{IpAddr, SocketAddr};

/// The other end, put into every request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Over the unix socket, as the kernel says. Connections of others than root, the daemon's
    /// own user and members of the group are closed before a request is read.
    Unix {
        /// User id.
        uid: u32,
        /// Process id, when it is known.
        pid: Option<i32>,
    },
    /// Over HTTPS.
    Tls(SocketAddr),
    /// Over plain HTTP on loopback, only where the owner asked for it.
    Plain(SocketAddr),
}

impl Peer {
    /// The address, for limits; none over the unix socket.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Unix { .. } => None,
            Self::Tls(address) | Self::Plain(address) => Some(address.ip().to_canonical()),
        }
    }

    /// True over the unix socket, whose users are administrators.
    #[must_use]
    pub const fn is_local_admin(&self) -> bool {
        matches!(self, Self::Unix { .. })
    }

    /// True over HTTPS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// For people, in the list of sessions and in logs.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Unix { uid, .. } => format!("unix socket, uid {uid}"),
            Self::Tls(address) | Self::Plain(address) => address.ip().to_canonical().to_string(),
        }
    }
}
