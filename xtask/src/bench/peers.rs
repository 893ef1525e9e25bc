//! The stack of seven in the words of its peers: a compose file, and pods for `podman kube play`.
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What both files are made from.
#[derive(Debug)]
pub(super) struct Source<'a> {
    /// Image references by name.
    pub(super) images: BTreeMap<&'static str, String>,
    /// The database's password.
    pub(super) password: &'a str,
    /// The frontend's settings in the node.
    pub(super) conf: &'a str,
    /// Host ports by service.
    pub(super) ports: &'a [(&'static str, u16, u16)],
}

/// A service as both peers know it.
struct Service {
    name: &'static str,
    image: &'static str,
    /// Name by which others find it.
    alias: &'static str,
    env: &'static [(&'static str, &'static str)],
    /// Variable that takes the database's password.
    password: Option<&'static str>,
    volume: Option<(&'static str, &'static str)>,
    health: &'static [&'static str],
    after: &'static [(&'static str, &'static str)],
    stop: (&'static str, u32),
    command: &'static [&'static str],
}

const HTTP: &[&str] = &["/run/archy-health", "http", "127.0.0.1:8080/health"];
const TCP: &[&str] = &["/run/archy-health", "tcp", "127.0.0.1:8080"];
const HEALTHY: &str = "service_healthy";
const PLAIN: Service = Service {
    name: "",
    image: "probe",
    alias: "",
    env: &[],
    password: None,
    volume: None,
    health: HTTP,
    after: &[],
    stop: ("SIGTERM", 30),
    command: &[],
};

/// The stack of `tests/apps/plaza`.
const SERVICES: &[Service] = &[
    Service {
        name: "database",
        image: "postgres",
        alias: "database",
        env: &[("POSTGRES_USER", "plaza"), ("POSTGRES_DB", "plaza")],
        password: Some("POSTGRES_PASSWORD"),
        volume: Some(("plaza-cluster", "/var/lib/postgresql/data")),
        health: &["pg_isready", "-q", "-h", "127.0.0.1", "-U", "plaza"],
        stop: ("SIGINT", 60),
        ..PLAIN
    },
    Service {
        name: "cache",
        image: "valkey",
        alias: "cache",
        health: &["/run/archy-health", "tcp", "127.0.0.1:6379"],
        ..PLAIN
    },
    Service {
        name: "prepare",
        image: "postgres",
        alias: "prepare",
        password: Some("PGPASSWORD"),
        health: &[],
        after: &[("database", HEALTHY)],
        command: &[
            "psql",
            "-h",
            "database",
            "-U",
            "plaza",
            "-d",
            "plaza",
            "-c",
            "CREATE TABLE IF NOT EXISTS posts (id serial PRIMARY KEY, text text)",
        ],
        ..PLAIN
    },
    Service {
        name: "api",
        alias: "backend",
        env: &[("DATABASE_HOST", "database"), ("CACHE_HOST", "cache")],
        password: Some("DATABASE_PASSWORD"),
        // not after `prepare`: Podman 5.4 starts no container that requires one which has ended and itself requires
        // one that runs ("not found in input list")
        after: &[("database", HEALTHY), ("cache", HEALTHY)],
        ..PLAIN
    },
    Service {
        name: "worker",
        alias: "worker",
        env: &[("QUEUE_HOST", "cache")],
        volume: Some(("plaza-work", "/data")),
        after: &[("cache", HEALTHY)],
        ..PLAIN
    },
    Service {
        name: "objects",
        image: "objects",
        alias: "store",
        volume: Some(("plaza-objects", "/data")),
        ..PLAIN
    },
    Service {
        name: "relay",
        image: "nostr-relay",
        alias: "relay",
        env: &[("RELAY_NAME", "Plaza")],
        volume: Some(("plaza-notes", "/data")),
        health: TCP,
        ..PLAIN
    },
    Service {
        name: "frontend",
        image: "nginx",
        alias: "frontend",
        after: &[("api", HEALTHY), ("relay", "service_started")],
        stop: ("SIGQUIT", 10),
        ..PLAIN
    },
];

impl Source<'_> {
    fn image(&self, service: &Service) -> &str {
        self.images.get(service.image).map_or("", String::as_str)
    }

    fn port(&self, service: &Service) -> Option<(u16, u16)> {
        let port = self.ports.iter().find(|(name, ..)| *name == service.name);
        port.map(|(_, host, container)| (*host, *container))
    }

    fn env<'a>(&'a self, service: &'a Service) -> impl Iterator<Item = (&'a str, &'a str)> {
        service.env.iter().copied().chain(service.password.map(|name| (name, self.password)))
    }
}

