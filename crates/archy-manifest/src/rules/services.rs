//! Which containers there are, and in which order they start.

use std::collections::BTreeSet;

use archy_types::ServiceName;
use indexmap::IndexMap;

use super::{Form, Rules, Services, Written};
use crate::model::{DependsOn, Service};
use crate::schema::Container;

/// Most services of one app.
const MOST: usize = 32;

impl<'d> Rules<'_, '_, 'd> {
    pub(super) fn written_services(&mut self) -> Vec<Written<'d>> {
        let app = self.app;
        let path = self.root.key("container");
        match (&app.container, self.form) {
            (Some(_), Form::Services) => {
                let message = "`container` and `services` are both written";
                self.error("conflicting-keys", &path, message, "move it into `services.main`");
            }
            (None, Form::Container) => {
                let message = "the app has no container";
                let mend = "add `container:` with `image:`, or `services:`";
                self.error("no-container", &self.root.clone(), message, mend);
            }
            _ => {}
        }
        if self.form == Form::Container {
            let container = app.container.as_ref();
            return container
                .map(|container| Written {
                    name: ServiceName::main(),
                    container,
                    path,
                    beside: Some(app),
                })
                .into_iter()
                .collect();
        }
        self.misplaced();
        let path = self.root.key("services");
        if app.services.len() > MOST {
            let message = format!("{} services; at most {MOST} are possible", app.services.len());
            self.error("out-of-range", &path, message, "split the app");
        }
        let mut all = Vec::new();
        for (name, container) in app.services.iter().take(MOST) {
            let path = path.key(name);
            if let Some(name) = self.service_name(name, &path) {
                all.push(Written { name, container, path, beside: None });
            }
        }
        all
    }

    fn service_name(&mut self, text: &str, path: &crate::path::Path) -> Option<ServiceName> {
        match ServiceName::new(text) {
            Ok(name) => {
                let whole = format!("{}-{name}", self.id);
                if whole.len() > 63 {
                    let message = format!("the container's name `{whole}` has over 63 characters");
                    self.error("invalid-id", path, message, "shorten the id or the service's name");
                }
                Some(name)
            }
            Err(error) => {
                let message = format!("the service name {:?} {error}", crate::check::shorten(text));
                let mend = "use a DNS label of a-z, 0-9 and -, for example `db`";
                self.error("invalid-id", path, message, mend);
                None
            }
        }
    }

    /// Keys beside `container` have no meaning beside `services`.
    fn misplaced(&mut self) {
        let app = self.app;
        for (key, written) in [
            ("ports", !app.ports.is_empty()),
            ("volumes", !app.volumes.is_empty()),
            ("env", app.env.is_some()),
            ("devices", !app.devices.is_empty()),
            ("health", app.health.is_some()),
            ("ready", !app.ready.is_empty()),
            ("resources", app.resources.is_some()),
            ("security", app.security.is_some()),
        ] {
            if written {
                let path = self.root.key(key);
                let message = format!("`{key}` belongs to one container, and there are `services`");
                let mend = format!("move it to `services.<name>.{key}`");
                self.error("misplaced-key", &path, message, mend);
            }
        }
    }

    pub(super) fn lower_services(&mut self) -> Services {
        let written = std::mem::take(&mut self.services);
        let names: Vec<_> = written.iter().map(|service| service.name.clone()).collect();
        let mut services = Services::new();
        for service in &written {
            let lowered = self.container(service, &names);
            services.insert(service.name.clone(), lowered);
        }
        self.services = written;
        self.conditions(&services);
        self.cycles(&services);
        self.host_ports();
        services
    }

    /// `depends_on` of one container.
    pub(super) fn depends_on(
        &mut self,
        container: &Container,
        path: &crate::path::Path,
        names: &[ServiceName],
    ) -> IndexMap<ServiceName, DependsOn> {
        let mut out = IndexMap::new();
        for (text, condition) in &container.depends_on {
            let path = path.key("depends_on").key(text);
            if let Some(name) = names.iter().find(|name| name.as_str() == text) {
                out.insert(name.clone(), *condition);
                continue;
            }
            let near = crate::check::nearest(text, names.iter().map(ServiceName::as_str));
            let mend = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "name a service of this app; other apps belong into `requires`".to_owned(),
            };
            let message = format!("there is no service `{}`", crate::check::shorten(text));
            self.error("undeclared-service", &path, message, mend);
        }
        out
    }

    /// A condition must be one that the other service can reach.
    fn conditions(&mut self, services: &Services) {
        for (name, service) in services {
            for (other, condition) in &service.depends_on {
                let Some(target) = services.get(other) else { continue };
                let path = self.service_path(name).key("depends_on").key(other.as_str());
                match condition {
                    DependsOn::Healthy if target.health.is_none() && target.ready.is_empty() => {
                        let message = format!("`{other}` has no health check to wait for");
                        let mend = format!("add `health` to `{other}`, or wait for `started`");
                        self.error("unreachable-condition", &path, message, mend);
                    }
                    DependsOn::Ready => {
                        let message = "`ready` is for other apps, in `requires`";
                        let mend = format!("wait for `{other}` to be `healthy` or `started`");
                        self.error("unreachable-condition", &path, message, mend);
                    }
                    DependsOn::Completed if !target.oneshot => {
                        let message = format!("`{other}` runs for ever and never completes");
                        let mend =
                            format!("write `oneshot: true` in `{other}`, or wait for `healthy`");
                        self.error("unreachable-condition", &path, message, mend);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Path of a service as it was written.
    pub(super) fn service_path(&self, name: &ServiceName) -> crate::path::Path {
        match self.form {
            Form::Container => self.root.key("container"),
            Form::Services => self.root.key("services").key(name.as_str()),
        }
    }

    fn cycles(&mut self, services: &Services) {
        let mut left: BTreeSet<&ServiceName> = services.keys().collect();
        loop {
            let free: Vec<_> =
                left.iter().copied().filter(|name| !waits(name, services, &left)).collect();
            if free.is_empty() {
                break;
            }
            for name in free {
                left.remove(name);
            }
        }
        let Some(cycle) = find_cycle(services, &left) else { return };
        let Some(first) = cycle.first() else { return };
        let text = cycle.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" → ");
        let path = self.service_path(first).key("depends_on");
        let message = format!("the services wait for each other: {text} → {first}");
        self.error("dependency-cycle", &path, message, "delete one of these dependencies");
    }
}

fn waits(name: &ServiceName, services: &Services, left: &BTreeSet<&ServiceName>) -> bool {
    services.get(name).is_some_and(|s: &Service| s.depends_on.keys().any(|on| left.contains(on)))
}

/// Follows dependencies among services that all wait, until one comes twice.
fn find_cycle<'a>(
    services: &'a Services,
    left: &BTreeSet<&'a ServiceName>,
) -> Option<Vec<&'a ServiceName>> {
    let mut trail: Vec<&ServiceName> = Vec::new();
    let mut at = *left.first()?;
    loop {
        if let Some(start) = trail.iter().position(|seen| *seen == at) {
            return Some(trail.split_off(start));
        }
        trail.push(at);
        at = services.get(at)?.depends_on.keys().find(|on| left.contains(on))?;
    }
}
