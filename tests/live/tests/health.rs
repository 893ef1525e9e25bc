//! Up, but is it well? Apps that go on being unwell are repaired a few times, with longer and longer pauses, and
//! then named; what a check cannot know is unknown; answers that are late for the machine's sake end nothing.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use archy_live::{Stand, get};
use serde_json::Value;
use xtask::node::Who;
use xtask::sh::{Output, wait_until};

/// Starts after which systemd gives up (`StartLimitBurst=` of the units).
const MOST_STARTS: usize = 10;
/// All these starts, each with its checks and a pause of at most 30 s.
const GIVEN_UP: Duration = Duration::from_secs(600);
/// Long enough for several checks of the apps below, which are asked every 2 s.
const SEVERAL_CHECKS: Duration = Duration::from_secs(15);

/// An app of one service; `rest` are further lines of the service, `end` of the app.
fn install(stand: &Stand, id: &str, image: &str, rest: &str, end: &str) -> anyhow::Result<Output> {
    let image = &stand.index.get(image).context("no such image")?.reference;
    let text = format!(
        "app:\n  id: {id}\n  name: Unwell\n  version: 1.0.0\n  description: How is it?\n  services:\n    main:\n      \
         image: {image}\n{rest}{end}"
    );
    let inside = format!("var/tmp/{id}.yml");
    fs::write(stand.node.root_path().join(&inside), text)?;
    stand.archy(&["install", &format!("/{inside}")])
}

/// The probe with a published port and a directory in which it counts its starts.
fn probe(stand: &Stand, id: &str, port: u16, health: &str) -> anyhow::Result<Output> {
    let rest = format!(
        "      ports: [{{ host: {port}, container: 8080, auth: none, auth_rationale: A test. }}]\n      \
         volumes: [{{ type: bind, source: data, target: /data }}]\n      health: {health}\n"
    );
    install(stand, id, "probe", &rest, "")
}

fn works(out: Output) -> anyhow::Result<()> {
    ensure!(out.ok(), "{}{}", out.stdout, out.stderr);
    Ok(())
}

fn app(stand: &Stand, id: &str) -> anyhow::Result<Value> {
    stand.app(id)?.with_context(|| format!("{id} is not installed"))
}

/// A word of an app's answer, from its status or the app itself.
fn word<'a>(app: &'a Value, path: &str) -> &'a str {
    let found = app.pointer(&format!("/status{path}")).or_else(|| app.pointer(path));
    found.and_then(Value::as_str).unwrap_or_default()
}

/// Container and the moment at which it began.
fn container(stand: &Stand, name: &str) -> anyhow::Result<String> {
    stand.user(&["podman", "inspect", "-f", "{{.Id}} {{.State.StartedAt}}", name])
}

/// Lets time pass.
fn pass(time: Duration) {
    let _passed: Option<()> = wait_until(time, || None);
}

