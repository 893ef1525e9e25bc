//! `archy explain`: why an app is as it is, in sentences.

use archy_api::explain::{ExplainResult, Need, Probe, ServiceExplained};
use archy_api::method::PackageExplain;
use archy_api::package::AppParams;
use archy_types::{Actor, AppState, Health};

use super::plan;
use super::status::{duration, moment};
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::{Paint, Style};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    app: String,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let params = AppParams { id: args.app.clone() };
    let told = context.client.call::<PackageExplain>(params).await?;
    context.ui.result(&told, |paint| render(&told, paint))
}

fn render(told: &ExplainResult, paint: &Paint) -> String {
    let mut out = String::new();
    let name = paint.paint(Style::Strong, &format!("{} {}", told.package_id, told.version));
    let (word, style) = state(told.state);
    out.push_str(&format!(
        "{name} {} since {}: {}\n",
        paint.paint(style, word),
        moment(told.since),
        sentence(&told.cause.text)
    ));
    if let Some(cause) = &told.stale_because {
        let seen = moment(told.observed_at);
        let text = format!("This is what was seen last, at {seen}: {}", sentence(&cause.text));
        out.push_str(&format!("{}\n", paint.paint(Style::Warn, &text)));
    }
    out.push_str(&format!("{}\n", wanted(told)));
    if let Some(operation) = &told.operation {
        out.push_str(&format!(
            "At work is {} (operation {}), step {} of {}: {}\n",
            operation.kind,
            operation.id,
            operation.step,
            operation.steps,
            sentence(&operation.text)
        ));
    }
    out.push_str(&next(told));
    if let Some(repair) = &told.repair {
        let command = paint.paint(Style::Accent, &repair.command);
        out.push_str(&format!("To repair it: {command} ({}).\n", repair.label.to_lowercase()));
    }
    out.push('\n');
    for service in &told.services {
        out.push_str(&service_text(service, paint));
    }
    out.push_str(&needs(told, paint));
    failed(told, paint, &mut out);
    for note in &told.notes {
        out.push_str(&plan::finding(note, paint));
    }
    out
}

const fn state(state: AppState) -> (&'static str, Style) {
    match state {
        AppState::Installing => ("is being installed", Style::Accent),
        AppState::Starting => ("is starting", Style::Accent),
        AppState::Running => ("runs", Style::Good),
        AppState::Unhealthy => ("runs, but is not healthy,", Style::Warn),
        AppState::Waiting => ("waits", Style::Warn),
        AppState::Stopping => ("is stopping", Style::Accent),
        AppState::Stopped => ("is stopped", Style::Faint),
        AppState::Failed => ("has failed", Style::Bad),
        AppState::Updating => ("is being updated", Style::Accent),
        AppState::Removing => ("is being removed", Style::Accent),
        AppState::Unknown => ("is not known", Style::Warn),
    }
}

fn wanted(told: &ExplainResult) -> String {
    let who = match &told.actor {
        Actor::User(name) => format!("{name} asked for that"),
        Actor::System => "Archipelago itself asked for that".to_owned(),
        Actor::Outside => "somebody did that past Archipelago".to_owned(),
    };
    format!("It should be {}; {who}.", told.desired)
}

/// What comes next by itself, and when.
fn next(told: &ExplainResult) -> String {
    let mut out = match &told.next {
        None => "Nothing is due by itself.".to_owned(),
        Some(next) => {
            let when = next.at.map(|at| format!(" (at {})", moment(at.0))).unwrap_or_default();
            format!("Next: {}{when}.", next.text.trim_end_matches('.'))
        }
    };
    if let Some(deadline) = told.deadline {
        out.push_str(&format!(
            " If that is not over by {}, it counts as failed.",
            moment(deadline)
        ));
    }
    out.push('\n');
    out
}

