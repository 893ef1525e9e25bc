//! The engine's view of an app in the words of the API.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use archy_api::state::{
    AdoptedState, Description, Finding, InstallProgress, Installed, InterfaceAddresses,
    InterfaceCard, ManifestCard, OperationState, PackageData, PackageState, PortState, Protocol,
    ServiceState, Severity, StaticFiles, known_health,
};
use archy_engine::status::PortView;
use archy_engine::{AdoptedView, AppView, OperationView, ServiceView};
use archy_manifest::Manifest;
use archy_manifest::model::{self, ImageSource, Interface, InterfaceKind, OpenIn, PortAuth};
use archy_plan::adopt::Stage;
use archy_plan::{Check, DesiredState};
use archy_types::AppState;

use crate::pictures;

/// What links to apps are made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    /// Address of the node; `localhost` when it is not known.
    pub host_ip: Option<Ipv4Addr>,
    /// Ports that the app gate stands before.
    pub guarded: BTreeSet<u16>,
    /// The gate speaks TLS.
    pub secure: bool,
    /// Ports whose pages forbid frames.
    pub unframed: BTreeSet<u16>,
}

/// One app.
#[must_use]
pub fn package(view: &AppView, links: &Links) -> PackageData {
    let doors = doors(view, links);
    PackageData {
        state: PackageState::from(view.report.state),
        health: known_health(view.health),
        install_progress: progress(view),
        manifest: card(view, &doors, links),
        static_files: StaticFiles {
            license: text(&view.manifest, "license"),
            instructions: text(&view.manifest, "instructions"),
            icon: pictures::icon(&view.manifest),
        },
        installed: Installed { interface_addresses: doors },
        status: view.report.clone(),
        desired: desired(view.desired).to_owned(),
        generation: view.generation.0,
        digest: view.digest.to_string(),
        services: view.services.iter().map(|service| service_state(view, service)).collect(),
        ports: view.ports.iter().map(port).collect(),
        operation: view.operation.as_ref().map(operation),
        notes: view.notes.iter().map(finding).collect(),
        adopted: view.adopted.as_ref().map(adopted),
    }
}

fn adopted(view: &AdoptedView) -> AdoptedState {
    let (stage, migration) = match view.stage {
        Stage::Watched => ("watched", None),
        Stage::Migrated { version, .. } => ("migrated", Some(version)),
        Stage::Committed { version, .. } => ("committed", Some(version)),
    };
    AdoptedState {
        origin: view.origin.as_str().to_owned(),
        since: view.since.0,
        stage: stage.to_owned(),
        migration,
        dies_with_daemon: view.dies_with_daemon,
    }
}

/// A published port.
#[must_use]
pub fn port(port: &PortView) -> PortState {
    PortState {
        service: port.service.to_string(),
        host: port.host,
        container: port.container,
        protocol: protocol(port.protocol),
        auth: port.auth.map(|auth| auth_name(auth).to_owned()),
        loopback_only: port.loopback_only,
    }
}

/// A finding of a plan.
#[must_use]
pub fn finding(check: &Check) -> Finding {
    Finding {
        severity: match check.severity {
            archy_plan::Severity::Note => Severity::Note,
            archy_plan::Severity::Warning => Severity::Warning,
            archy_plan::Severity::Error => Severity::Error,
        },
        code: check.code.clone(),
        message: check.message.clone(),
        mend: check.mend.clone(),
    }
}

/// The image reference of a service, or the name of what is built for it.
#[must_use]
pub fn image(manifest: &Manifest, service: &ServiceView) -> String {
    match manifest.services.get(&service.name).map(|service| &service.source) {
        Some(ImageSource::Image(reference)) => reference.clone(),
        _ => format!("localhost/{}", service.container),
    }
}

fn service_state(view: &AppView, service: &ServiceView) -> ServiceState {
    ServiceState {
        name: service.name.to_string(),
        container: service.container.clone(),
        image: image(&view.manifest, service),
        unit_state: service.unit_state.clone(),
        health: service.health,
        health_output: service.health_output.clone(),
        restarts: service.restarts,
        exit_status: service.exit_status,
        active_since: service.active_since.map(|at| at.0),
    }
}

fn operation(operation: &OperationView) -> OperationState {
    OperationState {
        id: operation.id.0,
        kind: operation.kind.clone(),
        actor: operation.actor.clone(),
        started: operation.started.0,
        step: operation.step.0,
        steps: operation.step.1,
        text: operation.text.clone(),
        percent: operation.percent,
        bytes: operation.bytes,
        error: operation.error.clone(),
    }
}

/// While an operation works: its step. After one that failed: why.
fn progress(view: &AppView) -> Option<InstallProgress> {
    let operation = view.operation.as_ref()?;
    let failed = operation.error.as_ref().map(|error| error.message.clone());
    let (step, steps) = operation.step;
    (failed.is_some() || view.report.state.is_transient() || view.report.state == AppState::Waiting)
        .then(|| InstallProgress {
            message: failed.unwrap_or_else(|| operation.text.clone()),
            percent: operation.percent,
            step,
            steps,
        })
}

