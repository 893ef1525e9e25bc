//! Budgets of a container, as far as the host can enforce them.

use archy_manifest::model::Service;
use archy_types::ServiceName;

use super::value;
use crate::error::RenderError;
use crate::escape::Value;
use crate::input::{NotEnforced, RenderInput};
use crate::keys;
use crate::unit::Section;

fn delegated(input: &RenderInput<'_>, controller: &str) -> bool {
    input.host.controllers.iter().any(|found| found == controller)
}

/// Budgets that the host does not enforce, because it does not delegate the controller.
pub(super) fn not_enforced(
    input: &RenderInput<'_>,
    name: &ServiceName,
    service: &Service,
) -> Vec<NotEnforced> {
    let cpu = service.resources.cpus.is_some();
    [("memory", true), ("cpu", cpu), ("pids", true)]
        .into_iter()
        .filter(|(controller, declared)| *declared && !delegated(input, controller))
        .map(|(controller, _)| NotEnforced { service: name.clone(), controller })
        .collect()
}

/// Writes the budgets. A limit whose controller is not delegated makes the container's start fail,
/// so it is left out.
pub(super) fn write(
    section: &mut Section,
    input: &RenderInput<'_>,
    name: &ServiceName,
    service: &Service,
) -> Result<(), RenderError> {
    let resources = &service.resources;
    if delegated(input, "memory") {
        if keys::known("Container", "Memory", input.host.podman) {
            section.push("Memory", Value::number(resources.memory_bytes));
        } else {
            let argument = format!("--memory={}", resources.memory_bytes);
            section.push("PodmanArgs", value(name.as_str(), "memory", Value::words([argument]))?);
        }
    }
    if let Some(cpus) = resources.cpus.filter(|_| delegated(input, "cpu")) {
        let argument = format!("--cpus={cpus}");
        section.push("PodmanArgs", value(name.as_str(), "cpus", Value::words([argument]))?);
    }
    if delegated(input, "pids") {
        section.push("PidsLimit", Value::number(resources.pids));
    }
    if let Some(bytes) = resources.shm_bytes {
        section.push("ShmSize", Value::number(bytes));
    }
    for (limit, (soft, hard)) in &resources.ulimits {
        let text = format!("{limit}={soft}:{hard}");
        section.push("Ulimit", value(name.as_str(), "ulimit", Value::raw(&text))?);
    }
    Ok(())
}
