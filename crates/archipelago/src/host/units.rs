//! Units of the user manager and their files.

use std::path::Path;
use std::time::Duration;

use archy_engine::ports::{HostError, HostResult, UnitOutcome, Units};
use archy_systemd::{JobResult, Manager, Report, UnitDir, check_files};
use archy_types::{Timestamp, UserError};
use futures_util::future::join_all;

use super::bus::systemd;
use super::{CHANGE_DEADLINE, SystemHost, error, full};
use crate::clock;

impl SystemHost {
    pub(super) fn unit_dir(&self) -> UnitDir {
        UnitDir::new(&self.config.quadlet_dir)
    }
}

fn files(failure: &archy_systemd::FilesError) -> HostError {
    error::fatal(UserError::new("unit-file", failure.to_string()).hint(
        "Check the disk's free space, and that the Quadlet directory belongs to the service user.",
    ))
}

/// Why the generator takes one of the new files not, if it does not. What it says of others is not
/// held against them, unless it drops all files because one cannot be parsed at all (Podman 5.4).
fn rejection(report: &Report, new: &[(String, String)], dir: &Path) -> Option<UserError> {
    let ours = |name: &str| new.iter().any(|(file, _)| file == name);
    let (name, why) = report.errors().find(|(name, _)| ours(name))?;
    let all_dropped = report.files.values().all(|file| file.unit.is_none());
    let broken = report
        .errors()
        .find(|(name, why)| !ours(name) && why.contains("error loading") && all_dropped);
    let Some((foreign, why)) = broken else {
        let text = format!("Podman's generator rejects {name}: {why}");
        let hint = "This is a fault of the manifest or of Archipelago; nothing was changed.";
        return Some(UserError::new("unit-rejected", text).hint(hint));
    };
    let path = dir.join(foreign);
    let text = format!(
        "Podman's generator drops every file of {}, since it cannot parse {foreign}: {why}",
        dir.display()
    );
    let hint = format!(
        "Archipelago did not make {}: correct it, or move it away. Until then no container of that \
         directory starts at boot.",
        path.display()
    );
    Some(UserError::new("foreign-unit-broken", text).hint(hint))
}

impl Units for SystemHost {
    async fn write_unit_files(&self, all: &[(String, String)]) -> HostResult<()> {
        self.unit_dir().write(all.to_vec()).await.map_err(|e| files(&e))
    }

    async fn remove_unit_file(&self, file_name: &str) -> HostResult<()> {
        self.unit_dir().remove(vec![file_name.to_owned()]).await.map_err(|e| files(&e))
    }

    async fn check_unit_files(&self, new: &[(String, String)]) -> HostResult<()> {
        // files refer to each other: those that stay are looked at with the new ones
        let mut all = self.unit_dir().read().await.map_err(|e| files(&e))?;
        all.extend(new.iter().cloned());
        let generator = &self.config.generator;
        let scratch = &self.config.runtime_dir;
        let report = check_files(all.into_iter().collect(), scratch, generator, CHANGE_DEADLINE)
            .await
            .map_err(|e| error::fatal(UserError::new(e.code(), e.to_string()).hint(e.hint())))?;
        match rejection(&report, new, &self.config.quadlet_dir) {
            None => Ok(()),
            Some(rejection) => Err(error::fatal(rejection)),
        }
    }

    async fn reload(&self) -> HostResult<()> {
        let manager = self.bus.get().await?;
        manager.within(CHANGE_DEADLINE).reload().await.map_err(|e| systemd(&e))
    }

    async fn start(&self, units: &[String], deadline: Duration) -> Vec<UnitOutcome> {
        self.each(units, deadline, Act::Start).await
    }

    async fn stop(&self, units: &[String], deadline: Duration) -> Vec<UnitOutcome> {
        self.each(units, deadline, Act::Stop).await
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Start,
    Stop,
}

impl SystemHost {
    async fn each(&self, units: &[String], deadline: Duration, act: Act) -> Vec<UnitOutcome> {
        let manager = match self.bus.get().await {
            Ok(manager) => manager.within(deadline),
            Err(failure) => {
                let failed = |unit: &String| UnitOutcome {
                    unit: unit.clone(),
                    failure: Some(failure.error.clone()),
                };
                return units.iter().map(failed).collect();
            }
        };
        join_all(units.iter().map(|unit| self.one(&manager, unit, act))).await
    }

