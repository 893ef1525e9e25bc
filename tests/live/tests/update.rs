//! Updates on a real node: a good one, one that does not hold out, the owner's way back, a daemon
//! killed and a node cut off in the middle, and a volume that belongs to an id of a container.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use archy_live::{Stand, get};
use xtask::node::READY_LIMIT;
use xtask::sh::wait_until;

const DATA: &str = "/data/write?n=64";
const PAGE: u16 = 18001;
/// A start that never becomes healthy is given up after its own deadline.
const GIVEN_UP: Duration = Duration::from_secs(400);

/// The probe's manifest in a version, with a short soak.
fn version(stand: &Stand, version: &str) -> anyhow::Result<String> {
    let at = stand.user(&["cat", "/opt/archipelago/apps/probe/manifest.yml"])?;
    let image = at.lines().find_map(|line| line.trim().strip_prefix("image: "));
    let image = image.context("no image in the manifest")?;
    let name = image.split('@').next().unwrap_or_default();
    let text = at
        .replace("version: 1.0.0", &format!("version: {version}"))
        .replace(image, &format!("{}:{version}", name.trim_end_matches(":1.0.0")));
    let text = format!("{}\n  update: {{ soak: 5s }}\n", text.trim_end());
    let inside = format!("var/tmp/probe-{version}.yml");
    std::fs::write(stand.node.root_path().join(&inside), text)?;
    Ok(format!("/{inside}"))
}

fn is_version(stand: &Stand, wanted: &str) -> anyhow::Result<()> {
    let body = stand.until_answers(&stand.url(PAGE, "/version"), 200)?;
    ensure!(body.contains(wanted), "it is {body}, not {wanted}");
    Ok(())
}

/// So many blocks are there, and all of them are whole.
fn has_blocks(stand: &Stand, count: usize) -> anyhow::Result<()> {
    stand.until_answers(&stand.url(PAGE, "/health"), 200)?;
    let verdict = get(&stand.url(PAGE, "/data/verify"))?;
    ensure!(verdict.status == 200, "damaged: {}", verdict.body);
    ensure!(
        verdict.body.contains(&format!("good={count} bad=0")),
        "not {count} blocks: {}",
        verdict.body
    );
    Ok(())
}

fn write(stand: &Stand) -> anyhow::Result<()> {
    let written = get(&stand.url(PAGE, DATA))?;
    ensure!(written.status == 200, "{written:?}");
    Ok(())
}

#[test]
fn updates_go_forward_or_back_with_their_data() -> anyhow::Result<()> {
    let stand = Stand::new("upd")?;
    stand.archy_ok(&["install", "probe"])?;
    stand.until_state("probe", "running")?;
    write(&stand)?;
    has_blocks(&stand, 64)?;

    // one that does not hold out
    let sick = version(&stand, "3.0.0-sick")?;
    let refused = stand.archy(&["update", &sick, "--yes"])?;
    let words = format!("{}{}", refused.stdout, refused.stderr);
    ensure!(refused.status.code() == Some(1), "exit {}: {words}", refused.status);
    ensure!(words.contains("It is back at 1.0.0, with the data of 2"), "{words}");
    is_version(&stand, "1.0.0")?;
    has_blocks(&stand, 64)?;
    let status = stand.app("probe")?.context("the probe is gone")?;
    ensure!(status.to_string().contains("update-taken-back"), "{status}");

    // a good one, and back with the data of before
    let good = version(&stand, "2.0.0")?;
    stand.archy_ok(&["update", &good, "--yes"])?;
    is_version(&stand, "2.0.0")?;
    has_blocks(&stand, 64)?;
    write(&stand)?;
    has_blocks(&stand, 128)?;
    stand.archy_ok(&["rollback", "probe", "--yes"])?;
    is_version(&stand, "1.0.0")?;
    has_blocks(&stand, 64)?;

    // stopped, it stays stopped
    stand.archy_ok(&["stop", "probe"])?;
    stand.archy_ok(&["update", &good, "--yes"])?;
    stand.until_state("probe", "stopped")?;
    stand.archy_ok(&["start", "probe"])?;
    is_version(&stand, "2.0.0")?;
    has_blocks(&stand, 64)
}

