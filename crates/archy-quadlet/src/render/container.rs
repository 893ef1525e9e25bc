//! The `.container` file of a service.

use archy_manifest::model::{HealthCheck, Probe, Service};
use archy_manifest::names;
use archy_types::ServiceName;

use super::{HEAD, PROBE_IN_CONTAINER, env, limits, log_file, mounts, network, service, value};
use crate::error::RenderError;
use crate::escape::{EscapeError, Value};
use crate::input::{RenderInput, UnitFile, UnitRole};
use crate::unit::{Section, Unit};

/// Attempts that the log of a health check keeps, and characters of each.
const HEALTH_LOG_COUNT: u32 = 5;
const HEALTH_LOG_SIZE: u32 = 1000;
/// Seconds between checks until the first one passes: two are at the limit of what systemd starts.
const STARTUP_INTERVAL_SECS: u32 = 3;

/// Renders the file of one container.
pub(super) fn file(
    input: &RenderInput<'_>,
    name: &ServiceName,
    service: &Service,
    image: &str,
) -> Result<UnitFile, RenderError> {
    let container = names::container(input.manifest, name);
    let probe = matches!(
        service.health.as_ref().map(|health| &health.probe),
        Some(Probe::Http { .. } | Probe::Tcp { .. })
    );
    let mounts = mounts::mounts(input, name, service, probe)?;
    let mut unit = Unit::with_head(HEAD);
    service::unit(&mut unit, input, name, service, &mounts)?;
    let section = Writer { section: unit.section("Container"), name };
    let variables = write(section, input, service, image, &container, mounts)?;
    service::service(&mut unit, input, name, service, variables)?;
    unit.section("Quadlet").push("DefaultDependencies", Value::fixed("false"));
    if input.enabled {
        unit.section("Install").push("WantedBy", Value::fixed("default.target"));
    }
    Ok(UnitFile {
        file_name: format!("{container}.container"),
        unit: format!("{container}.service"),
        role: UnitRole::Container(name.clone()),
        text: super::text(&unit, input.host.podman)?,
    })
}

/// A section with the name of its service for errors.
struct Writer<'a> {
    section: &'a mut Section,
    name: &'a ServiceName,
}

impl Writer<'_> {
    fn put(
        &mut self,
        key: &'static str,
        text: Result<Value, EscapeError>,
    ) -> Result<(), RenderError> {
        let text = value(self.name.as_str(), key, text)?;
        self.section.push(key, text);
        Ok(())
    }

    fn fixed(&mut self, key: &'static str, text: &'static str) {
        self.section.push(key, Value::fixed(text));
    }

    /// A raw key, or its Podman flag where the text has characters that the key cannot hold.
    fn raw_or_flag(
        &mut self,
        key: &'static str,
        flag: &str,
        text: &str,
    ) -> Result<(), RenderError> {
        match Value::raw(text) {
            Ok(text) => {
                self.section.push(key, text);
                Ok(())
            }
            Err(_) => self.put("PodmanArgs", Value::words([format!("{flag}={text}")])),
        }
    }
}

/// Writes `[Container]`; tells whether its command needs the unit's variables.
fn write(
    mut out: Writer<'_>,
    input: &RenderInput<'_>,
    service: &Service,
    image: &str,
    container: &str,
    mounts: mounts::Mounts,
) -> Result<bool, RenderError> {
    out.put("ContainerName", Value::raw(container))?;
    out.put("Image", Value::raw(image))?;
    out.fixed("Pull", "never");
    let variables = command(&mut out, service)?;
    for (key, value) in service::labels(input, out.name, service) {
        out.put("Label", Value::words([format!("{key}={value}")]))?;
    }
    environment(&mut out, input, service)?;
    for network in network::networks(input, out.name, service)? {
        out.section.push("Network", network);
    }
    for port in network::published(input, service) {
        out.put("PublishPort", Value::raw(&port))?;
    }
    for (key, value) in mounts.container {
        out.section.push(key, value);
    }
    for device in &service.devices {
        out.put("AddDevice", Value::raw(device))?;
    }
    rights(&mut out, service)?;
    limits::write(out.section, input, out.name, service)?;
    log(&mut out, input, service, container)?;
    if let Some(health) = service.health.as_ref().filter(|_| !service.oneshot) {
        self::health(&mut out, health)?;
    }
    out.section.push("StopTimeout", Value::number(service.stop_grace_secs));
    if let Some(signal) = &service.stop_signal {
        out.put("StopSignal", Value::raw(signal))?;
    }
    Ok(variables)
}

