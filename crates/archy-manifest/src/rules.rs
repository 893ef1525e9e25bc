//! The rules: what an author wrote becomes the model, and everything wrong is reported.

use std::collections::{BTreeMap, BTreeSet};

use archy_types::{AppId, ServiceName};
use indexmap::IndexMap;

use crate::diagnostic::Severity;
use crate::model::{FileTemplate, Manifest, Port, SecretKind};
use crate::path::Path;
use crate::schema::{App, Container, Document};
use crate::sink::Sink;

mod config;
mod container;
mod env;
mod files;
mod forbidden;
mod health;
mod hooks;
mod identity;
mod image;
mod interfaces;
mod mounts;
mod nested;
mod paths;
mod ports;
mod relations;
mod resources;
mod secrets;
mod services;
mod templates;

pub use container::device_allowed;
pub(crate) use forbidden::check as forbidden;
pub use paths::DATA_ROOT;
pub use relations::lenient_version;
pub use resources::{PLAIN_CAPABILITIES, WEIGHTY_CAPABILITIES};

/// How the containers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `app.container`, the form of existing third-party manifests.
    Container,
    /// `app.services`.
    Services,
}

/// One container as it was written.
struct Written<'d> {
    name: ServiceName,
    container: &'d Container,
    path: Path,
    /// Holds the keys beside `container`.
    beside: Option<&'d App>,
}

/// What the rules know while they run.
struct Rules<'s, 'a, 'd> {
    sink: &'s mut Sink<'a>,
    app: &'d App,
    /// Path of `app`.
    root: Path,
    form: Form,
    /// As written, right or wrong.
    id: String,
    services: Vec<Written<'d>>,
    secrets: BTreeMap<String, SecretKind>,
    files: Vec<FileTemplate>,
    /// What lies in the data directory, with its places.
    placed: Vec<nested::Placed>,
    /// All ports with their places.
    published: Vec<(ServiceName, Path, Port)>,
    /// Settings that something refers to.
    used_settings: BTreeSet<String>,
    /// Host ports that templates refer to, with the places.
    used_ports: Vec<(u16, Path)>,
}

/// Reads the model off a document. Nothing when an error was reported.
pub(crate) fn lower(document: &Document, sink: &mut Sink<'_>) -> Option<Manifest> {
    let app = &document.app;
    let root = Path::root().key("app");
    let id = identity::id(app, &root, sink);
    let form = if app.services.is_empty() { Form::Container } else { Form::Services };
    let mut rules = Rules {
        sink,
        app,
        root,
        form,
        id: app.id.clone(),
        services: Vec::new(),
        secrets: BTreeMap::new(),
        files: Vec::new(),
        placed: Vec::new(),
        published: Vec::new(),
        used_settings: BTreeSet::new(),
        used_ports: Vec::new(),
    };
    rules.services = rules.written_services();
    rules.declare_secrets();
    rules.declare_files();
    let manifest = rules.manifest(id);
    manifest.filter(|_| !sink.has_errors())
}

impl Rules<'_, '_, '_> {
    fn manifest(&mut self, id: Option<AppId>) -> Option<Manifest> {
        self.identity();
        let services = self.lower_services();
        let certs = self.certs();
        self.nested();
        let requires = self.requires();
        let hooks = self.hooks(&services);
        let config = self.config(&services);
        let interfaces = self.interfaces(&services);
        self.port_refs(&services);
        let app = self.app;
        Some(Manifest {
            name: app.name.clone(),
            version: app.version.clone(),
            description: app.description.clone().unwrap_or_default(),
            category: app.category.clone(),
            upstream: app.upstream.as_ref().map(identity::upstream),
            services,
            volumes: self.named_volumes(),
            config,
            secrets: std::mem::take(&mut self.secrets),
            certs,
            files: std::mem::take(&mut self.files),
            hooks,
            provides: self.provides(),
            requires,
            storage_bytes: self.storage(),
            interfaces,
            backup: self.backup(),
            update: self.update(),
            architectures: app.architectures.iter().map(|a| a.as_str().to_owned()).collect(),
            min_platform: app.min_platform.clone(),
            boot_priority: app.boot_priority.unwrap_or(50),
            metadata: app.metadata.clone(),
            // last, so that all rules have run
            id: id?,
        })
    }

    fn error(
        &mut self,
        code: &'static str,
        path: &Path,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.sink.report(Severity::Error, code, path, message, mend);
    }

    fn warn(
        &mut self,
        code: &'static str,
        path: &Path,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.sink.report(Severity::Warning, code, path, message, mend);
    }

    /// An error in the form of several services, a warning in the form of one container, because
    /// existing manifests of that form must go on parsing.
    fn strict(
        &mut self,
        code: &'static str,
        path: &Path,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) {
        let severity = match self.form {
            Form::Container => Severity::Warning,
            Form::Services => Severity::Error,
        };
        self.sink.report(severity, code, path, message, mend);
    }

    /// A number within bounds; outside it is reported and the nearest bound taken.
    fn range(&mut self, path: &Path, value: u64, least: u64, greatest: u64, unit: &str) -> u64 {
        if (least..=greatest).contains(&value) {
            return value;
        }
        let message = format!("{value}{unit} is out of range");
        self.error("out-of-range", path, message, format!("use {least} to {greatest}{unit}"));
        value.clamp(least, greatest)
    }

    /// The service that a reference names, or the only one, or `main`.
    fn service_ref(&mut self, name: Option<&str>, path: &Path) -> ServiceName {
        let names: Vec<_> = self.services.iter().map(|service| service.name.clone()).collect();
        let list = names.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
        if let Some(name) = name {
            if let Some(found) = names.iter().find(|known| known.as_str() == name) {
                return found.clone();
            }
            let mend = match crate::check::nearest(name, names.iter().map(ServiceName::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("services are: {list}"),
            };
            let message = format!("there is no service `{}`", crate::check::shorten(name));
            self.error("undeclared-service", &path.key("service"), message, mend);
            return ServiceName::main();
        }
        match names.as_slice() {
            [only] => only.clone(),
            _ if names.contains(&ServiceName::main()) => ServiceName::main(),
            _ => {
                let message = "several services, and none is called `main`";
                let mend = format!("add `service:` with one of: {list}");
                self.error("missing-service", path, message, mend);
                ServiceName::main()
            }
        }
    }
}

/// Services by name.
type Services = IndexMap<ServiceName, crate::model::Service>;
