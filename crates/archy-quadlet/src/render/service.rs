//! `[Unit]`, `[Service]` and `[Install]` of a container: ordering, restarts, deadlines.

use archy_manifest::model::{DependsOn, HealthCheck, Probe, Service};
use archy_manifest::names;
use archy_types::ServiceName;

use super::mounts::Mounts;
use super::{env, network, value};
use crate::error::RenderError;
use crate::escape::{EMPTY, SEMICOLON, Value};
use crate::input::RenderInput;
use crate::unit::{Section, Unit};

/// Starts within the interval after which a unit is `failed`.
const START_BURST: u32 = 10;
/// Pause before a start after a first end, and seconds of the longest; it grows from one to the
/// other over this many starts.
const RESTART_FIRST: &str = "100ms";
const RESTART_MAX_SECS: u32 = 30;
const RESTART_STEPS: u32 = 8;
/// Seconds that an app with a health check may be well after each start and still counts as one that
/// no start helps.
const WELL_SECS: u32 = 15 * 60;
/// Least seconds that a long-running service may take until it is ready.
const START_LEAST_SECS: u32 = 90;
/// Seconds on top of what the health check allows, for Podman itself.
const START_MARGIN_SECS: u32 = 30;
/// Seconds that a service which runs to completion may take.
const ONESHOT_SECS: u32 = 3600;
/// Seconds on top of the grace, for Podman to remove the container.
const STOP_MARGIN_SECS: u32 = 30;
/// Seconds to wait for a port to be free.
const PORT_FREE_SECS: &str = "20";
/// Exit codes of a stop by SIGTERM, SIGINT and SIGKILL.
const STOPPED_BY_SIGNAL: &str = "143 130 137";

/// Seconds from the start until the service must be ready.
pub(super) fn start_secs(service: &Service) -> u32 {
    if service.oneshot {
        return ONESHOT_SECS;
    }
    let health = service.health.as_ref().map_or(0, |health| {
        let HealthCheck { interval_secs, timeout_secs, retries, start_period_secs, .. } = *health;
        let checks = interval_secs.saturating_add(timeout_secs).saturating_mul(retries);
        start_period_secs.saturating_add(checks)
    });
    health.saturating_add(START_MARGIN_SECS).max(START_LEAST_SECS)
}

fn stop_secs(service: &Service) -> u32 {
    service.stop_grace_secs.saturating_add(STOP_MARGIN_SECS)
}

/// Seconds in which [`START_BURST`] starts make a unit `failed`: long enough that a unit whose every
/// start runs into its deadline still gets there instead of trying for ever, and one that is well for
/// a while after each start and is then ended for its health check.
fn burst_secs(service: &Service) -> u32 {
    let well = if service.health.is_some() && !service.oneshot { WELL_SECS } else { 0 };
    let cycle = start_secs(service)
        .saturating_add(stop_secs(service))
        .saturating_add(RESTART_MAX_SECS)
        .saturating_add(well);
    cycle.saturating_mul(START_BURST)
}

/// Writes `[Unit]`.
pub(super) fn unit(
    unit: &mut Unit,
    input: &RenderInput<'_>,
    name: &ServiceName,
    service: &Service,
    mounts: &Mounts,
) -> Result<(), RenderError> {
    let app = input.manifest;
    let description = if app.services.len() == 1 {
        format!("{} (app {})", app.name, app.id)
    } else {
        format!("{} (app {}, service {name})", app.name, app.id)
    };
    let section = unit.section("Unit");
    section.push("Description", Value::prose(&description));
    for (other, condition) in &service.depends_on {
        let other = format!("{}.service", names::container(app, other));
        // A dependency that runs for ever may restart without taking its dependants down with it;
        // without the result of one that completes, a dependant must not start at all.
        let strength = match condition {
            DependsOn::Started | DependsOn::Healthy | DependsOn::Ready => "Wants",
            DependsOn::Completed => "Requires",
        };
        section.push(strength, value(name.as_str(), "dependency", Value::list([&other]))?);
        section.push("After", value(name.as_str(), "dependency", Value::list([&other]))?);
    }
    for other in &input.after_units {
        section.push("After", value(name.as_str(), "dependency", Value::list([other]))?);
    }
    for path in &mounts.required {
        section.push("RequiresMountsFor", path.clone());
    }
    section.push("StartLimitIntervalSec", Value::seconds(burst_secs(service)));
    section.push("StartLimitBurst", Value::number(START_BURST));
    Ok(())
}

