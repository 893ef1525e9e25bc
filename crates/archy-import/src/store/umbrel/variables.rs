//! What Umbrel's variables stand for.

use std::cell::RefCell;
use std::collections::BTreeMap;

use archy_manifest::model::SecretKind;
use archy_manifest::schema::{Mount, MountType};

use super::{Entry, Index, Known as Table, Project, addresses, entry, table};
use crate::draft::{Draft, Known, Vars, label};
use crate::expr::{Atom, Expr, Root};
use crate::source::Source;
use crate::store::exports::Export;
use crate::value::Value;

/// Where the store's folders for people lie below its root.
const FOLDERS: &[&str] = &["data/storage", "home", "external", "network"];
/// The role of an app that offers Tor's proxy.
const TOR_ROLE: &str = "tor-proxy";
/// What the store itself puts in the place of an address that is not there yet.
const NO_ONION: &str = "notyetset.onion";
/// Longest chain of exported variables that name each other.
const MAX_CHAIN: usize = 8;

/// The variables of one app.
pub(super) struct Variables<'i> {
    pub(super) id: String,
    prefix: String,
    port: Option<String>,
    version: String,
    own: Entry,
    pub(super) table: BTreeMap<String, Table>,
    index: &'i Index,
    dependencies: Vec<String>,
    /// Variables with the address of a service, by the service's name in the source.
    pins: RefCell<BTreeMap<String, String>>,
    depth: RefCell<usize>,
}

/// `APP_<ID>_`.
fn prefix(id: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("APP_{}_", id.chars().map(word).collect::<String>())
}

impl<'i> Variables<'i> {
    pub(super) fn new(source: &Source, config: &Value, id: &str, index: &'i Index) -> Self {
        Self {
            id: id.to_owned(),
            prefix: prefix(id),
            port: config.text_of("port").map(str::to_owned),
            version: config.text_of("version").unwrap_or_default().to_owned(),
            own: entry(source, config),
            table: table(),
            index,
            dependencies: super::texts(config, "dependencies"),
            pins: RefCell::default(),
            depth: RefCell::default(),
        }
    }

    /// Notes which variables are addresses of services.
    pub(super) fn pin(&self, project: &Project) {
        let mut pins = self.pins.borrow_mut();
        for (name, service) in &project.services {
            for address in addresses(service) {
                let variable = address.trim_matches(['$', '{', '}', '"', ' ']).to_owned();
                pins.insert(variable, name.clone());
            }
        }
    }

    /// The service that fills the app's role: the one whose address others are given.
    pub(super) fn node(&self, project: &Project) -> Option<String> {
        let known = self.known_own()?;
        let host = known.variables.iter().find(|(_, value)| *value == "@host")?.0;
        let service = self.pins.borrow().get(&format!("{}{host}", self.prefix)).cloned()?;
        project.services.contains_key(&service).then_some(service)
    }

    /// The table's entry of this app, or of the one it stands in for.
    fn known_own(&self) -> Option<&Table> {
        self.table
            .get(&self.id)
            .or_else(|| self.own.implements.iter().find_map(|other| self.table.get(other)))
    }

    /// The role of an app.
    pub(super) fn role(&self, app: &str) -> String {
        self.table.get(app).map_or_else(|| label(app), |known| known.role.clone())
    }

    /// The role that this app fills.
    fn own_role(&self) -> String {
        let implemented = self.own.implements.iter().find(|other| self.table.contains_key(*other));
        self.role(implemented.unwrap_or(&self.id))
    }

