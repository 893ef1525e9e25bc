//! Containers that somebody else made: adopted as they run, migrated with their data and ports, brought
//! back, and kept through restarts of the daemon and the node.

use anyhow::{Context as _, ensure};
use archy_live::{Stand, get};
use serde_json::Value;
use xtask::node::READY_LIMIT;
use xtask::sh::wait_until;

const HOME: &str = "/home/archipelago";
const UNITS: &str = "/home/archipelago/.config/containers/systemd";
const DATA: &str = "/var/lib/archipelago";

/// A manifest of the probe with one service or two.
fn manifest(stand: &Stand, id: &str, port: u16, services: &str) -> anyhow::Result<()> {
    let image = image(stand)?;
    let services = services.replace("IMAGE", &image).replace("PORT", &port.to_string());
    let text = format!(
        "app:\n  id: {id}\n  name: Legacy\n  version: 1.0.0\n  description: It was there before.\n{services}"
    );
    let dir = stand.node.root_path().join("opt/archipelago/apps").join(id);
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join("manifest.yml"), text)?;
    Ok(())
}

fn image(stand: &Stand) -> anyhow::Result<String> {
    Ok(stand.index.get("probe").context("no probe image")?.reference.clone())
}

const ONE: &str = "  container:
    image: IMAGE
    env: { GREETING: hello }
    secret_env: [{ key: PROBE_TOKEN, secret_file: ID-token }]
    generated_secrets: [{ name: ID-token, kind: hex32 }]
    ports: [{ host: PORT, container: 8080, auth: none, auth_rationale: A test. }]
    volumes: [{ type: bind, source: data, target: /data }]
    health: { type: http, port: 8080, path: /health, interval: 2s }
";

const TWO: &str = "  services:
    web:
      image: IMAGE
      ports: [{ host: PORT, container: 8080, auth: none, auth_rationale: A test. }]
      volumes: [{ type: volume, source: content, target: /data }]
      health: { type: http, port: 8080, path: /health, interval: 2s }
      depends_on: { helper: started }
    helper:
      image: IMAGE
  named_volumes: { content: {} }
";

fn inspect(stand: &Stand, name: &str, format: &str) -> anyhow::Result<String> {
    Ok(stand.user(&["podman", "inspect", "-f", format, name])?.trim().to_owned())
}

/// Id and start of a container: the same pair means that it was not touched.
fn identity(stand: &Stand, name: &str) -> anyhow::Result<String> {
    inspect(stand, name, "{{.Id}} {{.State.StartedAt}}")
}

fn put_data(stand: &Stand, port: u16, blocks: u32) -> anyhow::Result<()> {
    stand.until_answers(&stand.url(port, "/health"), 200)?;
    let written = get(&stand.url(port, &format!("/data/write?n={blocks}")))?;
    ensure!(written.status == 200, "{written:?}");
    Ok(())
}

fn has_blocks(stand: &Stand, port: u16, count: u32) -> anyhow::Result<()> {
    stand.until_answers(&stand.url(port, "/health"), 200)?;
    let verdict = get(&stand.url(port, "/data/verify"))?;
    let whole = verdict.body.contains(&format!("good={count} bad=0"));
    ensure!(verdict.status == 200 && whole, "not {count} blocks: {verdict:?}");
    Ok(())
}

/// A digest over names and contents of the blocks in a directory; the probe counts its starts beside them.
fn digest(stand: &Stand, dir: &str) -> anyhow::Result<String> {
    let script =
        "cd \"$0\" && find . -name 'block-*' -print0 | sort -z | xargs -0 sha256sum | sha256sum";
    stand.user(&["podman", "unshare", "sh", "-c", script, dir])
}

fn app(stand: &Stand, id: &str) -> anyhow::Result<Value> {
    stand.app(id)?.with_context(|| format!("{id} is not there"))
}

fn stage(stand: &Stand, id: &str) -> anyhow::Result<String> {
    let app = app(stand, id)?;
    let stage = app.pointer("/adopted/stage").and_then(Value::as_str);
    Ok(stage.with_context(|| format!("not adopted: {app:#}"))?.to_owned())
}