#[test]
fn an_update_that_is_cut_off_ends_old_or_new() -> anyhow::Result<()> {
    let stand = Stand::new("updcut")?;
    stand.archy_ok(&["install", "probe"])?;
    write(&stand)?;
    has_blocks(&stand, 64)?;
    let sick = version(&stand, "3.0.0-sick")?;
    for cut in ["daemon", "power"] {
        let list = ["sh", "-c", "ls /var/lib/archipelago/snapshots/probe || true"];
        let before = stand.user(&list)?;
        stand.archy_ok(&["update", &sick, "--yes", "--no-wait"])?;
        let saved = || stand.user(&["ls", "/var/lib/archipelago/snapshots/probe"]).ok();
        wait_until(READY_LIMIT, || saved().filter(|now| *now != before))
            .context("no snapshot was taken")?;
        match cut {
            "daemon" => {
                let kill = ["systemctl", "kill", "-s", "KILL", "archipelago.service"];
                stand.node.exec_root(kill).map(drop)?;
            }
            _ => {
                stand.node.power_cut()?;
                // the user's manager is not settled as long as the sick version starts: the daemon's
                // answer is what counts
                stand.node.boot()?;
                xtask::platform::wait_for_api(&stand.node)?;
            }
        }
        let back = wait_until(GIVEN_UP, || {
            let status = stand.app("probe").ok()??.to_string();
            status.contains("update-taken-back").then_some(())
        });
        back.with_context(|| format!("{cut}: not taken back: {}", stand.log()))?;
        is_version(&stand, "1.0.0")?;
        has_blocks(&stand, 64)?;
    }
    Ok(())
}

/// Runs a statement in the database; gives what it says.
fn sql(stand: &Stand, statement: &str) -> anyhow::Result<String> {
    let psql =
        ["exec", "postgres", "--", "psql", "-h", "/tmp", "-U", "owner", "-d", "home", "-tAc"];
    stand.archy_ok(&[&psql[..], &[statement]].concat())
}

/// What is in Podman's user namespace below a place, without what it has from elsewhere.
fn inside(stand: &Stand, words: &[&str]) -> anyhow::Result<String> {
    stand.user(&[&["podman", "unshare"][..], words].concat())
}

#[test]
fn a_volume_of_another_id_goes_back_and_is_purged_after_an_uninstall() -> anyhow::Result<()> {
    const VOLUME: &str = "postgres-cluster";
    let stand = Stand::new("updvol")?;
    stand.archy_ok(&["install", "postgres"])?;
    stand.until_state("postgres", "running")?;
    sql(&stand, "create table kept as select 'before' as word")?;
    let place = stand.user(&["podman", "volume", "inspect", "-f", "{{.Mountpoint}}", VOLUME])?;
    let volume = place.trim().trim_end_matches("/_data").to_owned();
    let owner = inside(&stand, &["stat", "-c", "%u", &volume])?;
    ensure!(owner.trim() == "999", "the volume is not another id's: {owner}");

    let text = stand.user(&["cat", "/opt/archipelago/apps/postgres/manifest.yml"])?;
    let text = text
        .replacen("version: 17.0.0", "version: 17.0.1", 1)
        .replace("POSTGRES_DB: home }", "POSTGRES_DB: home, PGTZ: UTC }");
    let text = format!("{}\n  update: {{ soak: 5s }}\n", text.trim_end());
    std::fs::write(stand.node.root_path().join("var/tmp/postgres.yml"), text)?;
    stand.archy_ok(&["update", "/var/tmp/postgres.yml", "--yes"])?;
    sql(&stand, "insert into kept values ('after')")?;
    stand.archy_ok(&["rollback", "postgres", "--yes"])?;
    stand.until_state("postgres", "running")?;
    let words = sql(&stand, "select string_agg(word, ' ') from kept")?;
    ensure!(words.contains("before") && !words.contains("after"), "{words}");
    let beside = inside(&stand, &["ls", "-A", &volume])?;
    ensure!(beside.trim() == "_data", "something stays beside the data: {beside}");

    stand.archy_ok(&["uninstall", "postgres"])?;
    ensure!(stand.app("postgres")?.is_none(), "it is still there");
    stand.user(&["podman", "volume", "exists", VOLUME])?;
    let plan = stand.archy_ok(&["plan", "uninstall", "postgres", "--purge"])?;
    ensure!(plan.contains(VOLUME), "the volume is not named: {plan}");
    stand.archy_ok(&["uninstall", "postgres", "--purge", "--yes"])?;
    ensure!(stand.app("postgres")?.is_none(), "it is back");
    let left = "podman volume ls -q; podman secret ls --format '{{.Name}}'; cd /var/lib/archipelago; \
                find . -path ./containers -prune -o -name '*postgres*' -print";
    let left = stand.user(&["sh", "-c", left])?;
    let left: Vec<_> = left.lines().filter(|line| line.contains("postgres")).collect();
    ensure!(left.is_empty(), "left behind: {left:?}");
    let again = stand.archy(&["uninstall", "postgres", "--purge", "--yes"])?;
    ensure!(again.stderr.contains("no app postgres is installed"), "{}", again.stderr);
    Ok(())
}
