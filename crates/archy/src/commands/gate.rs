//! `archy gate`: apps together on one node, again and again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use archy_gate::document::Document;
use archy_gate::gate::{self, Plan};
use archy_gate::report::{Format, Summary, markdown};

use super::app::test::end;
use super::gating::{self, FormatArg, NodeArgs};
use crate::context::Context;
use crate::error::{CommandError, Kind};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Apps: ids that the node knows, or paths
    #[arg(long, value_delimiter = ',', value_name = "LIST", required_unless_present = "all_under")]
    apps: Vec<String>,
    /// All apps in the directories below this one
    #[arg(long, value_name = "DIR", conflicts_with = "apps")]
    all_under: Option<PathBuf>,
    /// How many lives in a row
    #[arg(long, default_value_t = 5, value_name = "N")]
    iterations: u32,
    /// Do seeded harm in every phase; the same seed does the same
    #[arg(long, value_name = "SEED")]
    chaos: Option<u64>,
    /// Directory for progress, report and results
    #[arg(long, default_value = "archy-gate", value_name = "DIR")]
    out: PathBuf,
    /// Go on with the run of this progress file
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Form of what is printed at the end
    #[arg(long, value_enum, default_value_t)]
    format: FormatArg,
    /// Run on when the terminal is gone
    #[arg(long)]
    detach: bool,
    /// This is the detached process
    #[arg(long, hide = true, conflicts_with = "detach")]
    in_session: bool,
    #[command(flatten)]
    node: NodeArgs,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let progress = progress_file(args)?;
    if args.detach {
        return detach(context, args, &progress);
    }
    if args.in_session {
        // not the leader of a group: it was started by one
        let _session = rustix::process::setsid();
    }
    let node = gating::node(context, &args.node).await?;
    let specs = match &args.all_under {
        Some(directory) => gating::all_under(directory)?,
        None => {
            let mut specs = Vec::new();
            for target in &args.apps {
                specs.push(gating::spec(target, &node).await?);
            }
            specs
        }
    };
    make_dir(&args.out)?;
    let plan = Plan {
        specs,
        iterations: args.iterations,
        chaos: args.chaos,
        existing: args.node.existing,
        parallel: args.node.parallel,
        progress: Some(progress),
    };
    let payloads =
        gate::run(&node, &plan, &|line| context.ui.tell(line)).await.map_err(gating::gate_error)?;
    let documents = gating::sign(context, payloads)?;
    let summary = report(&args.out, &documents)?;
    let text = match (context.ui.is_json(), args.format) {
        (false, FormatArg::Table) => markdown(&documents),
        (true, _) => gating::form(Format::Json, &documents)?,
        (false, format) => gating::form(format.into(), &documents)?,
    };
    context.ui.raw(&text)?;
    context.ui.tell(&format!("The report is in {}.", args.out.join("report.md").display()));
    end(summary.verdict)
}

/// The progress file; one of an earlier run is only gone on with when that is asked for.
fn progress_file(args: &Args) -> Result<PathBuf, CommandError> {
    let path = args.out.join("progress.json");
    match &args.resume {
        Some(path) => Ok(path.clone()),
        None if args.in_session || !path.exists() => Ok(path),
        None => Err(CommandError::new(
            Kind::Refused,
            "gate-run-exists",
            format!("{} is of an earlier run.", path.display()),
        )
        .hint(format!("--resume {} goes on with it; another --out begins anew.", path.display()))),
    }
}

fn make_dir(path: &Path) -> Result<(), CommandError> {
    std::fs::create_dir_all(path).map_err(|error| {
        let message = format!("{} cannot be made: {error}.", path.display());
        CommandError::new(Kind::Failed, "output", message)
    })
}

/// Writes the report for people and machines, and each app's signed result.
fn report(out: &Path, documents: &[Document]) -> Result<Summary, CommandError> {
    let summary = Summary::of(documents);
    gating::write(&out.join("report.md"), &markdown(documents))?;
    let json = serde_json::to_string_pretty(&summary).unwrap_or_default();
    gating::write(&out.join("report.json"), &(json + "\n"))?;
    gating::write(&out.join("junit.xml"), &gating::form(Format::Junit, documents)?)?;
    gating::write(&out.join("results.tap"), &gating::form(Format::Tap, documents)?)?;
    for document in documents {
        let one = std::slice::from_ref(document);
        let file = out.join("results").join(format!("{}.json", document.payload.app.id));
        gating::write(&file, &gating::form(Format::Json, one)?)?;
    }
    Ok(summary)
}

/// Starts this program again in a session of its own, with a log, and says how to look.
#[expect(clippy::disallowed_methods, reason = "the program starts itself, without a terminal")]
fn detach(context: &Context, args: &Args, progress: &Path) -> Result<(), CommandError> {
    make_dir(&args.out)?;
    let log = args.out.join("gate.log");
    let failed = |error: std::io::Error| {
        CommandError::new(Kind::Failed, "gate-detach", format!("It cannot be started: {error}."))
            .hint("Run it without --detach.")
    };
    let file = File::options().create(true).append(true).open(&log).map_err(failed)?;
    let both = file.try_clone().map_err(failed)?;
    let mut words: Vec<_> = std::env::args_os().skip(1).filter(|word| word != "--detach").collect();
    words.push("--in-session".into());
    let child = Command::new(std::env::current_exe().map_err(failed)?)
        .args(words)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(both)
        .spawn()
        .map_err(failed)?;
    let (pid, log, progress) = (child.id(), log.display(), progress.display());
    let value =
        serde_json::json!({ "pid": pid, "log": log.to_string(), "progress": progress.to_string() });
    context.ui.result(&value, |_| {
        format!(
            "The gate runs as process {pid}, without this terminal.\n  look        tail -f {log}\n  how far     {progress}\n  at the end  {}\n  stop        kill {pid}; --resume {progress} goes on",
            args.out.join("report.md").display()
        )
    })
}
