//! Which apps' pages forbid frames: those are opened in a tab at once, not in a frame that stays empty.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use archy_engine::{AppView, Snapshot};
use archy_fetch::local::{self, LocalRequest};
use archy_manifest::model::{InterfaceKind, OpenIn};
use archy_types::{AppState, Generation};
use futures_util::future::join_all;
use http::{HeaderMap, header};

use super::rules;
use crate::app::App;
use crate::state::map::real_port;

/// How long a page may take to say it.
const DEADLINE: Duration = Duration::from_secs(5);
/// Ways to the page that are followed.
const REDIRECTS: usize = 4;

/// What pages said, until their app is another generation.
#[derive(Debug, Default)]
struct Frames(BTreeMap<u16, (Generation, bool)>);

/// A page to be asked.
struct Door {
    port: u16,
    generation: Generation,
    path: String,
}

/// Follows the apps until the daemon stops.
pub(super) async fn follow(app: Arc<App>) {
    let mut snapshots = app.backends.engine.subscribe();
    snapshots.mark_changed();
    let mut frames = Frames::default();
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            changed = snapshots.changed() => if changed.is_err() { return },
        }
        let snapshot = snapshots.borrow_and_update().clone();
        app.hub.set_unframed(frames.look(&snapshot).await);
    }
}

impl Frames {
    /// Asks the pages that were not asked yet, and gives the ports whose pages forbid frames.
    async fn look(&mut self, snapshot: &Snapshot) -> BTreeSet<u16> {
        let doors: Vec<Door> = rules::staying(snapshot).flat_map(doors).collect();
        self.0.retain(|port, (generation, _)| {
            doors.iter().any(|door| door.port == *port && door.generation == *generation)
        });
        let new = doors.iter().filter(|door| !self.0.contains_key(&door.port));
        let answers = new.map(|door| async move { Some((door, ask(door).await?)) });
        for (door, forbids) in join_all(answers).await.into_iter().flatten() {
            self.0.insert(door.port, (door.generation, forbids));
        }
        self.0.iter().filter(|(_, (_, forbids))| *forbids).map(|(port, _)| *port).collect()
    }
}

/// The pages of a running app that would be opened in a frame as they are.
fn doors(view: &AppView) -> Vec<Door> {
    if view.report.state != AppState::Running {
        return Vec::new();
    }
    let framed = view.manifest.interfaces.values().filter(|interface| {
        interface.kind == InterfaceKind::Ui
            && interface.open == OpenIn::Frame
            && interface.protocol == "http"
            && !interface.allow_frame
    });
    framed
        .filter_map(|interface| {
            let port = real_port(view, interface.port)?.host;
            Some(Door { port, generation: view.generation, path: interface.path.clone() })
        })
        .collect()
}

/// True when the page forbids frames; nothing when it does not answer.
async fn ask(door: &Door) -> Option<bool> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, door.port));
    let mut path = door.path.clone();
    for _ in 0..REDIRECTS {
        let asked = LocalRequest::get(address, path.clone());
        let answer = local::request(&asked, DEADLINE, 0).await.ok()?;
        if forbids(&answer.headers) {
            return Some(true);
        }
        if !(300..400).contains(&answer.status) {
            return (answer.status < 500).then_some(false);
        }
        path = next(answer.headers.get(header::LOCATION)?.to_str().ok()?)?;
    }
    Some(false)
}

/// The path of a redirect that stays on the port.
fn next(location: &str) -> Option<String> {
    let path = match location.split_once("://") {
        Some((_, rest)) => {
            rest.split_once('/').map_or("/".to_owned(), |(_, path)| format!("/{path}"))
        }
        None => location.to_owned(),
    };
    (path.starts_with('/') && !path.starts_with("//")).then_some(path)
}

/// True when another origin, such as the dashboard's, may not frame the page. A policy counts in
/// place of the older header (Content Security Policy Level 3, section 6.4.2.2).
fn forbids(headers: &HeaderMap) -> bool {
    let policies = headers.get_all(header::CONTENT_SECURITY_POLICY).iter();
    let policies = policies.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    let ancestors: Vec<&str> = policies
        .flat_map(|policy| policy.split(';'))
        .filter_map(|directive| directive.trim().strip_prefix("frame-ancestors"))
        .collect();
    let open = |sources: &&str| {
        sources.split_whitespace().any(|source| matches!(source, "*" | "http:" | "https:"))
    };
    if ancestors.is_empty() {
        return headers.get(header::X_FRAME_OPTIONS).is_some_and(|value| {
            let value = value.as_bytes();
            value.eq_ignore_ascii_case(b"deny") || value.eq_ignore_ascii_case(b"sameorigin")
        });
    }
    !ancestors.iter().all(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_forbids_frames_by_either_header() {
        for (lines, wanted) in [
            (&[][..], false),
            (&[("x-frame-options", "SAMEORIGIN")], true),
            (&[("x-frame-options", "deny")], true),
            (&[("x-frame-options", "ALLOWALL")], false),
            (&[("content-security-policy", "default-src 'self'")], false),
            (&[("content-security-policy", "img-src a; frame-ancestors 'self'")], true),
            (&[("content-security-policy", "frame-ancestors 'self' https:")], false),
            (
                &[("content-security-policy", "frame-ancestors *"), ("x-frame-options", "DENY")],
                false,
            ),
        ] {
            let pairs = lines.iter().map(|(name, value)| {
                (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())
            });
            assert_eq!(forbids(&pairs.collect()), wanted, "{lines:?}");
        }
    }

    #[test]
    fn redirects_stay_on_the_port() {
        for (location, path) in [
            ("/login?next=/", Some("/login?next=/")),
            ("http://127.0.0.1:81/a", Some("/a")),
            ("https://n.local", Some("/")),
            ("//evil.example/", None),
            ("login", None),
        ] {
            assert_eq!(next(location).as_deref(), path, "{location}");
        }
    }
}