    /// What the app gives out lies in a volume of its own, named like the role, wherever a service
    /// mounts a directory around it.
    pub(super) fn give(&self, draft: &mut Draft<'_>) {
        let Some(dir) = self.known_own().and_then(Table::given) else { return };
        let role = self.own_role();
        let mut given = false;
        for svc in draft.services.values_mut() {
            let around = svc.container.volumes.iter().find_map(|mount| {
                let source =
                    mount.source.as_deref().filter(|_| mount.kind == Some(MountType::Bind))?;
                let rest = dir.strip_prefix(source)?.strip_prefix('/')?;
                Some((format!("{}/{rest}", mount.target.trim_end_matches('/')), mount.read_only))
            });
            let Some((target, read_only)) = around else { continue };
            if svc.container.volumes.iter().any(|mount| mount.target == target) {
                continue;
            }
            given = true;
            let source = Some(role.clone());
            let kind = Some(MountType::Volume);
            svc.container.volumes.push(Mount {
                kind,
                source,
                target,
                read_only,
                ..Mount::default()
            });
        }
        if given {
            draft.app.named_volumes.entry(role.clone()).or_default();
            let message =
                format!("{dir} is a volume of its own, which apps that ask for {role} may read");
            draft.find("app-data", "services", message);
        }
    }

    /// Names of services of other apps stand in values: they are reached over the shared network.
    pub(super) fn neighbours(&self, draft: &mut Draft<'_>) {
        let others: Vec<String> = self.dependencies.clone();
        let mut met: Vec<String> = Vec::new();
        for svc in draft.services.values_mut() {
            for value in svc.env.values_mut() {
                let changed = value.split_text(|text| {
                    others.iter().fold(Expr::text(text), |expr, other| {
                        expr.split_text(|text| neighbour(text, other, &self.role(other)))
                    })
                });
                if changed != *value {
                    met.push(value.shown());
                    svc.shared = true;
                    *value = changed;
                }
            }
        }
        for text in met {
            draft.find("external-network", "services", format!("a service of another app: {text}"));
        }
    }

    fn own_variable(&self, draft: &mut Draft<'_>, name: &str, rest: &str) -> Known {
        if let Some(service) = self.pins.borrow().get(name) {
            let service = draft.names.get(service).cloned().unwrap_or_else(|| label(service));
            return Known::Value(Expr::text(service));
        }
        if rest.ends_with("HIDDEN_SERVICE") || rest.ends_with("ONION") {
            return Self::onion(draft, name);
        }
        if let Some(export) = self.own.exports.get(name) {
            return self.exported(draft, name, export, None);
        }
        if let Some(value) = self.known_own().and_then(|known| known.variables.get(rest)).cloned() {
            return match value.strip_prefix('@') {
                None => Known::Value(Expr::text(value)),
                Some("host") => Known::Value(Expr::text("main")),
                Some(rest) => match rest.split_once(' ') {
                    Some(("secret", secret)) => {
                        draft.app.secrets.entry(secret.to_owned()).or_insert(SecretKind::Hex32);
                        Known::Value(Expr::secret(secret))
                    }
                    Some(("data", _)) => {
                        Known::Value(Expr::atom(Atom::Dir(Root::Given(self.own_role()))))
                    }
                    _ => Known::Missing,
                },
            };
        }
        self.guessed(draft, name, rest)
    }

