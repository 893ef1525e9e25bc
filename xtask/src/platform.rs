//! The platform on a test node: the Debian package, and the test apps as its catalog.
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::Context;

use crate::cache::Cache;
use crate::images::{self, Index};
use crate::node::{Node, Who};
use crate::sh::{self, Output, wait_until};
use crate::workspace;

/// How long the daemon may take from its start to its first answer.
const API_LIMIT: Duration = Duration::from_secs(60);
/// How long the package may take to install.
const INSTALL_LIMIT: Duration = Duration::from_secs(180);
/// Where the catalog's manifests lie on a node.
const APPS_DIR: &str = "opt/archipelago/apps";

/// The test apps: id to the manifest's text, with images by the digest that the registry has.
///
/// # Errors
/// A manifest cannot be read, or an image that one names was not built.
pub fn apps(index: &Index) -> anyhow::Result<BTreeMap<String, String>> {
    let dir = workspace::root().join("tests/apps");
    let mut apps = BTreeMap::new();
    for entry in fs::read_dir(&dir)? {
        let entry = entry?;
        let path = entry.path().join("manifest.yml");
        if path.is_file() {
            let text = fs::read_to_string(&path)?;
            let text = pin(&text, index).with_context(|| format!("in {}", path.display()))?;
            apps.insert(entry.file_name().to_string_lossy().into_owned(), text);
        }
    }
    Ok(apps)
}

/// Puts digests in the place of the tags of images that were built here.
///
/// # Errors
/// A manifest names an image of the registry that was not built.
pub fn pin(text: &str, index: &Index) -> anyhow::Result<String> {
    let mut pinned = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let Some(at) = line.find(images::registry::ADDRESS) else {
            pinned.push_str(line);
            continue;
        };
        let end = line[at..].find(char::is_whitespace).map_or(line.len(), |length| at + length);
        let name = &line[at..end];
        let image = index.values().find(|image| format!("{}:{}", image.repo, image.tag) == name);
        let image = image.with_context(|| format!("{name} was not built: cargo xtask images"))?;
        pinned.push_str(&line[..at]);
        pinned.push_str(&image.reference);
        pinned.push_str(&line[end..]);
    }
    Ok(pinned)
}

/// Installs the package on a running node, gives it the test apps as its catalog, and waits for the API.
///
/// # Errors
/// The package does not install, or the daemon does not answer.
pub fn install(node: &Node, deb: &std::path::Path, index: &Index) -> anyhow::Result<()> {
    put_apps(node, index)?;
    let inside = node.root_path().join("var/tmp/archipelago.deb");
    fs::copy(deb, &inside).with_context(|| format!("copying {}", deb.display()))?;
    let argv = ["dpkg", "-i", "/var/tmp/archipelago.deb"];
    sh::step("installing the platform on the node", || {
        node.command(Who::Root, argv, INSTALL_LIMIT)?.run().map_err(anyhow::Error::from)
    })?;
    wait_for_api(node)
}

/// Writes the test apps' manifests where the daemon finds its catalog.
///
/// # Errors
/// The file system's.
pub fn put_apps(node: &Node, index: &Index) -> anyhow::Result<()> {
    for (id, text) in apps(index)? {
        let dir = node.root_path().join(APPS_DIR).join(id);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("manifest.yml"), text)?;
    }
    Ok(())
}

/// Waits until the daemon answers on its socket.
///
/// # Errors
/// It does not in time; the error ends with its log.
pub fn wait_for_api(node: &Node) -> anyhow::Result<()> {
    let answers = || archy(node, &["--json", "list"]).ok().filter(Output::ok);
    if wait_until(API_LIMIT, answers).is_some() {
        return Ok(());
    }
    let log = node.exec_root(["journalctl", "-u", "archipelago", "-n", "30", "--no-pager"])?;
    anyhow::bail!("the daemon does not answer; its log:\n{}", log.text());
}

/// Runs the command line as the service user of a node.
///
/// # Errors
/// It cannot be run; a failure of its own is in the output.
pub fn archy(node: &Node, args: &[&str]) -> anyhow::Result<Output> {
    let argv: Vec<&str> = ["archy"].iter().chain(args).copied().collect();
    Ok(node.command(Who::User, argv, Duration::from_secs(600))?.output()?)
}

/// The package and the images that every node needs, built once.
///
/// # Errors
/// A build fails.
pub fn prepare(
    profile: workspace::Profile,
    names: &[String],
) -> anyhow::Result<(std::path::PathBuf, Index)> {
    let cache = Cache::locate()?;
    let index = images::ensure(&cache, names)?;
    Ok((crate::dist::deb(profile)?, index))
}
