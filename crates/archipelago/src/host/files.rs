//! Files, directories, secrets and certificates.

use std::path::{Component, Path, PathBuf};

use archy_engine::ports::{Files, HostResult};
use archy_manifest::model::{Owner, SecretKind, SettingKind};
use archy_manifest::template::{Placeholder, Template};
use archy_plan::DesiredApp;
use archy_podman::NetworkSpec;
use archy_quadlet::render::config_secret_name;
use archy_store::files as store;
use archy_types::{AppId, UserError};

use super::{SystemHost, error, facts};

impl SystemHost {
    /// A path below an app's data directory; never above it.
    pub(super) fn app_path(&self, app: &AppId, path: &str) -> HostResult<PathBuf> {
        let plain = Path::new(path).components().all(|c| matches!(c, Component::Normal(_)));
        if !plain {
            let error =
                UserError::new("path-escapes", format!("{path:?} leaves the app's directory."));
            return Err(error::fatal(error));
        }
        let base = self.config.data_dir.join(app.as_str());
        Ok(if path.is_empty() { base } else { base.join(path) })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, UserError> + Send + 'static,
    ) -> HostResult<T> {
        let host = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&host)).await;
        match done {
            Ok(result) => result.map_err(error::fatal),
            Err(_) => Err(error::fatal(UserError::new("internal", "A file task broke down."))),
        }
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> UserError {
    let path = path.to_owned();
    move |source| error::file(&store::FileError::Io { path, source })
}

impl Files for SystemHost {
    async fn make_directory(
        &self,
        app: &AppId,
        path: &str,
        owner: Option<Owner>,
    ) -> HostResult<()> {
        let dir = self.app_path(app, path)?;
        let made = dir.clone();
        self.blocking(move |_| std::fs::create_dir_all(&made).map_err(io(&made))).await?;
        match owner {
            Some(Owner { uid, gid }) => {
                self.unshare.chown(&dir, (uid, gid), false).await.map_err(|e| error::unshare(&e))
            }
            None => Ok(()),
        }
    }

    async fn generate_secret(&self, name: &str, kind: SecretKind) -> HostResult<()> {
        let name = name.to_owned();
        let kind = match kind {
            SecretKind::Hex16 => store::SecretKind::Hex16,
            SecretKind::Hex32 => store::SecretKind::Hex32,
            SecretKind::Base64 => store::SecretKind::Base64,
            SecretKind::Bcrypt => store::SecretKind::Bcrypt,
            SecretKind::Supplied => store::SecretKind::Supplied,
        };
        self.blocking(move |host| {
            host.secrets.ensure(&name, kind).map(drop).map_err(|e| error::file(&e))
        })
        .await
    }

    async fn make_cert(
        &self,
        app: &AppId,
        crt: &str,
        key: &str,
        common_name: &str,
        sans: &[String],
    ) -> HostResult<()> {
        let (crt, key) = (self.app_path(app, crt)?, self.app_path(app, key)?);
        let (common_name, sans) = (common_name.to_owned(), sans.to_vec());
        self.blocking(move |_| {
            for parent in [&crt, &key].into_iter().filter_map(|path| path.parent()) {
                std::fs::create_dir_all(parent).map_err(io(parent))?;
            }
            store::ensure_cert(&crt, &key, &common_name, &sans)
                .map(drop)
                .map_err(|e| error::file(&e))
        })
        .await
    }

    async fn write_file(
        &self,
        app: &DesiredApp,
        path: &str,
        content: &Template,
        overwrite: bool,
        mode: u32,
    ) -> HostResult<()> {
        let target = self.app_path(&app.manifest.id, path)?;
        let (app, content) = (app.clone(), content.clone());
        let gateway = self.gateway_if_used(&app, &content).await;
        self.blocking(move |host| {
            if !overwrite && target.exists() {
                return Ok(());
            }
            let mut values = facts::placeholder_values(&host.config);
            values.extend(gateway.map(|address| (Placeholder::NetworkGateway, address)));
            let text = content.resolve(|placeholder| host.value(&app, &values, placeholder))?;
            if let Some(parent) = target.parent() {
                std::fs::create_dir_all(parent).map_err(io(parent))?;
            }
            store::write_atomic(&target, text.as_bytes(), mode).map_err(|e| error::file(&e))
        })
        .await
    }

    async fn purge_data(&self, app: &AppId) -> HostResult<()> {
        let dir = self.app_path(app, "")?;
        if !dir.exists() {
            return Ok(());
        }
        // what belongs to the app's own users can only be removed inside the user namespace
        self.unshare.remove_all(&dir).await.map_err(|e| error::unshare(&e))
    }

    async fn purge_secret(&self, name: &str) -> HostResult<()> {
        let name = name.to_owned();
        self.blocking(move |host| host.secrets.remove(&name).map_err(|e| error::file(&e))).await
    }
}

impl SystemHost {
    fn value(
        &self,
        app: &DesiredApp,
        values: &std::collections::BTreeMap<Placeholder, String>,
        placeholder: &Placeholder,
    ) -> Result<String, UserError> {
        let text = match placeholder {
            Placeholder::Secret(name) => {
                let secret = self.secrets.read(name).map_err(|e| error::file(&e))?;
                secret.expose_trimmed().map(str::to_owned)
            }
            Placeholder::Config(key) if is_secret(app, key) && app.settings.contains_key(key) => {
                let name = config_secret_name(&app.manifest.id, key);
                let secret = self.secrets.read(&name).map_err(|e| error::file(&e))?;
                secret.expose_trimmed().map(str::to_owned)
            }
            Placeholder::Config(key) => app
                .settings
                .get(key)
                .or_else(|| app.manifest.config.get(key)?.default.as_ref())
                .map(plain_text),
            other => values.get(other).cloned(),
        };
        text.ok_or_else(|| {
            UserError::new(
                "placeholder-unknown",
                format!("The value of {{{{{placeholder}}}}} is not known on this node."),
            )
            .hint("Set it in the app's settings, or install what provides it.")
        })
    }

    async fn gateway_if_used(&self, app: &DesiredApp, content: &Template) -> Option<String> {
        content.placeholders().find(|p| **p == Placeholder::NetworkGateway)?;
        let name = archy_manifest::names::network(&app.manifest.id);
        let network = match self.podman.network(&name).await.ok()? {
            Some(network) => network,
            // the unit's own `network create` takes one that is there
            None => {
                let label = (String::from("io.archipelago.app"), app.manifest.id.to_string());
                let spec = NetworkSpec {
                    name,
                    labels: [label].into(),
                    dns_enabled: true,
                    ..NetworkSpec::default()
                };
                self.podman.create_network(&spec).await.ok()?
            }
        };
        network.subnets.into_iter().find_map(|subnet| subnet.gateway)
    }
}

fn is_secret(app: &DesiredApp, key: &str) -> bool {
    app.manifest.config.get(key).is_some_and(|setting| setting.kind == SettingKind::Secret)
}

/// A setting as text: strings without quotes.
fn plain_text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
