//! The app gate beside direct access, and beside nginx as the same proxy with TLS.
//!
//! The load generator runs on this machine, in the node's network.
use std::fs;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::report::{Aim, Line, Row};
use super::stand::Stand;
use super::stats::Series;
use crate::node::preflight;
use crate::sh::Cmd;

/// The app's port on the node, and that of nginx before it.
const PORT: u16 = 18002;
const NGINX: u16 = 18444;
/// Path of the small answer and of the large one in the container.
const SMALL: &str = "/";
const LARGE: &str = "/large";
const LARGE_BYTES: f64 = (1_u64 << 30) as f64;
/// How long one load lasts, and how many connections stay open.
const SECONDS: &str = "5s";
const CONNECTIONS: &str = "16";
const LIMIT: Duration = Duration::from_secs(120);
const PASSWORD: &str = "correct horse battery";
/// Where the configuration of nginx lies in the node.
const CONF: &str = "/var/tmp/bench-nginx.conf";

/// What one way to the app gave.
#[derive(Debug, Default)]
struct Way {
    per_second: Series,
    /// Latency of a request when nobody else asks, in ms.
    alone: Series,
    /// MiB a second of a large download.
    download: Series,
}

/// A way to the app.
struct Target {
    base: String,
    cookie: Option<String>,
}

/// Measures.
///
/// # Errors
/// The app or a proxy does not answer.
pub(super) fn row(stand: &Stand, runs: usize) -> anyhow::Result<Row> {
    preflight::tools(&[("wrk", "wrk"), ("curl", "curl")])?;
    stand.clear()?;
    install(stand)?;
    let cookie = Some(session(stand)?);
    nginx(stand)?;
    let ip = stand.node.ip();
    let targets = [
        Target { base: format!("http://127.0.0.1:{PORT}"), cookie: None },
        Target { base: format!("http://{ip}:{PORT}"), cookie: cookie.clone() },
        Target { base: format!("https://{ip}:{PORT}"), cookie },
        Target { base: format!("https://{ip}:{NGINX}"), cookie: None },
    ];
    let mut ways: [Way; 4] = Default::default();
    for _ in 0..runs {
        for (target, way) in targets.iter().zip(&mut ways) {
            measure(stand, target, way).with_context(|| target.base.clone())?;
        }
    }
    stand.user(&["podman", "rm", "-f", "bench-nginx"])?;
    stand.purge("website")?;
    Ok(table(runs, &ways))
}

fn table(runs: usize, [direct, plain, tls, nginx]: &[Way; 4]) -> Row {
    let added: Series = (plain.alone.median() - direct.alone.median()).into();
    Row {
        runs,
        lines: vec![
            Line::more(
                "gate: small answers a second",
                "direct",
                (&direct.per_second, &plain.per_second),
                "/s",
                0.7,
            ),
            Line::more(
                "gate: download of 1 GiB",
                "direct",
                (&direct.download, &plain.download),
                "MiB/s",
                0.8,
            ),
            Line::more(
                "gate with TLS: small answers a second",
                "nginx with TLS",
                (&nginx.per_second, &tls.per_second),
                "/s",
                0.9,
            ),
            Line::more(
                "gate with TLS: download of 1 GiB",
                "nginx with TLS",
                (&nginx.download, &tls.download),
                "MiB/s",
                0.9,
            ),
            Line::alone(
                "gate: added to one request (p50)",
                &added,
                "ms",
                Aim::AtMost(0.5),
                "≤ 0.5 ms",
            ),
        ],
        notes: vec![format!(
            "gate: the app is nginx in a container on a bridge; wrk with one thread and {CONNECTIONS} connections for {SECONDS}, \
             from the node's network; direct is the published port on loopback, nginx with TLS is a \
             container in the node's network that passes to the same port with kept connections."
        )],
    }
}

/// The website behind the gate, on a bridge, with a large file.
fn install(stand: &Stand) -> anyhow::Result<()> {
    let manifest = stand.apps.get("website").context("no website among the test apps")?;
    let manifest = manifest
        .replace("auth: none, auth_rationale: A public web page.", "auth: gated")
        .replace("      network: pasta\n", "")
        .replace("readonly_root: true", "readonly_root: false");
    stand.install("website", &manifest)?;
    let large = format!("truncate -s 1G /usr/share/nginx/html{LARGE}");
    stand.user(&["podman", "exec", "-u", "0", "website", "sh", "-c", &large])?;
    Ok(())
}

/// Logs in, and gives the cookie.
fn session(stand: &Stand) -> anyhow::Result<String> {
    let url = format!("https://{}/rpc/v1", stand.node.ip());
    let call = |method: &str| {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"password":"{PASSWORD}"}}}}"#
        );
        let cmd = Cmd::new("curl").args(["-sk", "-D", "-", "-o", "/dev/null", "-H"]);
        cmd.args(["Content-Type: application/json", "-d", &body, &url]).limit(LIMIT).run()
    };
    // a kept node has its owner already
    for method in ["auth.setup", "auth.login"] {
        let head = call(method)?.stdout;
        let cookie = head.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .starts_with("set-cookie: session=")
                .then(|| line[12..].split(';').next().unwrap_or_default().to_owned())
        });
        if let Some(cookie) = cookie {
            return Ok(cookie);
        }
    }
    anyhow::bail!("the node gives no session")
}