fn starts(stand: &Stand, id: &str) -> usize {
    let file = stand.node.root_path().join(format!("var/lib/archipelago/{id}/data/starts"));
    fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

#[test]
fn health_an_app_that_goes_on_being_unwell_is_restarted_a_few_times_and_then_named()
-> anyhow::Result<()> {
    let stand = Stand::new("unwell")?;
    let health = "{ type: http, port: 8080, path: /health, interval: 2s, timeout: 2s, retries: 2 }";
    works(probe(&stand, "unwell", 18411, health)?)?;

    // whenever it was found well, it falls ill
    let mut seen = vec![Instant::now()];
    let found = ["podman", "inspect", "-f", "{{.State.Health.Status}}", "unwell"];
    let given_up = wait_until(GIVEN_UP, || {
        if starts(&stand, "unwell") > seen.len() {
            seen.push(Instant::now());
        }
        if stand.node.exec_user(found).is_ok_and(|out| out.text() == "healthy") {
            let _ill = get(&stand.url(18411, "/sick"));
        }
        let now = app(&stand, "unwell").ok()?;
        (word(&now, "/state") == "failed").then_some(now)
    });
    let now = given_up.with_context(|| format!("it is not given up\n{}", stand.log()))?;
    let count = starts(&stand, "unwell");
    ensure!((4..=MOST_STARTS).contains(&count), "{count} starts");
    let pauses: Vec<Duration> = seen.windows(2).map(|two| two[1] - two[0]).collect();
    let (first, last) = (pauses[0], pauses[pauses.len() - 1]);
    ensure!(last > first + Duration::from_secs(15), "the pauses do not grow: {pauses:?}");

    let text = word(&now, "/cause/text");
    ensure!(text.contains("health check of main (GET /health on port 8080)"), "{now:#}");
    ensure!(word(&now, "/cause/code") == "health-failing", "{now:#}");
    ensure!(word(&now, "/repair/method") == "package.restart", "{now:#}");

    // no pass starts it behind its owner's back; the repair that was named does
    pass(SEVERAL_CHECKS);
    ensure!(starts(&stand, "unwell") == count, "it was started again");
    stand.archy_ok(&["--quiet", "restart", "unwell"])?;
    stand.until_state("unwell", "running")?;
    pass(SEVERAL_CHECKS);
    ensure!(starts(&stand, "unwell") == count + 1, "it was well and was started again");
    stand.until_state("unwell", "running")
}

#[test]
fn health_a_check_whose_tool_is_missing_tells_nothing() -> anyhow::Result<()> {
    let stand = Stand::new("untold")?;
    let often = "interval: 2s, timeout: 2s, retries: 2";
    let tool = format!("{{ type: exec, command: [pg_isready, -q], {often} }}");
    works(probe(&stand, "no-tool", 18412, &tool)?)?;
    // with a shell, which goes on after what it does not find
    let script = "no-such-tool http://localhost:8080/ || exit 1";
    let shell = format!("      health: {{ type: exec, command: [sh, -c, {script:?}], {often} }}\n");
    works(install(&stand, "no-script", "nginx", &shell, "")?)?;
    // one that is there, for comparison
    let own = format!("{{ type: exec, command: [/probe, check], {often} }}");
    works(probe(&stand, "own-tool", 18413, &own)?)?;

    let before = [container(&stand, "no-tool")?, container(&stand, "no-script")?];
    pass(SEVERAL_CHECKS);
    for (id, tool) in [("no-tool", "pg_isready"), ("no-script", "no-such-tool")] {
        stand.until_state(id, "running")?;
        let now = app(&stand, id)?;
        ensure!(now["services"][0]["health"] == "unknown", "{now:#}");
        let said = now["services"][0]["health-output"].as_str().unwrap_or_default();
        ensure!(said.contains(tool) && said.contains("cannot be run"), "{now:#}");
        ensure!(word(&now, "/cause/text").contains("is not known"), "{now:#}");
    }
    ensure!(
        before == [container(&stand, "no-tool")?, container(&stand, "no-script")?],
        "restarted for a check that tells nothing\n{}",
        stand.log()
    );
    let healthy = || (app(&stand, "own-tool").ok()?["health"] == "healthy").then_some(());
    wait_until(SEVERAL_CHECKS, healthy).context("its own tool does not make it healthy")
}

#[test]
fn health_either_family_of_addresses_will_do() -> anyhow::Result<()> {
    let stand = Stand::new("family")?;
    for (id, listen) in [("only-six", "[::]:8080 ipv6only=on"), ("only-four", "0.0.0.0:8080")] {
        let rest = "      volumes: [{ type: file, source: own.conf, target: /etc/nginx/conf.d/default.conf, \
                    read_only: true }]\n      \
                    health: { type: http, port: 8080, path: /health, interval: 2s, timeout: 2s }\n";
        let end = format!(
            "  files:\n    - path: own.conf\n      content: |\n        server {{\n          listen {listen};\n          \
             location = /health {{ return 200; }}\n        }}\n"
        );
        works(install(&stand, id, "nginx", rest, &end)?)?;
        let healthy = || (app(&stand, id).ok()?["health"] == "healthy").then_some(());
        wait_until(SEVERAL_CHECKS, healthy)
            .with_context(|| format!("{id} is not healthy: {:#?}", app(&stand, id)))?;
    }
    let before = [container(&stand, "only-six")?, container(&stand, "only-four")?];
    // Podman's own checks go on finding them healthy, not only that of the start
    pass(SEVERAL_CHECKS);
    for id in ["only-six", "only-four"] {
        let health = stand.user(&["podman", "inspect", "-f", "{{.State.Health.Status}}", id])?;
        ensure!(health.trim() == "healthy", "{id}: {health}");
    }
    ensure!(before == [container(&stand, "only-six")?, container(&stand, "only-four")?]);
    Ok(())
}

/// Percent of the last ten seconds in which something waited for a processor, where the kernel tells.
fn pressure() -> Option<f64> {
    let text = fs::read_to_string("/proc/pressure/cpu").ok()?;
    text.split_whitespace().find_map(|word| word.strip_prefix("avg10="))?.parse().ok()
}

#[test]
fn health_late_answers_of_an_overloaded_machine_end_nothing() -> anyhow::Result<()> {
    if pressure().is_none() {
        return Ok(());
    }
    let stand = Stand::new("late")?;
    let health = "{ type: http, port: 8080, path: /health, interval: 2s, timeout: 1s, retries: 2 }";
    works(probe(&stand, "slow", 18414, health)?)?;
    let before = container(&stand, "slow")?;
    let pid = stand.user(&["podman", "inspect", "-f", "{{.State.Pid}}", "slow"])?;
    let signal = |name: &str| stand.node.exec_root(["kill", name, pid.trim()]);
    let burn = "for i in 1 2 3 4 5 6 7 8; do timeout 100 sh -c 'while :; do :; done' & done; wait";
    let burners = stand.node.command(Who::Root, ["sh", "-c", burn], Duration::from_secs(150))?;

    thread::scope(|scope| {
        let burning = scope.spawn(move || burners.output());
        wait_until(Duration::from_secs(60), || pressure().filter(|now| *now > 60.0))
            .context("no pressure")?;
        // an answer comes at the earliest after 4 s, four times as late as it may
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(40) {
            signal("-STOP")?;
            pass(Duration::from_secs(4));
            signal("-CONT")?;
            pass(Duration::from_millis(300));
        }
        burning.join().ok().context("the load ended badly")??;
        anyhow::Ok(())
    })?;
    ensure!(container(&stand, "slow")? == before, "it was made anew\n{}", stand.log());
    let healthy = || (app(&stand, "slow").ok()?["health"] == "healthy").then_some(());
    wait_until(SEVERAL_CHECKS, healthy).context("it is not healthy again")?;
    stand.until_state("slow", "running")?;

    // an app that does not answer at all is ended, load or not
    let pid = stand.user(&["podman", "inspect", "-f", "{{.State.Pid}}", "slow"])?;
    stand.node.exec_root(["kill", "-STOP", pid.trim()])?;
    let anew = || container(&stand, "slow").ok().filter(|now| *now != before);
    wait_until(Duration::from_secs(90), anew).context("an app that hangs was left hanging")?;
    stand.until_state("slow", "running")
}
