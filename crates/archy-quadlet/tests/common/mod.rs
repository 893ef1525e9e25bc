//! Small apps for the tests, built from the model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use archy_manifest::Manifest;
use archy_manifest::model::{
    BackupPolicy, DependsOn, HealthCheck, ImageSource, Mount, MountSource, NetworkMode, Port,
    PortAuth, Probe, Protocol, Resources, Security, Service, UpdatePolicy, UpdateStrategy,
};
use archy_quadlet::{HostFacts, RenderInput};
use archy_types::{AppId, Digest, Generation, PodmanVersion, ServiceName};
use indexmap::IndexMap;

pub(crate) fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

pub(crate) fn service(image: &str) -> Service {
    Service {
        source: ImageSource::Image(image.to_owned()),
        oneshot: false,
        entrypoint: None,
        args: Vec::new(),
        env: IndexMap::new(),
        derived_env: IndexMap::new(),
        secret_env: IndexMap::new(),
        secret_files: IndexMap::new(),
        network: NetworkMode::App,
        aliases: Vec::new(),
        ports: Vec::new(),
        mounts: Vec::new(),
        devices: Vec::new(),
        health: None,
        ready: Vec::new(),
        depends_on: IndexMap::new(),
        resources: Resources {
            memory_bytes: 512 << 20,
            cpus: None,
            pids: 512,
            log_bytes: 10 << 20,
            shm_bytes: None,
            ulimits: BTreeMap::new(),
        },
        security: Security {
            capabilities: BTreeSet::new(),
            capabilities_rationale: None,
            readonly_root: false,
            no_new_privileges: true,
            network_policy: None,
        },
        user: None,
        working_dir: None,
        init: false,
        labels: IndexMap::new(),
        stop_grace_secs: 30,
        stop_signal: None,
    }
}

pub(crate) fn manifest(
    id: &str,
    services: impl IntoIterator<Item = (&'static str, Service)>,
) -> Manifest {
    Manifest {
        id: AppId::new(id).unwrap(),
        name: format!("The {id}"),
        version: "1.0.0".into(),
        description: "An app.".into(),
        category: None,
        upstream: None,
        services: services.into_iter().map(|(text, service)| (name(text), service)).collect(),
        volumes: BTreeMap::new(),
        config: IndexMap::new(),
        secrets: BTreeMap::new(),
        certs: Vec::new(),
        files: Vec::new(),
        hooks: BTreeMap::new(),
        provides: Vec::new(),
        requires: Vec::new(),
        storage_bytes: None,
        interfaces: IndexMap::new(),
        backup: BackupPolicy::default(),
        update: UpdatePolicy {
            strategy: UpdateStrategy::Recreate,
            soak_secs: 30,
            downgrade: false,
        },
        architectures: BTreeSet::new(),
        min_platform: None,
        boot_priority: 50,
        metadata: serde_json::Map::new(),
    }
}

pub(crate) fn health(probe: Probe) -> HealthCheck {
    HealthCheck { probe, interval_secs: 30, timeout_secs: 5, retries: 3, start_period_secs: 20 }
}

pub(crate) fn port(host: u16, container: u16, auth: Option<PortAuth>) -> Port {
    Port { host, container, protocol: Protocol::Tcp, bind: None, auth, auth_rationale: None }
}

pub(crate) fn mount(source: MountSource, target: &str) -> Mount {
    Mount { source, target: target.into(), read_only: false }
}

pub(crate) fn after(service: &str, condition: DependsOn) -> (ServiceName, DependsOn) {
    (name(service), condition)
}

/// A host that delegates all controllers.
pub(crate) fn host() -> HostFacts {
    HostFacts {
        podman: PodmanVersion { major: 5, minor: 4, patch: 2 },
        controllers: ["cpu", "memory", "pids"].map(Into::into).into(),
        data_dir: PathBuf::from("/var/lib/archipelago"),
        health_probe: PathBuf::from("/usr/libexec/archipelago/archy-health"),
        values: BTreeMap::new(),
    }
}

pub(crate) fn input<'a>(manifest: &'a Manifest, host: &'a HostFacts) -> RenderInput<'a> {
    RenderInput {
        manifest,
        digest: Digest::of(manifest.id.as_str().as_bytes()),
        generation: Generation(7),
        enabled: true,
        host,
        config: BTreeMap::new(),
        port_overrides: BTreeMap::new(),
        secrets_hash: Some("0123456789abcdef".into()),
        package_dir: None,
        contexts: BTreeMap::new(),
        local_images: BTreeSet::new(),
        after_units: Vec::new(),
    }
}
