//! Secrets and certificates.

use super::nested::{Kind, Placed};
use super::templates::Use;
use super::{Form, Rules};
use crate::check::shorten;
use crate::model::{Cert, SecretKind};
use crate::path::Path;

/// True for a bare file name.
fn bare(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

impl Rules<'_, '_, '_> {
    /// Collects the declared secrets.
    pub(super) fn declare_secrets(&mut self) {
        let app = self.app;
        let mut all: Vec<(Path, String, SecretKind)> = Vec::new();
        for (name, kind) in &app.secrets {
            all.push((self.root.key("secrets").key(name), name.clone(), *kind));
        }
        for service in &self.services {
            let base = service.path.key("generated_secrets");
            for (index, secret) in service.container.generated_secrets.iter().enumerate() {
                let kind = secret.kind.unwrap_or(SecretKind::Hex32);
                all.push((base.index(index).key("name"), secret.name.clone(), kind));
            }
        }
        for (path, name, kind) in all {
            if !self.secret_name(&name, &path) {
                continue;
            }
            if self.secrets.insert(name.clone(), kind).is_some_and(|other| other != kind) {
                let message = format!("the secret `{name}` is declared twice with different kinds");
                self.error("duplicate-secret", &path, message, "keep one of the two");
            }
        }
    }

    fn secret_name(&mut self, name: &str, path: &Path) -> bool {
        let good = bare(name);
        if !good {
            let message = format!("`{}` is not a bare file name", shorten(name));
            let mend = "use letters, digits, `.`, `_` and `-`; no `/` and no `..`";
            self.error("invalid-secret-name", path, message, mend);
        }
        good
    }

    /// Checks a reference to a secret. In the form of one container an undeclared one is taken as
    /// a file that is on the node already.
    pub(super) fn secret_ref(&mut self, name: &str, path: &Path) {
        if !self.secret_name(name, path) || self.secrets.contains_key(name) {
            return;
        }
        let plain = name.strip_suffix(".pw").and_then(|hash| self.secrets.get(hash));
        if plain == Some(&SecretKind::Bcrypt) {
            return;
        }
        if self.form == Form::Container {
            self.secrets.insert(name.to_owned(), SecretKind::Supplied);
            return;
        }
        let near = crate::check::nearest(name, self.secrets.keys().map(String::as_str));
        let mend = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add `{name}: hex32` to `secrets`, or `{name}: supplied`"),
        };
        let message = format!("the secret `{name}` is not declared");
        self.error("undeclared-secret", path, message, mend);
    }

    /// All certificates.
    pub(super) fn certs(&mut self) -> Vec<Cert> {
        let app = self.app;
        let mut all: Vec<_> = (app.certs.iter().enumerate())
            .map(|(index, cert)| (self.root.key("certs").index(index), cert))
            .collect();
        for service in &self.services {
            let base = service.path.key("generated_certs");
            let certs = service.container.generated_certs.iter().enumerate();
            all.extend(certs.map(|(index, cert)| (base.index(index), cert)));
        }
        let mut out = Vec::new();
        for (path, cert) in all {
            let crt = self.data_file(&cert.crt, &path.key("crt"));
            let key = self.data_file(&cert.key, &path.key("key"));
            let common_name = cert.common_name.as_ref();
            let common_name =
                common_name.map(|text| self.template(text, &path.key("common_name"), Use::Cert));
            let sans = path.key("sans");
            let names = cert.sans.iter().enumerate();
            let sans =
                names.map(|(i, text)| self.template(text, &sans.index(i), Use::Cert)).collect();
            if let (Some(crt), Some(key)) = (crt, key) {
                if crt == key {
                    let message = "`crt` and `key` are the same file";
                    self.error("duplicate-file", &path.key("key"), message, "name two files");
                }
                for (key, data) in [("crt", &crt), ("key", &key)] {
                    let placed =
                        Placed { at: path.key(key), data: data.clone(), kind: Kind::Written };
                    self.placed.push(placed);
                }
                out.push(Cert { crt, key, common_name, sans });
            }
        }
        out
    }
}
