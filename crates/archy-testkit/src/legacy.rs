//! Containers that Archipelago did not make, on the fake host: they are started, stopped and renamed.

use archy_engine::ports::{HostResult, Legacy};
use archy_plan::adopt::Copied;
use archy_plan::{DesiredApp, LegacyStep};
use archy_types::{Digest, Timestamp, UserError};

use crate::host::FakeHost;
use crate::model::{Fault, Model};

impl Legacy for FakeHost {
    async fn legacy(&self, app: &DesiredApp, step: &LegacyStep) -> HostResult<()> {
        let call = archy_plan::describe(&archy_plan::Step::Legacy(step.clone()));
        self.change(call, &Fault::PodmanAway, |model, now| act(model, app, step, now))
    }
}

fn act(
    model: &mut Model,
    app: &DesiredApp,
    step: &LegacyStep,
    now: Timestamp,
) -> Result<(), UserError> {
    match step {
        LegacyStep::StartContainers { names, .. } => {
            for name in names {
                let Some(container) = model.containers.get_mut(name) else {
                    return Err(UserError::new("not-found", format!("no container {name}")));
                };
                "running".clone_into(&mut container.state);
                container.started_at = Some(now);
            }
        }
        LegacyStep::StopContainers { names, .. } => {
            for name in names {
                if let Some(container) = model.containers.get_mut(name) {
                    "exited".clone_into(&mut container.state);
                }
                if let Some(found) = model.foreign.containers.get_mut(name) {
                    found.seen.finished = Some(now);
                    "exited".clone_into(&mut found.seen.state);
                }
            }
        }
        LegacyStep::Rename { id, from, to } => {
            if model.containers.get(from).is_some_and(|seen| seen.id == *id) {
                let container = model.containers.remove(from);
                model.containers.extend(container.map(|container| (to.clone(), container)));
                let found = model.foreign.containers.remove(from);
                model.foreign.containers.extend(found.map(|found| (to.clone(), found)));
            }
        }
        LegacyStep::SetFileAside { path } => {
            if model.foreign.files.remove(path) {
                model.foreign.files_aside.insert(path.clone());
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            model.unit_files.remove(&*name);
        }
        LegacyStep::PutFileBack { path } => {
            if model.foreign.files_aside.remove(path) {
                model.foreign.files.insert(path.clone());
            }
        }
        LegacyStep::CopyData { data, wish } => {
            let all = model.foreign.copied.entry(app.manifest.id.clone()).or_default();
            all.retain(|other| other.data.to != data.to);
            let digest = Digest::of(b"the same");
            all.push(Copied { data: data.clone(), wish: *wish, digest, bytes: 1, at: now });
        }
        LegacyStep::TakeSecret { name, .. } => {
            model.secret_files.entry(name.clone()).or_insert_with(|| "taken".to_owned());
        }
        LegacyStep::Done => {}
    }
    Ok(())
}
