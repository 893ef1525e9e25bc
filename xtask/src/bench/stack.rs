//! A stack of seven services up and down, beside podman-compose, `podman kube play` and units written by hand.
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::http::{Ask, Door};
use super::inside::{Action, Until};
use super::install::leave;
use super::peers::{self, Source};
use super::report::{Aim, Line, Row};
use super::stand::{self, Stand};
use super::stats::Series;
use crate::cache::Cache;
use crate::sh::{self, Cmd};

/// The app's id: the stack is a test app.
const ID: &str = "plaza";
/// What is fetched for the peer, and named in the table.
pub(super) const PEER_VERSIONS: &str = "podman-compose 1.6.0";
const PACKAGES: &[&str] = &["podman-compose==1.6.0", "python-dotenv", "pyyaml"];
/// Where the peers' files lie in the node.
const DIR: &str = "/var/tmp/peers";
/// The peers' network.
const NETWORK: (&str, &str, &str) = ("peer", "10.89.200.0/24", "10.89.200.1");
/// Service, port on the node, port in the container: each is published, so that each can be asked.
const PORTS: &[(&str, u16, u16)] = &[
    ("frontend", 18020, 8080),
    ("api", 18111, 8080),
    ("worker", 18112, 8080),
    ("database", 18113, 5432),
    ("cache", 18114, 6379),
    ("objects", 18115, 8080),
    ("relay", 18116, 8080),
];
/// The images of the stack.
const IMAGES: &[&str] = &["postgres", "valkey", "probe", "objects", "nostr-relay", "nginx"];

/// Up and down of one contender.
#[derive(Debug, Default)]
struct Times {
    up: Series,
    down: Series,
}

/// The commands of one contender.
struct Contender {
    up: Vec<Action>,
    down: Vec<Action>,
    daemon: bool,
}

/// Measures.
///
/// # Errors
/// A contender does not come up, or leaves something behind.
pub(super) fn row(stand: &Stand, runs: usize) -> anyhow::Result<Row> {
    let text = manifest(stand)?;
    stand.clear()?;
    stand.install(ID, &text)?;
    let units = container_units(stand)?;
    prepare_peers(stand)?;
    stop(stand)?;
    let contenders = contenders(&text, &units);
    let mut times: BTreeMap<&str, Times> = BTreeMap::new();
    for round in 1..=runs {
        for (name, contender) in &contenders {
            sh::say(&format!("    … round {round} of {runs}: {name}"));
            one_round(stand, name, contender, &mut times)?;
        }
    }
    stand.with_daemon()?;
    stand.purge(ID)?;
    stand.user(&["podman", "network", "rm", "-f", NETWORK.0])?;
    lines(&times, runs)
}

fn one_round<'a>(
    stand: &Stand,
    name: &'a str,
    contender: &Contender,
    times: &mut BTreeMap<&'a str, Times>,
) -> anyhow::Result<()> {
    if contender.daemon {
        stand.with_daemon()?;
    } else {
        stand.without_daemon()?;
    }
    let mut up = contender.up.clone();
    up.push(Action::Answer(doors()));
    let up = stand.perform(up).with_context(|| format!("{name}, up"))?;
    pause();
    let down = stand.perform(contender.down.clone()).with_context(|| format!("{name}, down"))?;
    let left = stand.user(&["podman", "ps", "-aq"])?;
    ensure!(left.trim().is_empty(), "{name} left containers behind: {left}");
    let times = times.entry(name).or_default();
    times.up.push(up.total());
    times.down.push(down.total());
    if name == INSTALL {
        // the next ones want it there and stopped
        let text = manifest(stand)?;
        stand.install(ID, &text)?;
        stop(stand)?;
    }
    Ok(())
}

const OWN: &str = "Archipelago, stop and start";
const INSTALL: &str = "Archipelago, uninstall and install";
const COMPOSE: &str = "podman-compose";
const KUBE: &str = "podman kube play";
const HAND: &str = "units written by hand";

fn contenders(manifest: &str, units: &[String]) -> Vec<(&'static str, Contender)> {
    let by_hand = |verb: &str| {
        let mut words = vec!["systemctl", "--user", verb];
        words.extend(units.iter().map(String::as_str));
        vec![Action::run(&words)]
    };
    let compose = |words: &[&str]| {
        let (path, file) = (format!("PYTHONPATH={DIR}/compose"), format!("{DIR}/compose.yml"));
        let mut argv =
            vec!["env", &path, "python3", "-m", "podman_compose", "-f", &file, "-p", "peer"];
        argv.extend(words);
        vec![Action::run(&argv)]
    };
    let pods = format!("{DIR}/pods.yml");
    let kube_up = ["podman", "kube", "play", "--network", NETWORK.0, &pods];
    let own = |method: &str, until| vec![Action::ask(method, ID, until)];
    let contender = |up, down, daemon| Contender { up, down, daemon };
    vec![
        (
            OWN,
            contender(
                own("package.start", Until::Running),
                own("package.stop", Until::Stopped),
                true,
            ),
        ),
        (COMPOSE, contender(compose(&["up", "-d"]), compose(&["down"]), false)),
        (
            KUBE,
            contender(
                vec![Action::run(&kube_up)],
                vec![Action::run(&["podman", "kube", "down", &pods])],
                false,
            ),
        ),
        (HAND, contender(by_hand("start"), by_hand("stop"), false)),
        // last: it takes the unit files away
        (INSTALL, contender(vec![stand::install(ID, manifest)], vec![leave(ID)], true)),
    ]
}

