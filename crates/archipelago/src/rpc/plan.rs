//! `package.plan`: what an action would do.

use archy_api::package::{PlanAction, PlanParams, PlanResult, PlanStep};
use archy_engine::{Request, RequestKind};
use archy_plan::{Plan, PlannedStep, Step};

use super::package::{actor, install_kind, installed};
use super::{config, table::Answer, table::Call, update};
use crate::app::App;
use crate::state::map::finding;

pub(super) async fn plan(app: &App, call: &Call, params: PlanParams) -> Answer<PlanResult> {
    let kind = kind(app, call, params).await?;
    let plan = app.backends.engine.plan(Request { actor: actor(call), kind }).await?;
    Ok(result(&plan))
}

async fn kind(app: &App, call: &Call, params: PlanParams) -> Answer<RequestKind> {
    if params.action == PlanAction::Install {
        return install_kind(app, call, params.target).await;
    }
    if params.action == PlanAction::Update {
        return update::kind(app, call, params.target, None).await;
    }
    let view = installed(app, &params.target.id)?;
    let id = view.manifest.id.clone();
    Ok(match params.action {
        PlanAction::Start => RequestKind::Start(id),
        PlanAction::Stop => RequestKind::Stop(id),
        PlanAction::Restart => RequestKind::Restart(id),
        PlanAction::Uninstall => RequestKind::Uninstall { app: id, purge: params.purge },
        PlanAction::Rollback => RequestKind::Rollback { app: id, keep_data: params.keep_data },
        PlanAction::Configure | PlanAction::Install | PlanAction::Update => {
            let settings = params.target.config.unwrap_or_default();
            config::check(&view.manifest, &settings)?;
            RequestKind::Configure { app: id, settings }
        }
    })
}

fn result(plan: &Plan) -> PlanResult {
    PlanResult {
        package_id: plan.app.to_string(),
        generation: plan.generation.0,
        manifest: plan.manifest.to_string(),
        allowed: plan.refusal().is_none(),
        steps: plan.steps.iter().map(step).collect(),
        checks: plan.checks.iter().map(finding).collect(),
    }
}

fn step(planned: &PlannedStep) -> PlanStep {
    let tag = serde_json::to_value(&planned.step).unwrap_or_default();
    let kind = tag.get("step").and_then(serde_json::Value::as_str).unwrap_or("step").to_owned();
    let target = target(&planned.step);
    let verb = kind.replace('-', " ");
    let mut text = match &target {
        Some(target) => format!("{verb} {target}"),
        None => verb,
    };
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let diff = match &planned.step {
        Step::WriteUnitFile { diff, .. } => diff.clone(),
        _ => None,
    };
    PlanStep { kind, text, reason: planned.reason.clone(), target, diff }
}

/// What a step is done to.
fn target(step: &Step) -> Option<String> {
    match step {
        Step::StopUnits { units, .. } | Step::StartUnits { units, .. } => Some(units.join(", ")),
        Step::RemoveContainer { name }
        | Step::RemoveNetwork { name }
        | Step::PurgeVolume { name }
        | Step::RemovePodmanSecret { name }
        | Step::PurgeSecret { name }
        | Step::SyncPodmanSecret { name }
        | Step::GenerateSecret { name, .. } => Some(name.clone()),
        Step::RemoveUnitFile { file_name } | Step::WriteUnitFile { file_name, .. } => {
            Some(file_name.clone())
        }
        Step::MakeDirectory { path, .. } | Step::WriteFile { path } => Some(path.clone()),
        Step::PullImage { reference, .. } => Some(reference.clone()),
        Step::BuildImage { unit, .. } => Some(unit.clone()),
        Step::RunHook { .. }
        | Step::PurgeData
        | Step::MakeCert { .. }
        | Step::Reload
        | Step::Snapshot { .. }
        | Step::RestoreSnapshot { .. }
        | Step::Soak { .. }
        | Step::PruneSnapshots { .. }
        | Step::AwaitReady { .. } => None,
    }
}