fn service_text(service: &ServiceExplained, paint: &Paint) -> String {
    let style = match service.unit_state.as_str() {
        "active" => Style::Good,
        "failed" => Style::Bad,
        _ => Style::Warn,
    };
    let name = paint.paint(Style::Strong, &service.name);
    let mut words = vec![format!("is {}", paint.paint(style, &service.unit_state))];
    if let Some(since) = service.active_since {
        words.push(format!("since {}", moment(since)));
    }
    if let Some(status) = service.exit_status.filter(|_| service.unit_state != "active") {
        words.push(format!("ended with {status}"));
    }
    match service.restarts {
        0 => {}
        1 => words.push("was restarted once by itself".to_owned()),
        many => words.push(format!("was restarted {many} times by itself")),
    }
    let mut out = format!("{name} {}.\n", words.join(", "));
    if service.out_of_memory {
        let text = "The kernel ended it for want of memory: raise its budget.";
        out.push_str(&format!("  {}\n", paint.paint(Style::Bad, text)));
    }
    out.push_str(&health(service, paint));
    for before in service.after.iter().filter(|before| !before.met) {
        let text = format!("It waits until {} is {}.", before.service, before.condition);
        out.push_str(&format!("  {}\n", paint.paint(Style::Warn, &text)));
    }
    out
}

fn health(service: &ServiceExplained, paint: &Paint) -> String {
    let Some(check) = &service.check else {
        return "  It declares no health check.\n".to_owned();
    };
    let word = match service.health {
        Health::Healthy => paint.paint(Style::Good, "healthy"),
        Health::Unhealthy => paint.paint(Style::Bad, "unhealthy"),
        Health::Starting => paint.paint(Style::Accent, "not checked well yet"),
        Health::Unknown => paint.paint(Style::Warn, "of unknown health"),
    };
    let mut out = format!("  It is {word} by its check ({check}).");
    match (&service.probe, &service.probe_unknown) {
        (Some(probe), _) => out.push_str(&probe_text(probe)),
        (None, Some(cause)) => {
            out.push_str(&format!(" The last check is not known: {}", sentence(&cause.text)));
        }
        (None, None) => out.push_str(" It was not checked yet."),
    }
    out.push('\n');
    out
}

fn probe_text(probe: &Probe) -> String {
    let at = probe.at.map(|at| format!(" at {}", moment(at))).unwrap_or_default();
    let how = match probe.passed {
        true => "passed".to_owned(),
        false => format!("failed with {}", probe.exit_code),
    };
    let mut out = format!(" The last one{at} {how}");
    if let Some(line) = &probe.output {
        out.push_str(&format!(": {}", safe(line)));
    }
    out.push('.');
    if probe.failing > 0 {
        out.push_str(&format!(
            " {} in a row failed; {} end the container, and systemd starts it again.",
            probe.failing, probe.limit
        ));
    }
    if let Some(next) = probe.next_at {
        out.push_str(&format!(" The next is due at {}.", moment(next)));
    }
    out
}

fn needs(told: &ExplainResult, paint: &Paint) -> String {
    let mut out = String::new();
    let one = |need: &Need| {
        let what = match &need.app {
            Some(app) if *app != need.what => format!("{} ({app})", need.what),
            _ => need.what.clone(),
        };
        let optional = if need.optional { ", but can do without" } else { "" };
        let style = if need.met || need.optional { Style::Good } else { Style::Warn };
        let text = paint.paint(style, need.text.trim_end_matches('.'));
        format!("It needs {what}{optional}: {text}.\n")
    };
    out.extend(told.needs.iter().map(one));
    if !told.needed_by.is_empty() {
        let verb = if told.needed_by.len() == 1 { "needs" } else { "need" };
        out.push_str(&format!("{} {verb} it.\n", told.needed_by.join(", ")));
    }
    out
}

/// The last failure, and the log when something is wrong.
fn failed(told: &ExplainResult, paint: &Paint, out: &mut String) {
    if let Some(record) = &told.last_failed {
        let took = record.ended.map_or(0, |ended| ended - record.started);
        let took = duration(u64::try_from(took / 1000).unwrap_or_default());
        let why = record.error.as_ref().map_or("no reason is kept".to_owned(), |error| {
            format!("{} [{}]", error.message.trim_end_matches('.'), error.code)
        });
        out.push_str(&format!(
            "\nThe last operation that failed: {} ({}) at {}, after {took}: {why}.\n",
            record.kind,
            record.id,
            moment(record.started)
        ));
    }
    if !told.log.is_empty() {
        out.push_str(&format!("\n{}\n", paint.paint(Style::Strong, "The last lines of its log:")));
        for line in &told.log {
            let service = paint.paint(Style::Accent, &line.service);
            out.push_str(&format!("{} {service} | {}\n", moment(line.ts), safe(&line.line)));
        }
    }
}

/// Without control characters: an app must not steer the terminal.
fn safe(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// With a full stop.
fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}
