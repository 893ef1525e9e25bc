//! `archy logs`.

use archy_api::logs::{LogLine, LogQuery, LogSource};

use super::status::moment;
use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::ui::{Paint, Style};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    app: String,
    /// Go on with new lines
    #[arg(long, short)]
    follow: bool,
    /// So many of the last lines
    #[arg(long, short = 'n', default_value_t = 100, value_name = "COUNT",
        value_parser = clap::value_parser!(u32).range(0..=10_000))]
    lines: u32,
    /// Only this service
    #[arg(long, short, value_name = "NAME")]
    service: Option<String>,
    /// Only lines of the last time, for example 30s, 10m, 2h, 1d
    #[arg(long, value_name = "AGE")]
    since: Option<String>,
    /// Show when each line was written
    #[arg(long, short)]
    timestamps: bool,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), CommandError> {
    let since = args.since.as_deref().map(since).transpose()?;
    let prefixed = args.service.is_none();
    let query = LogQuery {
        app: args.app,
        service: args.service,
        lines: Some(args.lines),
        since,
        follow: u8::from(args.follow),
    };
    let mut stream = context.client.logs(&query).await?;
    loop {
        let line = tokio::select! {
            line = stream.next() => line?,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        let Some(line) = line else { return Ok(()) };
        context.ui.item(&line, |paint| text(&line, prefixed, args.timestamps, paint))?;
    }
}

fn text(line: &LogLine, prefixed: bool, timestamps: bool, paint: &Paint) -> String {
    let mut out = String::new();
    if timestamps {
        out.push_str(&paint.paint(Style::Faint, &moment(line.ts)));
        out.push(' ');
    }
    if prefixed {
        out.push_str(&paint.paint(Style::Accent, &line.service));
        out.push_str(" | ");
    }
    let words = safe(&line.line);
    match line.stream {
        LogSource::Stdout => out.push_str(&words),
        LogSource::Stderr => out.push_str(&paint.paint(Style::Warn, &words)),
        LogSource::System => out.push_str(&paint.paint(Style::Faint, &words)),
    }
    out
}

/// Without control characters: an app must not steer the terminal.
fn safe(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

fn since(age: &str) -> Result<i64, CommandError> {
    let bad = || {
        CommandError::new(Kind::Usage, "age-invalid", format!("{age:?} is not an age."))
            .hint("Use a number with s, m, h or d, for example 10m.")
    };
    let unit = age.chars().last().ok_or_else(bad)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(bad()),
    };
    let count: i64 =
        age.get(..age.len() - 1).and_then(|n| n.parse::<u32>().ok()).ok_or_else(bad)?.into();
    Ok(jiff::Timestamp::now().as_millisecond() - count * seconds * 1000)
}