/// The compose file; network and volumes are there already.
pub(super) fn compose(source: &Source<'_>, network: &str) -> String {
    let mut text = "services:\n".to_owned();
    for service in SERVICES {
        let (name, image) = (service.name, source.image(service));
        let (signal, grace) = service.stop;
        let _ = write!(
            text,
            "  {name}:\n    image: {image}\n    pull_policy: never\n    cap_drop: [ALL]\n    \
             security_opt: [no-new-privileges]\n    stop_signal: {signal}\n    stop_grace_period: {grace}s\n    \
             networks: {{ default: {{ aliases: [{}] }} }}\n",
            service.alias
        );
        if service.command.is_empty() {
            text.push_str("    restart: always\n");
        } else {
            let _ = writeln!(text, "    command: {:?}", service.command);
        }
        if let Some((host, container)) = source.port(service) {
            let _ = writeln!(text, "    ports: ['{host}:{container}']");
        }
        let env: Vec<String> =
            source.env(service).map(|(key, value)| format!("{key}: {value:?}")).collect();
        if !env.is_empty() {
            let _ = writeln!(text, "    environment: {{ {} }}", env.join(", "));
        }
        compose_mounts(&mut text, source, service);
        if !service.health.is_empty() {
            let test: Vec<String> =
                std::iter::once(&"CMD").chain(service.health).map(|w| format!("{w:?}")).collect();
            let _ = writeln!(
                text,
                "    healthcheck: {{ test: [{}], interval: 3s, timeout: 5s, retries: 3, start_period: 60s }}",
                test.join(", ")
            );
        }
        if !service.after.is_empty() {
            text.push_str("    depends_on:\n");
            for (on, condition) in service.after {
                let _ = writeln!(text, "      {on}: {{ condition: {condition} }}");
            }
        }
    }
    text.push_str("volumes:\n");
    for (volume, _) in SERVICES.iter().filter_map(|service| service.volume) {
        let _ = writeln!(text, "  {volume}: {{ external: true, name: {volume} }}");
    }
    let _ = writeln!(text, "networks:\n  default: {{ external: true, name: {network} }}");
    text
}

fn compose_mounts(text: &mut String, source: &Source<'_>, service: &Service) {
    let mut mounts = vec!["/usr/libexec/archipelago/archy-health:/run/archy-health:ro".to_owned()];
    mounts.extend(service.volume.map(|(volume, target)| format!("{volume}:{target}")));
    if service.name == "frontend" {
        mounts.push(format!("{}:/etc/nginx/conf.d/default.conf:ro", source.conf));
    }
    let _ = writeln!(text, "    volumes: {mounts:?}");
    if service.name == "cache" {
        text.push_str("    tmpfs: ['/data:size=16777216,mode=1777']\n");
    }
}

/// Pods for `podman kube play`, one for each service; volumes are there already.
pub(super) fn kube(source: &Source<'_>) -> String {
    let mut text = String::new();
    for service in SERVICES {
        let (_, grace) = service.stop;
        let restart = if service.command.is_empty() { "Always" } else { "OnFailure" };
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{ name: {} }}\nspec:\n  restartPolicy: {restart}\n  \
             terminationGracePeriodSeconds: {grace}\n  containers:\n  - name: main\n    image: {}\n    \
             imagePullPolicy: Never\n    securityContext: {{ allowPrivilegeEscalation: false, capabilities: {{ drop: [ALL] }} }}\n",
            service.alias,
            source.image(service)
        );
        if !service.command.is_empty() {
            let _ = writeln!(text, "    args: {:?}", service.command);
        }
        if let Some((host, container)) = source.port(service) {
            let _ =
                writeln!(text, "    ports: [{{ containerPort: {container}, hostPort: {host} }}]");
        }
        let env: Vec<String> = source
            .env(service)
            .map(|(key, value)| format!("{{ name: {key}, value: {value:?} }}"))
            .collect();
        if !env.is_empty() {
            let _ = writeln!(text, "    env: [{}]", env.join(", "));
        }
        kube_mounts(&mut text, source, service);
    }
    text
}

/// The cache gets the volume that its image declares: an empty directory would not be its user's.
fn kube_mounts(text: &mut String, source: &Source<'_>, service: &Service) {
    let (mount, volume) = match (service.name, service.volume) {
        ("frontend", _) => (
            "/etc/nginx/conf.d/default.conf".to_owned(),
            format!("hostPath: {{ path: {}, type: File }}", source.conf),
        ),
        (_, Some((volume, target))) => {
            (target.to_owned(), format!("persistentVolumeClaim: {{ claimName: {volume} }}"))
        }
        _ => return,
    };
    let _ = write!(
        text,
        "    volumeMounts: [{{ name: data, mountPath: {mount} }}]\n  volumes: [{{ name: data, {volume} }}]\n"
    );
}
