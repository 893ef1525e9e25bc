//! Doors for people and programs.

use indexmap::IndexMap;

use super::{Rules, Services};
use crate::model::{Interface, InterfaceKind};
use crate::schema::InterfaceType;

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
            };
            out.insert(name.clone(), interface);
        }
        out
    }
}
