//! The life of every test app: install, answer, stop, start, restart, daemon killed, node rebooted,
//! power cut, uninstall.

use std::collections::BTreeMap;
use std::thread;

use anyhow::{Context, ensure};
use archy_live::{Stand, get};
use xtask::node::READY_LIMIT;
use xtask::sh::wait_until;

/// How an app shows that it works.
enum Proof {
    /// A page on the node answers 200 and holds this text.
    Page(u16, &'static str, &'static str),
    /// A command in a service of the app succeeds.
    Exec(&'static str, &'static [&'static str]),
}

/// The test apps and their proofs.
const APPS: &[(&str, Proof)] = &[
    ("probe", Proof::Page(18001, "/health", "ok")),
    ("website", Proof::Page(18002, "/", "A page of one's own")),
    (
        "postgres",
        Proof::Exec("main", &["psql", "-h", "/tmp", "-U", "owner", "-d", "home", "-c", "select 1"]),
    ),
    ("valkey", Proof::Exec("main", &["valkey-cli", "-h", "127.0.0.1", "ping"])),
    ("mariadb", Proof::Exec("main", &["mariadb-admin", "-h", "127.0.0.1", "ping"])),
    (
        "mqtt",
        Proof::Exec(
            "main",
            &[
                "bash",
                "-c",
                "mosquitto_pub -h 127.0.0.1 -u home -P \"$MOSQUITTO_PASSWORD\" -t hall/light -m on",
            ],
        ),
    ),
    ("objects", Proof::Page(18012, "/health", "ok")),
    ("git", Proof::Page(18011, "/", "demo")),
    ("metrics", Proof::Page(18009, "/-/ready", "Ready")),
    ("sync", Proof::Page(18010, "/rest/noauth/health", "OK")),
    ("relay", Proof::Page(18008, "/", "Nostr")),
    ("blog", Proof::Page(18007, "/wp-admin/install.php", "WordPress")),
    ("plaza", Proof::Page(18020, "/api/version", "1.0.0")),
];

impl Proof {
    fn holds(&self, stand: &Stand, id: &str) -> anyhow::Result<()> {
        match self {
            Self::Page(port, path, text) => {
                let body = stand.until_answers(&stand.url(*port, path), 200)?;
                ensure!(body.contains(text), "{id}: {path} does not say {text:?}: {body}");
            }
            Self::Exec(service, command) => {
                let args = ["exec", id, "--service", service, "--"];
                let args: Vec<&str> = args.iter().chain(*command).copied().collect();
                stand.archy_ok(&args)?;
            }
        }
        Ok(())
    }
}

/// Does something for every app, four at a time: independent apps do not wait for each other.
fn each(
    work: impl Fn(&'static str, &'static Proof) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    let work = &work;
    for group in APPS.chunks(4) {
        thread::scope(|scope| {
            let running: Vec<_> = group
                .iter()
                .map(|(id, proof)| {
                    scope.spawn(move || work(id, proof).with_context(|| (*id).to_owned()))
                })
                .collect();
            running.into_iter().try_for_each(|task| {
                task.join().unwrap_or_else(|_| Err(anyhow::anyhow!("panicked")))
            })
        })?;
    }
    Ok(())
}

fn all_work(stand: &Stand) -> anyhow::Result<()> {
    each(|id, proof| {
        stand.until_state(id, "running")?;
        proof.holds(stand, id)
    })?;
    data_is_whole(stand)
}

fn data_is_whole(stand: &Stand) -> anyhow::Result<()> {
    let verdict = get(&stand.url(18001, "/data/verify"))?;
    ensure!(verdict.status == 200, "the probe's data is damaged: {}", verdict.body);
    let kept = get(&stand.url(18012, "/shelf/note.txt"))?;
    ensure!(kept.body == "kept", "the object store lost its file: {kept:?}");
    let rows = stand.archy_ok(&[
        "exec",
        "postgres",
        "--",
        "psql",
        "-h",
        "/tmp",
        "-U",
        "owner",
        "-d",
        "home",
        "-tc",
        "select count(*) from kept",
    ])?;
    ensure!(rows.trim() == "1000", "the database lost rows: {rows}");
    Ok(())
}

fn put_data(stand: &Stand) -> anyhow::Result<()> {
    let written = get(&stand.url(18001, "/data/write?n=64"))?;
    ensure!(written.status == 200, "{written:?}");
    let put =
        archy_live::request(&stand.url(18012, "/shelf/note.txt"), &["-X", "PUT"], Some("kept"))?;
    ensure!(put.status == 201, "{put:?}");
    let sql = "create table kept as select generate_series(1, 1000) as n";
    let psql =
        ["exec", "postgres", "--", "psql", "-h", "/tmp", "-U", "owner", "-d", "home", "-c", sql];
    stand.archy_ok(&psql)?;
    Ok(())
}

/// Containers by name with their ids.
fn containers(stand: &Stand) -> anyhow::Result<BTreeMap<String, String>> {
    let lines = stand.user(&["podman", "ps", "--format", "{{.Names}} {{.ID}}"])?;
    Ok(lines.lines().filter_map(|l| l.split_once(' ')).map(|(n, i)| (n.into(), i.into())).collect())
}

#[test]
fn every_app_lives_through_everything() -> anyhow::Result<()> {
    let stand = Stand::new("life")?;
    each(|id, _| stand.archy_ok(&["--quiet", "install", id]).map(drop))?;
    put_data(&stand)?;
    all_work(&stand)?;
    hook_and_secrets(&stand)?;

    // stopped, started, restarted
    each(|id, _| {
        stand.archy_ok(&["--quiet", "stop", id])?;
        stand.until_state(id, "stopped")
    })?;
    ensure!(
        containers(&stand)?.is_empty(),
        "containers of stopped apps run: {:?}",
        containers(&stand)?
    );
    ensure!(get(&stand.url(18001, "/health"))?.status == 0, "a stopped app answers");
    each(|id, _| stand.archy_ok(&["--quiet", "start", id]).map(drop))?;
    all_work(&stand)?;
    each(|id, _| stand.archy_ok(&["--quiet", "restart", id]).map(drop))?;
    all_work(&stand)?;

    // the daemon is killed: apps do not notice
    let before = containers(&stand)?;
    stand.node.exec_root(["systemctl", "kill", "-s", "KILL", "archipelago"])?;
    xtask::platform::wait_for_api(&stand.node)?;
    all_work(&stand)?;
    ensure!(containers(&stand)? == before, "containers were touched by a daemon restart");

    // the node reboots without the daemon: apps run, the stopped one stays stopped
    stand.archy_ok(&["--quiet", "stop", "mqtt"])?;
    let units = ["archipelago.service", "archipelago-https.socket", "archipelago-http.socket"];
    for unit in units {
        stand.node.exec_root(["systemctl", "disable", "--quiet", unit])?;
    }
    stand.node.reboot()?;
    stand.node.wait_ready(READY_LIMIT)?;
    for (id, proof) in APPS {
        if let Proof::Page(port, path, _) = proof {
            stand.until_answers(&stand.url(*port, path), 200).with_context(|| (*id).to_owned())?;
        }
    }
    ensure!(!containers(&stand)?.contains_key("mqtt"), "a stopped app was started by a reboot");
    for unit in units {
        stand.node.exec_root(["systemctl", "enable", "--now", "--quiet", unit])?;
    }
    xtask::platform::wait_for_api(&stand.node)?;
    stand.until_state("mqtt", "stopped")?;
    stand.archy_ok(&["--quiet", "start", "mqtt"])?;
    all_work(&stand)?;

    // the power goes
    stand.node.power_cut()?;
    stand.node.boot()?;
    stand.node.wait_ready(READY_LIMIT)?;
    xtask::platform::wait_for_api(&stand.node)?;
    all_work(&stand)?;

    uninstall(&stand)
}

/// The stack's hooks ran, its proxy reaches its services, and no secret shows.
fn hook_and_secrets(stand: &Stand) -> anyhow::Result<()> {
    let copied = get(&stand.url(18020, "/node.html"))?;
    ensure!(copied.status == 200, "copy_from_host did not run: {copied:?}");
    let index = "select indexname from pg_indexes where indexname = 'posts_text'";
    let psql = [
        "exec",
        "plaza",
        "--service",
        "database",
        "--",
        "psql",
        "-h",
        "/tmp",
        "-U",
        "plaza",
        "-d",
        "plaza",
        "-tc",
        index,
    ];
    ensure!(stand.archy_ok(&psql)?.contains("posts_text"), "the exec hook did not run");
    ensure!(get(&stand.url(18020, "/api/env/DATABASE_HOST"))?.body.trim() == "database");

    let secret = stand.user(&["cat", "/var/lib/archipelago/secrets/plaza-db-password"])?;
    let secret = secret.trim();
    ensure!(secret.len() == 64, "not 32 bytes of hex");
    let places = [
        ("inspect", stand.user(&["podman", "inspect", "plaza-database", "plaza-api"])?),
        ("units", stand.user(&["sh", "-c", "cat ~/.config/containers/systemd/*"])?),
        ("journal", stand.node.exec_root(["journalctl", "--no-pager"])?.stdout),
        ("argv", stand.node.exec_root(["ps", "axww"])?.stdout),
        ("store", stand.user(&["sh", "-c", "cat /var/lib/archipelago/state/*.db*"])?),
    ];
    for (place, text) in &places {
        ensure!(!text.contains(secret), "a secret shows in {place}");
    }
    ensure!(places.iter().all(|(_, text)| !text.is_empty()), "a place was not looked at");
    let modes = stand.user(&[
        "stat",
        "-c",
        "%a",
        "/var/lib/archipelago/secrets",
        "/var/lib/archipelago/secrets/plaza-db-password",
    ])?;
    ensure!(modes.split_whitespace().eq(["700", "600"]), "modes of secrets: {modes}");
    Ok(())
}

fn uninstall(stand: &Stand) -> anyhow::Result<()> {
    stand.archy_ok(&["--quiet", "uninstall", "--purge", "--yes", "objects"])?;
    each(|id, _| match id {
        "objects" => Ok(()),
        _ => stand.archy_ok(&["--quiet", "uninstall", id]).map(drop),
    })?;
    let left = |argv: &[&str]| stand.user(argv).map(|text| text.trim().to_owned());
    ensure!(left(&["podman", "ps", "-aq"])?.is_empty(), "containers are left");
    let units = left(&["sh", "-c", "ls ~/.config/containers/systemd"])?;
    // the shared network stays: containers of other programs may be on it
    ensure!(units == "archy-net.network", "unit files are left: {units}");
    let networks = left(&["podman", "network", "ls", "--format", "{{.Name}}"])?;
    ensure!(
        networks.split_whitespace().all(|n| ["podman", "archy-net"].contains(&n)),
        "networks are left: {networks}"
    );
    ensure!(left(&["podman", "secret", "ls", "-q"])?.is_empty(), "podman secrets are left");
    // data, volumes and secrets stay, except what was purged
    let data = left(&["ls", "/var/lib/archipelago"])?;
    ensure!(
        data.contains("probe") && !data.contains("objects"),
        "data after the uninstall: {data}"
    );
    let volumes = left(&["podman", "volume", "ls", "-q"])?;
    ensure!(volumes.contains("postgres-cluster"), "volumes after the uninstall: {volumes}");

    // what stayed is found again
    stand.archy_ok(&["--quiet", "install", "probe"])?;
    let verdict = stand.until_answers(&stand.url(18001, "/data/verify"), 200)?;
    ensure!(wait_until(READY_LIMIT, || Some(())).is_some() && !verdict.is_empty());
    Ok(())
}
