//! The node that this program runs on.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use archy_client::Client;
use tokio::net::TcpStream;

use super::run::run;
use super::{Call, Io, Node, NodeError, Output, Who, must};
use crate::phase::Capability;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// The user that apps run as, and who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUser {
    /// Its name.
    pub name: String,
    /// Its id.
    pub uid: u32,
    /// The id of this process.
    pub own_uid: u32,
    /// The daemon is the node's, a unit of the system; otherwise it is one of the user.
    pub node_mode: bool,
}

/// This machine.
#[derive(Debug)]
pub struct Local {
    socket: PathBuf,
    user: ServiceUser,
}

impl Local {
    /// This machine, with its daemon's socket.
    #[must_use]
    pub const fn new(socket: PathBuf, user: ServiceUser) -> Self {
        Self { socket, user }
    }

    /// How to become somebody from here.
    fn become_user(&self, who: Who) -> Result<Vec<String>, NodeError> {
        let ServiceUser { name, uid, own_uid, .. } = &self.user;
        match who {
            Who::Root if *own_uid == 0 => Ok(Vec::new()),
            Who::User if own_uid == uid => Ok(Vec::new()),
            Who::User if *own_uid == 0 => {
                let runtime = format!("XDG_RUNTIME_DIR=/run/user/{uid}");
                let bus = format!("DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/{uid}/bus");
                let words = ["runuser", "-u", name, "--", "env", "-C", "/", &runtime, &bus];
                Ok(words.into_iter().map(str::to_owned).collect())
            }
            Who::Root => Err(NodeError::Incapable("this needs root, and you are not".to_owned())),
            Who::User => Err(NodeError::Incapable(format!("this needs root or the user {name}"))),
        }
    }
}

impl Node for Local {
    fn driver(&self) -> String {
        "local".to_owned()
    }

    fn can(&self, capability: Capability) -> Result<(), String> {
        match capability {
            Capability::DaemonRestart if !self.user.node_mode => {
                Err("the daemon is not a service of this machine".to_owned())
            }
            Capability::DaemonRestart if self.user.own_uid != 0 => {
                Err("restarting the daemon needs root".to_owned())
            }
            Capability::DaemonRestart => Ok(()),
            Capability::Reboot | Capability::PowerCut => {
                Err("a test does not take down the machine that it runs on".to_owned())
            }
        }
    }

    fn client(&self) -> Client {
        Client::unix(&self.socket)
    }

    async fn exec(&self, call: Call) -> Result<Output, NodeError> {
        let mut argv = self.become_user(call.who)?;
        argv.extend(call.argv);
        run(&argv, call.input, call.limit).await
    }

    async fn connect(&self, to: SocketAddr) -> Result<Box<dyn Io>, NodeError> {
        match tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(to)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(NodeError::Failed(format!("{to}: {error}"))),
            Err(_) => Err(NodeError::Timeout {
                what: format!("a connection to {to}"),
                limit: CONNECT_LIMIT,
            }),
        }
    }

    async fn restart_daemon(&self) -> Result<(), NodeError> {
        must(self, Call::root(["systemctl", "restart", "archipelago.service"])).await.map(drop)
    }

    async fn reboot(&self) -> Result<(), NodeError> {
        Err(NodeError::Incapable("this machine is not rebooted".to_owned()))
    }

    async fn power_cut(&self) -> Result<(), NodeError> {
        Err(NodeError::Incapable("this machine's power is not cut".to_owned()))
    }
}