    async fn one(&self, manager: &Manager, unit: &str, act: Act) -> UnitOutcome {
        let began = clock::now();
        let result = match act {
            Act::Start => start(manager, unit).await,
            Act::Stop => stop(manager, unit).await,
        };
        let mut failure = result.err();
        if let (Act::Start, Some(error)) = (act, &mut failure) {
            self.add_last_words(unit, began, error).await;
            self.name_want_of_memory(unit, began, error).await;
        }
        UnitOutcome { unit: unit.to_owned(), failure }
    }

    /// A unit's failure says little; the container's last line often says why. Its container is
    /// mostly gone by then, but not its log, which may also hold lines of earlier starts.
    async fn add_last_words(&self, unit: &str, began: Timestamp, error: &mut UserError) {
        let name = unit.trim_end_matches(".service");
        let lines = match self.podman.log_tail(name, 1).await {
            Ok(lines) => lines,
            Err(_) => self.kept_log(name, 1).await,
        };
        let young = lines.last().filter(|line| line.time.is_none_or(|time| time >= began));
        let words = match young {
            Some(line) => Some(line.text.clone()),
            // where no container was made, Podman says why
            None => self.journal.last_lines(unit, 1, began).await.pop(),
        };
        if let Some(words) = words.as_deref().map(str::trim).filter(|words| !words.is_empty()) {
            error.message.push_str(&format!(" Its last words: {words}"));
        }
        *error = full::name(error.clone());
    }
}

/// Attempts that a start has before it counts as failed. systemd goes on after that, until the
/// unit's start limit.
const ATTEMPTS: u32 = 3;

/// Starts a unit. systemd ends the job with the first attempt although it restarts the unit after a
/// pause; a job that is asked for in that pause waits for the next attempt (systemd.service(5),
/// `Restart=`). A unit that needs such a one fails with it, and is not started again by itself.
async fn start(manager: &Manager, unit: &str) -> Result<(), UserError> {
    manager.reset_failed(unit).await.map_err(|e| e.to_user_error())?;
    let mut attempts = 1;
    loop {
        let result = manager.start(unit).await.map_err(|e| e.to_user_error())?;
        match result {
            JobResult::Done => return Ok(()),
            JobResult::Dependency if attempts < ATTEMPTS => {}
            JobResult::Failed if attempts < ATTEMPTS && restarts(manager, unit).await? => {}
            result => {
                let text = describe(manager, unit, "start", &result).await;
                return Err(UserError::new("unit-failed", text)
                    .hint(format!("`archy logs` and `journalctl --user -u {unit}` say more.")));
            }
        }
        attempts += 1;
    }
}

/// True while systemd waits to start the unit again by itself. One that used up the whole time of a
/// start counts as failed at once: the next attempts would take as long.
async fn restarts(manager: &Manager, unit: &str) -> Result<bool, UserError> {
    let status = manager.unit(unit).await.map_err(|e| e.to_user_error())?;
    Ok(status.sub.starts_with("auto-restart") && status.result != "timeout")
}

async fn stop(manager: &Manager, unit: &str) -> Result<(), UserError> {
    let status = manager.unit(unit).await.map_err(|e| e.to_user_error())?;
    if status.load == "not-found" {
        return Ok(());
    }
    match manager.stop(unit).await.map_err(|e| e.to_user_error())? {
        JobResult::Done => {
            // a container that was killed after its grace is stopped, not failed
            manager.reset_failed(unit).await.map(drop).map_err(|e| e.to_user_error())
        }
        result => {
            Err(UserError::new("stop-failed", describe(manager, unit, "stop", &result).await))
        }
    }
}

async fn describe(manager: &Manager, unit: &str, verb: &str, result: &JobResult) -> String {
    let job = result.as_str();
    match manager.unit(unit).await {
        Ok(status) if status.exit_status != 0 => format!(
            "{unit} did not {verb}: {job}, {} (exit status {}).",
            status.result, status.exit_status
        ),
        Ok(status) => format!("{unit} did not {verb}: {job}, {}.", status.result),
        Err(_) => format!("{unit} did not {verb}: {job}."),
    }
}

#[cfg(test)]
mod tests;
