//! The Debian package on a stock Debian 13, and the doors that existing scripts use.

use anyhow::{Context, ensure};
use archy_live::{Answer, Stand, request};
use serde_json::{Value, json};
use xtask::node::Options;

const PASSWORD: &str = r#"correct "horse" \ battery"#;

fn rpc(stand: &Stand, options: &[&str], method: &str, params: &Value) -> anyhow::Result<Answer> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let options: Vec<&str> =
        ["-H", "Content-Type: application/json"].iter().chain(options).copied().collect();
    request(&format!("https://{}/rpc/v1", stand.ip()), &options, Some(&body))
}

/// A shell script as the service user, its standard input given.
fn shell(stand: &Stand, script: &str, input: &str) -> anyhow::Result<String> {
    let argv = ["bash", "-c", script];
    let cmd = stand.node.command(xtask::node::Who::User, argv, xtask::node::COMMAND_LIMIT)?;
    let out = cmd.input(input.as_bytes()).output()?;
    ensure!(out.ok(), "{script}\n{}{}", out.stdout, out.stderr);
    Ok(out.stdout)
}

#[test]
fn a_stock_debian_becomes_a_node_and_keeps_its_apps_without_the_package() -> anyhow::Result<()> {
    let stand = Stand::with("stock", Options { service_user: false, ..Options::default() })?;
    let id = stand.user(&["id"])?;
    ensure!(id.contains("(archipelago)"), "{id}");
    ensure!(
        stand.user(&["grep", "archipelago", "/etc/subuid", "/etc/subgid"])?.lines().count() == 2
    );
    let graph = stand.user(&["podman", "info", "--format", "{{.Store.GraphRoot}}"])?;
    ensure!(graph.trim() == "/var/lib/archipelago/containers/storage", "{graph}");
    doors(&stand)?;
    shell_helper(&stand)?;
    scripts_of_earlier_platforms(&stand)?;

    // installed again: nothing is lost
    stand.archy_ok(&["--quiet", "install", "probe"])?;
    ensure!(stand.node.exec_root(["dpkg", "-i", "/var/tmp/archipelago.deb"])?.ok());
    xtask::platform::wait_for_api(&stand.node)?;
    stand.until_state("probe", "running")?;

    // removed: the app runs on, its data stays
    ensure!(stand.node.exec_root(["dpkg", "-r", "archipelago"])?.ok());
    stand.until_answers(&stand.url(18001, "/health"), 200)?;
    ensure!(stand.node.exec_user(["test", "-d", "/var/lib/archipelago/probe"])?.ok());
    let container = || stand.user(&["podman", "inspect", "probe", "--format", "{{.Id}}"]);
    let before = container()?;

    // installed once more: the app is known, in the container that it had
    ensure!(stand.node.exec_root(["dpkg", "-i", "/var/tmp/archipelago.deb"])?.ok());
    xtask::platform::wait_for_api(&stand.node)?;
    stand.until_state("probe", "running")?;
    ensure!(container()? == before, "the app was disturbed");

    // purged: still nobody's data is touched
    ensure!(stand.node.exec_root(["dpkg", "--purge", "archipelago"])?.ok());
    for kept in ["/var/lib/archipelago/probe", "/var/lib/archipelago/secrets"] {
        ensure!(stand.node.exec_user(["test", "-d", kept])?.ok(), "{kept} is gone");
    }
    Ok(())
}

/// Where scripts for earlier platforms look and write: secrets of the first boot, the certificate's
/// script, manifests that are handed over.
fn scripts_of_earlier_platforms(stand: &Stand) -> anyhow::Result<()> {
    let script = r#"
        set -eu
        cd /var/lib/archipelago/secrets
        for name in mempool-db-password btcpay-db-password mysql-root-db-password; do
            [ "$(stat -c '%a %U %s' "$name")" = '600 archipelago 32' ]
        done
        before=$(cat mempool-db-password)
        /opt/archipelago/scripts/first-boot-secrets.sh
        [ "$(cat mempool-db-password)" = "$before" ]
        /opt/archipelago/scripts/setup-node-ca.sh
        place=/opt/archipelago/web-ui/archipelago-runtime/apps
        mkdir -p $place/handed
        sed 's/^  id: website/  id: handed/; s/18002/18902/' /opt/archipelago/apps/website/manifest.yml \
            >$place/handed/manifest.yml
        archy --quiet --json install handed >/dev/null
        archy --quiet uninstall --purge --yes handed >/dev/null
        grep -q 'window.nostr' /opt/archipelago/web-ui/nostr-provider.js && echo done
    "#;
    let out = shell(stand, script, "")?;
    ensure!(out.trim() == "done", "{out}");
    Ok(())
}

