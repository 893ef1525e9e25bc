//! A host that is looked at closer: made of a few facts, with secrets planted everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use archipelago::survey::{
    Belongings, BuiltImages, JournalLine, LastProbe, ManagerFacts, Mend, Owned, PodmanFacts,
    Survey, SurveySource,
};
use archy_engine::ports::Interest;
use archy_plan::{Known, Observed, Strangers};
use archy_quadlet::HostFacts;
use archy_types::{Cause, PodmanVersion, Secret, Timestamp, UserError};
use futures_util::future::BoxFuture;

/// Secrets of every kind that the platform makes or takes.
pub const SECRETS: [&str; 6] = [
    "0123456789abcdef0123456789abcdef",
    "Zm9yIHRlc3RzIG9ubHksIG5vdCByZWFsbHk/IQ+/=",
    "$2b$10$abcdefghijklmnopqrstuuAbCdEfGhIjKlMnOpQrStUvWxYz01234",
    "plaintext-of-the-hash",
    "first line of a supplied one\nsecond line \"quoted\"",
    "owner-setting-p@ss/w+rd",
];

/// The host.
#[derive(Debug, Default)]
pub struct Closer {
    /// Mends that were applied.
    pub mended: Mutex<Vec<Mend>>,
    /// Images that were removed.
    pub removed: Mutex<Vec<String>>,
    /// Nothing is known of Podman.
    pub silent: bool,
    /// The secrets cannot be read.
    pub locked: bool,
}

fn observed() -> Observed {
    let leaky = format!("[Container]\nImage=a\nEnvironment=KEY={}\n", SECRETS[0]);
    Observed {
        at: Timestamp(1),
        host: HostFacts {
            podman: PodmanVersion::FLOOR,
            controllers: Vec::new(),
            data_dir: "/data".into(),
            health_probe: "/probe".into(),
            values: BTreeMap::new(),
        },
        unit_files: Known::Yes([("someone.container".to_owned(), leaky)].into()),
        units: Known::Yes(BTreeMap::new()),
        containers: Known::Yes(BTreeMap::new()),
        images: Known::Yes(BTreeSet::new()),
        volumes: Known::Yes(BTreeSet::new()),
        networks: Known::Yes(BTreeSet::new()),
        strangers: Strangers::default(),
        foreign: archy_plan::adopt::Foreign::default(),
        podman_secrets: Known::Yes(BTreeMap::new()),
        secret_files: Known::Yes(BTreeMap::new()),
        app_files: Known::Yes(BTreeMap::new()),
        contexts: BTreeMap::new(),
        snapshots: Known::Yes(BTreeMap::new()),
        left: archy_plan::observed::Left::default(),
        hooked: std::collections::BTreeMap::new(),
        data_sizes: BTreeMap::new(),
        image_sizes: BTreeMap::new(),
        away_secs: BTreeMap::new(),
        listening: Known::Yes(BTreeSet::new()),
        lowest_port: Known::Yes(80),
        disk_free_bytes: Known::Yes(1 << 40),
        inodes_free: Known::Yes(1 << 20),
        memory_available_bytes: Known::Yes(1 << 40),
        architecture: "amd64".to_owned(),
        platform: String::new(),
        shutting_down: false,
    }
}

impl SurveySource for Closer {
    fn survey(&self, _: Interest) -> BoxFuture<'_, Survey> {
        let owned = |name: &str, running| Owned { name: name.into(), app: "gone".into(), running };
        let silent = || Cause::new("podman-timeout", "Podman does not answer.");
        let podman = PodmanFacts {
            version: "5.4.2".into(),
            storage_driver: "overlay".into(),
            graph_root: "/".into(),
            cgroup_version: "v2".into(),
            cgroup_manager: "systemd".into(),
            network: "pasta".into(),
        };
        let belongings = Belongings {
            containers: vec![owned("gone", false)],
            volumes: vec![owned("gone-data", false)],
            ..Belongings::default()
        };
        let survey = Survey {
            observed: observed(),
            podman: if self.silent { Known::No(silent()) } else { Known::Yes(podman) },
            belongings: Known::Yes(belongings),
            manager: Known::Yes(ManagerFacts {
                version: "257".into(),
                state: "degraded".into(),
                failed: vec!["lost.service".into()],
                shutdown_limit: None,
            }),
            lingering: Known::Yes(true),
        };
        Box::pin(async move { survey })
    }

    fn probe<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<LastProbe>, UserError>> {
        let silent = self.silent;
        Box::pin(async move {
            if silent {
                return Err(UserError::new("podman-timeout", "Podman does not answer."));
            }
            Ok(Some(LastProbe {
                at: Some(Timestamp(5_000)),
                exit_code: 1,
                output: "first words\nhttp 503\n".into(),
                failing: 2,
                out_of_memory: false,
            }))
        })
    }

    fn mend(&self, mend: Mend) -> BoxFuture<'_, Result<(), UserError>> {
        self.mended.lock().unwrap().push(mend);
        Box::pin(async { Ok(()) })
    }

    fn built_images(&self) -> BoxFuture<'_, Result<BuiltImages, UserError>> {
        Box::pin(async { Ok(BuiltImages::default()) })
    }

    fn remove_image<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), UserError>> {
        let result = match name.contains("in-use") {
            true => Err(UserError::new("podman-refused", "A container uses it.")),
            false => {
                self.removed.lock().unwrap().push(name.to_owned());
                Ok(())
            }
        };
        Box::pin(async { result })
    }

    fn journal(&self, _: u32) -> BoxFuture<'_, Vec<(String, String)>> {
        let mut text = String::from("plain words\nAuthorization: Bearer abcdefabcdefabcdef\n");
        text.push_str(
            "cookie: session=feedfacefeedface; csrf_token=deadbeef\nDB_PASSWORD=hunter2\n",
        );
        text.push_str("-----BEGIN PRIVATE KEY-----\nMIIEkey\n-----END PRIVATE KEY-----\n");
        for secret in SECRETS {
            text.push_str(&format!("it said {secret} and {:?}\n", secret));
        }
        Box::pin(async move { vec![("daemon".to_owned(), text)] })
    }

    fn daemon_log(
        &self,
        lines: u32,
        _: Option<Timestamp>,
        priority: u8,
    ) -> BoxFuture<'_, Result<Vec<JournalLine>, UserError>> {
        let line = |text: String| JournalLine {
            at: Timestamp(1_000),
            priority,
            target: "archipelago::net".to_owned(),
            text,
        };
        let said = SECRETS.iter().map(|secret| line(format!("it said {secret}")));
        let all: Vec<_> = std::iter::once(line(format!("asked for {lines}"))).chain(said).collect();
        Box::pin(async move { Ok(all) })
    }

    fn secrets(&self) -> BoxFuture<'_, Result<Vec<Secret>, UserError>> {
        let locked = self.locked;
        Box::pin(async move {
            if locked {
                return Err(UserError::new("file-permission", "The secrets cannot be read."));
            }
            Ok(SECRETS.iter().map(|text| Secret::new(*text)).collect())
        })
    }
}
