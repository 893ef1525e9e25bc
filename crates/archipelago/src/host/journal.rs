//! The journal's last lines, through its own program: the journal has no other interface than a
//! library of its own, and this daemon may read what it and the user's units wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use archy_types::{Timestamp, UserError};
use tokio::io::AsyncReadExt as _;

use crate::survey::JournalLine;

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
/// What this daemon calls itself there, as `logging` and systemd do.
const IDENTIFIER: &str = "SYSLOG_IDENTIFIER=archipelago";
/// Most bytes of an answer.
const MAX_OUTPUT: u64 = 16 * 1024 * 1024;

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

    /// The last lines that this daemon wrote, oldest first.
    pub(super) async fn of_daemon(
        &self,
        lines: u32,
        since: Option<Timestamp>,
        priority: u8,
    ) -> Result<Vec<JournalLine>, UserError> {
        let mut arguments = self.arguments("json", lines, since.unwrap_or_default());
        arguments.push(format!("--priority={priority}"));
        arguments.push("--output-fields=MESSAGE,PRIORITY,TARGET".to_owned());
        arguments.extend([format!("_UID={}", self.uid), IDENTIFIER.to_owned()]);
        let silent = |reason: String| {
            UserError::new("journal-silent", format!("The journal cannot be read: {reason}."))
                .hint("`journalctl -u archipelago` on the node shows the same.")
        };
        let read = async {
            let mut child = command(&self.program, &arguments)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()?;
            let mut text = Vec::new();
            if let Some(stdout) = child.stdout.take() {
                stdout.take(MAX_OUTPUT).read_to_end(&mut text).await?;
            }
            Ok::<_, std::io::Error>((child.wait().await?, text))
        };
        let (status, text) = match tokio::time::timeout(DEADLINE, read).await {
            Ok(read) => read.map_err(|error| silent(error.to_string()))?,
            Err(_) => return Err(silent("it did not answer in time".to_owned())),
        };
        if !status.success() && text.is_empty() {
            return Err(silent(format!("its program ended with {status}")));
        }
        Ok(String::from_utf8_lossy(&text).lines().filter_map(line).collect())
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

/// A line of the log out of its JSON; a text that is not UTF-8 stands there as numbers.
fn line(text: &str) -> Option<JournalLine> {
    let fields: serde_json::Value = serde_json::from_str(text).ok()?;
    let word = |name: &str| fields.get(name).and_then(serde_json::Value::as_str);
    let micros: i64 = word("__REALTIME_TIMESTAMP")?.parse().ok()?;
    let text = match fields.get("MESSAGE")? {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(bytes) => {
            let bytes = bytes.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok());
            String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
        }
        _ => return None,
    };
    Some(JournalLine {
        at: Timestamp(micros.div_euclid(1000)),
        priority: word("PRIORITY").and_then(|text| text.parse().ok()).unwrap_or(6),
        target: word("TARGET").unwrap_or_default().to_owned(),
        text,
    })
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A program that notes what it was asked and says what the journal says.
    fn journal(dir: &Path, says: &str) -> Journal {
        let program = dir.join("journalctl");
        let asked = dir.join("asked");
        let script =
            format!("#!/bin/sh\necho \"$@\" > {}\ncat <<'END'\n{says}\nEND\n", asked.display());
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Journal::of(program)
    }

    #[tokio::test]
    async fn the_daemons_lines_are_read_in_order_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let says = r#"{"__REALTIME_TIMESTAMP":"1500000","PRIORITY":"4","TARGET":"archipelago::net","MESSAGE":"first"}
no json
{"__REALTIME_TIMESTAMP":"2500000","MESSAGE":[104,105,255]}"#;
        let lines =
            journal(dir.path(), says).of_daemon(7, Some(Timestamp(9_000)), 4).await.unwrap();
        let expected = [(1500, 4, "archipelago::net", "first"), (2500, 6, "", "hi\u{fffd}")];
        let read: Vec<_> = lines
            .iter()
            .map(|l| (l.at.0, l.priority, l.target.as_str(), l.text.as_str()))
            .collect();
        assert_eq!(read, expected);
        let asked = std::fs::read_to_string(dir.path().join("asked")).unwrap();
        for part in ["-n 7", "--since=@9", "--priority=4", IDENTIFIER, "_UID="] {
            assert!(asked.contains(part), "{part} in {asked}");
        }
    }

    #[tokio::test]
    async fn a_journal_that_is_not_there_is_an_error() {
        let gone = Journal::of("/nonexistent/journalctl".into());
        assert_eq!(gone.of_daemon(1, None, 7).await.unwrap_err().code.as_str(), "journal-silent");
    }
}
