//! `cargo xtask bench`: how fast the platform is, beside its peers, on a real node.
//!
//! A benchmark is no test: a missed aim does not fail the run, it stands in the table.
mod boot;
mod death;
mod door;
mod forty;
mod http;
mod idle;
mod inside;
mod install;
mod pass;
mod peers;
mod report;
mod stack;
mod stand;
mod stats;
mod twelve;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use self::report::{Circumstances, Report, Row};
use self::stand::Stand;
use crate::cache::Cache;
use crate::sh::{self, Cmd};

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// Only rows whose name contains this: install, stack, death, pass, idle, boot, recover,
    /// door, start, state.
    #[arg(long)]
    pub filter: Option<String>,
    /// Repetitions of what is repeated.
    #[arg(long, default_value_t = 7)]
    pub runs: usize,
    /// Wait until the machine's load is below this, for at most so long as `--wait` says.
    #[arg(long, default_value_t = 1.5)]
    pub max_load: f64,
    /// Longest wait for a quiet machine before each row, in seconds.
    #[arg(long, default_value_t = 120)]
    pub wait: u64,
    /// Measure this package instead of building one.
    #[arg(long)]
    pub deb: Option<PathBuf>,
    /// Leave the document alone: to work on the benchmarks themselves.
    #[arg(long)]
    pub draft: bool,
    /// Keep the node for the next run.
    #[arg(long)]
    pub keep: bool,
    /// The part that runs in the node.
    #[arg(long, hide = true)]
    pub inside: bool,
}

/// A row of the table: its name and what measures it.
type Measure = fn(&Stand, usize) -> anyhow::Result<Row>;

/// The rows in the order of the table; `pass` needs no node.
const ROWS: &[(&str, Option<Measure>)] = &[
    ("install", Some(install::row)),
    ("stack", Some(stack::row)),
    ("death", Some(death::row)),
    ("pass", None),
    ("idle", Some(|stand, _| idle::row(stand))),
    ("boot", Some(boot::boot)),
    ("recover", Some(boot::recover)),
    ("door", Some(door::row)),
    ("start", Some(forty::start)),
    ("state", Some(forty::state)),
];

/// Measures, and writes the table into `docs/benchmarks.md`. A row that fails does not keep the others from being
/// measured.
///
/// # Errors
/// A row could not be measured, or no row has the name.
pub fn run(args: &BenchArgs) -> anyhow::Result<()> {
    if args.inside {
        return inside::main();
    }
    let chosen = |name: &str| args.filter.as_deref().is_none_or(|part| name.contains(part));
    let rows: Vec<_> = ROWS.iter().enumerate().filter(|(_, (name, _))| chosen(name)).collect();
    anyhow::ensure!(!rows.is_empty(), "no row has that in its name");
    let cache = Cache::locate()?;
    let needs_node = rows.iter().any(|(_, (_, measure))| measure.is_some());
    let stand = needs_node.then(|| Stand::new(args.deb.as_deref(), args.keep)).transpose()?;
    let machine = stand::machine(stand.as_ref())?;
    let mut report = if args.draft { Report::default() } else { Report::open(&cache)? };
    let mut failed = Vec::new();
    for (order, (name, measure)) in rows {
        let before = quiet(args);
        let measured = sh::step(name, || match (measure, &stand) {
            (Some(measure), Some(stand)) => measure(stand, args.runs),
            _ => pass::row(),
        });
        match measured {
            Ok(row) => {
                sh::print(&row.text());
                let at = Circumstances {
                    date: today()?,
                    load: format!("{before:.1} before, {:.1} after", stand::load()),
                    machine: machine.clone(),
                };
                if args.draft {
                    report.add((order, name), row, &at);
                } else {
                    report.put(&cache, (order, name), row, &at)?;
                    report.write()?;
                    sh::say("  ✓ docs/benchmarks.md has it");
                }
            }
            Err(error) => {
                sh::say(&format!("{name}: {error:#}"));
                failed.push(*name);
            }
        }
    }
    anyhow::ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}

/// Waits for a quiet machine; gives its load.
fn quiet(args: &BenchArgs) -> f64 {
    let calm = || (stand::load() <= args.max_load).then_some(());
    if sh::wait_until(Duration::from_secs(args.wait), calm).is_none() {
        sh::say(&format!("  … measuring although the load is {:.1}", stand::load()));
    }
    stand::load()
}

fn today() -> anyhow::Result<String> {
    Ok(Cmd::new("date").args(["-u", "+%Y-%m-%d"]).run()?.text().to_owned())
}

/// The reference of an image by its name.
fn image(stand: &Stand, name: &str) -> anyhow::Result<String> {
    let pinned =
        stand.index.get(name).with_context(|| format!("the image {name} was not built"))?;
    Ok(pinned.reference.clone())
}
