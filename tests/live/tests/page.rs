//! The dashboard in a real browser: `web/e2e` drives it as a person would.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use archy_live::Stand;
use xtask::cache::{Cache, recipe_hash};
use xtask::node::preflight::{find, tools};
use xtask::sh::{self, Cmd, wait_until};
use xtask::web::Tools;
use xtask::workspace;

/// Names that the browser has.
const BROWSERS: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// The script's files.
const FILES: [&str; 7] =
    ["package.json", "package-lock.json", ".npmrc", "browser.js", "pages.js", "sign.js", "page.js"];
/// What the units of the daemon are called; the sockets would start it again at the first knock.
const UNITS: [&str; 3] =
    ["archipelago-https.socket", "archipelago-http.socket", "archipelago.service"];
/// Pictures for the documents, and their greatest size in bytes.
const PICTURES: [&str; 2] = ["dashboard-desktop.png", "dashboard-phone.png"];
const PICTURE_BYTES: u64 = 300_000;
/// How long the whole script may take.
const SCRIPT_LIMIT: Duration = Duration::from_secs(1200);
const NPM_LIMIT: Duration = Duration::from_secs(180);

#[test]
fn the_page_serves_a_person() -> anyhow::Result<()> {
    let (browser, tools) = match programs() {
        Ok(programs) => programs,
        Err(error) => {
            sh::say(&format!("the page was not tested in a browser: {error:#}"));
            return Ok(());
        }
    };
    let cache = Cache::locate()?;
    let script = script(&cache, &tools)?;
    let _one_at_a_time = cache.lock("page-test")?;
    let dir = cache.dir("page-test")?;
    fs::remove_dir_all(&dir)?;
    fs::create_dir_all(&dir)?;
    let stand = Stand::new("page")?;
    let address = format!("https://{}/", stand.ip());
    let cmd = tools.cmd("node").arg(&script).arg(&address).arg(&dir).arg(&browser);
    drive(&stand, &dir, &cmd.limit(SCRIPT_LIMIT))?;
    pictures(&dir)
}

/// Runs the script, and does to the node what it asks for.
fn drive(stand: &Stand, dir: &Path, cmd: &Cmd) -> anyhow::Result<()> {
    thread::scope(|scope| {
        let script = scope.spawn(|| cmd.output());
        let ended = wait_until(SCRIPT_LIMIT + Duration::from_secs(60), || {
            for what in ["stop", "start", "break", "newer", "older", "garden"] {
                if let Err(error) = asked(stand, dir, what) {
                    sh::say(&format!("cannot do what the script asks for ({what}): {error:#}"));
                }
            }
            script.is_finished().then_some(())
        });
        ended.context("the script does not end")?;
        let out = script.join().map_err(|_| anyhow::anyhow!("the script's thread failed"))??;
        ensure!(
            out.ok(),
            "{}{}\na picture is in {}\n{}",
            out.stdout,
            out.stderr,
            dir.display(),
            stand.log()
        );
        Ok(())
    })
}

/// Does with the node what the script asks for, if it does, and says that it is done.
fn asked(stand: &Stand, dir: &Path, what: &str) -> anyhow::Result<()> {
    let ask = dir.join(format!("ask-{what}"));
    if !ask.exists() {
        return Ok(());
    }
    match what {
        "break" => drop(stand.user(&["systemctl", "--user", "stop", "website.service"])?),
        "newer" => version(stand, "1.26.0", "1.26.1")?,
        "older" => version(stand, "1.26.1", "1.26.0")?,
        "garden" => garden(stand)?,
        _ => daemon(stand, what)?,
    }
    fs::rename(&ask, dir.join(format!("done-{what}")))?;
    Ok(())
}

/// Stops or starts the daemon; its apps do not need it.
fn daemon(stand: &Stand, what: &str) -> anyhow::Result<()> {
    let out = stand.node.exec_root(["systemctl", what].iter().chain(&UNITS))?;
    ensure!(out.ok(), "{}", out.stderr);
    let apps = stand.user(&["systemctl", "--user", "is-active", "website.service"])?;
    ensure!(apps.trim() == "active", "{apps}");
    Ok(())
}

/// Offers another version of the website.
fn version(stand: &Stand, from: &str, to: &str) -> anyhow::Result<()> {
    let path = stand.node.root_path().join("opt/archipelago/apps/website/manifest.yml");
    let (old, new) = (format!("version: {from}"), format!("version: {to}"));
    let text = fs::read_to_string(&path)?;
    ensure!(text.contains(&old), "{} has no `{old}`", path.display());
    fs::write(&path, text.replace(&old, &new))?;
    Ok(())
}

/// Offers an app behind the gate whose pages sign: the website under another name.
fn garden(stand: &Stand) -> anyhow::Result<()> {
    let apps = stand.node.root_path().join("opt/archipelago/apps");
    let mut text = fs::read_to_string(apps.join("website/manifest.yml"))?;
    for (old, new) in [
        ("id: website", "id: garden"),
        ("name: Website", "name: Garden"),
        ("auth: none, auth_rationale: A public web page.", "auth: gated"),
        ("open: tab", "open: frame, nostr: signer"),
        ("<!doctype html><title>", "<!doctype html><html><head><title>"),
        ("</title><h1>", "</title></head><body><h1>"),
    ] {
        ensure!(text.contains(old), "the website's manifest has no `{old}`");
        text = text.replace(old, new);
    }
    fs::create_dir_all(apps.join("garden"))?;
    fs::write(apps.join("garden/manifest.yml"), text.replace("18002", "18013"))?;
    Ok(())
}

/// The browser, installed with what else is missing where that is possible.
fn programs() -> anyhow::Result<(PathBuf, Tools)> {
    let known = || BROWSERS.iter().find_map(|name| find(name));
    let node = xtask::web::tools()?;
    if known().is_none() {
        tools(&[("chromium", "chromium")])?;
    }
    Ok((known().context("no browser")?, node))
}

/// The script with its driver, in a directory of the cache that belongs to its lock file.
fn script(cache: &Cache, node: &Tools) -> anyhow::Result<PathBuf> {
    let from = workspace::root().join("web/e2e");
    let lock = fs::read(from.join("package-lock.json"))?;
    let _held = cache.lock("page-script")?;
    let dir = cache.dir(&format!("page-script-{}", recipe_hash([lock.as_slice()])))?;
    for file in FILES {
        fs::copy(from.join(file), dir.join(file)).with_context(|| format!("copying {file}"))?;
    }
    if !dir.join("node_modules/.package-lock.json").is_file() {
        let npm = node.cmd("npm").args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
        sh::step("npm ci for the browser's driver", || npm.dir(&dir).limit(NPM_LIMIT).run())?;
    }
    Ok(dir.join("page.js"))
}

/// Keeps the pictures small, and puts them into the documents when that is asked for.
fn pictures(dir: &Path) -> anyhow::Result<()> {
    let docs = workspace::root().join("docs/screenshots");
    for name in PICTURES {
        let size = fs::metadata(dir.join(name)).with_context(|| format!("no {name}"))?.len();
        ensure!(size <= PICTURE_BYTES, "{name} has {size} bytes, more than {PICTURE_BYTES}");
        if sh::env("ARCHY_UPDATE").as_deref() == Some("1") {
            fs::create_dir_all(&docs)?;
            fs::copy(dir.join(name), docs.join(name))?;
        }
    }
    Ok(())
}