fn lines(times: &BTreeMap<&str, Times>, runs: usize) -> anyhow::Result<Row> {
    let of = |name: &str| times.get(name).with_context(|| format!("{name} was not measured"));
    let own = of(OWN)?;
    let aims = [(COMPOSE, Aim::Ratio(0.45)), (KUBE, Aim::None), (HAND, Aim::Ratio(1.3))];
    let mut lines = Vec::new();
    for (name, aim) in aims {
        let work = "7-service stack up, until each service answers";
        lines.push(Line::beside(work, name, &of(name)?.up, &own.up, aim));
    }
    let best = [COMPOSE, KUBE, HAND]
        .into_iter()
        .filter_map(|name| Some((name, times.get(name)?.down.median())))
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map_or(HAND, |(name, _)| name);
    for (name, _) in aims {
        let aim = if name == best { Aim::Ratio(1.0) } else { Aim::None };
        lines.push(Line::beside("7-service stack down", name, &of(name)?.down, &own.down, aim));
    }
    let whole = of(INSTALL)?;
    Ok(Row {
        runs,
        lines,
        notes: vec![format!(
            "`tests/apps/plaza` with a port published for each of the seven so that each is asked in its own \
             protocol; its volumes are filled, its images present, its network exists for all. Archipelago: \
             `package.start` and `package.stop` through the socket. By hand: one `systemctl --user start` and `stop` \
             of the rendered units. The peers run with the daemon stopped. podman-compose keeps the same order \
             (`depends_on` with conditions, health checks every 3 s), but for `api` \
             after `prepare`, on which Podman's own dependencies fail; pods have no order and no health checks, and \
             `prepare` is tried again until it succeeds. A whole install from the manifest takes {}, an uninstall {}.",
            whole.up.show("ms"),
            whole.down.show("ms"),
        )],
    })
}

fn doors() -> Vec<Door> {
    let ask = |name: &str| match name {
        "database" => Ask::Postgres,
        "cache" => Ask::Valkey,
        "relay" => Ask::Http("/".to_owned()),
        _ => Ask::Http("/health".to_owned()),
    };
    PORTS.iter().map(|(name, port, _)| Door { port: *port, ask: ask(name) }).collect()
}

/// The test app, with a port for each service.
fn manifest(stand: &Stand) -> anyhow::Result<String> {
    let mut text = stand.apps.get(ID).context("tests/apps/plaza is gone")?.clone();
    for (name, host, container) in PORTS.iter().filter(|(name, ..)| *name != "frontend") {
        let head = format!("\n    {name}:\n      image:");
        let ports = format!(
            "\n    {name}:\n      ports: [{{ host: {host}, container: {container}, auth: none, auth_rationale: A benchmark. }}]\n      image:"
        );
        ensure!(text.contains(&head), "tests/apps/plaza has no service {name}");
        text = text.replacen(&head, &ports, 1);
    }
    Ok(text)
}

fn container_units(stand: &Stand) -> anyhow::Result<Vec<String>> {
    let files = stand.unit_files(ID)?;
    let containers =
        files.iter().filter(|(path, _)| path.extension().is_some_and(|kind| kind == "container"));
    let stems = containers.filter_map(|(path, _)| path.file_stem()?.to_str());
    Ok(stems.map(|stem| format!("{stem}.service")).collect())
}

fn stop(stand: &Stand) -> anyhow::Result<()> {
    stand.perform(vec![Action::ask("package.stop", ID, Until::Stopped)])?;
    Ok(())
}

/// Puts the peers' files into the node, and makes their network.
fn prepare_peers(stand: &Stand) -> anyhow::Result<()> {
    let dir = stand.path(DIR);
    fs::create_dir_all(&dir)?;
    let fetched = podman_compose()?;
    let copy = Cmd::new("cp").args(["-r", "-T"]).arg(&fetched).arg(dir.join("compose"));
    copy.run()?;
    let data = stand.path("/var/lib/archipelago");
    let secret = fs::read_to_string(data.join("secrets/plaza-db-password"))?;
    let conf = fs::read_to_string(data.join("plaza/nginx/plaza.conf"))?;
    let gateway =
        conf.split_whitespace().nth(1).context("the frontend's settings have no resolver")?;
    let conf_path = format!("{DIR}/frontend.conf");
    fs::write(stand.path(&conf_path), conf.replacen(gateway, NETWORK.2, 1))?;
    let mut images = BTreeMap::new();
    for name in IMAGES {
        images.insert(*name, super::image(stand, name)?);
    }
    let source = Source { images, password: secret.trim(), conf: &conf_path, ports: PORTS };
    fs::write(dir.join("compose.yml"), peers::compose(&source, NETWORK.0))?;
    fs::write(dir.join("pods.yml"), peers::kube(&source))?;
    let (name, subnet, gateway) = NETWORK;
    let make =
        ["podman", "network", "create", "--ignore", "--subnet", subnet, "--gateway", gateway];
    stand.user(&[make.as_slice(), &[name]].concat())?;
    Ok(())
}

/// podman-compose, fetched once.
fn podman_compose() -> anyhow::Result<std::path::PathBuf> {
    let dir = Cache::locate()?.dir("bench")?.join("podman-compose-1.6.0");
    if !dir.join("podman_compose.py").exists() {
        let options =
            ["install", "-q", "--python-version", "3.13", "--only-binary=:all:", "--target"];
        let fetch = Cmd::new("pip").args(options).arg(&dir).args(PACKAGES);
        sh::step("fetching podman-compose", || fetch.limit(Duration::from_secs(300)).run())?;
    }
    Ok(dir)
}

fn pause() {
    stand::pause(Duration::from_secs(2));
}
