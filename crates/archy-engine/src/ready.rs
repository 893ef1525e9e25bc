//! Waits for ready conditions: polled with a deadline, since containers announce none of them.

use std::time::Duration;

use archy_manifest::model::{ReadyCheck, ReadyCondition};
use archy_manifest::names;
use archy_types::{ServiceName, UserError};
use tokio::time::{Instant, sleep_until};

use crate::execute::Context;
use crate::ports::{Host, Progress, ProgressSink};

/// Pause between two looks at a condition.
const POLL: Duration = Duration::from_millis(500);

/// Waits until every ready condition of every service holds.
///
/// # Errors
/// The condition that did not hold in time, with the last thing that was seen.
pub(crate) async fn await_all<H: Host>(
    cx: &Context<'_, H>,
    deadline: Duration,
    progress: &ProgressSink,
) -> Result<(), UserError> {
    let last = Instant::now() + deadline;
    for (name, service) in &cx.app.manifest.services {
        for condition in &service.ready {
            progress(Progress { text: waiting_text(name, condition), percent: None, bytes: None });
            let own = match condition.timeout_secs {
                0 => last,
                secs => last.min(Instant::now() + Duration::from_secs(u64::from(secs))),
            };
            await_one(cx, name, &condition.check, own).await?;
        }
    }
    Ok(())
}

/// Waits for one condition.
///
/// # Errors
/// It did not hold in time.
pub(crate) async fn await_one<H: Host>(
    cx: &Context<'_, H>,
    name: &ServiceName,
    check: &ReadyCheck,
    deadline: Instant,
) -> Result<(), UserError> {
    let manifest = &cx.app.manifest;
    let Some(service) = manifest.services.get(name) else {
        return Err(UserError::new("service-unknown", format!("{} has no {name}.", manifest.id)));
    };
    let container = names::container(manifest, name);
    let host_port = match check {
        ReadyCheck::HttpJson { port, .. } | ReadyCheck::Socket(port) => {
            cx.app.published_port(name, *port)
        }
        ReadyCheck::LogLine(_) | ReadyCheck::File(_) => None,
    };
    let mut last_seen = String::from("it did not hold yet");
    loop {
        let look = cx.host.check_ready(&manifest.id, &container, service, host_port, check);
        match tokio::time::timeout_at(deadline, look).await {
            Ok(Ok(true)) => return Ok(()),
            Ok(Ok(false)) => {}
            Ok(Err(failure)) => last_seen = failure.error.message,
            Err(_) => return Err(not_ready(name, check, &last_seen)),
        }
        if Instant::now() + POLL >= deadline {
            return Err(not_ready(name, check, &last_seen));
        }
        sleep_until(Instant::now() + POLL).await;
    }
}

fn waiting_text(name: &ServiceName, condition: &ReadyCondition) -> String {
    condition
        .message
        .clone()
        .unwrap_or_else(|| format!("Waiting until {}", describe(name, &condition.check)))
}

fn describe(name: &ServiceName, check: &ReadyCheck) -> String {
    match check {
        ReadyCheck::HttpJson { port, path, pointer, equals } => {
            format!("{name} answers {equals} at {pointer} of port {port}{path}")
        }
        ReadyCheck::LogLine(text) => format!("{name} logs {text:?}"),
        ReadyCheck::File(path) => format!("{name} has the file {path}"),
        ReadyCheck::Socket(port) => format!("{name} accepts connections on port {port}"),
    }
}

fn not_ready(name: &ServiceName, check: &ReadyCheck, last_seen: &str) -> UserError {
    UserError::new(
        "not-ready",
        format!("Not ready in time: waited until {}; {last_seen}.", describe(name, check)),
    )
    .hint("Look at the app's log; it may need more time than its manifest grants.")
}