fn card(
    view: &AppView,
    doors: &BTreeMap<String, InterfaceAddresses>,
    links: &Links,
) -> ManifestCard {
    let manifest = &view.manifest;
    let long = manifest.description.trim().to_owned();
    let short = long.split_inclusive(['.', '\n']).next().unwrap_or_default().trim().to_owned();
    let lan = doors.get("main").or_else(|| doors.values().next());
    let lan = lan.and_then(|door| door.lan_address.clone()).unwrap_or_default();
    let donation = text(manifest, "donation_url");
    ManifestCard {
        id: manifest.id.to_string(),
        title: manifest.name.clone(),
        version: manifest.version.clone(),
        description: Description { short, long },
        release_notes: text(manifest, "release_notes"),
        license: text(manifest, "license"),
        wrapper_repo: text(manifest, "repo"),
        upstream_repo: manifest.upstream.as_ref().map_or_else(String::new, |up| {
            if up.kind == "github" {
                format!("https://github.com/{}", up.repo)
            } else {
                up.repo.clone()
            }
        }),
        support_site: text(manifest, "support"),
        marketing_site: text(manifest, "website"),
        donation_url: (!donation.is_empty()).then_some(donation),
        author: text(manifest, "author"),
        website: lan,
        tier: "local".to_owned(),
        category: manifest.category.clone(),
        interfaces: manifest
            .interfaces
            .iter()
            .map(|(name, i)| (name.clone(), interface(view, i, links)))
            .collect(),
    }
}

fn interface(view: &AppView, interface: &Interface, links: &Links) -> InterfaceCard {
    let port = real_port(view, interface.port).map_or(interface.port, |port| port.host);
    InterfaceCard {
        name: interface.name.clone(),
        description: interface.description.clone().unwrap_or_default(),
        kind: match interface.kind {
            InterfaceKind::Ui => "ui",
            InterfaceKind::Api => "api",
            InterfaceKind::P2p => "p2p",
        }
        .to_owned(),
        ui: interface.kind == InterfaceKind::Ui,
        port,
        protocol: interface.protocol.clone(),
        path: interface.path.clone(),
        opens_in: match interface.open {
            OpenIn::Frame if !links.unframed.contains(&port) => "frame",
            OpenIn::Frame => "tab",
            OpenIn::Tab => "tab",
        }
        .to_owned(),
    }
}

fn doors(view: &AppView, links: &Links) -> BTreeMap<String, InterfaceAddresses> {
    let host = links.host_ip.map_or_else(|| "localhost".to_owned(), |ip| ip.to_string());
    let address = |interface: &Interface| {
        let port = real_port(view, interface.port);
        let number = port.map_or(interface.port, |port| port.host);
        let path = if interface.path == "/" { "" } else { interface.path.as_str() };
        // what only this machine reaches has no address on the network, unless the gate stands before it
        let guarded = links.guarded.contains(&number);
        let reachable = guarded || !port.is_some_and(|port| port.loopback_only);
        let scheme = if guarded && links.secure { "https" } else { interface.protocol.as_str() };
        let web = reachable && matches!(interface.protocol.as_str(), "http" | "https");
        InterfaceAddresses {
            tor_address: String::new(),
            lan_address: web.then(|| format!("{scheme}://{host}:{number}{path}")),
            lan_port_auth: port.and_then(|port| port.auth).map(|auth| auth_name(auth).to_owned()),
        }
    };
    view.manifest.interfaces.iter().map(|(name, i)| (name.clone(), address(i))).collect()
}

/// The port as published, for a host port of the manifest.
pub(crate) fn real_port(view: &AppView, declared: u16) -> Option<&PortView> {
    let (service, port) = view.manifest.services.iter().find_map(|(name, service)| {
        Some((name, service.ports.iter().find(|port| port.host == declared)?))
    })?;
    view.ports.iter().find(|seen| {
        seen.service == *service
            && seen.container == port.container
            && seen.protocol == port.protocol
    })
}

/// A text of the free-form metadata, trimmed; empty when there is none.
fn text(manifest: &Manifest, key: &str) -> String {
    let value = manifest.metadata.get(key).and_then(serde_json::Value::as_str);
    value.unwrap_or_default().trim().to_owned()
}

/// What the owner wants, in a word.
#[must_use]
pub const fn desired(state: DesiredState) -> &'static str {
    match state {
        DesiredState::Running => "running",
        DesiredState::Stopped => "stopped",
        DesiredState::Removed => "removed",
        DesiredState::Purged => "purged",
    }
}

const fn protocol(protocol: model::Protocol) -> Protocol {
    match protocol {
        model::Protocol::Tcp => Protocol::Tcp,
        model::Protocol::Udp => Protocol::Udp,
    }
}

pub(crate) const fn auth_name(auth: PortAuth) -> &'static str {
    match auth {
        PortAuth::Gated => "gated",
        PortAuth::Open => "open",
        PortAuth::None => "none",
        PortAuth::Local => "local",
        PortAuth::Session => "session",
    }
}
