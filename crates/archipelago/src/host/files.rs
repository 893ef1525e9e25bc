//! Files, directories, secrets and certificates.

use std::os::fd::AsFd as _;
use std::path::{Component, Path, PathBuf};

use archy_engine::ports::{Files, HostResult, secret_names};
use archy_manifest::Manifest;
use archy_manifest::model::{Owner, SettingKind};
use archy_manifest::names;
use archy_manifest::template::{Placeholder, Template};
use archy_plan::DesiredApp;
use archy_podman::NetworkSpec;
use archy_quadlet::render::config_secret_name;
use archy_store::files as store;
use archy_types::{AppId, Generation, SecretKind, UserError};

use super::place::Place;
use super::{SystemHost, error};

/// A certificate and its key, both as PEM.
type Pair = (Vec<u8>, Vec<u8>);

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

    pub(super) async fn blocking<T: Send + 'static>(
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

impl Files for SystemHost {
    async fn make_directory(
        &self,
        app: &AppId,
        path: &str,
        owner: Option<Owner>,
    ) -> HostResult<()> {
        let dir = self.enter(app, path).await?;
        match owner {
            Some(Owner { uid, gid }) => {
                let given = self.unshare.chown_directory(dir.as_fd(), (uid, gid)).await;
                given.map_err(|e| error::unshare(&e))
            }
            None => Ok(()),
        }
    }

    async fn generate_secret(&self, name: &str, kind: SecretKind) -> HostResult<()> {
        let name = name.to_owned();
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
        let (crt, key) = (self.place(app, crt).await?, self.place(app, key).await?);
        let (common_name, sans) = (common_name.to_owned(), sans.to_vec());
        let make = move |host: &Self| match host.new_cert(&crt, &key, &common_name, &sans)? {
            Some((crt_pem, key_pem)) => Ok(Some(((key, key_pem, 0o600), (crt, crt_pem, 0o644)))),
            None => Ok(None),
        };
        let Some((key, crt)) = self.blocking(make).await? else { return Ok(()) };
        // the key first: a certificate without its key is an error, the other way round is not
        self.put(key.0, key.1, key.2).await?;
        self.put(crt.0, crt.1, crt.2).await
    }

    async fn write_file(
        &self,
        app: &DesiredApp,
        path: &str,
        content: &Template,
        overwrite: bool,
        mode: u32,
    ) -> HostResult<()> {
        let place = self.place(&app.manifest.id, path).await?;
        if !overwrite && !place.find().map_err(error::fatal)?.is_nothing() {
            return Ok(());
        }
        let (app, content) = (app.clone(), content.clone());
        let gateway = self.gateway_if_used(&app, &content).await;
        let text = self.blocking(move |host| {
            let mut values = host.placeholder_values();
            values.extend(gateway.map(|address| (Placeholder::NetworkGateway, address)));
            content.resolve(|placeholder| host.value(&app, &values, placeholder))
        });
        let bytes = text.await?.into_bytes();
        self.put(place, bytes, mode).await
    }

    async fn purge_data(&self, app: &AppId, containers: &[String]) -> HostResult<()> {
        let dir = self.app_path(app, "")?;
        let containers = containers.to_vec();
        self.blocking(move |host| host.remove_logs(&containers)).await?;
        if !dir.exists() {
            return Ok(());
        }
        // what belongs to the app's own users can only be removed inside the user namespace
        self.unshare.remove_all(&dir).await.map_err(|e| error::unshare(&e))
    }

    async fn strike_secrets(&self, app: &Manifest, text: String) -> String {
        let names: Vec<_> = secret_names(app).collect();
        if names.is_empty() {
            return text;
        }
        let strike = move |host: &Self| {
            let secrets = names.iter().filter_map(|name| host.secrets.read(name).ok());
            Ok(secrets.fold(text, |text, secret| secret.strike_from(&text)))
        };
        // what cannot be looked through is not told
        self.blocking(strike).await.unwrap_or_else(|failure| failure.error.message)
    }

