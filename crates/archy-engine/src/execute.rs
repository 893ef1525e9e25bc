//! Executes one step of a plan: one function per kind of step, no choices. Unit files in a row are
//! written together, since each synced write on its own costs a turn of the disk.

use std::time::Duration;

use archy_manifest::Manifest;
use archy_manifest::template::{Part, Placeholder, Template};
use archy_plan::{DesiredApp, LegacyStep, Observed, PlannedStep, Step};
use archy_types::UserError;

use crate::hooks::{self, Said};
use crate::ports::{Host, HostError, ProgressSink, UnitOutcome};
use crate::ready;
use crate::soak;

/// How long an image may take to arrive.
const PULL_DEADLINE: Duration = Duration::from_secs(2 * 3600);

/// How long a copy of an app's data may take.
const COPY_DEADLINE: Duration = Duration::from_secs(4 * 3600);

/// What a step may look at besides itself.
#[derive(Debug)]
pub(crate) struct Context<'a, H> {
    pub(crate) host: &'a H,
    pub(crate) app: &'a DesiredApp,
    pub(crate) observed: &'a Observed,
    /// All apps of the node.
    pub(crate) all: &'a [DesiredApp],
    /// Steps of hooks that may run only once are still to be run, and by this operation.
    pub(crate) first: bool,
    /// What programs said in the step at work, its end only.
    pub(crate) said: Said,
}

impl<H> Context<'_, H> {
    /// Fills in a template with what the last look at the host knows.
    ///
    /// # Errors
    /// A placeholder whose value is not known.
    pub(crate) fn fill(&self, template: &Template) -> Result<String, UserError> {
        template.resolve(|placeholder| {
            let known = match placeholder {
                Placeholder::Port(port) => self.app.host_port(*port).map(|port| port.to_string()),
                Placeholder::Config(key) => archy_plan::setting(self.app, key),
                other => self.role(other).or_else(|| self.observed.host.values.get(other).cloned()),
            };
            known.ok_or_else(|| placeholder.unknown())
        })
    }
}

impl<H> Context<'_, H> {
    fn role(&self, placeholder: &Placeholder) -> Option<String> {
        archy_plan::role_host(self.app, placeholder, &self.observed.host, self.all)
    }

    /// A template in which roles are filled in: the host knows nothing of other apps.
    fn with_roles(&self, template: &Template) -> Template {
        let one = |part: &Part| match part {
            Part::Placeholder(placeholder) => {
                self.role(placeholder).map_or_else(|| part.clone(), Part::Text)
            }
            Part::Text(_) => part.clone(),
        };
        Template::from_parts(template.parts().iter().map(one).collect())
    }
}

/// How long the steps may take that only touch files or ask Podman for one thing.
const SMALL_DEADLINE: Duration = Duration::from_secs(120);

/// How long a step may take at most; the engine lets go of it then.
pub(crate) fn step_deadline(app: &Manifest, step: &Step) -> Duration {
    match step {
        Step::PullImage { .. } => PULL_DEADLINE,
        Step::StopUnits { deadline_secs, .. }
        | Step::RemoveContainer { deadline_secs, .. }
        | Step::BuildImage { deadline_secs, .. }
        | Step::StartUnits { deadline_secs, .. }
        | Step::AwaitReady { deadline_secs } => secs(*deadline_secs) + SMALL_DEADLINE,
        Step::RunHook { point } => {
            let steps = app.hooks.get(point).into_iter().flatten();
            let own = steps.fold(0, |sum: u32, step| sum.saturating_add(step.timeout_secs));
            secs(own) + SMALL_DEADLINE
        }
        Step::Snapshot { .. } | Step::RestoreSnapshot { .. } | Step::PruneSnapshots { .. } => {
            COPY_DEADLINE
        }
        Step::Soak { secs: soak } => secs(*soak) + SMALL_DEADLINE,
        Step::Legacy(LegacyStep::CopyData { .. }) => COPY_DEADLINE,
        Step::Legacy(
            LegacyStep::StartContainers { deadline_secs, .. }
            | LegacyStep::StopContainers { deadline_secs, .. },
        ) => secs(*deadline_secs) + SMALL_DEADLINE,
        _ => SMALL_DEADLINE,
    }
}

