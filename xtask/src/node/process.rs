//! Processes known by pid and start time, so that a pid used again is never taken for the old process.
use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::error::NodeError;
use crate::sh::Cmd;

/// One process of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its pid, as the host counts.
    pub pid: u32,
    /// When it started, in the kernel's ticks.
    pub start: u64,
}

impl Process {
    /// This process.
    pub fn current() -> Option<Self> {
        Self::running(std::process::id())
    }

    /// The process a file of the form `PID START` names, when it still runs.
    pub fn from_file(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let (pid, start) = text.trim().split_once(' ')?;
        let process = Self { pid: pid.parse().ok()?, start: start.parse().ok()? };
        process.alive().then_some(process)
    }

    /// True while it runs; a zombie does not.
    pub fn alive(self) -> bool {
        Self::running(self.pid) == Some(self)
    }

    /// Kills it at once; no failure when it is gone.
    pub fn kill(self) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
            && self.alive()
        {
            let _gone = kill_process(pid, Signal::KILL);
        }
    }

    /// Sends a signal by its name, real-time signals too (`RTMIN+4`).
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn signal(self, name: &str) -> Result<(), NodeError> {
        Cmd::new("kill").args(["-s", name, &self.pid.to_string()]).run()?;
        Ok(())
    }

    /// Wakes the callers of commands inside a node whose init this is. `nsenter` stops with the command
    /// that it waits for, and a node that goes down stops all its commands before it ends them: one
    /// that nobody wakes never takes its dead child, and init waits for that.
    pub(super) fn wake_callers(self) {
        let target = self.pid.to_string();
        let Ok(all) = fs::read_dir("/proc") else { return };
        let pids = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        for pid in pids.filter(|pid: &u32| waits_for(*pid, &target) && is_stopped(*pid)) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _gone = kill_process(pid, Signal::CONT);
            }
        }
    }

    /// The process of a pid, when it runs.
    pub(super) fn running(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // the name in parentheses may hold anything: count from its end
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        let start = fields.nth(18)?.parse().ok()?;
        (state != "Z").then_some(Self { pid, start })
    }
}

/// True for an `nsenter` into the namespaces of a process.
fn waits_for(pid: u32, target: &str) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let mut words = line.split(|byte| *byte == 0);
    words.next().is_some_and(|program| program.ends_with(b"nsenter"))
        && words.next() == Some(b"-t")
        && words.next() == Some(target.as_bytes())
}

fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_another_start_is_another_process() {
        let me = Process::current().unwrap();
        assert!(me.alive());
        assert!(!Process { start: me.start + 1, ..me }.alive());
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        assert_eq!(Process::from_file(&file), None);
        fs::write(&file, format!("{} {}\n", me.pid, me.start)).unwrap();
        assert_eq!(Process::from_file(&file), Some(me));
    }
}
