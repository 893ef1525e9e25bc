//! Templates and what each place may name.

use super::Rules;
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
            _ => {}
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
