//! What an app and the host do wrong: every failure ends in a state that says why, and is over when its cause is.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use archy_live::Stand;
use serde_json::Value;
use xtask::sh::wait_until;

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

    // its port is taken by somebody while it is stopped; the start comes when they have gone
    stand.archy_ok(&["--quiet", "stop", "probe"])?;
    let listen = ["systemd-run", "-q", "--unit=squatter", "socat", "TCP-LISTEN:18001,fork", "PIPE"];
    ensure!(stand.node.exec_root(listen)?.ok());
    let refused = stand.archy(&["start", "probe"])?;
    ensure!(!refused.ok() && words(&refused).contains("port-taken"), "{}", words(&refused));
    let active = ["systemctl", "is-active", "squatter"];
    ensure!(stand.node.exec_root(active)?.ok(), "the one who has the port was ended");
    ensure!(stand.node.exec_root(["systemctl", "stop", "squatter"])?.ok());
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

/// An app of two services, each with what can be taken away from it.
const PAIR: &str = "app:
  id: pair
  name: Pair
  version: 1.0.0
  description: Two services.
  services:
    main:
      image: IMAGE
      ports: [{ host: 18404, container: 8080, auth: none, auth_rationale: A test. }]
      volumes: [{ type: bind, source: data, target: /data }]
      health: { type: http, port: 8080, path: /health, interval: 2s }
    side:
      image: IMAGE
      volumes: [{ type: volume, source: store, target: /data }]
      health: { type: http, port: 8080, path: /health, interval: 2s }
  named_volumes: { store: {} }
";
const UNITS: &str = "home/archipelago/.config/containers/systemd";

#[test]
fn drift_of_what_an_app_stands_on_is_healed_while_it_runs() -> anyhow::Result<()> {
    let stand = Stand::new("drift-two")?;
    let image = stand.index.get("probe").context("no probe image")?.reference.clone();
    let root = stand.node.root_path();
    std::fs::write(root.join("var/tmp/pair.yml"), PAIR.replace("IMAGE", &image))?;
    stand.archy_ok(&["--quiet", "install", "/var/tmp/pair.yml"])?;
    let there = |argv: &[&str]| stand.node.exec_user(argv).is_ok_and(|out| out.ok());
    // both answer, the second one through the first one and their network
    let both = || {
        let answer = archy_live::get(&stand.url(18404, "/get/side:8080/health"));
        answer.is_ok_and(|answer| answer.body.ends_with("ok\n"))
    };
    let healed = |what: &str, well: &dyn Fn() -> bool| {
        let over = wait_until(HEALED, || (well() && both()).then_some(()));
        over.with_context(|| {
            format!("not healed: {what}: {:#?}\n{}", stand.app("pair"), stand.log())
        })?;
        stand.until_state("pair", "running")
    };
    healed("nothing", &|| true)?;

    let unit = root.join(UNITS).join("pair-side.container");
    let good = std::fs::read_to_string(&unit)?;
    std::fs::remove_file(&unit)?;
    healed("the unit of its second service", &|| {
        std::fs::read_to_string(&unit).is_ok_and(|text| text == good)
    })?;
    stand.user(&["podman", "volume", "rm", "-f", "pair-store"])?;
    // systemd is faster, and Podman then makes a volume that nobody owns: it is named and not touched
    let named = || stand.app("pair").ok()??.to_string().contains("name-taken").then_some(());
    wait_until(HEALED, named).with_context(|| format!("its volume is gone: {}", stand.log()))?;
    ensure!(there(&["podman", "volume", "exists", "pair-store"]), "it was removed");
    stand.archy_ok(&["--quiet", "stop", "pair"])?;
    stand.user(&["podman", "volume", "rm", "pair-store"])?;
    stand.archy_ok(&["--quiet", "start", "pair"])?;
    healed("its volume", &|| there(&["podman", "volume", "exists", "pair-store"]))?;
    stand.user(&["podman", "network", "rm", "-f", "pair"])?;
    healed("its network", &|| there(&["podman", "network", "exists", "pair"]))?;
    stand.user(&["podman", "rmi", "-f", &image])?;
    healed("its image", &|| there(&["podman", "image", "exists", &image]))?;
    let data = root.join("var/lib/archipelago/pair/data");
    std::fs::remove_dir_all(&data)?;
    healed("its data directory", &|| {
        // in it, and not in one that nobody sees any more
        let written = archy_live::get(&stand.url(18404, "/data/write?n=1"));
        written.is_ok_and(|answer| answer.status == 200) && data.join("block-00000000").exists()
    })?;
    foreign_things_are_left_alone(&stand, &image)
}

/// A unit and a network of somebody else's with the names that an app needs.
fn foreign_things_are_left_alone(stand: &Stand, image: &str) -> anyhow::Result<()> {
    let unit = stand.node.root_path().join(UNITS).join("probe.container");
    let text = format!("[Container]\nImage={image}\nContainerName=probe\nNetwork=none\n");
    let made = ["sh", "-c", &format!("printf '{text}' > /{UNITS}/probe.container")];
    stand.user(&made)?;
    stand.user(&["systemctl", "--user", "daemon-reload"])?;
    stand.user(&["systemctl", "--user", "start", "probe.service"])?;
    let before = container_id(stand, "probe")?;
    let refused = stand.archy(&["install", "probe"])?;
    ensure!(!refused.ok() && words(&refused).contains("name-taken"), "{}", words(&refused));
    ensure!(std::fs::read_to_string(&unit)? == text, "a foreign unit was changed");
    ensure!(container_id(stand, "probe")? == before, "a foreign container was touched");
    stand.user(&["systemctl", "--user", "stop", "probe.service"])?;
    std::fs::remove_file(&unit)?;
    stand.user(&["systemctl", "--user", "daemon-reload"])?;

    stand.user(&["podman", "network", "create", "probe"])?;
    let network = || stand.user(&["podman", "network", "inspect", "-f", "{{.ID}}", "probe"]);
    let before = network()?;
    let refused = stand.archy(&["install", "probe"])?;
    ensure!(!refused.ok() && words(&refused).contains("name-taken"), "{}", words(&refused));
    ensure!(network()? == before, "a foreign network was touched");
    stand.user(&["podman", "network", "rm", "probe"])?;
    stand.archy_ok(&["--quiet", "install", "probe"]).map(drop)
}