fn restart_daemon(stand: &Stand) -> anyhow::Result<()> {
    stand.node.exec_root(["systemctl", "restart", "archipelago"])?;
    let back = wait_until(READY_LIMIT, || stand.archy(&["status"]).ok().filter(|out| out.ok()));
    back.context("the daemon did not come back")?;
    Ok(())
}

/// `podman run` with a directory of the host, another port than the manifest's, a secret in the
/// environment.
fn by_hand(stand: &Stand) -> anyhow::Result<()> {
    let image = image(stand)?;
    manifest(stand, "notes", 18101, &ONE.replace("ID", "notes"))?;
    stand.user(&["mkdir", "-p", &format!("{HOME}/notes")])?;
    // Podman starts at boot what is always to be started
    stand.user(&["systemctl", "--user", "enable", "-q", "podman-restart.service"])?;
    let volume = format!("{HOME}/notes:/data");
    stand.user(&[
        "podman",
        "run",
        "-d",
        "--name",
        "notes",
        "--restart",
        "always",
        "-p",
        "18100:8080",
        "-v",
        &volume,
        "-e",
        "PROBE_TOKEN=given-by-hand",
        "-e",
        "FORGOTTEN=1",
        &image,
    ])?;
    put_data(stand, 18100, 64)?;
    let before = identity(stand, "notes")?;
    let data = digest(stand, &format!("{HOME}/notes"))?;

    let listed = stand.archy_ok(&["adopt"])?;
    ensure!(listed.contains("notes") && listed.contains("podman-run"), "{listed}");
    let none = stand.archy(&["adopt", "probe"])?;
    ensure!(!none.ok() && none.stderr.contains("adopt-no-match"), "{}", none.stderr);
    stand.archy_ok(&["adopt", "notes"])?;
    stand.until_state("notes", "running")?;
    ensure!(identity(stand, "notes")? == before, "adoption restarted it");
    ensure!(stage(stand, "notes")? == "watched");
    restart_daemon(stand)?;
    stand.until_state("notes", "running")?;
    ensure!(identity(stand, "notes")? == before, "the daemon's restart touched it");
    has_blocks(stand, 18100, 64)?;

    // it is stopped and started as it is
    stand.archy_ok(&["stop", "notes"])?;
    stand.until_state("notes", "stopped")?;
    ensure!(inspect(stand, "notes", "{{.State.Status}}")? == "exited");
    stand.archy_ok(&["start", "notes"])?;
    stand.until_state("notes", "running")?;
    ensure!(before.starts_with(&inspect(stand, "notes", "{{.Id}}")?), "it was made anew");
    let refused = stand.archy(&["config", "set", "notes", "a=b"])?;
    ensure!(!refused.ok(), "settings of a foreign container were changed");

    moved_and_back(stand, &before, &data)
}

/// The migration of `notes`, its way back, and the migration for good.
fn moved_and_back(stand: &Stand, before: &str, data: &str) -> anyhow::Result<()> {
    // the plan names what changes; it needs consent
    let plan = stand.archy_ok(&["plan", "migrate", "notes"])?;
    for words in ["FORGOTTEN", "data in the app's data directory", "notes-token"] {
        ensure!(plan.contains(words), "the plan does not name {words}: {plan}");
    }
    ensure!(!plan.contains("given-by-hand"), "the plan shows a secret: {plan}");
    stand.archy_ok(&["migrate", "notes", "--yes"])?;
    stand.until_state("notes", "running")?;
    has_blocks(stand, 18100, 64)?;
    ensure!(stage(stand, "notes")? == "migrated");
    ensure!(digest(stand, &format!("{DATA}/notes/data"))? == data, "the data differs");
    ensure!(digest(stand, &format!("{HOME}/notes"))? == data, "the old data was touched");
    let label = "{{index .Config.Labels \"io.archipelago.app\"}}";
    ensure!(inspect(stand, "notes", label)? == "notes", "it is not our own");
    let aside = inspect(stand, "notes-before-archipelago", "{{.Id}} {{.State.Status}}")?;
    ensure!(before.starts_with(aside.split(' ').next().unwrap_or_default()), "{aside}");
    let kept = std::fs::read_to_string(
        stand.node.root_path().join("var/lib/archipelago/secrets/notes-token"),
    )?;
    ensure!(kept == "given-by-hand", "the secret was not taken over");
    let policy = "{{.HostConfig.RestartPolicy.Name}}";
    let aside = inspect(stand, "notes-before-archipelago", policy)?;
    ensure!(aside == "no", "Podman starts at boot what is kept aside: {aside}");

    // and back, with the data of before
    put_data(stand, 18100, 8)?;
    stand.archy_ok(&["migrate", "notes", "--rollback", "--yes"])?;
    stand.until_state("notes", "running")?;
    ensure!(before.starts_with(&inspect(stand, "notes", "{{.Id}}")?), "it is another container");
    has_blocks(stand, 18100, 64)?;
    ensure!(inspect(stand, "notes", policy)? == "always", "it is not what it was");
    let left = stand.user(&["sh", "-c", &format!("ls {UNITS} | grep -c ^notes || true")])?;
    ensure!(left.trim() == "0", "unit files are left: {left}");

    // for good
    stand.archy_ok(&["migrate", "notes", "--yes"])?;
    has_blocks(stand, 18100, 64)?;
    stand.archy_ok(&["migrate", "notes", "--commit", "--yes"])?;
    let gone = stand.node.exec_user(["podman", "inspect", "notes-before-archipelago"])?;
    ensure!(!gone.ok(), "the old container is still there");
    ensure!(stage(stand, "notes")? == "committed");
    Ok(())
}

