//! Doors for people and programs.

use indexmap::IndexMap;

use super::{Rules, Services};
use crate::model::{Interface, InterfaceKind};
use crate::path::Path;
use crate::schema::InterfaceType;

/// Headers that mean something else (RFC 9110).
const TAKEN: [&str; 14] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "origin",
    "range",
    "te",
    "transfer-encoding",
    "upgrade",
    "x-real-ip",
];

impl Rules<'_, '_, '_> {
    pub(super) fn interfaces(&mut self, services: &Services) -> IndexMap<String, Interface> {
        let app = self.app;
        let mut out = IndexMap::new();
        let mut names: Vec<_> = app.interfaces.keys().collect();
        names.sort_by_key(|name| name.as_str() != "main");
        for name in names {
            let Some(written) = app.interfaces.get(name) else { continue };
            let path = self.root.key("interfaces").key(name);
            let published =
                services.values().flat_map(|s| &s.ports).any(|p| p.host == written.port);
            if !published {
                let message = format!("the host port {} is not published", written.port);
                let mend = "name the `host` port of an entry of `ports`";
                self.strict("unpublished-port", &path.key("port"), message, mend);
            }
            let door = written.path.clone().unwrap_or_else(|| "/".to_owned());
            if !door.starts_with('/') || door.contains(char::is_whitespace) {
                let message = format!("`{}` is not a path", crate::check::shorten(&door));
                self.error("invalid-path", &path.key("path"), message, "start it with `/`");
            }
            let kind = match written.kind {
                None | Some(InterfaceType::Ui) => InterfaceKind::Ui,
                Some(InterfaceType::Api) => InterfaceKind::Api,
                Some(InterfaceType::P2p) => InterfaceKind::P2p,
            };
            let interface = Interface {
                name: written.name.clone().unwrap_or_else(|| app.name.clone()),
                description: written.description.clone(),
                kind,
                port: written.port,
                protocol: written.protocol.clone().unwrap_or_else(|| "http".to_owned()),
                path: door,
                open: written.open.unwrap_or_default(),
                allow_frame: written.allow_frame,
                nostr: written.nostr,
                identity_header: written
                    .identity_header
                    .as_deref()
                    .and_then(|name| self.identity_header(&path.key("identity_header"), name)),
            };
            out.insert(name.clone(), interface);
        }
        out
    }

    /// A header that only the gate may set.
    fn identity_header(&mut self, path: &Path, name: &str) -> Option<String> {
        let lower = name.to_ascii_lowercase();
        let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let plain = !lower.is_empty() && lower.len() <= 64 && lower.bytes().all(token);
        if plain && !TAKEN.contains(&lower.as_str()) && !lower.starts_with("x-forwarded-") {
            return Some(lower);
        }
        let message = format!("`{}` cannot tell who is there", crate::check::shorten(name));
        self.error("invalid-identity-header", path, message, "use a name such as `X-Remote-User`");
        None
    }
}
