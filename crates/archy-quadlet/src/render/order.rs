//! The order in which services start.

use archy_manifest::Manifest;
use archy_manifest::model::Service;
use archy_types::ServiceName;

use crate::error::RenderError;

/// The services, each after those that it depends on, else as they were written.
pub(super) fn by_dependency(
    manifest: &Manifest,
) -> Result<Vec<(&ServiceName, &Service)>, RenderError> {
    for (name, service) in &manifest.services {
        if let Some(unknown) =
            service.depends_on.keys().find(|other| !manifest.services.contains_key(*other))
        {
            return Err(RenderError::Service {
                service: name.clone(),
                dependency: unknown.clone(),
            });
        }
    }
    let mut waiting: Vec<(&ServiceName, &Service)> = manifest.services.iter().collect();
    let mut ordered: Vec<(&ServiceName, &Service)> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|(_, service)| {
            let placed = |name: &ServiceName| ordered.iter().any(|(done, _)| *done == name);
            service.depends_on.keys().all(placed)
        });
        match ready {
            Some(index) => ordered.push(waiting.remove(index)),
            None => {
                let names = waiting.iter().map(|(name, _)| (*name).clone()).collect();
                return Err(RenderError::Cycle(names));
            }
        }
    }
    Ok(ordered)
}