/// nginx as the same proxy, with the node's own certificate.
fn nginx(stand: &Stand) -> anyhow::Result<()> {
    let conf = format!(
        "daemon off; worker_processes auto; pid /tmp/bench.pid; error_log stderr;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; client_body_temp_path /tmp; proxy_temp_path /tmp; fastcgi_temp_path /tmp;\n\
         uwsgi_temp_path /tmp; scgi_temp_path /tmp; keepalive_requests 1000000;\n\
         upstream app {{ server 127.0.0.1:{PORT}; keepalive 64; }}\n\
         server {{ listen {NGINX} ssl; ssl_certificate /tls/archipelago.crt; ssl_certificate_key /tls/archipelago.key;\n\
         location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off;\n\
         proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr; }} }} }}\n"
    );
    fs::write(stand.path(CONF), conf)?;
    let image = super::image(stand, "nginx")?;
    let _absent = stand.user(&["podman", "rm", "-f", "bench-nginx"]);
    let (conf, tls) = (format!("{CONF}:/bench.conf:ro"), "/etc/archipelago/ssl:/tls:ro");
    stand.user(&[
        "podman",
        "run",
        "-d",
        "--name",
        "bench-nginx",
        "--network",
        "host",
        "-v",
        &conf,
        "-v",
        tls,
        "--entrypoint",
        "nginx",
        &image,
        "-c",
        "/bench.conf",
    ])?;
    let url = format!("https://{}:{NGINX}/", stand.node.ip());
    let up = || Cmd::new("curl").args(["-skf", "-o", "/dev/null", &url]).succeeds().then_some(());
    crate::sh::wait_until(Duration::from_secs(30), up).context("nginx does not answer")
}

fn measure(stand: &Stand, target: &Target, way: &mut Way) -> anyhow::Result<()> {
    let busy = load(stand, target, CONNECTIONS)?;
    way.per_second.push(figure(&busy, "Requests/sec:")?);
    let alone = load(stand, target, "1")?;
    way.alone.push(millis(&alone)?);
    let mut cmd = inside(stand, "curl").args([
        "-sk",
        "-o",
        "/dev/null",
        "-w",
        "%{size_download} %{time_total}",
    ]);
    if let Some(cookie) = &target.cookie {
        cmd = cmd.args(["-b", cookie]);
    }
    let out = cmd.arg(format!("{}{LARGE}", target.base)).limit(LIMIT).run()?.stdout;
    let (size, seconds) = out.trim().split_once(' ').context("curl tells no time")?;
    let (size, seconds): (f64, f64) = (size.parse()?, seconds.parse()?);
    ensure!((size - LARGE_BYTES).abs() < 1.0, "{size} bytes came");
    way.download.push(size / seconds / f64::from(1 << 20));
    Ok(())
}

/// A program of this machine in the node's network.
fn inside(stand: &Stand, program: &str) -> Cmd {
    let octet = stand.node.ip().rsplit('.').next().unwrap_or_default().to_owned();
    Cmd::new("ip").args(["netns", "exec", &format!("archy-n{octet}"), program])
}

fn load(stand: &Stand, target: &Target, connections: &str) -> anyhow::Result<String> {
    let cmd = inside(stand, "wrk").args(["-t", "1", "-c", connections, "-d", SECONDS, "--latency"]);
    let cmd = match &target.cookie {
        Some(cookie) => cmd.args(["-H", &format!("Cookie: {cookie}")]),
        None => cmd,
    };
    let out = cmd.arg(format!("{}{SMALL}", target.base)).limit(LIMIT).run()?.stdout;
    ensure!(!out.contains("Non-2xx"), "not every answer is good:\n{out}");
    Ok(out)
}

fn figure(out: &str, after: &str) -> anyhow::Result<f64> {
    let rest = out.split(after).nth(1).and_then(|rest| rest.split_whitespace().next());
    Ok(rest.with_context(|| format!("no {after} in\n{out}"))?.parse()?)
}

/// The median latency, which has a unit.
fn millis(out: &str) -> anyhow::Result<f64> {
    let text = out.split("50%").nth(1).and_then(|rest| rest.split_whitespace().next());
    let text = text.with_context(|| format!("no latency in\n{out}"))?;
    let (number, scale) = match text {
        text if text.ends_with("us") => (text.trim_end_matches("us"), 1e-3),
        text if text.ends_with("ms") => (text.trim_end_matches("ms"), 1.0),
        text => (text.trim_end_matches('s'), 1e3),
    };
    Ok(number.parse::<f64>()? * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_with_their_units() {
        let out = "  Latency Distribution\n     50%  412.00us\n     75%    1.20ms\nRequests/sec:  15234.50\n";
        assert!((millis(out).unwrap() - 0.412).abs() < 1e-9);
        assert!((millis("50% 1.5s").unwrap() - 1500.0).abs() < 1e-9);
        assert!((figure(out, "Requests/sec:").unwrap() - 15234.5).abs() < 1e-9);
    }
}
