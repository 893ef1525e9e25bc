//! Whether a list of containers is to be believed.

use std::collections::BTreeMap;

use archy_engine::ports::{HostError, HostResult};
use archy_plan::observed::{ActiveState, UnitState};
use archy_quadlet::unit_of;
use archy_types::UserError;

/// A list without a single container says nothing as long as systemd runs one: Podman answers so when
/// it does not see its own store.
pub(super) fn believe<C>(
    containers: HostResult<BTreeMap<String, C>>,
    units: &HostResult<BTreeMap<String, UnitState>>,
    files: &HostResult<BTreeMap<String, String>>,
) -> HostResult<BTreeMap<String, C>> {
    let (Ok(all), Ok(units), Ok(files)) = (&containers, units, files) else { return containers };
    if !all.is_empty() {
        return containers;
    }
    let of_containers = files.keys().filter(|name| name.ends_with(".container"));
    let names = of_containers.filter_map(|name| unit_of(name));
    let running = names.filter(|name| {
        units
            .get(name)
            .is_some_and(|unit| unit.active == ActiveState::Active && unit.sub == "running")
    });
    let count = running.count();
    if count == 0 {
        return containers;
    }
    let text = format!("Podman lists no container at all, but systemd runs {count} of them.");
    Err(HostError { error: UserError::new("podman-empty-list", text), retryable: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_is_believed_only_where_nothing_runs() {
        let unit = |active, sub: &str| UnitState {
            load: "loaded".to_owned(),
            active,
            sub: sub.to_owned(),
            result: "success".to_owned(),
            exit_status: None,
            restarts: 0,
            active_since: None,
            inactive_since: None,
            last_words: None,
        };
        let (up, down) = (ActiveState::Active, ActiveState::Inactive);
        for (file, active, sub, all, believed) in [
            ("blog.container", up, "running", &[][..], false),
            ("blog.container", up, "running", &["other"], true),
            ("blog.container", up, "exited", &[], true),
            ("blog.container", down, "dead", &[], true),
            ("blog.network", up, "running", &[], true),
        ] {
            let files = Ok([(file.to_owned(), String::new())].into());
            let name = unit_of(file).unwrap_or_default();
            let units = Ok([(name, unit(active, sub))].into());
            let all = Ok(all.iter().map(|name| ((*name).to_owned(), ())).collect());
            assert_eq!(believe(all, &units, &files).is_ok(), believed, "{file} {sub}");
        }
    }
}
