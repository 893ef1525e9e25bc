//! Steps around an app's life.

use std::collections::BTreeMap;

use super::templates::Use;
use super::{Rules, Services};
use crate::model::{HookAction, HookPoint, HookStep, Port};
use crate::path::Path;
use crate::schema::{CopyFromHost, Exec, ExecStep, Hooks, HttpStep, Step, WaitFor};

const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

fn points(hooks: &Hooks) -> [(HookPoint, &'static str, &[Step]); 9] {
    [
        (HookPoint::PostInstall, "post_install", &hooks.post_install),
        (HookPoint::PreStart, "pre_start", &hooks.pre_start),
        (HookPoint::PostStart, "post_start", &hooks.post_start),
        (HookPoint::PreStop, "pre_stop", &hooks.pre_stop),
        (HookPoint::PreUpdate, "pre_update", &hooks.pre_update),
        (HookPoint::PostUpdate, "post_update", &hooks.post_update),
        (HookPoint::PreBackup, "pre_backup", &hooks.pre_backup),
        (HookPoint::PostBackup, "post_backup", &hooks.post_backup),
        (HookPoint::PostRestore, "post_restore", &hooks.post_restore),
    ]
}

impl Rules<'_, '_, '_> {
    pub(super) fn hooks(&mut self, services: &Services) -> BTreeMap<HookPoint, Vec<HookStep>> {
        let mut out = BTreeMap::new();
        let Some(hooks) = &self.app.hooks else { return out };
        for (point, key, steps) in points(hooks) {
            let base = self.root.key("hooks").key(key);
            let mut lowered = Vec::new();
            for (index, step) in steps.iter().enumerate() {
                lowered.extend(self.step(step, &base.index(index), services));
            }
            if !lowered.is_empty() {
                out.insert(point, lowered);
            }
        }
        out
    }

    fn step(&mut self, step: &Step, path: &Path, services: &Services) -> Option<HookStep> {
        let action = match (&step.exec, &step.copy_from_host, &step.http, &step.wait_for) {
            (Some(exec), None, None, None) => self.exec(exec, &path.key("exec")),
            (None, Some(copy), None, None) => self.copy(copy, &path.key("copy_from_host")),
            (None, None, Some(http), None) => self.request(http, &path.key("http"), services),
            (None, None, None, Some(wait)) => self.wait_for(wait, &path.key("wait_for"), services),
            _ => {
                let message = "a step does exactly one thing";
                let mend = "write one of exec, copy_from_host, http, wait_for";
                self.error("one-of", path, message, mend);
                None
            }
        };
        let timeout = u64::from(step.timeout.map_or(60, |timeout| timeout.0));
        let timeout = self.range(&path.key("timeout"), timeout, 1, 86_400, " s");
        let acts = step.exec.is_some() || step.http.is_some();
        if acts && step.idempotent.is_none() {
            let message = "may the step run again? Nothing says so; it will run once";
            let mend = "add `idempotent: true` or `idempotent: false`";
            self.warn("undeclared-idempotence", path, message, mend);
        }
        Some(HookStep {
            action: action?,
            timeout_secs: u32::try_from(timeout).unwrap_or(60),
            idempotent: step.idempotent.unwrap_or(!acts),
        })
    }

    fn exec(&mut self, exec: &ExecStep, path: &Path) -> Option<HookAction> {
        let full = match exec {
            ExecStep::Command(command) => Exec { command: command.clone(), ..Exec::default() },
            ExecStep::Full(full) => full.clone(),
        };
        let service = self.service_ref(full.service.as_deref(), path);
        if full.command.first().is_none_or(String::is_empty) {
            let message = "the command is empty";
            self.error("missing-value", &path.key("command"), message, "write a list of words");
            return None;
        }
        Some(HookAction::Exec { service, command: full.command, user: full.user })
    }

    fn copy(&mut self, copy: &CopyFromHost, path: &Path) -> Option<HookAction> {
        let service = self.service_ref(copy.service.as_deref(), path);
        let src = self.package_path(&copy.src, &path.key("src"));
        let dest = self.container_path(&copy.dest, &path.key("dest"));
        Some(HookAction::CopyFromHost { service, src: src?, dest: dest? })
    }

    fn request(&mut self, http: &HttpStep, path: &Path, services: &Services) -> Option<HookAction> {
        let service = self.service_ref(http.service.as_deref(), path);
        self.published(http.port, path, ports_of(services, &service));
        self.http_path(&http.path, &path.key("path"));
        let method = http.method.as_deref().unwrap_or("GET").to_ascii_uppercase();
        if !METHODS.contains(&method.as_str()) {
            let message = format!("`{}` is not a method", crate::check::shorten(&method));
            let mend = format!("use one of: {}", METHODS.join(", "));
            self.error("invalid-choice", &path.key("method"), message, mend);
        }
        if let Some(expect) = http.expect {
            self.range(&path.key("expect"), u64::from(expect), 100, 599, "");
        }
        let body = http.body.as_ref();
        let body = body.map(|text| self.template(text, &path.key("body"), Use::Hook));
        let (port, path) = (http.port, http.path.clone());
        Some(HookAction::Http { service, method, port, path, body, expect: http.expect })
    }

    fn wait_for(&mut self, wait: &WaitFor, path: &Path, services: &Services) -> Option<HookAction> {
        let service = self.service_ref(wait.service.as_deref(), path);
        let parts = (&wait.http_json, &wait.log_line, &wait.file, wait.socket);
        let check = self.ready_check(parts, path, ports_of(services, &service))?;
        Some(HookAction::WaitFor { service, check })
    }
}

fn ports_of<'s>(services: &'s Services, name: &archy_types::ServiceName) -> &'s [Port] {
    services.get(name).map_or(&[], |service| &service.ports)
}
