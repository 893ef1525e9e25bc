//! Sockets that systemd hands over (`LISTEN_FDS`, sd_listen_fds(3)).

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

/// What was handed over.
#[derive(Debug, Default)]
pub struct Handed {
    /// For HTTPS.
    pub https: Vec<TcpListener>,
    /// For plain HTTP.
    pub http: Vec<TcpListener>,
    /// For the command line.
    pub unix: Vec<UnixListener>,
}

impl Handed {
    /// Takes the sockets of this process. A socket is for plain HTTP when its
    /// `FileDescriptorName=` is `http` or when it listens on port 80; else it is for HTTPS.
    ///
    /// # Errors
    /// A descriptor is no listening stream socket.
    pub fn take() -> std::io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "the protocol of sd_listen_fds is an edge")]
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut fds = listenfd::ListenFd::from_env();
        let mut handed = Self::default();
        for index in 0..fds.len() {
            let name = names.next().unwrap_or_default();
            let listener = match fds.take_tcp_listener(index) {
                Ok(Some(listener)) => listener,
                Ok(None) => continue,
                Err(_) => {
                    handed.unix.extend(fds.take_unix_listener(index)?);
                    continue;
                }
            };
            let port = listener.local_addr()?.port();
            let plain = name == "http" || (name != "https" && port == 80);
            if plain { &mut handed.http } else { &mut handed.https }.push(listener);
        }
        Ok(handed)
    }
}