/// As compose labels them: two services, a volume, a network.
fn compose(stand: &Stand) -> anyhow::Result<()> {
    let image = image(stand)?;
    manifest(stand, "pair", 18110, TWO)?;
    stand.user(&["podman", "network", "create", "pair_default"])?;
    for (service, more) in
        [("helper", &[][..]), ("web", &["-p", "18110:8080", "-v", "pair_content:/data"][..])]
    {
        let (name, label) =
            (format!("pair_{service}_1"), format!("com.docker.compose.service={service}"));
        let mut argv = vec![
            "podman",
            "run",
            "-d",
            "--name",
            &name,
            "--network",
            "pair_default",
            "--network-alias",
            service,
            "--label",
            "com.docker.compose.project=pair",
            "--label",
            &label,
        ];
        argv.extend(more);
        argv.push(&image);
        stand.user(&argv)?;
    }
    put_data(stand, 18110, 32)?;
    let before = [identity(stand, "pair_web_1")?, identity(stand, "pair_helper_1")?];
    stand.archy_ok(&["adopt", "pair"])?;
    stand.until_state("pair", "running")?;
    ensure!(before == [identity(stand, "pair_web_1")?, identity(stand, "pair_helper_1")?]);
    let logs = stand.archy(&["logs", "pair", "--service", "web"])?;
    ensure!(logs.ok(), "{}", logs.stderr);
    Ok(())
}

/// A Quadlet file of the owner's own, with a volume.
fn quadlet(stand: &Stand) -> anyhow::Result<()> {
    let image = image(stand)?;
    manifest(stand, "card", 18120, &ONE.replace("ID", "card"))?;
    let text = format!(
        "[Container]\nImage={image}\nContainerName=card\nPublishPort=18120:8080\nVolume=card-store:/data\n\n[Install]\nWantedBy=default.target\n"
    );
    let path = format!("{UNITS}/card.container");
    stand.user(&[
        "sh",
        "-c",
        "mkdir -p \"$1\" && printf %s \"$2\" > \"$0\"",
        &path,
        UNITS,
        &text,
    ])?;
    stand.user(&["systemctl", "--user", "daemon-reload"])?;
    stand.user(&["systemctl", "--user", "start", "card"])?;
    put_data(stand, 18120, 16)?;
    let before = identity(stand, "card")?;
    stand.archy_ok(&["adopt", "card"])?;
    stand.until_state("card", "running")?;
    ensure!(identity(stand, "card")? == before, "adoption restarted it");
    stand.archy_ok(&["stop", "card"])?;
    stand.until_state("card", "stopped")?;
    stand.archy_ok(&["start", "card"])?;
    has_blocks(stand, 18120, 16)
}

