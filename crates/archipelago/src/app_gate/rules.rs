//! Which ports the gate stands before, by the manifests of the installed apps. Pure.

use std::net::{Ipv4Addr, SocketAddr};

use archy_engine::status::PortView;
use archy_engine::{AppView, Snapshot};
use archy_manifest::model::{PortAuth, Protocol};
use archy_plan::DesiredState;
use archy_proxy::{Access, Rule};

/// The ports of all apps that are not leaving.
pub(super) fn rules(snapshot: &Snapshot) -> Vec<Rule> {
    let stays = |view: &&std::sync::Arc<AppView>| {
        !matches!(view.desired, DesiredState::Removed | DesiredState::Purged)
    };
    let apps = snapshot.apps.values().filter(stays);
    let mut rules: Vec<Rule> =
        apps.flat_map(|view| view.ports.iter().filter_map(|port| rule(view, port))).collect();
    rules.sort_by_key(|rule| rule.port);
    rules.dedup_by_key(|rule| rule.port);
    rules
}

fn rule(view: &AppView, port: &PortView) -> Option<Rule> {
    let access = access(port.auth)?;
    // one that the manifest publishes itself is not the gate's
    let ours = port.protocol == Protocol::Tcp && port.loopback_only;
    ours.then(|| Rule {
        app: view.manifest.id.clone(),
        title: view.manifest.name.clone(),
        port: port.host,
        upstream: SocketAddr::from((Ipv4Addr::LOCALHOST, port.host)),
        access,
        identity_header: None,
    })
}

/// Who may pass; nobody asks before a port without one. What the manifest leaves open is gated.
pub(super) const fn access(auth: Option<PortAuth>) -> Option<Access> {
    match auth {
        None | Some(PortAuth::Gated | PortAuth::Session) => Some(Access::Gated),
        Some(PortAuth::Open) => Some(Access::Open),
        Some(PortAuth::None | PortAuth::Local) => None,
    }
}