    async fn take_snapshot(
        &self,
        app: &DesiredApp,
        generation: Generation,
        volumes: &[String],
    ) -> HostResult<()> {
        self.at_rest(&app.manifest.id).await?;
        self.save(app, generation, volumes).await
    }

    async fn restore_snapshot(
        &self,
        app: &AppId,
        generation: Generation,
        wish: Generation,
    ) -> HostResult<()> {
        self.at_rest(app).await?;
        self.put_back(app, generation, wish).await
    }

    async fn remove_snapshots(&self, app: &AppId, generations: &[Generation]) -> HostResult<()> {
        self.clear(app, generations).await
    }

    async fn purge_secret(&self, name: &str) -> HostResult<()> {
        let name = name.to_owned();
        self.blocking(move |host| host.secrets.remove(&name).map_err(|e| error::file(&e))).await
    }
}

impl SystemHost {
    /// A certificate and its key, in PEM; nothing when both are there. They are made where no
    /// container can reach, with the key that is there if it can be read.
    fn new_cert(
        &self,
        crt: &Place,
        key: &Place,
        common_name: &str,
        sans: &[String],
    ) -> Result<Option<Pair>, UserError> {
        let (old_crt, old_key) = (crt.find_plain()?, key.find_plain()?);
        match (old_crt.is_nothing(), old_key.is_nothing()) {
            (false, false) => return Ok(None),
            (false, true) => {
                let (crt, key) = (crt.shown().to_owned(), key.shown().to_owned());
                return Err(error::file(&store::FileError::CertWithoutKey { crt, key }));
            }
            (true, _) => {}
        }
        let dir = self.staging(crt.shown());
        let failed = |e: store::FileError| match e {
            store::FileError::Cert { reason, .. } => {
                error::file(&store::FileError::Cert { path: crt.shown().to_owned(), reason })
            }
            other => error::file(&other),
        };
        let make = || {
            // what a crash left is of no use
            _ = std::fs::remove_dir_all(&dir);
            store::private_dir(&dir)?;
            let (new_crt, new_key) = (dir.join("crt"), dir.join("key"));
            if let Some(pem) = old_key.read() {
                store::write_atomic(&new_key, &pem, 0o600)?;
            }
            store::ensure_cert(&new_crt, &new_key, common_name, sans)?;
            let read = |path: &Path| {
                std::fs::read(path)
                    .map_err(|source| store::FileError::Io { path: path.to_owned(), source })
            };
            Ok((read(&new_crt)?, read(&new_key)?))
        };
        self.make_staging()?;
        let made = make().map_err(failed);
        _ = std::fs::remove_dir_all(&dir);
        made.map(Some)
    }

    /// Removes `<container>.log` of each, and what was rotated out of them.
    fn remove_logs(&self, containers: &[String]) -> Result<(), UserError> {
        let dir = archy_quadlet::log_dir(&self.config.data_dir);
        let Ok(entries) = std::fs::read_dir(&dir) else { return Ok(()) };
        // a container's name has no dot
        let logs: Vec<_> = containers.iter().map(|name| format!("{name}.log")).collect();
        for entry in entries.flatten() {
            let name = entry.file_name();
            if logs.iter().any(|log| name.to_string_lossy().starts_with(log)) {
                let path = entry.path();
                std::fs::remove_file(&path)
                    .map_err(|source| error::file(&store::FileError::Io { path, source }))?;
            }
        }
        Ok(())
    }

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
            Placeholder::Port(port) => app.host_port(*port).map(|port| port.to_string()),
            other => values.get(other).cloned(),
        };
        text.ok_or_else(|| placeholder.unknown())
    }

    async fn gateway_if_used(&self, app: &DesiredApp, content: &Template) -> Option<String> {
        content.placeholders().find(|p| **p == Placeholder::NetworkGateway)?;
        let name = names::network(&app.manifest.id);
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
