//! What an app and the host do wrong: every failure ends in a state that says why, and is over when its cause is.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use archy_live::Stand;
use serde_json::Value;
use xtask::sh::wait_until;

/// Longest time that the API may take while Podman does not answer.
const USUAL: Duration = Duration::from_secs(3);
/// Longest time that drift may stay: a level pass, and the repair.
const HEALED: Duration = Duration::from_secs(120);

/// An app of the probe image that misbehaves as its variables say.
fn install(
    stand: &Stand,
    id: &str,
    port: u16,
    knobs: &[(&str, &str)],
    extra: &str,
) -> anyhow::Result<xtask::sh::Output> {
    let image = &stand.index.get("probe").context("no probe image")?.reference;
    let mut env = String::new();
    for (key, value) in knobs {
        write!(env, "{key}: \"{value}\", ")?;
    }
    let text = format!(
        "app:\n  id: {id}\n  name: Misbehaving\n  version: 1.0.0\n  description: It does something wrong.\n  services:\n    \
         main:\n      image: {image}\n      env: {{ {env} }}\n      ports: [{{ host: {port}, container: 8080, auth: none, \
         auth_rationale: A test. }}]\n      volumes: [{{ type: bind, source: data, target: /data }}]\n      \
         health: {{ type: http, port: 8080, path: /health, interval: 2s, timeout: 2s, retries: 2 }}\n{extra}"
    );
    let inside = format!("var/tmp/{id}.yml");
    std::fs::write(stand.node.root_path().join(&inside), text)?;
    stand.archy(&["install", &format!("/{inside}")])
}

fn words(out: &xtask::sh::Output) -> String {
    format!("{}{}", out.stdout, out.stderr)
}

fn state(stand: &Stand, id: &str) -> anyhow::Result<Value> {
    stand.app(id)?.with_context(|| format!("{id} is not installed"))
}

fn container_id(stand: &Stand, name: &str) -> anyhow::Result<String> {
    stand.user(&["podman", "inspect", "-f", "{{.Id}}", name])
}

#[test]
fn an_app_that_fails_says_why_and_can_be_saved() -> anyhow::Result<()> {
    let stand = Stand::new("fail")?;
    // the first two starts fail: systemd tries again, and the install waits for it
    let late = install(&stand, "late", 18401, &[("PROBE_FAIL_STARTS", "2")], "")?;
    ensure!(late.ok(), "{}", words(&late));
    stand.until_state("late", "running")?;

    // every start fails: refused with its last words, then failed when the start limit is reached
    let broken = install(&stand, "broken", 18402, &[("PROBE_FAIL_STARTS", "100000")], "")?;
    ensure!(!broken.ok() && words(&broken).contains("told to fail"), "{}", words(&broken));

    // it takes longer to stop than its grace: it is ended, and is stopped
    let grace = "      stop_grace_secs: 30\n";
    let slow = install(&stand, "stubborn", 18403, &[("PROBE_STOP_MS", "35000")], grace)?;
    ensure!(slow.ok(), "{}", words(&slow));
    let began = Instant::now();
    stand.archy_ok(&["--quiet", "stop", "stubborn"])?;
    let took = began.elapsed();
    ensure!(took >= Duration::from_secs(29), "its grace was cut to {took:?}");
    ensure!(took < Duration::from_secs(45), "it was ended after {took:?} only");
    stand.until_state("stubborn", "stopped")?;

    stand.until_state("broken", "failed")?;
    let failed = state(&stand, "broken")?.to_string();
    ensure!(failed.contains("told to fail"), "the cause has no last words: {failed}");
    ensure!(
        failed.contains("package.start") || failed.contains("package.restart"),
        "no repair: {failed}"
    );
    // one command tries again, from the first attempt on
    let again = stand.archy(&["start", "broken"])?;
    ensure!(words(&again).contains("told to fail"), "{}", words(&again));
    stand.archy_ok(&["--quiet", "uninstall", "broken"])?;
    Ok(())
}

