//! The manifest under construction: settings, secrets and findings gather here.

use archy_manifest::model::SecretKind;
use archy_manifest::schema::{App, Container, Require, Setting, SettingTarget, SettingType};
use indexmap::IndexMap;

use crate::expr::{Atom, Expr};
use crate::interpolate::{self, Form, Piece};
use crate::report::Findings;
use crate::source::{Files, Source};

/// What a store says of a variable.
pub(crate) enum Known {
    /// Its value.
    Value(Expr),
    /// It is not set; a default beside it counts, else the owner is asked.
    Unset,
    /// The store sets it, but not what to is in the package.
    Missing,
}

/// The variables of a store.
pub(crate) trait Vars {
    /// The value of a variable; it may declare secrets and settings.
    fn get(&self, draft: &mut Draft<'_>, name: &str) -> Known;

    /// Where an absolute path of the host lies, when it is one of the store's own.
    fn path(&self, _draft: &Draft<'_>, _path: &str) -> Option<(crate::expr::Root, String)> {
        None
    }

    /// Where a path below the store's root lies: mostly a folder that its apps share; nothing when
    /// it belongs to the store itself.
    fn shared(&self, path: &str) -> Option<(crate::expr::Root, String)> {
        Some((crate::expr::Root::Shared, path.to_owned()))
    }
}

/// One service under construction.
#[derive(Debug, Default)]
pub(crate) struct Svc {
    /// Name in the manifest.
    pub(crate) name: String,
    /// What is known for certain.
    pub(crate) container: Container,
    pub(crate) env: IndexMap<String, Expr>,
    pub(crate) entrypoint: Option<Vec<Expr>>,
    pub(crate) command: Vec<Expr>,
    pub(crate) health: Option<Vec<Expr>>,
    /// Other names that the app knows it by.
    pub(crate) names: Vec<String>,
    /// It reaches other apps.
    pub(crate) shared: bool,
    /// It has the host's network in the source.
    pub(crate) host_network: bool,
    /// Capabilities that the source takes away.
    pub(crate) dropped: Vec<String>,
}

/// The manifest under construction.
pub(crate) struct Draft<'a> {
    pub(crate) source: &'a Source,
    pub(crate) vars: &'a dyn Vars,
    pub(crate) app: App,
    /// By name in the source.
    pub(crate) services: IndexMap<String, Svc>,
    /// Names of services in the manifest, by name in the source.
    pub(crate) names: IndexMap<String, String>,
    /// Service, name of its target in the source, and the name that it uses for it.
    pub(crate) links: Vec<(String, String, String)>,
    pub(crate) findings: Findings,
    /// Files that go beside the manifest.
    pub(crate) package: Files,
    /// Files of the source that were read for what they say.
    pub(crate) read: Vec<String>,
    /// Owner of directories on this store, `uid:gid`.
    pub(crate) owner: Option<String>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(source: &'a Source, vars: &'a dyn Vars) -> Self {
        Self {
            source,
            vars,
            app: App::default(),
            services: IndexMap::new(),
            names: IndexMap::new(),
            links: Vec::new(),
            findings: Findings::default(),
            package: Files::new(),
            read: Vec::new(),
            owner: None,
        }
    }

    pub(crate) fn find(&mut self, code: &str, place: &str, message: impl Into<String>) {
        self.findings.add(code, place, message);
    }

    /// Fills in the variables of a text.
    pub(crate) fn expr(&mut self, text: &str, place: &str) -> Expr {
        self.pieces(&interpolate::parse(text), place)
    }

