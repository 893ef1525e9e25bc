//! A node that is reached through a program with verbs: `exec`, `reboot`, `power-cut`, `boot`.
//!
//! * `PROGRAM exec [--name N] [--root] -- ARGV…` runs a program on the node with these standard streams and gives
//!   its exit status; without `--root` as the service user.
//! * `PROGRAM reboot [--name N]` reboots it in good order.
//! * `PROGRAM power-cut [--name N]` cuts its power; `PROGRAM boot [--name N]` boots it again.
//!
//! A verb that the program does not have ends with 64; what needs it is then skipped.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use archy_client::Client;
use tokio::io::AsyncReadExt as _;

use super::bridge::Bridge;
use super::run::{command, run, spawn};
use super::stream::Piped;
use super::{Call, Io, Node, NodeError, Output, Who, must};
use crate::phase::Capability;

/// How long a verb may take: a reboot waits for the stop time of every app.
const VERB_LIMIT: Duration = Duration::from_secs(600);
/// How long the node may take from its boot to the first program.
const BACK_LIMIT: Duration = Duration::from_secs(180);
/// How long a program's door may take to tell whether it is open.
const DIAL_LIMIT: Duration = Duration::from_secs(15);
/// Exit status of a verb that a driver does not have (`EX_USAGE` of sysexits.h).
const NO_SUCH_VERB: i32 = 64;
/// The part of the command line that connects its standard streams to something on the node.
const DIAL: [&str; 2] = ["archy", "dial"];

/// A node behind a program.
#[derive(Debug)]
pub struct Program {
    words: Vec<String>,
    name: Option<String>,
    without: Vec<Capability>,
    bridge: Option<Bridge>,
    socket: Option<Client>,
}

impl Program {
    /// A node behind a program; `without` is what it must not be asked for.
    ///
    /// # Errors
    /// No socket can be made for the daemon's connections.
    pub fn new(
        words: Vec<String>,
        name: Option<String>,
        without: Vec<Capability>,
    ) -> Result<Self, NodeError> {
        let mut node = Self { words, name, without, bridge: None, socket: None };
        let argv = node.verb("exec", &["--"], DIAL);
        let bridge = Bridge::open(move || piped(&argv))?;
        node.bridge = Some(bridge);
        Ok(node)
    }

    /// With another way to the daemon: a socket on this machine. The identity check shows whether it is the same
    /// node's.
    #[must_use]
    pub fn with_client(self, client: Client) -> Self {
        Self { socket: Some(client), ..self }
    }

    fn verb<S: AsRef<str>>(
        &self,
        verb: &str,
        options: &[&str],
        argv: impl IntoIterator<Item = S>,
    ) -> Vec<String> {
        let mut words = self.words.clone();
        words.push(verb.to_owned());
        if let Some(name) = &self.name {
            words.extend(["--name".to_owned(), name.clone()]);
        }
        words.extend(options.iter().map(|option| (*option).to_owned()));
        words.extend(argv.into_iter().map(|arg| arg.as_ref().to_owned()));
        words
    }

    async fn order(&self, verb: &str) -> Result<Output, NodeError> {
        let argv = self.verb(verb, &[], [""; 0]);
        let output = run(&argv, None, VERB_LIMIT).await?;
        if output.status == NO_SUCH_VERB {
            return Err(NodeError::Incapable(format!("the driver has no verb `{verb}`")));
        }
        Ok(output)
    }

    async fn boot_id(&self) -> Result<String, NodeError> {
        let call = Call::user(["cat", "/proc/sys/kernel/random/boot_id"]);
        let call = Call { limit: Duration::from_secs(10), ..call };
        Ok(must(self, call).await?.stdout.trim().to_owned())
    }

    /// Waits until programs run under another boot id; a driver that gave up waiting earlier does not count.
    async fn until_booted(&self, before: &str, said: &Output) -> Result<(), NodeError> {
        let back = async {
            loop {
                match self.boot_id().await {
                    Ok(now) if now != before => return,
                    _ => tokio::time::sleep(Duration::from_millis(300)).await,
                }
            }
        };
        tokio::time::timeout(BACK_LIMIT, back).await.map_err(|_| {
            NodeError::Failed(format!(
                "the node did not come back; the driver said: {}",
                said.said()
            ))
        })
    }
}

/// A program whose standard streams are a connection.
fn piped(argv: &[String]) -> Result<Piped, NodeError> {
    let mut command = command(argv);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let what = argv.join(" ");
    let mut child = spawn(command, &what)?;
    let streams = child.stdin.take().zip(child.stdout.take());
    let (input, output) =
        streams.ok_or_else(|| NodeError::Failed(format!("`{what}` has no streams")))?;
    Ok(Piped { input: Some(input), output, _child: child })
}

impl Node for Program {
    fn driver(&self) -> String {
        let program = self.words.first().map_or("", String::as_str);
        let file = program.rsplit('/').next().unwrap_or(program).to_owned();
        [file].into_iter().chain(self.words.iter().skip(1).cloned()).collect::<Vec<_>>().join(" ")
    }

    fn can(&self, capability: Capability) -> Result<(), String> {
        if self.without.contains(&capability) {
            return Err("the driver was given without it".to_owned());
        }
        Ok(())
    }

    fn client(&self) -> Client {
        match (&self.socket, &self.bridge) {
            (Some(client), _) => client.clone(),
            (None, Some(bridge)) => Client::unix(bridge.path()),
            // made by `new`
            (None, None) => Client::unix(""),
        }
    }

    async fn exec(&self, call: Call) -> Result<Output, NodeError> {
        let options: &[&str] = if call.who == Who::Root { &["--root", "--"] } else { &["--"] };
        // ended there as well: a driver that is killed here may leave its program running
        let seconds = call.limit.as_secs().max(1).to_string();
        let guard = ["timeout", "-k", "5", &seconds].map(str::to_owned);
        let argv = self.verb("exec", options, guard.into_iter().chain(call.argv));
        run(&argv, call.input, call.limit + Duration::from_secs(15)).await
    }

    async fn connect(&self, to: SocketAddr) -> Result<Box<dyn Io>, NodeError> {
        let to = to.to_string();
        let argv = self.verb("exec", &["--"], DIAL.into_iter().chain(["--tcp", &to]));
        let mut stream = piped(&argv)?;
        // the other side says with one byte that it is connected
        let mut mark = [0_u8; 1];
        let opened = tokio::time::timeout(DIAL_LIMIT, stream.read_exact(&mut mark)).await;
        match opened {
            Ok(Ok(_)) => Ok(Box::new(stream)),
            Ok(Err(_)) => Err(NodeError::Failed(format!("{to} refuses connections"))),
            Err(_) => {
                Err(NodeError::Timeout { what: format!("a connection to {to}"), limit: DIAL_LIMIT })
            }
        }
    }

    async fn restart_daemon(&self) -> Result<(), NodeError> {
        let argv = ["systemctl", "restart", "archipelago.service"];
        must(self, Call::root(argv)).await.map(drop)
    }

    async fn reboot(&self) -> Result<(), NodeError> {
        let before = self.boot_id().await?;
        let said = self.order("reboot").await?;
        self.until_booted(&before, &said).await
    }

    async fn power_cut(&self) -> Result<(), NodeError> {
        let before = self.boot_id().await?;
        let cut = self.order("power-cut").await?;
        if !cut.ok() {
            return Err(NodeError::Failed(format!("the power was not cut: {}", cut.said())));
        }
        let said = self.order("boot").await?;
        self.until_booted(&before, &said).await
    }
}
