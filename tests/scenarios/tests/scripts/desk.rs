//! Commands of a script: what the owner wishes, planned and carried out on the modelled host.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use archy_manifest::Manifest;
use archy_plan::{
    DesiredApp, DesiredState, Intent, Plan, Step, assess_among, describe, plan, render_app,
    rights_diff,
};
use archy_types::{Actor, AppId, Digest, Generation, Health, StatusReport, Timestamp};

use crate::host::Host;
use crate::script::Script;

/// Looks after which a plan that is carried out must be empty.
const ROUNDS: usize = 5;

/// The owner's desk: wishes, manifests, the host.
pub(crate) struct Desk {
    manifests: BTreeMap<String, Vec<u8>>,
    desired: BTreeMap<AppId, DesiredApp>,
    reports: BTreeMap<AppId, StatusReport>,
    host: Host,
}

impl Desk {
    /// The desk of a script before its first command.
    pub(crate) fn new(script: &Script) -> anyhow::Result<Self> {
        let mut host = Host::new();
        for line in &script.host {
            host.fact(line).with_context(|| format!("--- host: {line}"))?;
        }
        let text = |(name, text): &(String, String)| (name.clone(), text.clone().into_bytes());
        let manifests = script.manifests.iter().map(text).collect();
        Ok(Self { manifests, desired: BTreeMap::new(), reports: BTreeMap::new(), host })
    }