    /// What a name says of an app's own variable whose `exports.sh` is not in the package.
    fn guessed(&self, draft: &mut Draft<'_>, name: &str, rest: &str) -> Known {
        use crate::draft::{Class, class};
        let whole = format!("_{rest}");
        let ends = |list: &[&str]| list.iter().any(|end| whole.ends_with(end));
        if rest == "PORT"
            && let Some(port) = &self.port
        {
            return Known::Value(Expr::text(port.clone()));
        }
        if ends(&["_PORT"]) {
            let port = chosen_port(name);
            let message =
                format!("{name} is set by a script that is not in the package; {port} is chosen");
            draft.find("changed-port", name, message);
            return Known::Value(Expr::text(port.to_string()));
        }
        if ends(&["_IP", "_HOST"]) {
            let part = label(whole.trim_end_matches("_IP").trim_end_matches("_HOST"));
            let named = draft.names.iter().find(|(from, _)| label(from) == part);
            let service = named.map_or_else(|| "main".to_owned(), |(_, to)| to.clone());
            return Known::Value(Expr::text(service));
        }
        if class(rest) != Class::Plain || ends(&["_KEY", "_SEED", "_TOKEN", "_SALT", "PASS"]) {
            draft.find(
                "generated-secret",
                name,
                "derived from the node's seed in the source; generated",
            );
            let kind = if ends(&["_KEY"]) { SecretKind::Hex16 } else { SecretKind::Hex32 };
            return Known::Value(Expr::secret(draft.secret(rest, kind)));
        }
        if ends(&["LOCAL_IPS", "LOCAL_URLS"]) {
            draft.find(
                "replaced-host",
                name,
                "the addresses of the node: its primary one stands in",
            );
            let mut value = Expr::default();
            let url = rest.ends_with("URLS");
            value.push(Atom::Text(if url { "http://".to_owned() } else { String::new() }));
            value.push(Atom::Place("HOST_IP".to_owned()));
            let port = self.port.as_ref().filter(|_| url);
            value.push(Atom::Text(port.map(|port| format!(":{port}")).unwrap_or_default()));
            return Known::Value(value);
        }
        if ends(&["_NAME", "_DATABASE", "_DB"]) {
            return Known::Value(Expr::text(label(&self.id).replace('-', "_")));
        }
        if ends(&["_USER", "_USERNAME"]) {
            return Known::Value(Expr::text(self.id.clone()));
        }
        if ends(&["DATA_DIR"]) {
            return Known::Value(below(Root::Own, "data"));
        }
        Known::Missing
    }

    fn exported(
        &self,
        draft: &mut Draft<'_>,
        name: &str,
        export: &Export,
        owner: Option<&str>,
    ) -> Known {
        match export {
            Export::Derived if owner.is_none() => {
                draft.find(
                    "generated-secret",
                    name,
                    "derived from the node's seed in the source; generated",
                );
                Known::Value(Expr::secret(draft.secret(name, SecretKind::Hex32)))
            }
            Export::Derived => Known::Value(Self::shared_secret(draft, name)),
            Export::Onion => Self::onion(draft, name),
            Export::Unknown => Known::Missing,
            Export::Text(text) => {
                if *self.depth.borrow() >= MAX_CHAIN {
                    return Known::Missing;
                }
                *self.depth.borrow_mut() += 1;
                let text = match owner {
                    Some(_) => text
                        .replace("${EXPORTS_APP_DIR}", "${EXPORTS_OTHER_DIR}")
                        .replace("$EXPORTS_APP_DIR", "${EXPORTS_OTHER_DIR}"),
                    None => text.clone(),
                };
                let mut value = draft.expr(&text, name);
                *self.depth.borrow_mut() -= 1;
                if let Some(owner) = owner {
                    let mut owned = Expr::default();
                    for atom in value.atoms() {
                        owned.push(match atom {
                            Atom::Missing(inner) if inner == "EXPORTS_OTHER_DIR" => {
                                Atom::Dir(Root::App(owner.to_owned()))
                            }
                            other => other.clone(),
                        });
                    }
                    value = owned;
                }
                Known::Value(value)
            }
        }
    }

    /// A secret that another app makes: both sides know it by the variable's name.
    fn shared_secret(draft: &mut Draft<'_>, name: &str) -> Expr {
        let secret = label(name.trim_start_matches("APP_"));
        draft.app.secrets.entry(secret.clone()).or_insert(SecretKind::Supplied);
        Expr::secret(secret)
    }

