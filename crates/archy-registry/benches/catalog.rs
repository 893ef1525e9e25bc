//! How long a node takes to verify and load a catalog of 10,000 apps, and how much memory that
//! takes: `cargo bench -p archy-registry`. Aims: 300 ms and 60 MiB.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use archy_registry::project::{AppFiles, Days, Founders, Settings};
use archy_registry::{Client, DirTransport, Moment, PrivateKey, Project};

const APPS: usize = 10_000;
const NOW: Moment = Moment(1_793_491_200);

fn main() {
    let dir = std::env::args().nth(1).filter(|it| !it.starts_with("--"));
    match dir {
        // the child has not made the registry: its memory is that of a node alone
        Some(dir) => load(Path::new(&dir)),
        None => make(),
    }
}

#[expect(clippy::disallowed_methods, reason = "the part that is measured is its own process")]
fn make() {
    let dir = tempfile::tempdir().unwrap();
    let key = PrivateKey::create(&dir.path().join("key")).unwrap();
    let roles = ["root", "targets", "snapshot", "timestamp"];
    let keys: BTreeMap<_, _> =
        roles.iter().map(|role| ((*role).to_owned(), vec![key.public().clone()])).collect();
    let founders = Founders { keys, thresholds: BTreeMap::new() };
    let settings = Settings { name: "Large".to_owned(), days: Days::default() };
    let project = Project::init(&dir.path().join("project"), settings, &founders, NOW).unwrap();
    let texts: Vec<String> = (0..APPS).map(manifest).collect();
    let apps = texts.iter().map(|it| AppFiles { manifest: it.as_bytes(), ..AppFiles::default() });
    project.add("targets", apps, NOW).unwrap();
    project.sign(std::slice::from_ref(&key)).unwrap();
    project.publish(&[key], NOW).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = Client::new(dir.path().join("node"));
    let transport = DirTransport::new(project.public());
    runtime.block_on(async {
        let identity = Client::look(&transport).await.unwrap();
        client.trust(&transport, identity.fingerprint).await.unwrap();
        client.refresh(&transport, NOW).await.unwrap();
    });
    let own = std::env::current_exe().unwrap();
    let status = std::process::Command::new(own).arg(dir.path().join("node")).status().unwrap();
    assert!(status.success());
}

fn load(dir: &Path) {
    let before = memory();
    let mut times = Vec::new();
    let mut kept = None;
    for _ in 0..5 {
        drop(kept.take());
        let begun = Instant::now();
        let mut known = Client::new(dir.to_owned()).load().unwrap().unwrap();
        let verified = begun.elapsed();
        let text = std::mem::take(&mut known.catalogs[0].text);
        let entries = parse(&text);
        times.push((begun.elapsed(), verified));
        assert_eq!(entries.len(), APPS);
        kept = Some((known.slim(), entries));
    }
    times.sort();
    let (all, verified) = times[times.len() / 2];
    println!(
        "{APPS} apps: verified in {} ms, verified and loaded in {} ms; {} MiB kept",
        verified.as_millis(),
        all.as_millis(),
        (memory() - before) / 1024
    );
    drop(kept);
}

/// As the daemon reads it: with the cores that there are.
fn parse(text: &[u8]) -> Vec<archy_catalog::Entry> {
    let threads = std::thread::available_parallelism().unwrap().get().min(4);
    std::thread::scope(|scope| {
        let part = |part| archy_catalog::document::parse_part(text, part, threads).unwrap();
        let parts: Vec<_> = (0..threads).map(|it| scope.spawn(move || part(it))).collect();
        parts.into_iter().flat_map(|it| it.join().unwrap().entries).collect()
    })
}

/// Resident memory in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn manifest(number: usize) -> String {
    format!(
        "app:\n  id: app-{number}\n  name: App {number}\n  version: 1.{number}.0\n  description: An app that does \
         one thing well, number {number} of many.\n  category: tools\n  container:\n    image: \
         registry.example/app-{number}@sha256:{number:064x}\n  ports:\n    - {{ host: {}, container: \
         8080 }}\n  volumes:\n    - {{ type: bind, source: /var/lib/archipelago/app-{number}, target: /data }}\n",
        10_000 + number
    )
}