    /// Runs a command; gives what it prints.
    pub(crate) fn run(&mut self, line: &str) -> anyhow::Result<String> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "host" => self.host.fact(rest).map(|()| String::new()),
            "plan" if rest.is_empty() => {
                Ok(self.each(|desk, app| Ok(desk.plan(app, Intent::Converge).to_text()))?)
            }
            "apply" if rest.is_empty() => {
                self.each(|desk, app| desk.carry_out(app, Intent::Converge))
            }
            "plan" => {
                let (app, intent, old) = self.wish(rest)?;
                Ok(self.plan_of(&app, intent, old.as_ref()).to_text())
            }
            "apply" => {
                let (app, intent, old) = self.wish(rest)?;
                self.apply(app, intent, old.as_ref())
            }
            "state" => self.state(rest),
            "files" => Ok(self.host.files().fold(String::new(), |text, file| text + file + "\n")),
            other => bail!("no command: {other}"),
        }
    }

    fn each(
        &mut self,
        mut act: impl FnMut(&mut Self, &DesiredApp) -> anyhow::Result<String>,
    ) -> anyhow::Result<String> {
        let apps: Vec<DesiredApp> = self.desired.values().cloned().collect();
        let mut out = String::new();
        for app in &apps {
            out.push_str(&act(self, app)?);
        }
        Ok(out)
    }

    /// A wish as desired state, why it is planned, and what was desired before.
    fn wish(&self, words: &str) -> anyhow::Result<(DesiredApp, Intent, Option<DesiredApp>)> {
        let mut words = words.split(' ');
        let (action, name) = (words.next(), words.next().context("ACTION NAME")?);
        let now = Timestamp(self.host.now);
        if action == Some("install") {
            let mut app = self.installed(name, now)?;
            let old = self.desired.get(&app.manifest.id).cloned();
            if let Some(old) = &old {
                app.generation = old.generation.next();
                app.settings.clone_from(&old.settings);
                app.port_overrides.clone_from(&old.port_overrides);
            }
            for choice in words {
                choose(&mut app, choice)?;
            }
            return Ok((app, Intent::Install, old));
        }
        let old = self.desired.get(name).with_context(|| format!("{name} is not installed"))?;
        let (state, intent) = match action {
            Some("start") => (DesiredState::Running, Intent::Start),
            Some("stop") => (DesiredState::Stopped, Intent::Converge),
            Some("restart") => (DesiredState::Running, Intent::Restart),
            Some("uninstall") => (DesiredState::Removed, Intent::Converge),
            Some("purge") => (DesiredState::Purged, Intent::Converge),
            other => bail!("no action: {other:?}"),
        };
        let generation = old.generation.next();
        let app = DesiredApp { state, generation, since: now, ..old.clone() };
        Ok((app, intent, None))
    }

    fn installed(&self, name: &str, now: Timestamp) -> anyhow::Result<DesiredApp> {
        let text = self.manifests.get(name).with_context(|| format!("no manifest {name}"))?;
        let manifest = Manifest::parse(text)
            .map_err(|findings| anyhow::anyhow!("{}", findings.render(name)))?;
        Ok(DesiredApp {
            manifest: Arc::new(manifest),
            digest: Digest::of(text),
            generation: Generation(1),
            state: DesiredState::Running,
            actor: Actor::User("cli".to_owned()),
            since: now,
            settings: BTreeMap::new(),
            port_overrides: BTreeMap::new(),
            package_dir: Some("/var/lib/archipelago/sideload/app".into()),
            data_due: None,
            adopted: None,
        })
    }

    /// All apps, this one as it is wished.
    fn all(&self, app: &DesiredApp) -> Vec<DesiredApp> {
        let mut all = self.desired.clone();
        all.insert(app.manifest.id.clone(), app.clone());
        all.into_values().collect()
    }

    fn plan(&self, app: &DesiredApp, intent: Intent) -> Plan {
        plan(app, &self.host.observe(), &self.all(app), intent)
    }

    /// A wish's plan: for another manifest also the rights that the old one did not ask for.
    fn plan_of(&self, app: &DesiredApp, intent: Intent, old: Option<&DesiredApp>) -> Plan {
        let mut plan = self.plan(app, intent);
        if let Some(old) = old {
            plan.checks.extend(rights_diff(&old.manifest, &app.manifest));
        }
        plan
    }

    fn apply(
        &mut self,
        app: DesiredApp,
        intent: Intent,
        old: Option<&DesiredApp>,
    ) -> anyhow::Result<String> {
        let first = self.plan_of(&app, intent, old);
        if let Some(refusal) = first.refusal() {
            return Ok(format!("refused [{}]: {}\n", refusal.code, refusal.message));
        }
        let id = app.manifest.id.clone();
        self.desired.insert(id.clone(), app.clone());
        let out = self.carry_out(&app, intent)?;
        if app.is_leaving() && self.plan(&app, Intent::Converge).is_empty() {
            self.desired.remove(&id);
            self.reports.remove(&id);
        }
        Ok(out)
    }

    /// Plans and carries out until nothing is left to do.
    fn carry_out(&mut self, app: &DesiredApp, mut intent: Intent) -> anyhow::Result<String> {
        let mut out = String::new();
        for _ in 0..ROUNDS {
            let plan = self.plan(app, intent);
            if let Some(refusal) = plan.refusal() {
                writeln!(out, "refused [{}]: {}", refusal.code, refusal.message)?;
                return Ok(out);
            }
            if plan.is_empty() {
                writeln!(out, "{}: nothing is left to do", app.manifest.id)?;
                return Ok(out);
            }
            if !self.steps(app, &plan, &mut out)? {
                return Ok(out);
            }
            let again = plan.steps.iter().any(|p| matches!(p.step, Step::GenerateSecret { .. }));
            if !again {
                intent = Intent::Converge;
            }
        }
        bail!("no end:\n{}", self.plan(app, intent).to_text())
    }

    /// Carries out the steps up to where the host must be looked at again; false after a failure.
    fn steps(&mut self, app: &DesiredApp, plan: &Plan, out: &mut String) -> anyhow::Result<bool> {
        let mut made = false;
        for planned in &plan.steps {
            let makes = matches!(planned.step, Step::GenerateSecret { .. });
            if made && !makes {
                break;
            }
            made |= makes;
            if let Err(error) = self.host.carry_out(app, &planned.step) {
                writeln!(out, "failed: {}: {error}", describe(&planned.step))?;
                return Ok(false);
            }
            writeln!(out, "done: {}", describe(&planned.step))?;
        }
        Ok(true)
    }

    fn state(&mut self, name: &str) -> anyhow::Result<String> {
        let Some(app) = self.desired.get(name) else {
            return Ok(format!("{name}: not installed\n"));
        };
        let observed = self.host.observe();
        let all = self.all(app);
        let deployment = render_app(app, &observed, &all).unwrap_or_default();
        let previous = self.reports.get(name);
        let now = Timestamp(self.host.now);
        let seen = assess_among(app, &deployment, &observed, &all, previous, now);
        let report = seen.report;
        let mut out = format!("{name}: {}", word(&report.state)?);
        if seen.health != Health::Unknown {
            write!(out, ", {}", word(&seen.health)?)?;
        }
        writeln!(out, " [{}] {}", report.cause.code, report.cause.text)?;
        if let Some(next) = &report.next {
            writeln!(out, "  next: {}", next.text)?;
        }
        if let Some(repair) = &report.repair {
            writeln!(out, "  repair: {} ({})", repair.label, repair.method)?;
        }
        self.reports.insert(app.manifest.id.clone(), report);
        Ok(out)
    }
}

/// The word of a state as the API writes it.
fn word(value: &impl serde::Serialize) -> anyhow::Result<String> {
    let word = serde_json::to_value(value)?;
    Ok(word.as_str().context("no word")?.to_owned())
}

/// A setting or another port, chosen with an install.
fn choose(app: &mut DesiredApp, choice: &str) -> anyhow::Result<()> {
    let (key, value) = choice.split_once('=').context("KEY=VALUE")?;
    if let Ok(declared) = key.parse::<u16>() {
        let ports = app.manifest.services.values().flat_map(|service| &service.ports);
        let port = ports.into_iter().find(|port| port.host == declared).context("no such port")?;
        let key = (port.host, port.protocol);
        app.port_overrides.insert(key, value.parse()?);
        return Ok(());
    }
    ensure!(app.manifest.config.contains_key(key), "no setting {key}");
    app.settings.insert(key.to_owned(), serde_json::Value::from(value));
    Ok(())
}