    /// A variable of another app.
    fn foreign(&self, draft: &mut Draft<'_>, owner: &str, name: &str, rest: &str) -> Known {
        let role = self.role(owner);
        if rest.ends_with("HIDDEN_SERVICE") {
            return Self::onion(draft, name);
        }
        let known = self.table.get(owner).and_then(|known| known.variables.get(rest)).cloned();
        if let Some(value) = known {
            return match value.strip_prefix('@') {
                None => Known::Value(Expr::text(value)),
                Some("host") => {
                    draft.require(&role);
                    Known::Value(Expr::place(format!("role:{role}")))
                }
                Some(special) => match special.split_once(' ') {
                    Some(("secret", secret)) => {
                        draft.app.secrets.entry(secret.to_owned()).or_insert(SecretKind::Supplied);
                        Known::Value(Expr::secret(secret))
                    }
                    Some(("data", _)) => {
                        draft.require(&role);
                        Known::Value(Expr::atom(Atom::Dir(Root::Role(role))))
                    }
                    _ => Known::Missing,
                },
            };
        }
        let entry = self.index.apps.get(owner);
        if rest.ends_with("_IP") || matches!(rest, "IP" | "HOST") || rest.ends_with("_HOST") {
            draft.require(&role);
            return Known::Value(Expr::place(format!("role:{role}")));
        }
        if let Some(export) = entry.and_then(|entry| entry.exports.get(name)) {
            return self.exported(draft, name, export, Some(owner));
        }
        if let Some(port) = entry.and_then(|entry| entry.port.as_ref()).filter(|_| rest == "PORT") {
            return Known::Value(Expr::text(port.clone()));
        }
        Known::Missing
    }

    fn onion(draft: &mut Draft<'_>, name: &str) -> Known {
        draft.find(
            "tor",
            name,
            "the app's onion address is not known; the store's word for that stands in",
        );
        Known::Value(Expr::text(NO_ONION))
    }

    /// The other app that a variable belongs to, and the rest of its name.
    fn owner<'n>(&self, name: &'n str) -> Option<(String, &'n str)> {
        let ids = self.table.keys().chain(self.index.apps.keys()).chain(&self.dependencies);
        let mut found: Vec<(String, &str)> = ids
            .filter_map(|id| Some((id.clone(), name.strip_prefix(&prefix(id))?)))
            .filter(|(id, _)| *id != self.id)
            .collect();
        found.sort_by_key(|(_, rest)| rest.len());
        found.into_iter().next()
    }

    fn platform(&self, draft: &mut Draft<'_>, name: &str) -> Option<Expr> {
        Some(match name {
            "APP_DATA_DIR" | "EXPORTS_APP_DIR" | "EXPORTS_APP_DATA_DIR" => {
                Expr::atom(Atom::Dir(Root::Own))
            }
            "APP_PASSWORD" => {
                draft.find(
                    "generated-secret",
                    name,
                    "derived from the node's seed in the source; generated",
                );
                Expr::secret(draft.secret("app-password", SecretKind::Hex32))
            }
            "APP_SEED" => {
                draft.find(
                    "generated-secret",
                    name,
                    "derived from the node's seed in the source; generated",
                );
                Expr::secret(draft.secret("app-seed", SecretKind::Hex32))
            }
            "APP_ID" | "EXPORTS_APP_ID" => Expr::text(self.id.clone()),
            "APP_VERSION" => Expr::text(self.version.clone()),
            "DEVICE_DOMAIN_NAME" | "APP_DOMAIN" => Expr::place("HOST_MDNS"),
            "DEVICE_HOSTNAME" => {
                draft.find("replaced-host", name, "the node's name with .local stands in");
                Expr::place("HOST_MDNS")
            }
            "DEVICE_IP" | "LOCAL_IP" => Expr::place("HOST_IP"),
            "APP_HIDDEN_SERVICE" => {
                Self::onion(draft, name);
                Expr::text(NO_ONION)
            }
            "TOR_PROXY_IP" | "TOR_HOST" => {
                draft.find("tor", name, "an app that offers Tor's proxy is asked for");
                draft.require(TOR_ROLE);
                Expr::place(format!("role:{TOR_ROLE}"))
            }
            "TOR_PROXY_PORT" => Expr::text("9050"),
            "TOR_DATA_DIR" => below(Root::Own, "tor"),
            "UMBREL_ROOT" => Expr::atom(Atom::Dir(Root::Shared)),
            "NETWORK_IP" => {
                draft.find("replaced-host", name, "the range of Podman's networks stands in");
                Expr::text("10.89.0.0")
            }
            "GATEWAY_IP" => Expr::place("HOST_IP"),
            "TZ" => draft.time_zone(),
            "PUID" | "PGID" | "UID" | "GID" => Expr::text("1000"),
            _ => return None,
        })
    }
}