    fn pieces(&mut self, pieces: &[Piece], place: &str) -> Expr {
        let mut out = Expr::default();
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push(Atom::Text(text.clone())),
                Piece::Variable { name, form } => out.extend(&self.variable(name, form, place)),
            }
        }
        out
    }

    fn variable(&mut self, name: &str, form: &Form, place: &str) -> Expr {
        let vars = self.vars;
        match (vars.get(self, name), form) {
            (Known::Value(_), Form::Instead(value)) => self.pieces(value, place),
            (Known::Value(set), Form::Default { empty: true, value }) if set.is_empty() => {
                self.pieces(value, place)
            }
            (Known::Value(set), _) => set,
            (Known::Unset | Known::Missing, Form::Default { value, .. }) => {
                self.default(name, value, place)
            }
            (Known::Unset | Known::Missing, Form::Instead(_)) => Expr::default(),
            (Known::Unset, Form::Bare) => self.ask(name, false, place),
            (Known::Unset, Form::Required(_)) => self.ask(name, true, place),
            (Known::Missing, Form::Bare | Form::Required(_)) => {
                let message = format!("nothing in the package sets {name}");
                self.find("unresolved-variable", place, message);
                Expr::atom(Atom::Missing(name.to_owned()))
            }
        }
    }

    fn default(&mut self, name: &str, value: &[Piece], place: &str) -> Expr {
        let value = self.pieces(value, place);
        let literal = value.as_text().is_some_and(|text| text.len() >= 4);
        if literal && class(name) == Class::Generated {
            let message =
                format!("{name} is generated instead of the default that everybody knows");
            self.find("generated-secret", place, message);
            return Expr::secret(self.secret(name, SecretKind::Hex32));
        }
        let message = format!("{name} is not set; its default is taken: {}", value.shown());
        self.find("chosen-default", place, message);
        value
    }

    /// A variable that the owner has to give, or a secret that the node can make.
    pub(crate) fn ask(&mut self, name: &str, required: bool, place: &str) -> Expr {
        if name == "TZ" {
            return self.time_zone();
        }
        if name.ends_with("UID") || name.ends_with("GID") {
            self.find("chosen-default", place, format!("{name} is 1000"));
            return Expr::text("1000");
        }
        if class(name) == Class::Generated {
            let message = format!("{name} is not set; it is generated");
            self.find("generated-secret", place, message);
            return Expr::secret(self.secret(name, SecretKind::Hex32));
        }
        let secret = class(name) == Class::Owner;
        let message = format!("{name} is not set; the owner is asked for it");
        self.find("unset-variable", place, message);
        let kind = if secret { SettingType::Secret } else { SettingType::Text };
        self.setting(name, Setting { kind: Some(kind), required, ..Setting::default() })
    }

    /// Declares a setting, unless it is declared, and names its value.
    pub(crate) fn setting(&mut self, name: &str, setting: Setting) -> Expr {
        let key = setting_key(name);
        let entry = self.app.config.entry(key.clone()).or_insert(setting);
        Expr::atom(Atom::Setting { key, secret: entry.kind == Some(SettingType::Secret) })
    }

    /// The node's time zone, which is a setting.
    pub(crate) fn time_zone(&mut self) -> Expr {
        let setting = Setting {
            kind: Some(SettingType::Text),
            label: Some("Time zone".to_owned()),
            help: Some("For example Europe/Vienna.".to_owned()),
            default: Some("Etc/UTC".into()),
            ..Setting::default()
        };
        self.setting("TZ", setting)
    }

    /// Declares a secret of the app, unless it is declared, and gives its name.
    pub(crate) fn secret(&mut self, name: &str, kind: SecretKind) -> String {
        let name = self.secret_name(name);
        self.app.secrets.entry(name.clone()).or_insert(kind);
        name
    }

    /// The name of a secret of this app: secrets of all apps lie in one directory.
    pub(crate) fn secret_name(&self, name: &str) -> String {
        let id = &self.app.id;
        let mut label = label(name);
        let own = format!("{id}-");
        if let Some(rest) = label.strip_prefix(&own) {
            label = rest.to_owned();
        }
        format!("{id}-{}", if label.is_empty() { "secret" } else { &label })
    }

    /// A text that nothing is filled into. What must be filled in takes its default, else it is
    /// reported and nothing.
    pub(crate) fn plain(&mut self, text: &str, place: &str) -> Option<String> {
        let expr = self.expr(text, place);
        self.plain_expr(&expr, place)
    }

    pub(crate) fn plain_expr(&mut self, expr: &Expr, place: &str) -> Option<String> {
        let mut out = String::new();
        for atom in expr.atoms() {
            match atom {
                Atom::Text(text) => out.push_str(text),
                Atom::Setting { key, .. } => match self.default_of(key) {
                    Some(default) => {
                        let message =
                            format!("takes the default of {key}, whatever the owner sets");
                        self.find("chosen-default", place, message);
                        out.push_str(&default);
                    }
                    None => return self.unfilled(expr, place),
                },
                _ => return self.unfilled(expr, place),
            }
        }
        Some(out)
    }

    fn default_of(&self, key: &str) -> Option<String> {
        match self.app.config.get(key)?.default.as_ref()? {
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    fn unfilled(&mut self, expr: &Expr, place: &str) -> Option<String> {
        let message = format!("cannot be filled in here: {}", expr.shown());
        self.find("unresolved-variable", place, message);
        None
    }

    /// Asks for a role, unless it is asked for.
    pub(crate) fn require(&mut self, role: &str) {
        let known = self.app.requires.iter().any(|known| known.role.as_deref() == Some(role));
        if !known && !role.is_empty() {
            self.app.requires.push(Require { role: Some(role.to_owned()), ..Require::default() });
        }
    }

    /// Gives a setting a variable of a service as target.
    pub(crate) fn target(&mut self, key: &str, service: &str, variable: &str) {
        if let Some(setting) = self.app.config.get_mut(key) {
            let target = SettingTarget {
                env: Some(variable.to_owned()),
                service: Some(service.to_owned()),
                file: None,
            };
            if !setting.targets.contains(&target) {
                setting.targets.push(target);
            }
        }
    }
}

/// Who gives the value of a variable that looks like a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// No secret.
    Plain,
    /// The node can make it up.
    Generated,
    /// It belongs to an account elsewhere; the owner has it.
    Owner,
}

