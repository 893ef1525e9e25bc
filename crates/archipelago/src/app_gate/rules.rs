//! Which ports the gate stands before, by the manifests of the installed apps and the owner's
//! exceptions. Pure.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use archy_engine::status::PortView;
use archy_engine::{AppView, Snapshot};
use archy_identity::nip07::PROVIDER;
use archy_manifest::model::{Interface, NostrProvider, PortAuth, Protocol};
use archy_plan::DesiredState;
use archy_proxy::{Access, Nostr, Page, Rule};

use crate::state::map::real_port;

/// The owner's exceptions, by app and port on the node.
pub(super) type Exceptions = BTreeMap<(String, u16), Access>;

/// The ports of all apps that are not leaving.
pub(super) fn rules(snapshot: &Snapshot, exceptions: &Exceptions) -> Vec<Rule> {
    let mut rules: Vec<Rule> = staying(snapshot)
        .flat_map(|view| view.ports.iter().filter_map(|port| rule(view, port, exceptions)))
        .collect();
    rules.sort_by_key(|rule| rule.port);
    rules.dedup_by_key(|rule| rule.port);
    rules
}

/// Apps that are to be there.
pub(super) fn staying(snapshot: &Snapshot) -> impl Iterator<Item = &AppView> {
    let stays =
        |view: &&AppView| !matches!(view.desired, DesiredState::Removed | DesiredState::Purged);
    snapshot.apps.values().map(AsRef::as_ref).filter(stays)
}

/// True for a port that the gate can stand before: one that the manifest publishes itself is not.
pub(super) fn is_ours(port: &PortView) -> bool {
    port.protocol == Protocol::Tcp && port.loopback_only && access(port.auth).is_some()
}

fn rule(view: &AppView, port: &PortView, exceptions: &Exceptions) -> Option<Rule> {
    let declared = access(port.auth).filter(|_| is_ours(port))?;
    let exception = exceptions.get(&(view.manifest.id.to_string(), port.host));
    let door = door(view, port);
    Some(Rule {
        app: view.manifest.id.clone(),
        title: view.manifest.name.clone(),
        port: port.host,
        upstream: SocketAddr::from((Ipv4Addr::LOCALHOST, port.host)),
        access: exception.copied().unwrap_or(declared),
        identity_header: door
            .and_then(|door| door.identity_header.as_deref())
            .and_then(|name| name.parse().ok()),
        page: door.map(page).unwrap_or_default(),
        siblings: view.ports.iter().map(|port| port.host).collect(),
    })
}

/// The interface that a port is of.
fn door<'a>(view: &'a AppView, port: &PortView) -> Option<&'a Interface> {
    view.manifest.interfaces.values().find(|interface| {
        real_port(view, interface.port).is_some_and(|real| real.host == port.host)
    })
}

fn page(door: &Interface) -> Page {
    let nostr =
        door.nostr.map(|how| Nostr { script: PROVIDER, login: how == NostrProvider::Login });
    Page { allow_frame: door.allow_frame, nostr }
}

/// Who may pass; nobody asks before a port without one. What the manifest leaves open is gated.
pub(super) const fn access(auth: Option<PortAuth>) -> Option<Access> {
    match auth {
        None | Some(PortAuth::Gated | PortAuth::Session) => Some(Access::Gated),
        Some(PortAuth::Open) => Some(Access::Open),
        Some(PortAuth::None | PortAuth::Local) => None,
    }
}