fn migrate_quadlet(stand: &Stand) -> anyhow::Result<()> {
    let path = format!("{UNITS}/card.container");
    stand.archy_ok(&["migrate", "card", "--yes"])?;
    has_blocks(stand, 18120, 16)?;
    let text = stand.user(&["cat", &path])?;
    ensure!(text.contains("io.archipelago.app"), "the unit file is not our own: {text}");
    stand.archy_ok(&["migrate", "card", "--rollback", "--yes"])?;
    let text = stand.user(&["cat", &path])?;
    ensure!(text.contains("Volume=card-store:/data"), "the file was not put back: {text}");
    has_blocks(stand, 18120, 16)?;
    stand.archy_ok(&["migrate", "card", "--yes"])?;
    has_blocks(stand, 18120, 16)
}

/// A child of an older daemon: it lives in the daemon's cgroup and dies with it.
fn in_cgroup(stand: &Stand) -> anyhow::Result<()> {
    let image = image(stand)?;
    // an older daemon's unit was delegated its cgroup; elsewhere podman leaves for a scope of its own
    let delegate = "mkdir -p /etc/systemd/system/archipelago.service.d && printf '[Service]\nDelegate=yes\n' \
        > /etc/systemd/system/archipelago.service.d/old.conf && systemctl daemon-reload";
    ensure!(stand.node.exec_root(["sh", "-c", delegate])?.ok());
    restart_daemon(stand)?;
    manifest(stand, "old", 18130, &ONE.replace("ID", "old"))?;
    let script = "echo $$ > /sys/fs/cgroup/system.slice/archipelago.service/cgroup.procs && cd / && exec \
        setpriv --reuid=1000 --regid=1000 --init-groups env HOME=/home/archipelago \
        XDG_RUNTIME_DIR=/run/user/1000 podman --cgroup-manager=cgroupfs run -d --name old \
        -p 18130:8080 -v old-store:/data \"$0\"";
    let made = stand.node.exec_root(["sh", "-c", script, &image])?;
    ensure!(made.ok(), "{}{}", made.stdout, made.stderr);
    put_data(stand, 18130, 16)?;
    stand.archy_ok(&["adopt", "old"])?;
    stand.until_state("old", "running")?;
    let seen = app(stand, "old")?;
    ensure!(seen.pointer("/adopted/dies-with-daemon") == Some(&Value::Bool(true)), "{seen:#}");
    let before = identity(stand, "old")?;
    restart_daemon(stand)?;
    stand.until_state("old", "running")?;
    has_blocks(stand, 18130, 16)?;
    ensure!(identity(stand, "old")? != before, "it did not die with the daemon");
    stand.archy_ok(&["migrate", "old", "--yes"])?;
    let before = identity(stand, "old")?;
    restart_daemon(stand)?;
    has_blocks(stand, 18130, 16)?;
    ensure!(identity(stand, "old")? == before, "it still dies with the daemon");
    Ok(())
}

#[test]
fn what_was_there_before_is_adopted_and_migrated_with_its_data() -> anyhow::Result<()> {
    let stand = Stand::new("adopt")?;
    stand.user(&["podman", "pull", "-q", &image(&stand)?])?;
    by_hand(&stand)?;
    compose(&stand)?;
    quadlet(&stand)?;
    in_cgroup(&stand)?;

    stand.node.reboot()?;
    stand.node.wait_ready(READY_LIMIT)?;
    let back = wait_until(READY_LIMIT, || stand.archy(&["status"]).ok().filter(|out| out.ok()));
    back.context("the daemon did not come back")?;
    for id in ["notes", "pair", "card", "old"] {
        stand.until_state(id, "running")?;
    }
    has_blocks(&stand, 18100, 64)?;
    has_blocks(&stand, 18110, 32)?;
    has_blocks(&stand, 18120, 16)?;
    has_blocks(&stand, 18130, 16)?;

    migrate_quadlet(&stand)?;
    stand.archy_ok(&["migrate", "pair", "--yes"])?;
    has_blocks(&stand, 18110, 32)?;
    ensure!(inspect(&stand, "pair-helper", "{{.State.Status}}")? == "running");
    stand.archy_ok(&["uninstall", "pair"])?;
    let aside = inspect(&stand, "pair_web_1-before-archipelago", "{{.State.Status}}")?;
    ensure!(aside != "running", "{aside}");
    Ok(())
}