impl Vars for Variables<'_> {
    fn shared(&self, path: &str) -> Option<(Root, String)> {
        if let Some((app, rest)) = path.strip_prefix("app-data/").and_then(|p| p.split_once('/')) {
            let role = self.role(app);
            let given = self.table.get(app).and_then(Table::given);
            let inside = given.and_then(|dir| rest.strip_prefix(dir));
            return match inside {
                Some(rest) => Some((Root::Role(role), rest.trim_matches('/').to_owned())),
                None => Some((Root::App(app.to_owned()), rest.to_owned())),
            };
        }
        let rest = FOLDERS.iter().find_map(|folder| path.strip_prefix(folder))?;
        let whole = rest.is_empty() || rest.starts_with('/');
        whole.then(|| (Root::Shared, rest.trim_matches('/').to_owned()))
    }

    fn get(&self, draft: &mut Draft<'_>, name: &str) -> Known {
        if name == "EXPORTS_OTHER_DIR" {
            return Known::Value(Expr::atom(Atom::Missing(name.to_owned())));
        }
        if let Some(value) = self.platform(draft, name) {
            return Known::Value(value);
        }
        let owner = self.owner(name);
        let joined = self.prefix.replace('_', "");
        let loose = name.strip_prefix("APP_").and_then(|rest| rest.split_once('_'));
        let loose = loose.filter(|(id, _)| format!("APP{id}") == joined).map(|(_, rest)| rest);
        if let Some(rest) = name.strip_prefix(&self.prefix).or(loose)
            && owner.as_ref().is_none_or(|(_, other)| other.len() >= rest.len())
        {
            return self.own_variable(draft, name, rest);
        }
        if let Some((owner, rest)) = owner {
            return self.foreign(draft, &owner, name, rest);
        }
        if let Some(service) = self.pins.borrow().get(name) {
            let service = draft.names.get(service).cloned().unwrap_or_else(|| label(service));
            return Known::Value(Expr::text(service));
        }
        if let Some(export) = self.own.exports.get(name) {
            return self.exported(draft, name, export, None);
        }
        for other in &self.dependencies {
            let export = self.index.apps.get(other).and_then(|entry| entry.exports.get(name));
            if let Some(export) = export {
                return self.exported(draft, name, export, Some(other));
            }
        }
        if name.ends_with("_HIDDEN_SERVICE") {
            return Self::onion(draft, name);
        }
        // what neither the platform nor a dependency sets comes from the app's own script
        match name.strip_prefix("APP_") {
            Some(rest) => self.guessed(draft, name, rest),
            None if name.starts_with("UMBREL_") || name.starts_with("TOR_") => Known::Missing,
            None => Known::Unset,
        }
    }
}

fn below(root: Root, dir: &str) -> Expr {
    let mut out = Expr::atom(Atom::Dir(root));
    out.push(Atom::Text(format!("/{dir}")));
    out
}

/// A port for a variable whose value is not known: always the same for the same name.
fn chosen_port(name: &str) -> u16 {
    let mut hash: u32 = 2_166_136_261;
    for byte in name.bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    }
    u16::try_from(hash % 10_000).unwrap_or_default() + 20_000
}

/// Replaces `<app>_<service>_1` by the container of the app that fills the role.
fn neighbour(text: &str, other: &str, role: &str) -> Expr {
    let start = format!("{other}_");
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let Some(at) = text.find(&start) else { return Expr::text(text) };
    let (before, found) = text.split_at(at);
    let end = found.find(|c: char| !word(c)).unwrap_or(found.len());
    let (name, after) = found.split_at(end);
    if before.ends_with(word) || !name.ends_with("_1") {
        return Expr::text(text);
    }
    let mut out = Expr::text(before);
    out.push(Atom::Place(format!("role:{role}")));
    out.extend(&neighbour(after, other, role));
    out
}
