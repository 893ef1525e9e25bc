//! The dashboard: its tools, its build, its tests. What is built goes into the daemon (`web/dist/site`).
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::cache::{Cache, recipe_hash};
use crate::node::preflight;
use crate::sh::{self, Cmd};
use crate::workspace;

/// The oldest Node.js that the build tools run on.
const NODE: (u32, u32) = (20, 19);
/// How long the packages may take to come.
const PACKAGES_LIMIT: Duration = Duration::from_secs(10 * 60);
/// How long a build or its tests may take on a slow machine.
const BUILD_LIMIT: Duration = Duration::from_secs(10 * 60);
/// What a build is made of.
const SOURCES: &[&str] = &["build", "public", "src"];
const SINGLE: &[&str] =
    &["index.html", "package-lock.json", "package.json", "tsconfig.json", "vite.config.ts"];

/// Builds the dashboard unless it is as its sources say; missing tools are installed where that is possible.
///
/// # Errors
/// Node.js is missing or too old, its packages cannot be had, or the build fails.
pub fn build() -> anyhow::Result<()> {
    let dir = workspace::root().join("web");
    let _alone = Cache::locate()?.lock("dashboard")?;
    let (site, stamp) = (dir.join("dist/site"), dir.join("dist/site/.made-of"));
    let sources = sources(&dir)?;
    if fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == sources) {
        return Ok(());
    }
    sh::step("building the dashboard", || {
        packages(&dir)?;
        npm(&dir, &["run", "build"], BUILD_LIMIT)?;
        ensure!(site.join("index.html").is_file(), "the build left no page");
        fs::write(&stamp, &sources).context("writing the stamp of the dashboard")
    })
    .context("the dashboard cannot be built")
}

/// Checks the types of the dashboard and runs its tests.
///
/// # Errors
/// As [`build`], or a test fails.
pub fn test() -> anyhow::Result<()> {
    let dir = workspace::root().join("web");
    let _alone = Cache::locate()?.lock("dashboard")?;
    packages(&dir)?;
    npm(&dir, &["run", "check"], BUILD_LIMIT)?;
    npm(&dir, &["test"], BUILD_LIMIT)
}

/// Makes sure of a Node.js that is new enough, and of npm.
///
/// # Errors
/// They are missing and cannot be installed, or Node.js is too old.
pub fn tools() -> anyhow::Result<()> {
    preflight::tools(&[("node", "nodejs"), ("npm", "npm")])?;
    let version = Cmd::new("node").arg("--version").run()?;
    let mut numbers =
        version.text().trim_start_matches('v').split('.').map_while(|n| n.parse().ok());
    let found = (numbers.next().unwrap_or(0_u32), numbers.next().unwrap_or(0_u32));
    let (major, minor) = NODE;
    ensure!(
        found >= NODE,
        "Node.js {major}.{minor} or newer is needed, here is {}",
        version.text()
    );
    Ok(())
}

/// The packages of the lock file, installed unless they are there already.
fn packages(dir: &Path) -> anyhow::Result<()> {
    tools()?;
    let lock = fs::read(dir.join("package-lock.json")).context("reading web/package-lock.json")?;
    let (wanted, stamp) = (recipe_hash([lock.as_slice()]), dir.join("node_modules/.made-of"));
    if fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == wanted) {
        return Ok(());
    }
    // `npm ci` refuses a lock file that lacks the packages of other platforms
    let args = ["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"];
    sh::step("fetching the packages of the dashboard", || npm(dir, &args, PACKAGES_LIMIT))
        .context("npm needs its registry, or packages that it has fetched before")?;
    fs::write(&stamp, wanted).context("writing the stamp of the packages")
}

fn npm(dir: &Path, args: &[&str], limit: Duration) -> anyhow::Result<()> {
    Cmd::new("npm").args(args).dir(dir).limit(limit).run()?;
    Ok(())
}

/// A digest of everything that the build is made of.
fn sources(dir: &Path) -> anyhow::Result<String> {
    let mut files: Vec<PathBuf> = SINGLE.iter().map(|name| dir.join(name)).collect();
    for name in SOURCES {
        collect(&dir.join(name), &mut files)?;
    }
    files.sort();
    let mut parts = Vec::new();
    for file in files {
        let text = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        parts.push(file.strip_prefix(dir)?.to_string_lossy().into_owned().into_bytes());
        parts.push(text);
    }
    Ok(recipe_hash(parts.iter().map(Vec::as_slice)))
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
