//! The journal's last lines, through its own program: the journal has no other interface than a
//! library of its own, and this daemon may read what it and the user's units wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use archy_types::Timestamp;

/// How long the program may take.
const DEADLINE: Duration = Duration::from_secs(15);
/// How long it may take for a question that is part of a look at the host.
const LOOK: Duration = Duration::from_secs(5);
/// The journal's program.
const PROGRAM: &str = "journalctl";
/// systemd's message that the kernel ended a process of a unit for want of memory
/// (`SD_MESSAGE_UNIT_OUT_OF_MEMORY`); it is logged too where the unit's cgroup is delegated.
const OUT_OF_MEMORY: &str = "MESSAGE_ID=fe6faa94e7774663a0da52717891d8ef";
/// Most such messages that are read, from the end.
const MESSAGES: u32 = 200;

/// What the journal has of this user's units. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    program: Arc<Path>,
    uid: u32,
}

impl Default for Journal {
    fn default() -> Self {
        Self::of(PathBuf::from(PROGRAM))
    }
}

impl Journal {
    /// The journal by another program.
    pub(super) fn of(program: PathBuf) -> Self {
        Self { program: program.into(), uid: rustix::process::geteuid().as_raw() }
    }

    /// When the kernel last ended a process of each unit for want of memory, since a moment.
    /// Nothing of those that it did not happen to, or when the journal does not answer.
    pub(super) async fn out_of_memory(
        &self,
        units: &[&str],
        since: Timestamp,
    ) -> BTreeMap<String, Timestamp> {
        let mut arguments = self.arguments("json", MESSAGES, since);
        arguments.extend(["--output-fields=USER_UNIT".to_owned(), OUT_OF_MEMORY.to_owned()]);
        // what other users' managers say is not about ours
        arguments.push(format!("_UID={}", self.uid));
        arguments.extend(units.iter().map(|unit| format!("USER_UNIT={unit}")));
        let text = self.ask(&arguments).await;
        let times = text.lines().filter_map(message).filter(|(_, at)| *at >= since);
        // the last one of each counts
        times.filter(|(unit, _)| units.contains(&unit.as_str())).collect()
    }

    /// The last lines that the processes of a unit wrote there, since a moment: of a container that
    /// could not be started, Podman's reason.
    pub(super) async fn last_lines(&self, unit: &str, lines: u32, since: Timestamp) -> Vec<String> {
        let mut arguments = self.arguments("cat", lines.saturating_mul(3), since);
        arguments.push(format!("_UID={}", self.uid));
        arguments.push(format!("_SYSTEMD_USER_UNIT={unit}"));
        let text = self.ask(&arguments).await;
        // Podman prints the ids of containers that it starts and removes
        let id = |line: &&str| line.len() == 64 && line.bytes().all(|b| b.is_ascii_hexdigit());
        let all: Vec<&str> = text.lines().filter(|line| !id(line)).collect();
        let from = all.len().saturating_sub(usize::try_from(lines).unwrap_or(usize::MAX));
        all.iter().skip(from).map(|line| (*line).to_owned()).collect()
    }

    fn arguments(&self, form: &str, lines: u32, since: Timestamp) -> Vec<String> {
        let (lines, since) = (lines.to_string(), format!("--since=@{}", since.0.div_euclid(1000)));
        ["-q", "--no-pager", "-o", form, "-n", &lines, &since].map(str::to_owned).to_vec()
    }

    async fn ask(&self, arguments: &[String]) -> String {
        match tokio::time::timeout(LOOK, command(&self.program, arguments).output()).await {
            Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).into_owned(),
            Ok(Err(error)) => {
                tracing::debug!(%error, "the journal cannot be asked");
                String::new()
            }
            Err(_) => {
                tracing::debug!("the journal did not answer in time");
                String::new()
            }
        }
    }
}

/// Unit and time of a message (systemd.io, "Journal JSON Format").
fn message(line: &str) -> Option<(String, Timestamp)> {
    let fields: serde_json::Value = serde_json::from_str(line).ok()?;
    let micros: i64 = fields.get("__REALTIME_TIMESTAMP")?.as_str()?.parse().ok()?;
    let unit = fields.get("USER_UNIT")?.as_str()?.to_owned();
    Some((unit, Timestamp(micros.div_euclid(1000))))
}

fn command(program: &Path, arguments: &[String]) -> tokio::process::Command {
    #[expect(clippy::disallowed_methods, reason = "the journal's program is its interface")]
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// The last lines of the daemon and of the user manager with its units, by name.
pub(super) async fn read(lines: u32) -> Vec<(String, String)> {
    let daemon = ["_SYSTEMD_UNIT=archipelago.service"];
    let user = ["--user"];
    let (daemon, user) = tokio::join!(run(lines, &daemon), run(lines, &user));
    vec![("daemon".to_owned(), daemon), ("user".to_owned(), user)]
}

async fn run(lines: u32, arguments: &[&str]) -> String {
    let lines = lines.to_string();
    let all = ["--no-pager", "-o", "short-iso", "-n", &lines];
    let all: Vec<String> = all.iter().chain(arguments).map(|word| (*word).to_owned()).collect();
    match tokio::time::timeout(DEADLINE, command(Path::new(PROGRAM), &all).output()).await {
        Ok(Ok(output)) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let errors = String::from_utf8_lossy(&output.stderr);
            if text.is_empty() { format!("journalctl: {errors}") } else { text }
        }
        Ok(Err(error)) => format!("journalctl: {error}\n"),
        Err(_) => "journalctl did not answer in time\n".to_owned(),
    }
}
