//! Readings out of files as a kernel shows them, and what becomes of them.

use std::path::Path;

use archy_api::metrics::MetricKind;

use super::*;

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// The files that a kernel would show.
struct Kernel(tempfile::TempDir);

impl Kernel {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn roots(&self) -> Roots {
        let at = |name: &str| self.0.path().join(name);
        Roots { user_cgroup: at("cgroup"), proc: at("proc"), sys: at("sys") }
    }

    fn put(&self, path: &str, text: &str) {
        write(&self.0.path().join(path), text);
    }

    fn unit(&self, micros: u64, received: u64) {
        let unit = "cgroup/app.slice/blog.service";
        self.put(&format!("{unit}/cpu.stat"), &format!("usage_usec {micros}\nuser_usec 1\n"));
        self.put(&format!("{unit}/memory.current"), "3000\n");
        self.put(&format!("{unit}/memory.stat"), "anon 1\ninactive_file 1000\n");
        self.put(&format!("{unit}/memory.max"), "max\n");
        self.put(&format!("{unit}/libpod-payload-abc/cgroup.procs"), "42\n43\n");
        let table = format!(
            "Inter-|\n face |bytes\n    lo: 99 0 0 0 0 0 0 0 99 0\n  eth0: {received} 1 0 0 0 0 0 0 7 1 0\n"
        );
        self.put("proc/42/net/dev", &table);
    }
}

fn series(result: &MetricsResult, kind: MetricKind, of: &str) -> Vec<f64> {
    let found = result.series.iter().find(|series| series.kind == kind && series.of == of);
    found.map(|it| it.values.iter().flatten().copied().collect()).unwrap_or_default()
}

#[test]
fn a_service_is_read_out_of_its_cgroup() {
    let kernel = Kernel::new();
    assert_eq!(service::read(&kernel.roots(), "blog"), None);
    kernel.unit(1_000_000, 500);
    let first = service::read(&kernel.roots(), "blog").unwrap();
    assert_eq!((first.memory, first.memory_limit), (Some(2000), None));
    assert_eq!(first.network, Some((500, 7)));
    kernel.unit(3_500_000, 20_500);
    let second = service::read(&kernel.roots(), "blog").unwrap();
    let mut book = Book::default();
    for (steady, reading) in [(0, first), (10_000, second)] {
        let wall = 1_000_000 + i64::try_from(steady).unwrap();
        book.service(At { wall, steady }, "blog", "main", &reading);
    }
    let result = book.read("blog", MetricsRange::Hour, 1_010_000);
    // 2.5 s of one core in 10 s
    assert_eq!(series(&result, MetricKind::Cpu, "main"), [25.0]);
    assert_eq!(series(&result, MetricKind::Memory, "main"), [2000.0, 2000.0]);
    assert_eq!(series(&result, MetricKind::NetIn, "main"), [2000.0]);
    assert_eq!(series(&result, MetricKind::NetOut, "main"), [0.0]);
    // a container that began anew counts from nought: no measure, and none below nought
    book.service(At { wall: 1_020_000, steady: 20_000 }, "blog", "main", &first);
    let result = book.read("blog", MetricsRange::Hour, 1_020_000);
    assert_eq!(series(&result, MetricKind::Cpu, "main"), [25.0]);
}

#[test]
fn the_node_is_read_out_of_proc_and_sys() {
    let kernel = Kernel::new();
    kernel.put("proc/stat", "cpu  10 0 20 60 10 0 0 0\n");
    kernel.put("proc/meminfo", "MemTotal: 100 kB\nMemAvailable: 40 kB\n");
    let line = |name: &str, bytes: u64| format!("{name}: {bytes} 0 0 0 0 0 0 0 5 0\n");
    let names = [line("lo", 1), line("eth0", 70), line("veth1", 2), line("br0", 3)].concat();
    kernel.put("proc/net/dev", &format!("a\nb\n{names}"));
    kernel.put("sys/class/net/br0/bridge/x", "");
    kernel.put("sys/class/hwmon/hwmon0/name", "coretemp\n");
    kernel.put("sys/class/hwmon/hwmon0/temp1_input", "45500\n");
    kernel.put("sys/class/hwmon/hwmon0/temp1_label", "Package\n");
    kernel.put("sys/class/hwmon/hwmon0/temp2_input", "-273000\n");
    let here = kernel.0.path().to_owned();
    let seen = node::read(&kernel.roots(), &[here.clone(), here.join("proc"), "/gone".into()]);
    assert_eq!((seen.cpu, seen.memory), (Some((30, 100)), Some((60 * 1024, 100 * 1024))));
    assert_eq!(seen.disks.len(), 1, "one for each file system");
    assert_eq!(seen.network.into_iter().collect::<Vec<_>>(), [("eth0".to_owned(), (70, 5))]);
    let warm = [("coretemp Package".to_owned(), 45.5)];
    assert_eq!(seen.temperatures.into_iter().collect::<Vec<_>>(), warm);
}

#[test]
fn what_is_kept_is_there_again_and_what_left_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.json");
    let mut book = Book::load(&path);
    let at = At { wall: 5_000_000, steady: 1 };
    book.data(at, "blog", 4096);
    book.data(at, "wiki", 1);
    book.node(at, &node::Reading { memory: Some((1, 2)), ..node::Reading::default() });
    book.prune(at.wall, &["blog".to_owned()].into());
    file::write_whole(&path, &book.text(), 0o600).unwrap();
    let again = Book::load(&path);
    for range in [MetricsRange::Hour, MetricsRange::Day, MetricsRange::Week] {
        let result = again.read("blog", range, at.wall);
        assert_eq!(series(&result, MetricKind::Disk, ""), [4096.0], "{range:?}");
        assert!(again.read("wiki", range, at.wall).series.is_empty());
        assert_eq!(again.read("", range, at.wall).series[0].limit, Some(2.0));
    }
    // a file that is damaged is no reason not to start
    std::fs::write(&path, "{\"version\":1,\"tracks\":[[").unwrap();
    assert!(Book::load(&path).read("blog", MetricsRange::Hour, at.wall).series.is_empty());
}

#[test]
fn data_that_takes_long_to_measure_is_measured_seldom() {
    let apps: BTreeSet<String> = ["a", "b"].map(str::to_owned).into();
    let mut sizes = Sizes::default();
    assert_eq!(sizes.next(&apps, 0).as_deref(), Some("a"));
    sizes.measured("a".into(), Some(7), 10_000, 0);
    assert_eq!(sizes.next(&apps, 0).as_deref(), Some("b"));
    sizes.measured("b".into(), None, 5, 0);
    assert_eq!(sizes.next(&apps, 1000), None);
    assert_eq!(sizes.next(&apps, DATA_EVERY).as_deref(), Some("b"), "a took ten seconds");
    assert_eq!(sizes.next(&BTreeSet::new(), DATA_EVERY), None);
    assert!(sizes.known.is_empty());
}
