//! A registry served over HTTP, and a node that follows it: an app is installed from it, a new version is noticed,
//! the app is updated and rolled back; what was tampered with is refused and the app goes on.

use std::fs;

use anyhow::{Context as _, ensure};
use archy_live::Stand;
use serde_json::Value;

const PAGE: u16 = 18001;
const ADDRESS: &str = "http://127.0.0.1:8700";
const SHOP: &str = "/var/tmp/shop";

/// Puts the probe's manifest in a version where the publisher finds it.
fn write(stand: &Stand, version: &str) -> anyhow::Result<()> {
    let at = stand.user(&["cat", "/opt/archipelago/apps/probe/manifest.yml"])?;
    let image = at.lines().find_map(|line| line.trim().strip_prefix("image: "));
    let image = image.context("no image in the manifest")?;
    let name = image.split('@').next().unwrap_or_default();
    let text = at
        .replace("version: 1.0.0", &format!("version: {version}"))
        .replace(image, &format!("{}:{version}", name.trim_end_matches(":1.0.0")));
    let text = format!("{}\n  update: {{ soak: 5s }}\n", text.trim_end());
    let package = stand.node.root_path().join("var/tmp/package");
    fs::create_dir_all(&package)?;
    Ok(fs::write(package.join("manifest.yml"), text)?)
}

/// The publisher's commands, on the node's own command line.
fn registry(stand: &Stand, args: &[&str]) -> anyhow::Result<Value> {
    let out = stand.user(&[&["archy", "--json", "registry"], args].concat())?;
    serde_json::from_str(&out).with_context(|| out)
}

fn publish(stand: &Stand, version: &str) -> anyhow::Result<String> {
    write(stand, version)?;
    registry(stand, &["add", SHOP, "/var/tmp/package"])?;
    let keys = ["root", "targets", "online"].map(|role| format!("{SHOP}/keys/{role}.key"));
    let mut args = vec!["publish", SHOP];
    for key in &keys {
        args.extend(["--key", key]);
    }
    let published = registry(stand, &args)?;
    Ok(published["fingerprint"].as_str().context("no fingerprint")?.to_owned())
}

fn json(stand: &Stand, args: &[&str]) -> anyhow::Result<Value> {
    let out = stand.archy_ok(&[&["--json"], args].concat())?;
    serde_json::from_str(&out).with_context(|| out)
}

fn is_version(stand: &Stand, wanted: &str) -> anyhow::Result<()> {
    let body = stand.until_answers(&stand.url(PAGE, "/version"), 200)?;
    ensure!(body.contains(wanted), "it is {body}, not {wanted}");
    Ok(())
}

#[test]
fn an_app_comes_from_a_registry_and_follows_it() -> anyhow::Result<()> {
    let stand = Stand::new("shop")?;
    registry(&stand, &["init", SHOP, "--name", "Shop"])?;
    let fingerprint = publish(&stand, "1.0.0")?;
    let serve = ["archy", "registry", "serve", SHOP, "--listen", "127.0.0.1:8700"];
    stand.user(&[&["systemd-run", "--user", "--unit=shop", "--collect"], &serve[..]].concat())?;
    let verify = ["archy", "--quiet", "registry", "verify", ADDRESS, "--full"];
    let served = || stand.user(&verify).ok().map(drop);
    xtask::sh::wait_until(std::time::Duration::from_secs(20), served)
        .context("it is not served")?;

    // another fingerprint is not believed
    let wrong = fingerprint.replace(['0', '1', '2', '3'], "a");
    let refused = stand.archy(&["source", "add", "shop", ADDRESS, "--fingerprint", &wrong])?;
    ensure!(refused.stderr.contains("registry-fingerprint"), "{}", refused.stderr);
    stand.archy_ok(&["source", "add", "shop", ADDRESS, "--fingerprint", &fingerprint])?;
    let available = json(&stand, &["list", "--available"])?;
    let apps = available["apps"].as_array().context("no apps")?;
    let probe = apps.iter().find(|app| app["id"] == "probe").context("no probe")?;
    ensure!(probe["registry"] == "shop", "the catalog does not win over the disk: {probe}");

    stand.archy_ok(&["install", "probe"])?;
    stand.until_state("probe", "running")?;
    is_version(&stand, "1.0.0")?;
    let none = json(&stand, &["outdated"])?;
    ensure!(none["apps"] == serde_json::json!([]), "{none}");

    // a new version is a change of the catalog alone
    publish(&stand, "2.0.0")?;
    stand.archy_ok(&["source", "refresh"])?;
    let outdated = json(&stand, &["outdated"])?;
    ensure!(outdated["apps"][0]["offered"] == "2.0.0", "{outdated}");
    ensure!(outdated["apps"][0]["source"] == "shop", "{outdated}");
    stand.archy_ok(&["update", "probe", "--yes"])?;
    is_version(&stand, "2.0.0")?;
    stand.archy_ok(&["rollback", "probe", "--yes"])?;
    is_version(&stand, "1.0.0")?;

    // what was tampered with is refused, and nothing that runs is touched
    let timestamp = stand.node.root_path().join("var/tmp/shop/public/metadata/timestamp.json");
    let forged = fs::read_to_string(&timestamp)?.replace("\"version\":2", "\"version\":9");
    fs::write(&timestamp, forged)?;
    let refused = stand.archy(&["source", "refresh"])?;
    ensure!(refused.stderr.contains("registry-signature"), "{}", refused.stderr);
    let available = json(&stand, &["list", "--available"])?;
    let text = available.to_string();
    ensure!(text.contains("\"version\":\"2.0.0\""), "the last good catalog is gone: {text}");
    is_version(&stand, "1.0.0")
}