/// Cuts steps into what is done at once: unit files in a row, or one step.
pub(crate) fn batches(steps: &[PlannedStep]) -> impl Iterator<Item = &[PlannedStep]> {
    let writes = |planned: &PlannedStep| matches!(planned.step, Step::WriteUnitFile { .. });
    steps.chunk_by(move |one, next| writes(one) && writes(next))
}

/// What a batch does, in words.
pub(crate) fn describe(batch: &[PlannedStep]) -> String {
    match batch {
        [one] => archy_plan::describe(&one.step),
        many => format!("Write {} unit files", many.len()),
    }
}

/// Does one batch within its deadline.
///
/// # Errors
/// What the host said, in words for people, or that it did not answer in time.
pub(crate) async fn bounded<H: Host>(
    cx: &Context<'_, H>,
    batch: &[PlannedStep],
    progress: ProgressSink,
) -> Result<(), UserError> {
    let app = &cx.app.manifest;
    let deadline = batch.iter().map(|planned| step_deadline(app, &planned.step)).max();
    let deadline = deadline.unwrap_or(SMALL_DEADLINE);
    match tokio::time::timeout(deadline, execute_batch(cx, batch, progress)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            let message = cx.host.strike_secrets(&cx.app.manifest, error.message.clone()).await;
            Err(UserError { message, ..error })
        }
        Err(_) => Err(UserError::new(
            "step-timeout",
            format!("{} took longer than {} s.", describe(batch), deadline.as_secs()),
        )
        .hint("Podman or systemd does not answer; `archy doctor` looks closer.")),
    }
}

async fn execute_batch<H: Host>(
    cx: &Context<'_, H>,
    batch: &[PlannedStep],
    progress: ProgressSink,
) -> Result<(), UserError> {
    if let [one] = batch {
        return execute(cx, &one.step, progress).await;
    }
    plain(cx.host.write_unit_files(&unit_files(batch)).await)
}

/// The unit files that the steps write.
pub(crate) fn unit_files(steps: &[PlannedStep]) -> Vec<(String, String)> {
    let files = steps.iter().filter_map(|planned| match &planned.step {
        Step::WriteUnitFile { file_name, text, .. } => Some((file_name.clone(), text.clone())),
        _ => None,
    });
    files.collect()
}