/// Writes `[Service]`. `variables` tells that a command in the unit uses [`EMPTY`] or [`SEMICOLON`].
pub(super) fn service(
    unit: &mut Unit,
    input: &RenderInput<'_>,
    name: &ServiceName,
    service: &Service,
    variables: bool,
) -> Result<(), RenderError> {
    let section = unit.section("Service");
    if variables {
        let settings = [format!("{EMPTY}="), format!("{SEMICOLON}=;")];
        section.push("Environment", value(name.as_str(), "arguments", Value::list(settings))?);
    }
    if service.oneshot {
        section.push("Type", Value::fixed("oneshot"));
        section.push("RemainAfterExit", Value::fixed("yes"));
        section.push("Restart", Value::fixed("on-failure"));
        // Dependants go on waiting while it is tried again, instead of failing with its first try.
        section.push("RestartMode", Value::fixed("direct"));
    } else {
        section.push("Restart", Value::fixed("always"));
        section.push("SuccessExitStatus", Value::fixed(STOPPED_BY_SIGNAL));
    }
    section.push("RestartSec", Value::fixed(RESTART_FIRST));
    section.push("RestartSteps", Value::number(RESTART_STEPS));
    section.push("RestartMaxDelaySec", Value::seconds(RESTART_MAX_SECS));
    section.push("TimeoutStartSec", Value::seconds(start_secs(service)));
    section.push("TimeoutStopSec", Value::seconds(stop_secs(service)));
    let probe = input.host.health_probe.to_string_lossy();
    for socket in network::awaited_sockets(input, service) {
        let words = [&*probe, "port-free", &socket, "--timeout-secs", PORT_FREE_SECS];
        section.push("ExecStartPre", value(name.as_str(), "port", Value::command(words))?);
    }
    if let Some(health) = &service.health {
        started(section, &probe, input, name, health)?;
    }
    Ok(())
}

/// The unit counts as started when its app answers. Podman can tell as well (`Notify=healthy`), with
/// a process for each try and a look every 250 ms.
fn started(
    section: &mut Section,
    probe: &str,
    input: &RenderInput<'_>,
    name: &ServiceName,
    health: &HealthCheck,
) -> Result<(), RenderError> {
    let question = probe_words(&health.probe);
    if question.is_empty() {
        return Ok(());
    }
    let container = names::container(input.manifest, name);
    let timeout = health.timeout_secs.to_string();
    let mut words = vec![probe.to_owned(), "started".to_owned(), container];
    words.extend(question);
    words.extend(["--timeout-secs".to_owned(), timeout]);
    section.push("ExecStartPost", value(name.as_str(), "health", Value::command(words))?);
    Ok(())
}

/// What the probe is asked on the command line, where it asks over the network.
pub(super) fn probe_words(probe: &Probe) -> Vec<String> {
    match probe {
        Probe::Http { port, path } => {
            let path = path.trim_start_matches('/');
            vec!["http".to_owned(), format!("127.0.0.1:{port}/{path}")]
        }
        Probe::Tcp { port } => vec!["tcp".to_owned(), format!("127.0.0.1:{port}")],
        Probe::Exec(_) => Vec::new(),
    }
}

/// Labels of a container, the platform's last so that they win.
pub(super) fn labels(
    input: &RenderInput<'_>,
    name: &ServiceName,
    service: &Service,
) -> Vec<(String, String)> {
    let own = service.labels.iter().filter(|(key, _)| !key.starts_with("io.archipelago."));
    let mut labels: Vec<(String, String)> =
        own.map(|(key, value)| (key.clone(), value.clone())).collect();
    labels.extend([
        (super::LABEL_APP.to_owned(), input.manifest.id.to_string()),
        (super::LABEL_SERVICE.to_owned(), name.to_string()),
        (super::LABEL_GENERATION.to_owned(), input.generation.to_string()),
        (super::LABEL_MANIFEST.to_owned(), input.digest.to_string()),
    ]);
    let hash = input.secrets_hash.as_ref().filter(|_| env::uses_secrets(input, name, service));
    labels.extend(hash.map(|hash| (super::LABEL_ENV_HASH.to_owned(), hash.clone())));
    labels
}
