//! `cargo xtask gate`: the whole life of all test apps together on a fresh node, several times, and `docs/gate.md`.
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::cache::{Cache, write_whole};
use crate::images;
use crate::node::{Node, READY_LIMIT};
use crate::sh::{self, Cmd};
use crate::workspace::{self, Profile};
use crate::{dist, platform};

/// The report lies between these lines of `docs/gate.md`.
const MARKS: (&str, &str) = ("<!-- gate:begin -->", "<!-- gate:end -->");

/// What to run.
#[derive(Debug, clap::Args)]
pub struct GateArgs {
    /// How many lives in a row [default: 5, with --release 20].
    #[arg(long)]
    pub iterations: Option<u32>,
    /// As before a release: an optimised build, 20 lives.
    #[arg(long)]
    pub release: bool,
    /// Only these test apps.
    #[arg(long, value_delimiter = ',')]
    pub apps: Vec<String>,
    /// Do seeded harm.
    #[arg(long)]
    pub chaos: Option<u64>,
    /// How many apps are worked on at once.
    #[arg(long, default_value_t = 4)]
    pub parallel: usize,
    /// Name of the node.
    #[arg(long, default_value = "gate")]
    pub name: String,
    /// Go on with the run that was interrupted on the node of this name.
    #[arg(long)]
    pub resume: bool,
    /// Test this package instead of building one.
    #[arg(long)]
    pub deb: Option<PathBuf>,
    /// Leave the document alone.
    #[arg(long)]
    pub draft: bool,
    /// Keep the node for a look.
    #[arg(long)]
    pub keep: bool,
}

/// Runs the gate over the test apps, and writes its report into `docs/gate.md`.
///
/// # Errors
/// A build fails, the machine cannot run a node, or something did not pass.
pub fn run(args: &GateArgs) -> anyhow::Result<()> {
    let profile = if args.release { Profile::Release } else { Profile::Dev };
    let deb = match &args.deb {
        Some(deb) => deb.clone(),
        None => dist::deb(profile)?,
    };
    let cache = Cache::locate()?;
    let index = images::ensure(&cache, &[])?;
    // nodes pull images from here
    let _registry = images::registry::ensure(&cache)?;
    let out = workspace::target_dir()?.join("gate").join(&args.name);
    if !args.resume && out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("removing {}", out.display()))?;
    }
    // the gate of the very version that it tests
    let cli = dist::cli_of(&deb, &out.join("package"))?;
    let count = put_apps(&out.join("apps"), &index, &args.apps)?;
    let guest = Guest::take(&cache, args)?;
    if !args.resume {
        platform::install(&guest.node, &deb, &index)?;
    }
    sh::say(&format!("{count} apps on the node {}", args.name));
    let mut gate = Cmd::new(&cli)
        .args(["gate", "--node", &args.name, "--driver", &driver()?])
        .arg("--all-under")
        .arg(out.join("apps"))
        .arg("--out")
        .arg(&out)
        .args(["--iterations", &iterations(args).to_string()])
        .args(["--parallel", &args.parallel.to_string()]);
    if let Some(seed) = args.chaos {
        gate = gate.args(["--chaos", &seed.to_string()]);
    }
    if args.resume {
        gate = gate.arg("--resume").arg(out.join("progress.json"));
    }
    let status = gate.attached()?;
    if !args.draft {
        write(&out, args)?;
    }
    ensure!(status.success(), "the gate is not green: {}", out.join("report.md").display());
    Ok(())
}

fn iterations(args: &GateArgs) -> u32 {
    args.iterations.unwrap_or(if args.release { 20 } else { 5 })
}

/// This program, as what reaches the node.
///
/// # Errors
/// Its path cannot be a word of a command line.
pub fn driver() -> anyhow::Result<String> {
    driver_at(&std::env::current_exe()?)
}

/// A build of this program, as what reaches the node.
///
/// # Errors
/// Its path cannot be a word of a command line.
pub fn driver_at(program: &Path) -> anyhow::Result<String> {
    let text = program.to_string_lossy().into_owned();
    ensure!(!text.contains(char::is_whitespace), "{text} has white space in its path");
    Ok(format!("{text} node"))
}

/// The test apps with their images pinned, and their own tests.
///
/// # Errors
/// An app is not there, or the file system's.
pub fn put_apps(to: &Path, index: &images::Index, chosen: &[String]) -> anyhow::Result<usize> {
    let apps = platform::apps(index)?;
    if let Some(unknown) = chosen.iter().find(|id| !apps.contains_key(*id)) {
        anyhow::bail!("there is no test app {unknown}");
    }
    let wanted = |id: &String| chosen.is_empty() || chosen.contains(id);
    let mut count = 0;
    for (id, text) in apps.into_iter().filter(|(id, _)| wanted(id)) {
        let dir = to.join(&id);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("manifest.yml"), text)?;
        let own = workspace::root().join("tests/apps").join(&id).join("gate.yml");
        if own.is_file() {
            fs::copy(&own, dir.join("gate.yml"))?;
        }
        count += 1;
    }
    Ok(count)
}

/// The node, removed at the end.
struct Guest {
    node: Node,
    keep: bool,
}

impl Guest {
    fn take(cache: &Cache, args: &GateArgs) -> anyhow::Result<Self> {
        let known = Node::list(cache)?.into_iter().find(|node| node.name() == args.name);
        let node = match known {
            Some(node) if args.resume => node,
            Some(old) => {
                sh::step("removing the node of an earlier run", || old.destroy())?;
                sh::step("making the node", || Node::create(&args.name))?
            }
            None => sh::step("making the node", || Node::create(&args.name))?,
        };
        let guest = Self { node, keep: args.keep };
        if !guest.node.is_running() {
            let boot = || guest.node.boot().and_then(|()| guest.node.wait_ready(READY_LIMIT));
            sh::step("booting the node", boot)?;
        }
        Ok(guest)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        if let Err(error) = self.node.destroy() {
            sh::say(&format!("cannot remove the node {}: {error}", self.node.name()));
        }
    }
}

/// Puts the report into the document.
fn write(out: &Path, args: &GateArgs) -> anyhow::Result<()> {
    let report = fs::read_to_string(out.join("report.md")).context("the gate left no report")?;
    let date = Cmd::new("date").args(["-u", "+%Y-%m-%d"]).run()?.text().to_owned();
    let mut words = format!("cargo xtask gate --iterations {}", iterations(args));
    if let Some(seed) = args.chaos {
        words.push_str(&format!(" --chaos {seed}"));
    }
    if !args.apps.is_empty() {
        words.push_str(&format!(" --apps {}", args.apps.join(",")));
    }
    let path = workspace::root().join("docs/gate.md");
    let old = fs::read_to_string(&path)?;
    let (head, rest) = old.split_once(MARKS.0).context("docs/gate.md has no marks")?;
    let (_, tail) = rest.split_once(MARKS.1).context("docs/gate.md has no end mark")?;
    let block = format!("Run on {date} with `{words}`. {}", report.trim_end());
    let new = format!("{head}{}\n{block}\n{}{tail}", MARKS.0, MARKS.1);
    Ok(write_whole(&path, new.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        gate: GateArgs,
    }

    #[test]
    fn a_release_takes_more_lives() {
        for (words, lives) in [
            (&["gate"][..], 5),
            (&["gate", "--release"], 20),
            (&["gate", "--iterations", "3"], 3),
            (&["gate", "--release", "--iterations", "3"], 3),
        ] {
            assert_eq!(iterations(&Line::parse_from(words).gate), lives, "{words:?}");
        }
    }
}
