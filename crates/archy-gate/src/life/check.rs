//! What must hold after a phase.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use archy_api::method::PackageExec;
use archy_api::package::ExecParams;
use archy_api::state::Protocol;
use archy_manifest::model;
use archy_manifest::names;

use super::wish::Wish;
use super::{Done, Stage, Stop, Subject};
use crate::http::{self, Ask};
use crate::node::{Call, Node};
use crate::outcome::Fault;
use crate::own_test::{Http, Step};
use crate::phase::{Ending, Phase, PhaseInfo};

/// How long a door may take to answer once its service counts as ready.
const DOOR: Duration = Duration::from_secs(45);
/// How long a port may take to be free after a stop.
const FREE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(300);
/// Deadline of a step in a container.
const STEP_SECS: u32 = 60;

impl<N: Node> Stage<'_, N> {
    /// Checks an app after a phase.
    pub(super) async fn check(&self, info: &PhaseInfo, subject: &Subject) -> Result<(), Stop> {
        Ok(self.holds(info, subject).await?)
    }

    pub(super) async fn holds(&self, info: &PhaseInfo, subject: &Subject) -> Result<(), Fault> {
        let updated = subject.known().updated;
        match info.ending {
            Ending::Running => {
                let wish = if updated { Wish::Update } else { Wish::Install };
                self.settles(subject, &wish).await?;
                self.doors_answer(subject).await?;
                self.data_is_whole(subject).await?;
                // a next version may have other ports
                self.nothing_changed(subject, !updated).await?;
                self.own_steps(subject).await
            }
            Ending::Stopped => {
                self.settles(subject, &Wish::Stop).await?;
                self.nothing_runs(subject).await?;
                self.ports_are_free(subject).await?;
                self.data_is_whole(subject).await?;
                self.nothing_changed(subject, true).await
            }
            Ending::Kept => {
                self.settles(subject, &Wish::Uninstall { purge: false }).await?;
                self.nothing_left(subject, false).await?;
                self.ports_are_free(subject).await?;
                self.data_is_whole(subject).await?;
                self.nothing_changed(subject, false).await
            }
            Ending::Nothing => {
                self.settles(subject, &Wish::Uninstall { purge: true }).await?;
                self.nothing_left(subject, true).await?;
                self.ports_are_free(subject).await
            }
        }
    }

    /// Each interface answers: one with HTTP below 500, any other takes connections.
    async fn doors_answer(&self, subject: &Subject) -> Result<(), Fault> {
        for (name, door) in &subject.spec.manifest.interfaces {
            let Some(to) = self.address(subject, door.port) else { continue };
            let path = match door.path.as_str() {
                "" => "/",
                path => path,
            };
            let get =
                Ask { method: "GET".into(), host: to.to_string(), path: path.into(), body: None };
            let end = Instant::now() + DOOR;
            loop {
                let answer = match door.protocol.as_str() {
                    "http" => self.answers(to, &get).await,
                    _ => self.node.connect(to).await.map(drop).map_err(|error| error.to_string()),
                };
                match answer {
                    Ok(()) => break,
                    Err(detail) if Instant::now() >= end => {
                        return Err(Fault::NotReachable { door: format!("{name} ({to})"), detail });
                    }
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        }
        Ok(())
    }

    async fn answers(&self, to: SocketAddr, get: &Ask) -> Result<(), String> {
        let stream = self.node.connect(to).await.map_err(|error| error.to_string())?;
        let answer = http::ask(stream, get).await.map_err(|error| error.to_string())?;
        match answer.status {
            status if status < 500 => Ok(()),
            status => Err(format!("HTTP status {status}")),
        }
    }

    /// Where a declared TCP port is reached on the node itself.
    fn address(&self, subject: &Subject, declared: u16) -> Option<SocketAddr> {
        let services = &subject.spec.manifest.services;
        let (service, port) = services.iter().find_map(|(name, service)| {
            let tcp = |port: &&model::Port| {
                port.host == declared && port.protocol == model::Protocol::Tcp
            };
            service.ports.iter().find(tcp).map(|port| (name, port))
        })?;
        let now = self.app(subject.spec.id()).map(|app| app.ports).unwrap_or_default();
        let real = now.iter().find(|real| {
            real.service == service.as_str()
                && real.container == port.container
                && real.protocol == Protocol::Tcp
        });
        let host = real.map_or(declared, |real| real.host);
        let all = |ip: &IpAddr| ip.is_unspecified() || ip.is_loopback();
        let ip = port.bind.filter(|ip| !all(ip)).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        Some(SocketAddr::new(ip, host))
    }

    async fn nothing_runs(&self, subject: &Subject) -> Result<(), Fault> {
        let label = format!("label=io.archipelago.app={}", subject.spec.id());
        let argv = ["podman", "ps", "--filter", &label, "--format", "{{.Names}}"];
        let output = crate::node::must(self.node, Call::user(argv)).await?;
        let running: Vec<String> = output.lines().map(|name| format!("container {name}")).collect();
        if running.is_empty() { Ok(()) } else { Err(Fault::Residue(running)) }
    }

    /// Nobody listens on the ports that the app had.
    async fn ports_are_free(&self, subject: &Subject) -> Result<(), Fault> {
        let ports = subject.known().ports.unwrap_or_default();
        let tcp = ports.iter().filter(|port| port.protocol == Protocol::Tcp);
        for port in tcp {
            let to = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.host);
            let end = Instant::now() + FREE;
            while self.node.connect(to).await.is_ok() {
                if Instant::now() >= end {
                    return Err(Fault::Residue(vec![format!("port {}", port.host)]));
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    async fn own_steps(&self, subject: &Subject) -> Result<(), Fault> {
        if !subject.known().own_written {
            return Ok(());
        }
        for step in &subject.spec.own.verify {
            self.step(subject, step).await?;
        }
        Ok(())
    }

    /// Does a step; what just came up may need a moment.
    pub(super) async fn step(&self, subject: &Subject, step: &Step) -> Result<(), Fault> {
        let end = Instant::now() + DOOR;
        loop {
            let done = match &step.http {
                Some(request) => self.request(subject, request).await,
                None => self.program(subject, step).await,
            };
            let held = done.and_then(|output| match &step.contains {
                Some(text) if !output.contains(text) => {
                    let seen: String = output.chars().take(200).collect();
                    Err(format!("{text:?} is not in: {seen}"))
                }
                _ => Ok(()),
            });
            match held {
                Ok(()) => return Ok(()),
                Err(detail) if Instant::now() >= end => {
                    return Err(Fault::Step { step: step.title(), detail });
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn program(&self, subject: &Subject, step: &Step) -> Result<String, String> {
        let params = ExecParams {
            id: subject.spec.id().to_owned(),
            service: step.service.clone(),
            command: step.exec.clone(),
            user: None,
            timeout_secs: Some(STEP_SECS),
        };
        let client = self.client.clone().with_deadline(Duration::from_secs(90));
        let result = client.call::<PackageExec>(params).await.map_err(|error| error.to_string())?;
        match result.exit_code {
            0 => Ok(result.output),
            code => Err(format!("exit {code}: {}", result.output.trim())),
        }
    }

    async fn request(&self, subject: &Subject, request: &Http) -> Result<String, String> {
        let to = self.address(subject, request.port);
        let to =
            to.ok_or_else(|| format!("the manifest publishes no TCP port {}", request.port))?;
        let ask = Ask {
            method: request.method.clone(),
            host: to.to_string(),
            path: request.path.clone(),
            body: request.body.clone(),
        };
        let stream = self.node.connect(to).await.map_err(|error| error.to_string())?;
        let answer = http::ask(stream, &ask).await.map_err(|error| error.to_string())?;
        let fits = request.status.map_or(answer.status < 400, |status| status == answer.status);
        match fits {
            true => Ok(answer.body),
            false => Err(format!("HTTP status {}: {}", answer.status, answer.body.trim())),
        }
    }
}

/// What is on a node of an app before a test, in words; nothing when it may be tested.
#[must_use]
pub(crate) fn there(installed: bool, found: &[String]) -> Option<String> {
    match (installed, found) {
        (true, _) => Some("it is installed".to_owned()),
        (false, []) => None,
        (false, found) => Some(found.join(", ")),
    }
}

impl<N: Node> Stage<'_, N> {
    /// What is on the node of an app before a test; nothing when it may be tested.
    ///
    /// # Errors
    /// The node cannot be asked.
    pub async fn existing(&self, subject: &Subject) -> Result<Option<String>, Fault> {
        let end = Instant::now() + DOOR;
        let mut heard = self.watch.heard();
        while heard.borrow_and_update().data.is_none() && Instant::now() < end {
            let _heard = tokio::time::timeout(PAUSE, heard.changed()).await;
        }
        let found = self.found(subject, true).await?;
        Ok(there(self.app(subject.spec.id()).is_some(), &found))
    }

    /// Removes what an interrupted run left of an app that it had made itself.
    ///
    /// # Errors
    /// It cannot be removed.
    pub async fn sweep(&self, subject: &Subject) -> Result<(), Fault> {
        subject.begin();
        if self.existing(subject).await?.is_none() {
            return Ok(());
        }
        self.act(Phase::Purge, subject, true).await.map(|_: Done| ())?;
        self.nothing_left(subject, true).await
    }

    /// Names of an app's containers by service.
    pub(super) fn container_names(subject: &Subject) -> BTreeMap<String, String> {
        let manifest = &subject.spec.manifest;
        let of = |service| names::container(manifest, service);
        manifest.services.keys().map(|name| (name.to_string(), of(name))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::there;

    #[test]
    fn an_app_that_is_there_is_refused() {
        assert_eq!(there(false, &[]), None);
        assert_eq!(there(true, &[]).as_deref(), Some("it is installed"));
        let data = ["data shelf".to_owned(), "volume shelf-rows".to_owned()];
        assert_eq!(there(false, &data).as_deref(), Some("data shelf, volume shelf-rows"));
    }
}