/// Judges a variable by its name.
pub(crate) fn class(name: &str) -> Class {
    let upper = name.to_ascii_uppercase();
    let ends = |list: &[&str]| list.iter().any(|end| upper.ends_with(end));
    let has = |list: &[&str]| list.iter().any(|part| upper.contains(part));
    if matches!(upper.as_str(), "PWD" | "OLDPWD") {
        return Class::Plain;
    }
    let secret = ends(&["PASSWORD", "PASSWD", "PASSPHRASE", "_PASS", "_PWD", "SECRET", "_SALT"])
        || ends(&["SECRET_KEY", "SECRET_KEY_BASE", "APP_KEY", "MASTER_KEY", "ENCRYPTION_KEY"])
        || ends(&["JWT_KEY", "SIGNING_KEY", "SESSION_KEY", "COOKIE_KEY", "PASSWORD_KEY"])
        || upper == "PASS";
    let elsewhere = has(&["SMTP", "MAIL", "IMAP", "LDAP", "OIDC", "OAUTH", "CLIENT_SECRET", "AWS"])
        || has(&["VPN", "PROXY", "_S3_", "API_", "GITHUB", "GOOGLE", "TELEGRAM", "DISCORD"]);
    match (secret, elsewhere) {
        (true, false) => Class::Generated,
        (true, true) => Class::Owner,
        _ if ends(&["API_KEY", "TOKEN", "ACCESS_KEY", "AUTHKEY", "AUTH_KEY", "APIKEY"]) => {
            Class::Owner
        }
        _ => Class::Plain,
    }
}

/// A key of a setting: letters, digits, `_` and `-`.
pub(crate) fn setting_key(name: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '_' };
    let key: String = name.chars().take(64).map(word).collect();
    if key.is_empty() { "setting".to_owned() } else { key }
}

/// A DNS label of at most 40 characters: `a-z`, `0-9`, `-`. Empty when nothing is left.
pub(crate) fn label(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
        if out.len() >= 40 {
            break;
        }
    }
    out.trim_end_matches('-').to_owned()
}

/// True for a name that containers can be found by: DNS labels with dots between.
pub(crate) fn is_dns_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(|part| archy_types::id::check_dns_label(part).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_by_name() {
        for (name, expected) in [
            ("POSTGRES_PASSWORD", Class::Generated),
            ("JWT_SECRET", Class::Generated),
            ("DB_PASS", Class::Generated),
            ("SECRET_KEY_BASE", Class::Generated),
            ("SMTP_PASSWORD", Class::Owner),
            ("OPENAI_API_KEY", Class::Owner),
            ("OAUTH_CLIENT_SECRET", Class::Owner),
            ("PWD", Class::Plain),
            ("PASSWORD_FILE", Class::Plain),
            ("COMPASS", Class::Plain),
            ("KEYBOARD", Class::Plain),
        ] {
            assert_eq!(class(name), expected, "{name}");
        }
    }

    #[test]
    fn labels() {
        for (name, expected) in [
            ("Immich_Server", "immich-server"),
            ("  a  b ", "a-b"),
            ("__", ""),
            ("é", ""),
            ("app.1", "app-1"),
        ] {
            assert_eq!(label(name), expected, "{name}");
        }
    }
}