#[test]
fn what_podman_does_not_say_changes_nothing() -> anyhow::Result<()> {
    let stand = Stand::new("frozen")?;
    stand.archy_ok(&["--quiet", "install", "probe"])?;
    stand.until_state("probe", "running")?;
    let before = container_id(&stand, "probe")?;
    let podman = |verb: &[&str]| stand.user(&[&["systemctl", "--user"], verb].concat());

    podman(&["kill", "-s", "STOP", "podman.service"])?;
    let frozen = Instant::now();
    while frozen.elapsed() < Duration::from_secs(60) {
        let asked = Instant::now();
        let app = state(&stand, "probe")?;
        ensure!(asked.elapsed() < USUAL, "the API took {:?}", asked.elapsed());
        ensure!(app.to_string().contains("running"), "its last known state is gone: {app}");
    }
    podman(&["kill", "-s", "CONT", "podman.service"])?;

    podman(&["stop", "podman.socket", "podman.service"])?;
    stand.archy_ok(&["list"])?;
    stand.until_answers(&stand.url(18001, "/health"), 200)?;
    podman(&["start", "podman.socket"])?;
    stand.until_state("probe", "running")?;
    ensure!(container_id(&stand, "probe")? == before, "it was made anew");
    Ok(())
}

#[test]
fn drift_is_healed_or_named() -> anyhow::Result<()> {
    let stand = Stand::new("drift")?;
    stand.archy_ok(&["--quiet", "install", "probe"])?;
    stand.until_state("probe", "running")?;
    let unit = "/home/archipelago/.config/containers/systemd/probe.container";
    let at = stand.node.root_path().join(unit.trim_start_matches('/'));
    let good = std::fs::read_to_string(&at)?;
    let healed = |what: &str, well: &dyn Fn() -> bool| {
        let answers =
            || archy_live::get(&stand.url(18001, "/health")).is_ok_and(|a| a.status == 200);
        let over = wait_until(HEALED, || (well() && answers()).then_some(()));
        over.with_context(|| format!("not healed: {what}\n{}", stand.log()))
    };
    let restored = || std::fs::read_to_string(&at).is_ok_and(|text| text == good);

    std::fs::write(&at, good.replace("NoNewPrivileges=true", "NoNewPrivileges=false"))?;
    healed("an edited unit", &restored)?;
    std::fs::remove_file(&at)?;
    healed("a deleted unit", &restored)?;
    std::fs::write(&at, format!("{good}\n[Container]\nNoSuchKey=1\n"))?;
    stand.user(&["systemctl", "--user", "daemon-reload"])?;
    healed("a unit that the generator rejects", &restored)?;

    let there =
        |argv: &'static [&'static str]| stand.node.exec_user(argv).is_ok_and(|out| out.ok());
    let id = container_id(&stand, "probe")?;
    stand.user(&["podman", "rename", "probe", "somebody"])?;
    healed("a renamed container", &|| container_id(&stand, "probe").is_ok_and(|now| now == id))?;
    stand.user(&["podman", "rm", "-f", "probe"])?;
    healed("a removed container", &|| there(&["podman", "container", "exists", "probe"]))?;
    stand.user(&["podman", "secret", "rm", "probe-token"])?;
    healed("a removed secret", &|| there(&["podman", "secret", "exists", "probe-token"]))?;

    // what is foreign is never touched: the app says what is in its way
    stand.archy_ok(&["--quiet", "stop", "probe"])?;
    let image = stand.index.get("probe").context("no probe image")?.reference.clone();
    stand.user(&["podman", "run", "-d", "--name", "probe", &image])?;
    let foreign = container_id(&stand, "probe")?;
    let refused = stand.archy(&["start", "probe"])?;
    ensure!(!refused.ok() && words(&refused).contains("name-taken"), "{}", words(&refused));
    ensure!(container_id(&stand, "probe")? == foreign, "a foreign container was touched");
    stand.user(&["podman", "rm", "-f", "probe"])?;
    stand.archy_ok(&["--quiet", "start", "probe"])?;

    // an image and the network that are gone while it is stopped come back with the start
    stand.archy_ok(&["--quiet", "stop", "probe"])?;
    stand.user(&["podman", "rmi", "-f", &image])?;
    stand.user(&["podman", "network", "rm", "-f", "probe"])?;
    std::fs::remove_dir_all(stand.node.root_path().join("var/lib/archipelago/probe/data"))?;
    stand.archy_ok(&["--quiet", "start", "probe"])?;
    stand.until_answers(&stand.url(18001, "/health"), 200)?;
    Ok(())
}
