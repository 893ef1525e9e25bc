//! A plan in words.

use std::fmt::Write as _;

use archy_manifest::model::HookPoint;
use archy_types::Timestamp;

use crate::step::{LegacyStep, Plan, Severity, Step};

/// What a step does, in a few words for people.
#[must_use]
pub fn describe(step: &Step) -> String {
    match step {
        Step::RunHook { point } => format!("Run the hook {}", hook(*point)),
        Step::StopUnits { units, .. } => format!("Stop {}", units.join(", ")),
        Step::RenameContainer { from, to } => format!("Rename the container {from} to {to}"),
        Step::RemoveContainer { name, .. } => format!("Remove the container {name}"),
        Step::RemoveUnitFile { file_name } => format!("Remove the unit file {file_name}"),
        Step::RemoveNetwork { name } => format!("Remove the network {name}"),
        Step::PurgeVolume { name } => format!("Remove the volume {name} with its data"),
        Step::PurgeData => "Remove the app's data directory and logs".to_owned(),
        Step::RemovePodmanSecret { name } => format!("Take the secret {name} back from Podman"),
        Step::PurgeSecret { name } => format!("Remove the secret {name}"),
        Step::MakeDirectory { path, owner } => {
            let place = if path.is_empty() { "the app's data directory" } else { path };
            match owner {
                Some(owner) => format!("Make {place} for {}:{}", owner.uid, owner.gid),
                None => format!("Make {place}"),
            }
        }
        Step::GenerateSecret { name, .. } => format!("Generate the secret {name}"),
        Step::SyncPodmanSecret { name } => format!("Hand the secret {name} to Podman"),
        Step::ComposePodmanSecret { name, .. } => format!("Put the secret {name} together"),
        Step::MakeCert { index } => format!("Make certificate {}", index + 1),
        Step::WriteFile { path } => format!("Write {path}"),
        Step::PullImage { reference, .. } => format!("Pull {reference}"),
        Step::WriteUnitFile { file_name, diff: None, .. } => format!("Create {file_name}"),
        Step::WriteUnitFile { file_name, .. } => format!("Change {file_name}"),
        Step::Reload => "Make systemd read its unit files".to_owned(),
        Step::BuildImage { service, .. } => format!("Build the image of {service}"),
        Step::StartUnits { units, .. } => format!("Start {}", units.join(", ")),
        Step::AwaitReady { .. } => "Wait until the app is ready".to_owned(),
        Step::Snapshot { .. } => "Take a snapshot of the app's data".to_owned(),
        Step::RestoreSnapshot { .. } => "Put back the app's data from before the update".to_owned(),
        Step::Soak { secs } => format!("Watch for {secs} s that the new version stays healthy"),
        Step::PruneSnapshots { generations } => match generations.len() {
            1 => "Remove an old snapshot".to_owned(),
            many => format!("Remove {many} old snapshots"),
        },
        Step::Legacy(step) => legacy(step),
    }
}

fn legacy(step: &LegacyStep) -> String {
    match step {
        LegacyStep::StartContainers { names, .. } => format!("Start {}", names.join(", ")),
        LegacyStep::StopContainers { names, .. } => format!("Stop {}", names.join(", ")),
        LegacyStep::Rename { from, to, .. } => format!("Rename {from} to {to}"),
        LegacyStep::SetFileAside { path } => format!("Keep {} aside", path.display()),
        LegacyStep::PutFileBack { path } => format!("Put {} back", path.display()),
        LegacyStep::CopyData { data, .. } => format!("Copy {} to {}", data.from, data.to),
        LegacyStep::TakeSecret { name, .. } => format!("Take over the secret {name}"),
        LegacyStep::Done => "Look at the host again".to_owned(),
    }
}

/// Seconds from the first stop to the end of the last start after it, of an operation's steps as
/// [`describe`] words them, each with its begin and its end.
#[must_use]
pub fn away(steps: &[(&str, Timestamp, Timestamp)]) -> Option<u32> {
    let (_, from, _) = steps.iter().find(|(text, ..)| text.starts_with("Stop "))?;
    let ready = describe(&Step::AwaitReady { deadline_secs: 0 });
    let back = |text: &str| text.starts_with("Start ") || text == ready;
    let (_, _, until) = steps.iter().rfind(|(text, ..)| back(text))?;
    (until > from).then(|| u32::try_from(until.seconds_since(*from)).unwrap_or(u32::MAX))
}

const fn hook(point: HookPoint) -> &'static str {
    match point {
        HookPoint::PostInstall => "post_install",
        HookPoint::PreStart => "pre_start",
        HookPoint::PostStart => "post_start",
        HookPoint::PreStop => "pre_stop",
        HookPoint::PreUpdate => "pre_update",
        HookPoint::PostUpdate => "post_update",
        HookPoint::PreBackup => "pre_backup",
        HookPoint::PostBackup => "post_backup",
        HookPoint::PostRestore => "post_restore",
    }
}

impl Plan {
    /// The whole plan for people: checks, steps with their reasons, differences of unit files.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for check in &self.checks {
            let weight = match check.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "note",
            };
            put(&mut out, "", &format!("{weight} [{}]: {}", check.code, check.message));
            if let Some(mend) = &check.mend {
                put(&mut out, "  ", mend);
            }
        }
        if self.steps.is_empty() {
            let end = match self.refusal() {
                Some(_) => "nothing is done.",
                None => "nothing to do.",
            };
            put(&mut out, "", &format!("{}: {end}", self.app));
            return out;
        }
        let count = match self.steps.len() {
            1 => "1 step".to_owned(),
            many => format!("{many} steps"),
        };
        put(&mut out, "", &format!("{}: {count} for generation {}", self.app, self.generation));
        for (index, planned) in self.steps.iter().enumerate() {
            let text = describe(&planned.step);
            put(&mut out, "", &format!("{:>3}. {text} ({})", index + 1, planned.reason));
            if let Step::WriteUnitFile { diff: Some(diff), .. } = &planned.step {
                put(&mut out, "       ", diff);
            }
        }
        out
    }
}

/// Writes each line of a text with an indent.
fn put(out: &mut String, indent: &str, text: &str) {
    for line in text.lines() {
        // writing into a String cannot fail
        let _ = writeln!(out, "{indent}{line}");
    }
}