fn command(out: &mut Writer<'_>, service: &Service) -> Result<bool, RenderError> {
    match service.entrypoint.as_deref() {
        None => {}
        // The key without a value would be passed over; the flag clears the image's entry point.
        Some([]) => out.put("PodmanArgs", Value::words(["--entrypoint="]))?,
        Some(words) => out.put("Entrypoint", Value::json(words))?,
    }
    if service.args.is_empty() {
        return Ok(false);
    }
    let arguments = value(out.name.as_str(), "args", Value::command(&service.args))?;
    let variables = arguments.needs_variables();
    out.section.push("Exec", arguments);
    Ok(variables)
}

fn environment(
    out: &mut Writer<'_>,
    input: &RenderInput<'_>,
    service: &Service,
) -> Result<(), RenderError> {
    for (variable, text) in env::plain(input, out.name, service)? {
        let assignment = Value::words([format!("{variable}={text}")]);
        let assignment = value(out.name.as_str(), &format!("variable {variable}"), assignment)?;
        out.section.push("Environment", assignment);
    }
    for (variable, secret) in env::secret_variables(input, out.name, service) {
        out.put("Secret", Value::words([format!("{secret},type=env,target={variable}")]))?;
    }
    for secret in mounts::secret_files(out.name, service)? {
        out.section.push("Secret", secret);
    }
    Ok(())
}

fn rights(out: &mut Writer<'_>, service: &Service) -> Result<(), RenderError> {
    if let Some(user) = &service.user {
        out.raw_or_flag("User", "--user", user)?;
    }
    if let Some(directory) = &service.working_dir {
        out.raw_or_flag("WorkingDir", "--workdir", directory)?;
    }
    if service.init {
        out.fixed("RunInit", "true");
    }
    let security = &service.security;
    out.fixed("DropCapability", "all");
    if !security.capabilities.is_empty() {
        out.put("AddCapability", Value::words(&security.capabilities))?;
    }
    if security.no_new_privileges {
        out.fixed("NoNewPrivileges", "true");
    }
    if security.readonly_root {
        out.fixed("ReadOnly", "true");
        out.fixed("ReadOnlyTmpfs", "true");
    }
    Ok(())
}

/// The log has a file of its own: only so does a limit of its size hold for each container, and it
/// outlives the container, which is removed when it ends.
fn log(
    out: &mut Writer<'_>,
    input: &RenderInput<'_>,
    service: &Service,
    container: &str,
) -> Result<(), RenderError> {
    let path = log_file(&input.host.data_dir, container);
    let bytes = service.resources.log_bytes;
    out.fixed("LogDriver", "k8s-file");
    out.put("LogOpt", Value::raw(&format!("path={}", path.display())))?;
    out.put("LogOpt", Value::raw(&format!("max-size={bytes}")))
}

fn health(out: &mut Writer<'_>, health: &HealthCheck) -> Result<(), RenderError> {
    let timeout = health.timeout_secs.to_string();
    let words: Vec<String> = match &health.probe {
        Probe::Http { port, path } => {
            let path = path.trim_start_matches('/');
            let target = format!("127.0.0.1:{port}/{path}");
            [PROBE_IN_CONTAINER, "http", &target, "--timeout-secs", &timeout].map(Into::into).into()
        }
        Probe::Tcp { port } => {
            let target = format!("127.0.0.1:{port}");
            [PROBE_IN_CONTAINER, "tcp", &target, "--timeout-secs", &timeout].map(Into::into).into()
        }
        Probe::Exec(words) => words.clone(),
    };
    let timeout = Value::seconds(health.timeout_secs);
    out.put("HealthCmd", Value::json(&words))?;
    out.section.push("HealthInterval", Value::seconds(health.interval_secs));
    out.section.push("HealthTimeout", timeout.clone());
    out.section.push("HealthRetries", Value::number(health.retries));
    out.section.push("HealthStartPeriod", Value::seconds(health.start_period_secs));
    // Until it passes for the first time it is asked often, so that a start does not last for an
    // interval more than the app needs. It never restarts the container: that is systemd's part,
    // when the start runs into its deadline.
    out.put("HealthStartupCmd", Value::json(&words))?;
    let often = health.interval_secs.min(STARTUP_INTERVAL_SECS);
    out.section.push("HealthStartupInterval", Value::seconds(often));
    out.section.push("HealthStartupTimeout", timeout);
    out.fixed("HealthStartupRetries", "0");
    out.fixed("HealthStartupSuccess", "1");
    out.section.push("HealthMaxLogCount", Value::number(HEALTH_LOG_COUNT));
    out.section.push("HealthMaxLogSize", Value::number(HEALTH_LOG_SIZE));
    out.fixed("HealthOnFailure", "kill");
    out.fixed("Notify", "healthy");
    Ok(())
}
