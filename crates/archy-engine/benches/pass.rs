//! A pass that finds nothing to do, over a modelled host: processor time, with 40 to 800 installed apps.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has no figure")]
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use archy_engine::ports::{Interest, Ledger as _, Observe as _};
use archy_engine::{Handle, Request, RequestKind, Tuning};
use archy_manifest::Manifest;
use archy_plan::{DesiredApp, Intent, Observed, assess, plan_with, render_app};
use archy_quadlet::Deployment;
use archy_testkit::{FakeHost, MemoryLedger, TestClock};
use archy_types::{Actor, AppState, Digest, StatusReport, Timestamp};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Runtime};

const IMAGE: &str = "registry.example/web:1";
/// Up to 40 apps fit into a processor's second-level cache, which alone makes them faster: what is
/// twice as much tells whether the work grows with the apps alone.
const SIZES: [usize; 4] = [40, 80, 400, 800];

/// A modelled host with so many apps that run, and the engine that installed them.
struct World {
    runtime: Runtime,
    handle: Handle,
    apps: Vec<DesiredApp>,
    deployments: Vec<Deployment>,
    reports: Vec<StatusReport>,
    observed: Observed,
}

fn manifest(n: usize) -> String {
    let port = 10_000 + n;
    format!(
        "app:
  id: app-{n:03}
  name: App {n}
  version: 1.0.0
  services:
    main:
      image: {IMAGE}
      ports: [{{ host: {port}, container: 8080, auth: none, auth_rationale: A benchmark. }}]
      env: {{ DATABASE: database, LEVEL: info }}
      secret_env: {{ PASSWORD: app-{n:03}-password }}
      volumes: [{{ type: file, source: main.conf, target: /etc/main.conf, read_only: true }}]
      health: {{ type: http, port: 8080, path: /health }}
      depends_on: {{ database: healthy }}
    database:
      image: {IMAGE}
      secret_env: {{ PASSWORD: app-{n:03}-password }}
      volumes: [{{ type: volume, source: data, target: /data }}]
      health: {{ type: tcp, port: 5432 }}
  named_volumes: {{ data: {{}} }}
  secrets: {{ app-{n:03}-password: hex32 }}
  files: [{{ path: main.conf, overwrite: true, content: \"level = 1\" }}]
"
    )
}

impl World {
    fn new(size: usize) -> Self {
        // one thread, so that its processor time is that of everything
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (handle, host, ledger) = runtime.block_on(installed(size));
        let observed = runtime.block_on(host.observe(&Interest::default()));
        let apps = runtime.block_on(ledger.load()).unwrap();
        let deployments: Vec<Deployment> =
            apps.iter().map(|app| render_app(app, &observed, &apps).unwrap()).collect();
        let view = |app: &DesiredApp| handle.snapshot().apps[&app.manifest.id].report.clone();
        let reports = apps.iter().map(view).collect();
        Self { runtime, handle, apps, deployments, reports, observed }
    }

    /// Plans for every app and derives its state; true when there is nothing to do.
    fn pass(&self) -> bool {
        let now = Timestamp(self.observed.at.0 + 1000);
        let mut idle = true;
        for (n, app) in self.apps.iter().enumerate() {
            let deployment = &self.deployments[n];
            let plan = plan_with(app, deployment, &self.observed, &self.apps, Intent::Converge);
            idle &= black_box(plan).is_empty();
            let before = Some(&self.reports[n]);
            black_box(assess(app, deployment, &self.observed, before, now));
        }
        idle
    }

    /// The engine's own pass: look, plans, states, snapshot.
    fn engine_pass(&self) {
        self.runtime.block_on(async {
            // the snapshot tells looks apart by the millisecond; asleep, the thread takes no processor time
            tokio::time::sleep(Duration::from_millis(2)).await;
            let mut snapshots = self.handle.subscribe();
            let before = snapshots.borrow_and_update().observed_at;
            self.handle.poke();
            let seen = snapshots.wait_for(|snapshot| snapshot.observed_at != before);
            let seen = tokio::time::timeout(Duration::from_secs(10), seen).await;
            black_box(seen.unwrap().unwrap().seq);
        });
    }
}

async fn installed(size: usize) -> (Handle, FakeHost, MemoryLedger) {
    let clock = TestClock::default();
    let (host, hints) = FakeHost::new(clock);
    host.model().registry.insert(IMAGE.to_owned());
    let ledger = MemoryLedger::default();
    // only asked for: no pass of its own while another is timed
    let tuning = Tuning { pass_interval: Duration::from_secs(3600), ..Tuning::default() };
    let (handle, engine) = archy_engine::start(
        Arc::new(host.clone()),
        Arc::new(ledger.clone()),
        Arc::new(clock),
        hints,
        tuning,
    )
    .await
    .unwrap();
    tokio::spawn(engine.run());
    for n in 0..size {
        let text = manifest(n);
        let parsed = Manifest::parse(text.as_bytes()).unwrap();
        let id = parsed.id.clone();
        let kind = RequestKind::Install {
            manifest: Arc::new(parsed),
            text: text.as_bytes().into(),
            digest: Digest::of(text.as_bytes()),
            package_dir: None,
            settings: BTreeMap::new(),
            port_overrides: BTreeMap::new(),
        };
        handle.submit(Request { actor: Actor::System, kind }).await.unwrap();
        let mut snapshots = handle.subscribe();
        let running = snapshots.wait_for(|snapshot| {
            snapshot.apps.get(&id).is_some_and(|view| {
                view.operation.is_none() && view.report.state == AppState::Running
            })
        });
        tokio::time::timeout(Duration::from_secs(60), running).await.unwrap().unwrap();
    }
    (handle, host, ledger)
}

/// Processor time of this thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), nanos)
}

/// Processor time of so many repetitions: on a busy machine the clock on the wall counts others' work too.
fn timed(repetitions: u64, mut work: impl FnMut()) -> Duration {
    let before = processor_time();
    for _ in 0..repetitions {
        work();
    }
    processor_time().saturating_sub(before)
}

fn passes(criterion: &mut Criterion) {
    let worlds: Vec<(usize, World)> = SIZES.map(|size| (size, World::new(size))).into();
    let mut group = criterion.benchmark_group("plan-and-assess");
    for (size, world) in &worlds {
        assert!(world.pass(), "the modelled host does not rest");
        group.bench_with_input(BenchmarkId::from_parameter(size), world, |bencher, world| {
            bencher.iter_custom(|n| timed(n, || assert!(world.pass())));
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("engine");
    for (size, world) in &worlds {
        group.bench_with_input(BenchmarkId::from_parameter(size), world, |bencher, world| {
            bencher.iter_custom(|n| timed(n, || world.engine_pass()));
        });
    }
    group.finish();
}

criterion_group!(benches, passes);
criterion_main!(benches);
