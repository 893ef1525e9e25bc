//! Templates and what each place may name.

use std::collections::BTreeSet;

use super::{Rules, Services};
use crate::path::Path;
use crate::schema::SettingType;
use crate::template::{PLACEHOLDERS, Placeholder, Template, TemplateError};

/// Where a template stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// `derived_env`.
    Env,
    /// Content of a file.
    File,
    /// Arguments of a container, where braces may mean something to the app.
    Argument,
    /// Names in a certificate.
    Cert,
    /// Body of a hook's request.
    Hook,
}

impl Rules<'_, '_, '_> {
    pub(super) fn template(&mut self, text: &str, path: &Path, place: Use) -> Template {
        match Template::parse(text) {
            Ok(template) => {
                for placeholder in template.placeholders() {
                    self.placeholder(placeholder, path, place);
                }
                template
            }
            Err(error) => {
                self.template_error(&error, path);
                Template::default()
            }
        }
    }

    /// Placeholders in an argument: a text that is no template stays as it is.
    pub(super) fn argument(&mut self, text: &str, path: &Path) {
        let Ok(template) = Template::parse(text) else { return };
        for placeholder in template.placeholders() {
            self.placeholder(placeholder, path, Use::Argument);
        }
    }

    fn template_error(&mut self, error: &TemplateError, path: &Path) {
        match error {
            TemplateError::Unknown(name) => {
                let message =
                    format!("unknown placeholder {{{{{}}}}}", crate::check::shorten(name));
                let mend = match nearest(name) {
                    Some(near) => format!("did you mean {{{{{near}}}}}?"),
                    None => PLACEHOLDERS
                        .iter()
                        .fold("use one of:".to_owned(), |list, (name, _)| format!("{list} {name}")),
                };
                self.error("unknown-placeholder", path, message, mend);
            }
            TemplateError::Unbalanced(_) => {
                let message = "unbalanced braces: `{{` without `}}`";
                self.error("unbalanced-braces", path, message, "close it with `}}`");
            }
        }
    }

    fn placeholder(&mut self, placeholder: &Placeholder, path: &Path, place: Use) {
        let allowed = match placeholder {
            Placeholder::Secret(_) => matches!(place, Use::File | Use::Env),
            Placeholder::NetworkGateway => place == Use::File,
            Placeholder::HostIp | Placeholder::HostMdns | Placeholder::PublicHost => true,
            _ => place != Use::Cert,
        };
        if !allowed {
            let message = format!("{{{{{placeholder}}}}} is not possible here");
            let mend = match (placeholder, place) {
                (Placeholder::Secret(_), Use::Argument) => {
                    "hand it over in `secret_env`: arguments can be read by everybody"
                }
                (_, Use::Cert) => "use HOST_IP, HOST_MDNS or PUBLIC_HOST",
                _ => "move it into `files`",
            };
            return self.error("misplaced-placeholder", path, message, mend);
        }
        match placeholder {
            Placeholder::Secret(name) => self.secret_ref(name, path),
            Placeholder::Config(key) => self.config_ref(key, path, place),
            Placeholder::RoleHost(role) => self.role_ref(role, path),
            Placeholder::Port(port) => self.used_ports.push((*port, path.clone())),
            _ => {}
        }
    }

    /// Host ports that templates name, once all that are published are known.
    pub(super) fn port_refs(&mut self, services: &Services) {
        for (port, path) in std::mem::take(&mut self.used_ports) {
            let ports = services.values().flat_map(|service| &service.ports);
            let hosts: BTreeSet<u16> = ports.map(|port| port.host).collect();
            if hosts.contains(&port) {
                continue;
            }
            let list = hosts.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            let mend = match list.as_str() {
                "" => "add it to `ports` as `host`".to_owned(),
                list => format!("name a `host` port of `ports`: {list}"),
            };
            let message = format!("no service publishes the host port {port}");
            self.error("unpublished-port", &path, message, mend);
        }
    }

    pub(super) fn role_ref(&mut self, role: &str, path: &Path) {
        if !self.app.requires.iter().any(|require| require.role.as_deref() == Some(role)) {
            let message =
                format!("the role `{}` is not in `requires`", crate::check::shorten(role));
            self.error("undeclared-role", path, message, "add an entry `role:` to `requires`");
        }
    }

    fn config_ref(&mut self, key: &str, path: &Path, place: Use) {
        self.used_settings.insert(key.to_owned());
        let kind = match self.app.config.get(key) {
            Some(setting) => setting.kind,
            None => {
                let near = crate::check::nearest(key, self.app.config.keys().map(String::as_str));
                let mend = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "add it to `config`".to_owned(),
                };
                let message = format!("there is no setting `{}`", crate::check::shorten(key));
                return self.error("undeclared-setting", path, message, mend);
            }
        };
        if kind == Some(SettingType::Secret) && !matches!(place, Use::File | Use::Env) {
            let message = format!("the secret setting `{key}` would be readable here");
            let mend = "give the setting a target `env`, or use it in a file";
            self.error("misplaced-placeholder", path, message, mend);
        }
    }
}

/// The placeholder that was probably meant.
fn nearest(name: &str) -> Option<&'static str> {
    if name.len() > 64 {
        return None;
    }
    let upper = name.to_uppercase();
    let distances =
        PLACEHOLDERS.iter().map(|(known, _)| (strsim::damerau_levenshtein(&upper, known), *known));
    distances.filter(|(distance, _)| *distance <= 3).min().map(|(_, known)| known)
}
