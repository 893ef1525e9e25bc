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

/// Renders the file of one container.
pub(super) fn file(
    input: &RenderInput<'_>,
    name: &ServiceName,
    service: &Service,
    image: &str,
) -> Result<UnitFile, RenderError> {
    let container = names::container(input.manifest, name);
    let mounts = mounts::mounts(input, name, service, service.health.is_some())?;
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
    let variables = command(&mut out, input, service)?;
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
        self::health(&mut out, service, health)?;
    }
    out.section.push("StopTimeout", Value::number(service.stop_grace_secs));
    if let Some(signal) = &service.stop_signal {
        out.put("StopSignal", Value::raw(signal))?;
    }
    Ok(variables)
}

fn command(
    out: &mut Writer<'_>,
    input: &RenderInput<'_>,
    service: &Service,
) -> Result<bool, RenderError> {
    match service.entrypoint.as_deref() {
        None => {}
        // The key without a value would be passed over; the flag clears the image's entry point.
        Some([]) => out.put("PodmanArgs", Value::words(["--entrypoint="]))?,
        Some(words) => out.put("Entrypoint", Value::json(words))?,
    }
    if service.args.is_empty() {
        return Ok(false);
    }
    let args = env::arguments(input, out.name, service)?;
    let arguments = value(out.name.as_str(), "args", Value::command(&args))?;
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
    for (variable, secret) in env::secret_variables(input, out.name, service)? {
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

/// Writes the health check. The probe keeps the manifest's timeout itself; until it was well for the
/// first time it tries again and again, so that a start does not last longer than the app needs.
/// Podman's startup check would do that too, with one more process and one more timer for each start.
fn health(
    out: &mut Writer<'_>,
    service: &Service,
    health: &HealthCheck,
) -> Result<(), RenderError> {
    let start_secs = service::start_secs(service);
    let (timeout, patience) = (health.timeout_secs.to_string(), start_secs.to_string());
    let mut command = vec![PROBE_IN_CONTAINER.to_owned()];
    let words: &[String] = match &health.probe {
        Probe::Exec(words) => {
            command.push("exec".to_owned());
            words
        }
        network => {
            command.extend(service::probe_words(network));
            &[]
        }
    };
    let limits = ["--timeout-secs", &timeout, "--patience-secs", &patience];
    command.extend(limits.map(str::to_owned));
    if let Probe::Exec(_) = health.probe {
        command.push("--".to_owned());
    }
    command.extend_from_slice(words);
    out.put("HealthCmd", Value::json(&command))?;
    out.section.push("HealthInterval", Value::seconds(health.interval_secs));
    let longest = start_secs.saturating_add(health.timeout_secs);
    out.section.push("HealthTimeout", Value::seconds(longest));
    out.section.push("HealthRetries", Value::number(health.retries));
    out.section.push("HealthStartPeriod", Value::seconds(health.start_period_secs));
    out.section.push("HealthMaxLogCount", Value::number(HEALTH_LOG_COUNT));
    out.section.push("HealthMaxLogSize", Value::number(HEALTH_LOG_SIZE));
    out.fixed("HealthOnFailure", "kill");
    if let Probe::Exec(_) = health.probe {
        // only in the container can it be asked
        out.fixed("Notify", "healthy");
    }
    Ok(())
}
