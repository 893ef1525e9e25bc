//! `archy history`.

use archy_api::method::PackageHistory;
use archy_api::package::{HistoryParams, HistoryResult, OperationRecord, Outcome};
use archy_api::state::Severity;
use archy_types::Actor;

use super::status::moment;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::{Paint, Style, Table};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this app
    app: Option<String>,
    /// At most so many
    #[arg(long, short = 'n', default_value_t = 20, value_name = "COUNT",
        value_parser = clap::value_parser!(u32).range(1..=500))]
    lines: u32,
    /// Show the steps of each operation
    #[arg(long, short)]
    steps: bool,
    /// Show each operation's plan with its reasons, and what came of every step
    #[arg(long, conflicts_with = "steps")]
    full: bool,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let full = args.full.then_some(true);
    let params =
        HistoryParams { id: args.app.clone(), limit: Some(args.lines), before: None, full };
    let history = context.client.call::<PackageHistory>(params).await?;
    context.ui.result(&history.operations, |paint| match args.steps || args.full {
        true => history.operations.iter().map(|record| detailed(record, paint)).collect(),
        false => table(&history, paint),
    })
}

fn table(history: &HistoryResult, paint: &Paint) -> String {
    if history.operations.is_empty() {
        return "Nothing was done yet.".to_owned();
    }
    let mut table = Table::new(&["NUMBER", "WHEN", "APP", "WHAT", "BY", "OUTCOME"]);
    for record in &history.operations {
        let (word, style) = outcome(record);
        table.row(vec![
            (record.id.to_string(), Some(Style::Faint)),
            (moment(record.started), None),
            (record.package_id.clone(), None),
            (record.kind.clone(), None),
            (actor(&record.actor).to_owned(), None),
            (word, Some(style)),
        ]);
    }
    table.render(paint)
}

fn detailed(record: &OperationRecord, paint: &Paint) -> String {
    let (word, style) = outcome(record);
    let title = format!("{} {} {}", record.id, record.kind, record.package_id);
    let mut out = format!(
        "{} {} by {}: {}\n",
        moment(record.started),
        paint.paint(Style::Strong, &title),
        actor(&record.actor),
        paint.paint(style, &word)
    );
    let Some(details) = &record.details else {
        out.extend(record.steps.iter().map(|step| format!("    {step}\n")));
        return out;
    };
    if !details.plan.is_empty() {
        out.push_str("    plan:\n");
    }
    for step in &details.plan {
        out.push_str(&format!("      {} ({})\n", step.text, step.reason.trim_end_matches('.')));
    }
    out.extend(details.checks.iter().map(|check| {
        format!("      {}[{}]: {}\n", severity(check.severity), check.code, check.message)
    }));
    if !details.steps.is_empty() {
        out.push_str("    what came of it:\n");
    }
    for step in &details.steps {
        out.push_str(&format!("      {:<8}{}", step.state, step.text));
        if let (Some(started), Some(ended)) = (step.started, step.ended) {
            out.push_str(&format!(" ({} ms)", ended.saturating_sub(started)));
        }
        out.extend(step.outcome.iter().map(|outcome| format!(": {outcome}")));
        out.push('\n');
    }
    out
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn actor(actor: &Actor) -> &str {
    match actor {
        Actor::User(name) => name,
        Actor::System => "system",
        Actor::Outside => "outside",
    }
}

fn outcome(record: &OperationRecord) -> (String, Style) {
    match (record.outcome, &record.error) {
        (Outcome::Done, _) => ("done".to_owned(), Style::Good),
        (Outcome::Running, _) => ("running".to_owned(), Style::Accent),
        (Outcome::Cancelled, _) => ("cancelled".to_owned(), Style::Faint),
        (Outcome::Superseded, _) => ("superseded".to_owned(), Style::Faint),
        (Outcome::Failed, Some(error)) => (format!("failed: {}", error.message), Style::Bad),
        (Outcome::Failed, None) => ("failed".to_owned(), Style::Bad),
    }
}
