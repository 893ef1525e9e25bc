//! What `start`, `stop` and `restart` share.

use archy_api::Method;
use archy_api::package::{AcceptedResult, AppParams};

use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Style;
use crate::wait;

/// Words about one action.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words {
    /// `started`
    pub(crate) done: &'static str,
    /// `is being started`
    pub(crate) going: &'static str,
    /// `already runs`
    pub(crate) already: &'static str,
}

/// Does an action that takes nothing but an app, on each of these.
pub(crate) async fn run<M>(
    context: &Context,
    apps: &[String],
    words: Words,
) -> Result<(), CommandError>
where
    M: Method<Params = AppParams, Result = AcceptedResult>,
{
    let params = apps.iter().map(|app| AppParams { id: app.clone() });
    each::<M>(context, params, words).await
}

/// Asks for the action on every app first, then waits for all of them. The first failure is
/// reported after the others have ended.
pub(crate) async fn each<M>(
    context: &Context,
    params: impl Iterator<Item = M::Params>,
    words: Words,
) -> Result<(), CommandError>
where
    M: Method<Result = AcceptedResult>,
{
    let mut failures = Vec::new();
    let mut accepted = Vec::new();
    for params in params {
        match context.client.call::<M>(params).await {
            Ok(answer) => {
                if let Some(warning) = answer.warning.as_deref() {
                    context.ui.warn(warning);
                }
                accepted.push(answer);
            }
            Err(error) => failures.push(CommandError::from(error)),
        }
    }
    let mut results = Vec::new();
    for answer in accepted {
        match end(context, &answer, words).await {
            Ok(line) => results.push((answer, line)),
            Err(error) => failures.push(error),
        }
    }
    if !results.is_empty() {
        let answers: Vec<_> = results.iter().map(|(answer, _)| answer).collect();
        context.ui.result(&answers, |paint| {
            let lines = results.iter().map(|(_, line)| paint.paint(Style::Good, line));
            lines.collect::<Vec<_>>().join("\n")
        })?;
    }
    first_failure(context, failures)
}

/// Shows all failures but the first, with which the command ends.
///
/// # Errors
/// The first failure.
pub(crate) fn first_failure(
    context: &Context,
    failures: Vec<CommandError>,
) -> Result<(), CommandError> {
    let mut failures = failures.into_iter();
    let Some(first) = failures.next() else { return Ok(()) };
    for other in failures {
        context.ui.error(&other);
    }
    Err(first)
}

/// Waits for an accepted request, if that is wanted; gives the sentence about it.
pub(crate) async fn end(
    context: &Context,
    answer: &AcceptedResult,
    words: Words,
) -> Result<String, CommandError> {
    let app = &answer.package_id;
    match answer.operation {
        None => Ok(format!("{app} {}.", words.already)),
        Some(_) if !context.wait => Ok(format!("{app} {}.", words.going)),
        Some(id) => {
            wait::operation(context, app, id).await?;
            Ok(format!("{app} {}.", words.done))
        }
    }
}