fn doors(stand: &Stand) -> anyhow::Result<()> {
    let none: &[&str] = &[];
    let health = rpc(stand, none, "health", &json!({}))?;
    ensure!(health.status == 200 && health.body.contains("uptime_seconds"), "{health:?}");
    ensure!(rpc(stand, none, "server.get-state", &json!({}))?.status == 401);
    let setup = rpc(stand, none, "auth.setup", &json!({ "password": PASSWORD }))?;
    ensure!(setup.status == 200 && !setup.body.contains("\"error\":{"), "{setup:?}");
    let login = rpc(stand, none, "auth.login", &json!({ "password": PASSWORD }))?;
    let cookie = |name: &str| {
        let start = format!("{name}=");
        login.headers.lines().filter_map(|l| l.split_once(": ")).find_map(|(key, value)| {
            let value = value.strip_prefix(&start)?;
            key.eq_ignore_ascii_case("set-cookie")
                .then(|| value.split(';').next().unwrap_or("").to_owned())
        })
    };
    let (session, csrf) =
        (cookie("session").context("no session")?, cookie("csrf_token").context("no csrf")?);
    let cookies = format!("Cookie: session={session}; csrf_token={csrf}");
    let token = format!("X-CSRF-Token: {csrf}");
    let state = rpc(stand, &["-H", &cookies, "-H", &token], "server.get-state", &json!({}))?;
    ensure!(state.status == 200 && state.body.contains("package-data"), "{state:?}");

    // an install as existing clients send it
    let install = json!({ "id": "website", "dockerImage": "registry.example/website:1" });
    let refused = rpc(stand, &["-H", &cookies], "package.install", &install)?;
    ensure!(refused.status == 403, "without the CSRF token: {refused:?}");
    let foreign = rpc(
        stand,
        &["-H", &cookies, "-H", &token, "-H", "Origin: https://evil.example:9000"],
        "package.install",
        &install,
    )?;
    ensure!(foreign.status == 403, "from another origin: {foreign:?}");
    let accepted = rpc(stand, &["-H", &cookies, "-H", &token], "package.install", &install)?;
    ensure!(accepted.body.contains("\"installing\""), "{accepted:?}");
    stand.until_state("website", "running")?;

    // guesses are limited
    let guess = json!({ "password": "wrong" });
    let statuses: Vec<u16> = (0..7)
        .map(|_| rpc(stand, none, "auth.login", &guess).map(|a| a.status))
        .collect::<Result<_, _>>()?;
    ensure!(statuses.last() == Some(&429), "guesses were not limited: {statuses:?}");
    Ok(())
}

/// `/opt/archipelago/rpc.bash` keeps its contract, and no password is ever an argument.
fn shell_helper(stand: &Stand) -> anyhow::Result<()> {
    // the limit on logins is per address: the helper asks from loopback
    let script = r#"
        set -eu
        IFS= read -r ARCHY_PASSWORD; export ARCHY_PASSWORD
        export ARCHY_BASE_URL=https://127.0.0.1 RPC_SESSION_FILE=$HOME/rpc.session
        . /opt/archipelago/rpc.bash
        rpc_login
        [ "$(stat -c %a "$RPC_SESSION_FILE")" = 600 ] && [ "$(wc -l <"$RPC_SESSION_FILE")" = 2 ]
        [ -n "$RPC_SESSION" ] && [ -n "$RPC_CSRF" ]
        rpc_result server.get-state | jq -r '.data["package-data"].website.state'
        rpc_result package.stop '{"id":"website"}' >/dev/null
        ! rpc_result package.stop '{"id":"no-such-app"}' 2>/dev/null
        rpc_logout_local
        [ ! -e "$RPC_SESSION_FILE" ] && echo done
    "#;
    let out = shell(stand, script, &format!("{PASSWORD}\n"))?;
    ensure!(out.lines().eq(["running", "done"]), "{out}");
    stand.until_state("website", "stopped")
}
