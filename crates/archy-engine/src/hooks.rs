//! Runs the steps of a hook, in order, each within its own time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use archy_manifest::model::{HookAction, HookPoint, HookStep};
use archy_manifest::names;
use archy_types::UserError;
use tokio::time::{Instant, timeout};

use crate::execute::Context;
use crate::ports::{HookRequest, Host, HostError, Progress, ProgressSink};
use crate::ready;

/// Most bytes that are kept of what the programs of a hook said: its end.
const KEPT: usize = 4096;
/// Most bytes that are kept of what one of them said.
const KEPT_OF_ONE: usize = 2048;

/// What programs said, its end only. Not fit to be shown before secrets are struck out of it.
#[derive(Debug, Default)]
pub(crate) struct Said(Mutex<String>);

impl Said {
    /// Adds what one program said.
    pub(crate) fn add(&self, who: &str, text: &str) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !said.is_empty() {
            said.push('\n');
        }
        let text = end_of(text.trim(), KEPT_OF_ONE);
        let more = if text.is_empty() { who.to_owned() } else { format!("{who}:\n{text}") };
        said.push_str(&more);
        let kept = end_of(&said, KEPT).to_owned();
        *said = kept;
    }

    /// Takes what was said since the last time.
    pub(crate) fn take(&self) -> Option<String> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::take(&mut *said)).filter(|text| !text.is_empty())
    }
}

/// The end of a text, from the beginning of a line where it is cut.
fn end_of(text: &str, most: usize) -> &str {
    let mut from = text.len().saturating_sub(most);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let end = &text[from..];
    match end.find('\n').filter(|_| from > 0) {
        Some(line) => &end[line + 1..],
        None => end,
    }
}

/// Runs a hook.
///
/// # Errors
/// The step that failed, with the end of its output.
pub(crate) async fn run<H: Host>(
    cx: &Context<'_, H>,
    point: HookPoint,
    progress: &ProgressSink,
) -> Result<(), UserError> {
    let Some(steps) = cx.app.manifest.hooks.get(&point) else { return Ok(()) };
    for (index, step) in steps.iter().enumerate() {
        // what may not run twice belongs to the first install alone
        if point == HookPoint::PostInstall && !step.idempotent && !cx.first {
            continue;
        }
        let text = format!("Hook {} of {}: {}", index + 1, steps.len(), words(&step.action));
        progress(Progress { text, percent: None, bytes: None });
        run_step(cx, step).await?;
    }
    Ok(())
}

async fn run_step<H: Host>(cx: &Context<'_, H>, step: &HookStep) -> Result<(), UserError> {
    let limit = Duration::from_secs(u64::from(step.timeout_secs));
    let manifest = &cx.app.manifest;
    let work = async {
        match &step.action {
            HookAction::Exec { service, command, user } => {
                let container = names::container(manifest, service);
                let out = cx.host.exec(&container, command, user.as_deref(), limit).await;
                let out = out.map_err(plain)?;
                let ended = format!("{} (exit {})", words(&step.action), out.exit_code);
                cx.said.add(&ended, &out.output);
                exec_result(out, command)
            }
            HookAction::CopyFromHost { service, src, dest } => {
                let container = names::container(manifest, service);
                cx.host.copy_in(&container, src, dest).await.map_err(plain)
            }
            HookAction::Http { .. } => http(cx, &step.action, limit).await,
            HookAction::WaitFor { service, check } => {
                ready::await_one(cx, service, check, Instant::now() + limit).await
            }
        }
    };
    match timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(UserError::new(
            "hook-timeout",
            format!("{} took longer than {} s.", words(&step.action), step.timeout_secs),
        )
        .hint("Raise the step's timeout in the manifest, or look at the app's log.")),
    }
}

fn plain(failure: HostError) -> UserError {
    failure.error
}

fn exec_result(out: crate::ports::ExecOutput, command: &[String]) -> Result<(), UserError> {
    if out.exit_code == 0 {
        return Ok(());
    }
    let program = command.first().map_or("the command", String::as_str);
    let message = format!("{program} ended with {}: {}", out.exit_code, last_line(&out.output));
    Err(hook_failed(message))
}

async fn http<H: Host>(
    cx: &Context<'_, H>,
    action: &HookAction,
    limit: Duration,
) -> Result<(), UserError> {
    let HookAction::Http { service, method, port, path, body, expect } = action else {
        return Ok(());
    };
    let Some(host_port) = cx.app.published_port(service, *port) else {
        return Err(UserError::new(
            "hook-port-unpublished",
            format!("The hook asks port {port} of {service}, which is not published."),
        )
        .hint("Publish it in the manifest, with TCP; it may be `auth: local`."));
    };
    let request = HookRequest {
        method: method.clone(),
        port: host_port,
        path: path.clone(),
        body: body.as_ref().map(|body| cx.fill(body)).transpose()?,
    };
    let (status, answer) = cx.host.http(&request, limit).await.map_err(plain)?;
    cx.said.add(&format!("{} ({status})", words(action)), &answer);
    if expect.map_or((200..300).contains(&status), |wanted| wanted == status) {
        return Ok(());
    }
    Err(hook_failed(format!("{method} {path} answered {status}: {}", last_line(&answer))))
}

fn hook_failed(message: String) -> UserError {
    UserError::new("hook-failed", message)
        .hint("The history holds the end of what it said; a restart runs it again.")
}

fn words(action: &HookAction) -> String {
    match action {
        HookAction::Exec { service, command, .. } => {
            format!("{} in {service}", command.first().map_or("a command", String::as_str))
        }
        HookAction::CopyFromHost { service, src, .. } => format!("copy {src} into {service}"),
        HookAction::Http { service, method, path, .. } => format!("{method} {path} of {service}"),
        HookAction::WaitFor { service, .. } => format!("wait for {service}"),
    }
}

fn last_line(text: &str) -> &str {
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no output")
}
