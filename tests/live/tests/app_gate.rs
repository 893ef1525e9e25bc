//! The app gate on a real node: gated and open ports on the network, the app itself on loopback.

use anyhow::{Context as _, ensure};
use archy_live::{Answer, Stand, get, request};

const PORT: u16 = 18001;
const PASSWORD: &str = "correct horse battery";
const MANIFEST: &str = "/var/tmp/gated.yml";

/// The probe with its port behind the gate.
fn manifest(stand: &Stand, auth: &str) -> anyhow::Result<()> {
    let text = stand.user(&["cat", "/opt/archipelago/apps/probe/manifest.yml"])?;
    let text = text.replace("auth: none", auth);
    std::fs::write(stand.node.root_path().join(MANIFEST.trim_start_matches('/')), text)?;
    Ok(())
}

fn secure(stand: &Stand, path: &str) -> String {
    stand.url(PORT, path).replace("http://", "https://")
}

/// Sets the owner's password; gives the cookies as curl takes them.
fn cookies(stand: &Stand) -> anyhow::Result<String> {
    let body = format!(r#"{{"method":"auth.setup","params":{{"password":"{PASSWORD}"}}}}"#);
    let url = format!("https://{}/rpc/v1", stand.ip());
    let answer = request(&url, &["-H", "Content-Type: application/json"], Some(&body))?;
    let cookie = |name: &str| {
        let lines = answer.headers.lines();
        let mut values = lines.filter_map(|line| line.split_once(": ").map(|(_, value)| value));
        let value = values.find(|value| value.starts_with(&format!("{name}=")))?;
        value.split(';').next().map(str::to_owned)
    };
    let session = cookie("session").with_context(|| format!("no session: {answer:?}"))?;
    Ok(format!("Cookie: theme=dark; {session}; {}", cookie("csrf_token").unwrap_or_default()))
}

fn status(answer: &Answer, wanted: u16, what: &str) -> anyhow::Result<()> {
    ensure!(answer.status == wanted, "{what}: {answer:?}");
    Ok(())
}

#[test]
fn a_gated_app_is_reached_with_a_session_alone_and_an_open_one_by_all() -> anyhow::Result<()> {
    let stand = Stand::new("appgate")?;
    manifest(&stand, "auth: gated")?;
    stand.archy_ok(&["--quiet", "install", MANIFEST])?;
    stand.until_answers(&secure(&stand, "/health"), 401)?;
    // nobody without a session: machines get a code, people a page
    let plain = get(&stand.url(PORT, "/health"))?;
    status(&plain, 401, "plain, without a session")?;
    ensure!(plain.body.contains("session-missing"), "{plain:?}");
    let page = request(&secure(&stand, "/version"), &["-H", "Accept: text/html"], None)?;
    status(&page, 401, "a browser")?;
    ensure!(page.body.contains("type=\"password\"") && page.body.contains("/version"), "{page:?}");
    let moved = request(&stand.url(PORT, "/version"), &["-H", "Accept: text/html"], None)?;
    status(&moved, 307, "a browser without TLS")?;
    // loopback reaches the app itself
    let inside = stand.user(&["curl", "-s", "-m", "5", "http://127.0.0.1:18001/health"])?;
    ensure!(inside.trim() == "ok", "{inside}");
    // the list shows the gate's address
    let app = stand.app("probe")?.context("it is not there")?;
    let address = app.to_string();
    ensure!(address.contains(&format!("https://{}:{PORT}", stand.ip())), "{address}");

    let cookies = cookies(&stand)?;
    let with = ["-H", cookies.as_str()];
    let seen = request(&secure(&stand, "/version"), &with, None)?;
    status(&seen, 200, "with a session")?;
    // a login on the app's own port leads back to where one was
    let form = format!("next=%2Fversion&password={}", PASSWORD.replace(' ', "+"));
    let login = request(&secure(&stand, "/.archipelago/login"), &[], Some(&form))?;
    status(&login, 303, "a login on the port")?;
    ensure!(login.headers.contains("/version"), "{login:?}");
    // wrong ones use up the limit of the dashboard as well
    let guess = || request(&secure(&stand, "/.archipelago/login"), &[], Some("password=no"));
    let codes: Vec<u16> = (0..6).map(|_| guess().map_or(0, |answer| answer.status)).collect();
    ensure!(codes == [401, 401, 401, 401, 401, 429], "{codes:?}");
    let url = format!("https://{}/rpc/v1", stand.ip());
    let body = r#"{"method":"auth.login","params":{"password":"no"}}"#;
    status(&request(&url, &[], Some(body))?, 429, "the dashboard's login")?;

    // the gate's sockets are in nobody's way
    stand.archy_ok(&["--quiet", "restart", "probe"])?;
    stand.archy_ok(&["--quiet", "stop", "probe"])?;
    let stopped = request(&secure(&stand, "/version"), &with, None)?;
    status(&stopped, 502, "a stopped app")?;
    ensure!(stopped.body.contains("Probe does not answer."), "{stopped:?}");
    stand.archy_ok(&["--quiet", "start", "probe"])?;
    status(&request(&secure(&stand, "/version"), &with, None)?, 200, "after a start")?;
    // sessions outlive the daemon, and so does the gate
    stand.node.exec_root(["systemctl", "restart", "archipelago.service"])?;
    xtask::platform::wait_for_api(&stand.node)?;
    stand.until_answers(&secure(&stand, "/version"), 401)?;
    status(&request(&secure(&stand, "/version"), &with, None)?, 200, "after a restart")?;

    // open: everybody, with the app's own answers
    manifest(&stand, "auth: open")?;
    stand.archy_ok(&["--quiet", "install", MANIFEST])?;
    stand.until_answers(&secure(&stand, "/version"), 200)?;
    status(&get(&stand.url(PORT, "/version"))?, 200, "open, plain")?;
    stand.archy_ok(&["--quiet", "uninstall", "probe"])?;
    stand.until_answers(&stand.url(PORT, "/version"), 0)?;
    Ok(())
}