/// Does one step.
///
/// # Errors
/// What the host said, in words for people.
async fn execute<H: Host>(
    cx: &Context<'_, H>,
    step: &Step,
    progress: ProgressSink,
) -> Result<(), UserError> {
    let id = &cx.app.manifest.id;
    match step {
        Step::RunHook { point } => hooks::run(cx, *point, &progress).await,
        Step::StopUnits { units, deadline_secs } => {
            all_well(cx.host.stop(units, secs(*deadline_secs)).await)
        }
        Step::RemoveContainer { name, deadline_secs } => {
            plain(cx.host.remove_container(name, secs(*deadline_secs)).await)
        }
        Step::RenameContainer { from, to } => plain(cx.host.rename_container(from, to).await),
        Step::RemoveUnitFile { file_name } => plain(cx.host.remove_unit_file(file_name).await),
        Step::RemoveNetwork { name } => plain(cx.host.remove_network(name).await),
        Step::PurgeVolume { name } => plain(cx.host.remove_volume(name).await),
        Step::PurgeData => plain(cx.host.purge_data(id, &containers(cx)).await),
        Step::RemovePodmanSecret { name } => plain(cx.host.remove_secret(name).await),
        Step::PurgeSecret { name } => plain(cx.host.purge_secret(name).await),
        Step::MakeDirectory { path, owner } => {
            plain(cx.host.make_directory(id, path, *owner).await)
        }
        Step::GenerateSecret { name, kind } => plain(cx.host.generate_secret(name, *kind).await),
        Step::ComposePodmanSecret { name, template, hash } => {
            plain(cx.host.compose_secret(name, template, hash).await)
        }
        Step::SyncPodmanSecret { name } => plain(cx.host.sync_secret(name).await),
        Step::MakeCert { index } => make_cert(cx, *index).await,
        Step::WriteFile { path } => write_file(cx, path).await,
        Step::PullImage { reference, .. } => {
            plain(cx.host.pull(reference, progress, PULL_DEADLINE).await)
        }
        Step::WriteUnitFile { file_name, text, .. } => {
            let file = (file_name.clone(), text.clone());
            plain(cx.host.write_unit_files(&[file]).await)
        }
        Step::Reload => plain(cx.host.reload().await),
        Step::BuildImage { unit, deadline_secs, .. } => {
            all_well(cx.host.start(std::slice::from_ref(unit), secs(*deadline_secs)).await)
        }
        Step::StartUnits { units, deadline_secs } => {
            all_well(cx.host.start(units, secs(*deadline_secs)).await)
        }
        Step::AwaitReady { deadline_secs } => {
            ready::await_all(cx, secs(*deadline_secs), &progress).await
        }
        Step::Snapshot { generation, volumes } => {
            plain(cx.host.take_snapshot(cx.app, *generation, volumes).await)
        }
        Step::RestoreSnapshot { generation, wish } => {
            plain(cx.host.restore_snapshot(id, *generation, *wish).await)
        }
        Step::Soak { secs: soak } => soak::watch(cx, secs(*soak), &progress).await,
        Step::PruneSnapshots { generations } => {
            plain(cx.host.remove_snapshots(id, generations).await)
        }
        Step::Legacy(LegacyStep::Done) => Ok(()),
        Step::Legacy(step) => plain(cx.host.legacy(cx.app, step).await),
    }
}

/// All containers that the app has or had.
fn containers<H>(cx: &Context<'_, H>) -> Vec<String> {
    let id = &cx.app.manifest.id;
    let former = cx.observed.left.former.get(id).into_iter().flatten();
    let manifests = former.chain([&cx.app.manifest]);
    let names = manifests.flat_map(|manifest| {
        manifest.services.keys().map(|service| archy_manifest::names::container(manifest, service))
    });
    names.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

fn secs(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}

fn plain(result: Result<(), HostError>) -> Result<(), UserError> {
    result.map_err(|failure| failure.error)
}

/// The first unit that failed, with a count of the others.
fn all_well(outcomes: Vec<UnitOutcome>) -> Result<(), UserError> {
    let mut failures = outcomes.into_iter().filter_map(|outcome| outcome.failure);
    let Some(mut first) = failures.next() else { return Ok(()) };
    let others = failures.count();
    if others > 0 {
        first.message.push_str(&format!(" {others} more failed beside it."));
    }
    Err(first)
}

async fn make_cert<H: Host>(cx: &Context<'_, H>, index: usize) -> Result<(), UserError> {
    let Some(cert) = cx.app.manifest.certs.get(index) else {
        return Err(stale_plan("certificate"));
    };
    let id = &cx.app.manifest.id;
    let common_name =
        cert.common_name.as_ref().map_or_else(|| Ok(id.to_string()), |name| cx.fill(name))?;
    let sans = cert.sans.iter().map(|san| cx.fill(san)).collect::<Result<Vec<_>, _>>()?;
    plain(cx.host.make_cert(id, &cert.crt, &cert.key, &common_name, &sans).await)
}

async fn write_file<H: Host>(cx: &Context<'_, H>, path: &str) -> Result<(), UserError> {
    let Some(file) = cx.app.manifest.files.iter().find(|file| file.path == path) else {
        return Err(stale_plan("file"));
    };
    let content = cx.with_roles(&file.content);
    plain(cx.host.write_file(cx.app, path, &content, file.overwrite, file.mode).await)
}

fn stale_plan(what: &str) -> UserError {
    UserError::new("plan-stale", format!("The plan names a {what} that the manifest lacks."))
        .hint("Ask again: a new plan is made.")
}
