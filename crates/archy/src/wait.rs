//! Waits for an operation to end, with its progress.
//!
//! The state is followed over the WebSocket; where that fails it is asked for twice a second. The
//! journal decides how the operation ended.

use std::time::Duration;

use archy_api::NoParams;
use archy_api::method::{PackageHistory, ServerGetState};
use archy_api::package::{HistoryParams, OperationRecord, Outcome};
use archy_api::state::{OperationState, StateData};
use archy_client::{ClientError, StateWatch};

use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::ui::Progress;

/// The journal is read at least this often while nothing is heard.
const CHECK: Duration = Duration::from_secs(2);
/// Pause between two questions when there is no subscription.
const POLL: Duration = Duration::from_millis(500);
/// The daemon may be away for so many polls (it restarts, it is updated).
const AWAY: u32 = 60;

/// How an operation ended.
pub(crate) async fn operation(
    context: &Context,
    app: &str,
    id: i64,
) -> Result<OperationRecord, CommandError> {
    let mut progress = context.ui.progress();
    let work = follow(context, app, id, &mut progress);
    let record = tokio::select! {
        result = tokio::time::timeout(context.timeout, work) => match result {
            Ok(result) => result?,
            Err(_) => {
                return Err(CommandError::new(
                    Kind::Timeout,
                    "wait-timeout",
                    format!("The operation on {app} has not ended within {} s.", context.timeout.as_secs()),
                )
                .hint(format!("It goes on; `archy status {app}` shows it.")));
            }
        },
        _ = tokio::signal::ctrl_c() => {
            return Err(CommandError::new(Kind::Failed, "interrupted", "Waiting was interrupted.")
                .hint(format!("The operation goes on; `archy status {app}` shows it.")));
        }
    };
    progress.finish();
    match record.outcome {
        Outcome::Done | Outcome::Running => Ok(record),
        Outcome::Failed => Err(match &record.error {
            Some(error) => CommandError::failed(error),
            None => {
                CommandError::new(Kind::Failed, "failed", format!("The {} failed.", record.kind))
            }
        }
        .hint(format!("`archy logs {app}` and `archy status {app}` may say more."))),
        Outcome::Cancelled => Err(CommandError::new(
            Kind::Failed,
            "cancelled",
            format!("The {} of {app} was cancelled; it is what it was before.", record.kind),
        )
        .hint(format!("`archy history {app}` shows by whom."))),
        Outcome::Superseded => Err(CommandError::new(
            Kind::Failed,
            "superseded",
            format!("A newer wish for {app} replaced this {}.", record.kind),
        )
        .hint(format!("`archy history {app}` shows which."))),
    }
}

async fn follow(
    context: &Context,
    app: &str,
    id: i64,
    progress: &mut Progress,
) -> Result<OperationRecord, CommandError> {
    let mut source = match context.client.watch().await {
        Ok(watch) => Source::Watch(Box::new(watch)),
        Err(_) => Source::Poll,
    };
    let mut away = 0;
    loop {
        let running = match source.next(context).await {
            Ok(Some(data)) => at_work(&data, app, id, progress),
            Ok(None) => false,
            Err(error) => {
                source = Source::Poll;
                away += 1;
                if away > AWAY {
                    return Err(error.into());
                }
                continue;
            }
        };
        if running {
            away = 0;
            continue;
        }
        match find(context, app, id).await {
            Ok(Some(record)) if record.outcome != Outcome::Running => return Ok(record),
            Ok(Some(_)) => away = 0,
            Ok(None) => {
                return Err(CommandError::new(
                    Kind::Failed,
                    "operation-unknown",
                    format!("The journal has no operation {id} on {app}."),
                ));
            }
            Err(error) if matches!(error, ClientError::Unreachable { .. }) && away < AWAY => {
                source = Source::Poll;
                away += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Where states come from.
enum Source {
    Watch(Box<StateWatch>),
    Poll,
}

impl Source {
    /// The next state; nothing when none came for a while.
    async fn next(&mut self, context: &Context) -> Result<Option<StateData>, ClientError> {
        match self {
            Self::Watch(watch) => match tokio::time::timeout(CHECK, watch.next()).await {
                Ok(update) => Ok(Some(StateData::clone(&update?.data))),
                Err(_) => Ok(None),
            },
            Self::Poll => {
                tokio::time::sleep(POLL).await;
                Ok(Some(context.client.call::<ServerGetState>(NoParams {}).await?.data))
            }
        }
    }
}

/// True while the state shows the operation at work.
fn at_work(data: &StateData, app: &str, id: i64, progress: &mut Progress) -> bool {
    let operation = data.package_data.get(app).and_then(|package| package.operation.as_ref());
    match operation {
        Some(OperationState { id: at, error: None, step, steps, text, percent, .. })
            if *at == id =>
        {
            progress.step(app, *step, *steps, text, *percent);
            true
        }
        _ => false,
    }
}

async fn find(
    context: &Context,
    app: &str,
    id: i64,
) -> Result<Option<OperationRecord>, ClientError> {
    let params =
        HistoryParams { id: Some(app.to_owned()), limit: Some(50), ..HistoryParams::default() };
    let history = context.client.call::<PackageHistory>(params).await?;
    Ok(history.operations.into_iter().find(|record| record.id == id))
}
