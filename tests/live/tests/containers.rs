//! What belongs to every container of an app: hooks run again in each fresh one, apps wait for those that they need,
//! and what a container says stays bounded.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use archy_live::{Stand, get};
use xtask::node::READY_LIMIT;
use xtask::sh::{Output, wait_until};

/// A pass, a start, and its hooks.
const AGAIN: Duration = Duration::from_secs(180);
const PROVIDER: &str = "web-ui/nostr-provider.js";
/// Kept in the container alone, so that a fresh one has none.
const MARKS: &str = "/tmp/marks";

const HOOKED: &str = "app:
  id: hooked
  name: Hooked
  version: 1.0.0
  description: Its containers are furnished by hooks.
  services:
    main:
      image: IMAGE
      ports: [{ host: 18421, container: 8080, auth: none, auth_rationale: A test. }]
      volumes: [{ type: volume, source: kept, target: /data }]
      health: { type: http, port: 8080, path: /health, interval: 5s }
  named_volumes: { kept: { owner: \"33:33\" } }
  hooks:
    post_install:
      - copy_from_host: { service: main, src: web-ui/nostr-provider.js, dest: /tmp/nostr-provider.js }
        timeout: 30s
        idempotent: true
      - exec: { service: main, command: [sh, -c, \"echo again >> /tmp/marks; cat /proc/self/cgroup > /tmp/cgroup; sleep 86399 > /dev/null 2>&1 < /dev/null &\"] }
        timeout: 30s
        idempotent: true
      - exec: { service: main, command: [sh, -c, \"echo first >> /data/marks\"] }
        timeout: 30s
        idempotent: false
";

fn works(out: &Output) -> anyhow::Result<()> {
    ensure!(out.ok(), "{}{}", out.stdout, out.stderr);
    Ok(())
}

fn words(out: &Output) -> String {
    format!("{}{}", out.stdout, out.stderr)
}

fn install(stand: &Stand, id: &str, image: &str, text: &str) -> anyhow::Result<Output> {
    let image = &stand.index.get(image).context("no such image")?.reference;
    let inside = format!("var/tmp/{id}.yml");
    fs::write(stand.node.root_path().join(&inside), text.replace("IMAGE", image))?;
    stand.archy(&["install", &format!("/{inside}")])
}

fn container(stand: &Stand, name: &str) -> anyhow::Result<String> {
    let id = stand.user(&["podman", "inspect", "-f", "{{.Id}}", name])?;
    Ok(id.trim().to_owned())
}

fn exec(stand: &Stand, app: &str, command: &[&str]) -> anyhow::Result<String> {
    Ok(stand.archy_ok(&[&["exec", app, "--"], command].concat())?.trim().to_owned())
}

/// The hooks of a fresh container have run, each once, where they belong.
fn is_furnished(stand: &Stand) -> anyhow::Result<()> {
    let marks = || exec(stand, "hooked", &["cat", MARKS]).ok().filter(|text| !text.is_empty());
    let marks =
        wait_until(AGAIN, marks).with_context(|| format!("no hook ran\n{}", stand.log()))?;
    ensure!(marks == "again", "not once: {marks:?}");
    let own = fs::read_to_string(stand.node.root_path().join("opt/archipelago").join(PROVIDER))?;
    let copied = exec(stand, "hooked", &["cat", "/tmp/nostr-provider.js"])?;
    ensure!(!own.is_empty() && copied == own.trim(), "not the file of the platform: {copied}");

    // inside it is at home in its container's cgroup, and from outside that is the user's
    let inside = exec(stand, "hooked", &["cat", "/tmp/cgroup"])?;
    ensure!(inside.contains("0::/") && !inside.contains(".."), "outside of its cgroup: {inside}");
    let find = "for p in $(pgrep -xf 'sleep 86399'); do cat /proc/$p/cgroup; done";
    let outside = stand.node.exec_root(["sh", "-c", find])?.stdout;
    let slice = "/user.slice/user-1000.slice/user@1000.service/";
    let own = outside.lines().filter(|line| line.starts_with("0::"));
    let own: Vec<&str> = own.collect();
    ensure!(own.len() == 1, "one for each container: {outside}");
    ensure!(own[0].contains(slice), "not in the user's slice: {outside}");
    let first = exec(stand, "hooked", &["cat", "/data/marks"])?;
    ensure!(first == "first", "what may run once only ran again: {first:?}");
    Ok(())
}

fn hooks(stand: &Stand) -> anyhow::Result<()> {
    works(&install(stand, "hooked", "nginx", HOOKED)?)?;
    is_furnished(stand)?;
    let before = container(stand, "hooked")?;
    stand.user(&["podman", "kill", "hooked"])?;
    let anew = || container(stand, "hooked").ok().filter(|now| *now != before);
    wait_until(AGAIN, anew).context("it is not started again")?;
    is_furnished(stand)
}

/// An app of the probe that needs another one, or is one.
fn probe(id: &str, version: &str, port: u16, more: &str) -> String {
    format!(
        "app:\n  id: {id}\n  name: {id}\n  version: {version}\n  description: One of two.\n  services:\n    main:\n      \
         image: IMAGE\n      ports: [{{ host: {port}, container: 8080, auth: none, auth_rationale: A test. }}]\n      \
         health: {{ type: http, port: 8080, path: /health, interval: 2s }}\n{more}"
    )
}

const NEEDS: &str = "  requires: [{ role: ledger, version: \">=2\" }]\n  boot_priority: 10\n";

fn provider(version: &str) -> String {
    let provides = format!("  provides: [{{ role: ledger, version: {version} }}]\n");
    // a start that takes its time
    let slow = "      env: { PROBE_START_MS: \"4000\" }\n";
    probe("ledger", version, 18422, &format!("{slow}{provides}"))
}

/// Without its provider, with one of a wrong version, and with one that is stopped while it runs.
fn dependencies(stand: &Stand) -> anyhow::Result<()> {
    let till = probe("till", "1.0.0", 18423, NEEDS);
    let refused = install(stand, "till", "probe", &till)?;
    ensure!(!refused.ok() && words(&refused).contains("dependency-missing"), "{}", words(&refused));
    works(&install(stand, "ledger", "probe", &provider("1.0.0"))?)?;
    let refused = install(stand, "till", "probe", &till)?;
    ensure!(!refused.ok() && words(&refused).contains("dependency-version"), "{}", words(&refused));
    let updated = update(stand, "ledger", &provider("2.0.0"))?;
    works(&updated)?;
    works(&install(stand, "till", "probe", &till)?)?;
    stand.until_state("till", "running")?;

    // the one who is left is named before, and goes on
    let plan = stand.archy_ok(&["plan", "stop", "ledger"])?;
    ensure!(plan.contains("till"), "nobody is said to suffer: {plan}");
    stand.archy_ok(&["--quiet", "stop", "ledger"])?;
    stand.until_state("till", "running")?;
    stand.archy_ok(&["--quiet", "start", "ledger"])?;
    stand.until_state("ledger", "running")?;
    stand.until_state("till", "running")
}

fn update(stand: &Stand, id: &str, text: &str) -> anyhow::Result<Output> {
    let image = &stand.index.get("probe").context("no probe image")?.reference;
    let inside = format!("var/tmp/{id}-next.yml");
    let text = format!("{}\n  update: {{ soak: 2s }}\n", text.trim_end());
    fs::write(stand.node.root_path().join(&inside), text.replace("IMAGE", image))?;
    stand.archy(&["update", &format!("/{inside}"), "--yes"])
}

/// Milliseconds since the epoch at which a container's app answered its first check.
fn started(stand: &Stand, name: &str) -> anyhow::Result<String> {
    stand.user(&[
        "podman",
        "inspect",
        "-f",
        "{{.State.StartedAt.UTC.Format \"2006-01-02T15:04:05.000000000\"}}",
        name,
    ])
}

fn boot_order(stand: &Stand) -> anyhow::Result<()> {
    stand.until_state("till", "running")?;
    stand.until_state("ledger", "running")?;
    let (first, second) = (started(stand, "ledger")?, started(stand, "till")?);
    ensure!(first < second, "the one that is needed began at {first}, the other one at {second}");
    Ok(())
}

/// Several at once: a good one, one that does not hold out, and one that is stopped.
fn updates(stand: &Stand) -> anyhow::Result<()> {
    let versions =
        [("one", "2.0.0", 18424), ("two", "3.0.0-sick", 18425), ("three", "2.0.0", 18426)];
    let name = &stand.index.get("probe").context("no probe image")?.reference;
    let name = name.split('@').next().unwrap_or_default().trim_end_matches(":1.0.0").to_owned();
    let mut paths = Vec::new();
    for (id, version, port) in versions {
        works(&install(stand, id, "probe", &probe(id, "1.0.0", port, ""))?)?;
        let next = probe(id, version, port, "  update: { soak: 2s }\n");
        let inside = format!("var/tmp/{id}-next.yml");
        let text = next.replace("IMAGE", &format!("{name}:{version}"));
        fs::write(stand.node.root_path().join(&inside), text)?;
        paths.push(format!("/{inside}"));
    }
    stand.archy_ok(&["--quiet", "stop", "three"])?;
    let mut args = vec!["update", "--yes"];
    args.extend(paths.iter().map(String::as_str));
    let out = stand.archy(&args)?;
    ensure!(!out.ok(), "the one that failed is not told: {}", words(&out));
    ensure!(words(&out).contains("back at 1.0.0"), "{}", words(&out));
    stand.until_state("one", "running")?;
    stand.until_state("two", "running")?;
    stand.until_state("three", "stopped")?;
    stand.archy_ok(&["--quiet", "start", "three"])?;
    for (id, port, wanted) in
        [("one", 18424, "2.0.0"), ("two", 18425, "1.0.0"), ("three", 18426, "2.0.0")]
    {
        let body = stand.until_answers(&stand.url(port, "/version"), 200)?;
        ensure!(body.trim() == wanted, "{id} is {body}");
    }
    Ok(())
}

/// 20 MB of what a container says do not fill the disk.
fn logs(stand: &Stand) -> anyhow::Result<()> {
    const LOG_SIZE: u64 = 1 << 20;
    let log = "      resources: { log_size: 1Mi }\n";
    works(&install(stand, "chatty", "probe", &probe("chatty", "1.0.0", 18427, log))?)?;
    let talk = "line=$(head -c 100000 /dev/zero | tr '\\0' x); \
                for i in $(seq 200); do curl -sg -m 20 -o /dev/null \"http://127.0.0.1:18427/log?line=$line\"; done; \
                curl -sf -m 20 'http://127.0.0.1:18427/log?line=the-last-word'";
    stand.user(&["sh", "-c", talk])?;
    let told = || {
        let out = stand.archy(&["logs", "chatty"]).ok()?;
        out.stdout.contains("the-last-word").then_some(())
    };
    wait_until(AGAIN, told).context("the last line is not in the log")?;
    let path = ["podman", "inspect", "-f", "{{.HostConfig.LogConfig.Path}}", "chatty"];
    let path = stand.user(&path)?;
    let all = format!("du -cb {}* | tail -n 1 | cut -f 1", path.trim());
    let bytes: u64 = stand.user(&["sh", "-c", &all])?.trim().parse()?;
    ensure!(bytes > 0 && bytes <= 3 * LOG_SIZE, "{bytes} bytes of log are kept in {path}");
    Ok(())
}

#[test]
fn containers_are_furnished_ordered_and_bounded() -> anyhow::Result<()> {
    let stand = Stand::new("furnish")?;
    hooks(&stand)?;
    dependencies(&stand)?;
    logs(&stand)?;
    stand.node.reboot()?;
    stand.node.wait_ready(READY_LIMIT)?;
    xtask::platform::wait_for_api(&stand.node)?;
    is_furnished(&stand)?;
    boot_order(&stand)?;
    updates(&stand)?;
    ensure!(get(&stand.url(18421, "/health"))?.status == 200);
    Ok(())
}
