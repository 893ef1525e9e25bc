//! `package.plan`: what an action would do.

use archy_api::package::{
    OperationDetails, PlanAction, PlanParams, PlanResult, PlanStep, StepRecord,
};
use archy_api::state::{Finding, Severity};
use archy_engine::{Request, RequestKind};
use archy_plan::{LegacyStep, Plan, PlannedStep, Step};
use archy_store::Operation;

use super::package::{actor, install_kind, installed, suffering, uninstall_kind};
use super::{config, table::Answer, table::Call, update};
use crate::app::App;
use crate::state::map::finding;

pub(super) async fn plan(app: &App, call: &Call, params: PlanParams) -> Answer<PlanResult> {
    let kind = kind(app, call, params).await?;
    let left_alone = suffering(app, &kind).map(|message| Finding {
        severity: Severity::Warning,
        code: archy_types::Code::new("needed-by"),
        message,
        mend: None,
    });
    let plan = app.backends.engine.plan(Request { actor: actor(call), kind }).await?;
    let mut result = result(&plan);
    result.checks.extend(left_alone);
    Ok(result)
}

async fn kind(app: &App, call: &Call, params: PlanParams) -> Answer<RequestKind> {
    if params.action == PlanAction::Install {
        return install_kind(app, call, params.target).await;
    }
    if params.action == PlanAction::Update {
        return update::kind(app, call, params.target, None).await;
    }
    if params.action == PlanAction::Adopt {
        return super::adopt::adopt_kind(app, call, params.target).await;
    }
    if params.action == PlanAction::Uninstall {
        return uninstall_kind(app, &params.target.id, params.purge).await;
    }
    let view = installed(app, &params.target.id)?;
    let id = view.manifest.id.clone();
    Ok(match params.action {
        PlanAction::Start => RequestKind::Start(id),
        PlanAction::Stop => RequestKind::Stop(id),
        PlanAction::Restart => RequestKind::Restart(id),
        PlanAction::Rollback => RequestKind::Rollback { app: id, keep_data: params.keep_data },
        PlanAction::Migrate => RequestKind::Migrate { app: id, accept: true },
        PlanAction::MigrateRollback => RequestKind::MigrateBack(id),
        PlanAction::Configure
        | PlanAction::Install
        | PlanAction::Update
        | PlanAction::Adopt
        | PlanAction::Uninstall => {
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

/// An operation's plan and what came of every step.
pub(super) fn details(row: &Operation) -> OperationDetails {
    let plan: Option<Plan> = serde_json::from_value(row.plan.clone()).ok();
    let plan = plan.as_ref();
    let steps = row.steps.iter().map(|step| StepRecord {
        text: step.description.clone(),
        state: step.state.to_string(),
        started: step.started.map(|at| at.0),
        ended: step.finished.map(|at| at.0),
        outcome: step.outcome.clone(),
    });
    OperationDetails {
        plan: plan.map(|plan| plan.steps.iter().map(step).collect()).unwrap_or_default(),
        checks: plan.map(|plan| plan.checks.iter().map(finding).collect()).unwrap_or_default(),
        steps: steps.collect(),
        cause: row.cause.clone(),
    }
}

fn step(planned: &PlannedStep) -> PlanStep {
    let tag = serde_json::to_value(&planned.step).unwrap_or_default();
    let kind = tag
        .get("legacy")
        .or_else(|| tag.get("step"))
        .and_then(serde_json::Value::as_str)
        .unwrap_or("step")
        .to_owned();
    let target = target(&planned.step);
    let verb = kind.replace('-', " ");
    let mut text = match (&planned.step, &target) {
        (Step::Legacy(_), _) => archy_plan::describe(&planned.step),
        (_, Some(target)) => format!("{verb} {target}"),
        (_, None) => verb,
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
        Step::RemoveContainer { name, .. }
        | Step::RemoveNetwork { name }
        | Step::PurgeVolume { name }
        | Step::RemovePodmanSecret { name }
        | Step::PurgeSecret { name }
        | Step::SyncPodmanSecret { name }
        | Step::ComposePodmanSecret { name, .. }
        | Step::GenerateSecret { name, .. } => Some(name.clone()),
        Step::RenameContainer { from, .. } => Some(from.clone()),
        Step::RemoveUnitFile { file_name } | Step::WriteUnitFile { file_name, .. } => {
            Some(file_name.clone())
        }
        Step::MakeDirectory { path, .. } | Step::WriteFile { path } => Some(path.clone()),
        Step::PullImage { reference, .. } => Some(reference.clone()),
        Step::BuildImage { unit, .. } => Some(unit.clone()),
        Step::Legacy(step) => legacy_target(step),
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

fn legacy_target(step: &LegacyStep) -> Option<String> {
    match step {
        LegacyStep::StartContainers { names, .. } | LegacyStep::StopContainers { names, .. } => {
            Some(names.join(", "))
        }
        LegacyStep::Rename { from, .. } => Some(from.clone()),
        LegacyStep::SetFileAside { path } | LegacyStep::PutFileBack { path } => {
            Some(path.display().to_string())
        }
        LegacyStep::CopyData { data, .. } => Some(data.to.to_string()),
        LegacyStep::TakeSecret { name, .. } => Some(name.clone()),
        LegacyStep::Done => None,
    }
}
