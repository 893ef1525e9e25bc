//! Python's reference implementation of TUF beside ours: it reads what we make, we read what it makes.

use std::path::{Path, PathBuf};
use std::process::Command;

use archy_registry::project::{AppFiles, Change};
use archy_registry::{Client, DirTransport, Moment};

use crate::server::Server;
use crate::stand::{Stand, manifest};

/// Reads a registry of ours: arguments are its address, its first root, a directory.
const READ: &str = r"
import sys, os
from tuf.ngclient import Updater
address, root, work = sys.argv[1:]
os.makedirs(work + '/metadata', exist_ok=True)
os.makedirs(work + '/targets', exist_ok=True)
updater = Updater(work + '/metadata', address + '/metadata/', work + '/targets', address + '/targets/',
                  bootstrap=open(root, 'rb').read())
updater.refresh()
for name in ['app-catalog.json', 'app.demo.manifest.json', 'acme.app-catalog.json', 'app.blog.manifest.json']:
    info = updater.get_targetinfo(name)
    assert info is not None, name
    path = updater.download_target(info)
    print(name, len(open(path, 'rb').read()))
assert updater.get_targetinfo('app.other.manifest.json') is None
";

/// Makes a registry in a directory, with a publisher and a changed root.
const MAKE: &str = r#"
import sys, os, hashlib, json
from datetime import datetime, timedelta, timezone
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import *
out = sys.argv[1]
os.makedirs(out + '/metadata'); os.makedirs(out + '/targets')
until = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=10)
keys = {n: CryptoSigner.generate_ed25519() for n in ['a', 'b', 'c', 'targets', 'online', 'acme']}
root = Root(expires=until, consistent_snapshot=True)
for n in 'ab':
    root.add_key(keys[n].public_key, 'root')
root.roles['root'].threshold = 2
root.add_key(keys['targets'].public_key, 'targets')
for role in ['snapshot', 'timestamp']:
    root.add_key(keys['online'].public_key, role)
def put(name, signed, signers):
    md = Metadata(signed)
    for n in signers:
        md.sign(keys[n], append=True)
    data = md.to_bytes()
    open(out + '/metadata/' + name, 'wb').write(data)
    return data
put('1.root.json', root, 'ab')
root.version = 2
root.revoke_key(keys['b'].public_key.keyid, 'root')
root.add_key(keys['c'].public_key, 'root')
put('2.root.json', root, 'abc')
def target(signed, name, data, **custom):
    t = TargetFile.from_data(name, data, ['sha256'])
    if custom:
        t.unrecognized_fields['custom'] = custom
    signed.targets[name] = t
    digest = hashlib.sha256(data).hexdigest()
    open(f'{out}/targets/{digest}.{name}', 'wb').write(data)
doc = lambda app: json.dumps({'apps': {app: {'version': '1.0.0', 'manifest': {'app': {
    'id': app, 'name': 'N', 'version': '1.0.0', 'description': 'D',
    'container': {'image': 'registry.example/n:1'}}}}}}).encode()
targets = Targets(expires=until)
target(targets, 'app-catalog.json', doc('demo'), note='a "quoted" \\ text with ünïcode\nand a second line')
acme = Targets(expires=until)
target(acme, 'acme.app-catalog.json', doc('blog'))
role = DelegatedRole('acme', [], 1, False, paths=['acme.app-catalog.json', 'app.blog.*'])
targets.delegations = Delegations(keys={}, roles={'acme': role})
targets.add_key(keys['acme'].public_key, 'acme')
put('1.targets.json', targets, ['targets'])
put('1.acme.json', acme, ['acme'])
snapshot = Snapshot(expires=until)
snapshot.meta['acme.json'] = MetaFile(1)
data = put('1.snapshot.json', snapshot, ['online'])
timestamp = Timestamp(expires=until)
timestamp.snapshot_meta = MetaFile.from_data(1, data, ['sha256'])
put('timestamp.json', timestamp, ['online'])
"#;

/// An interpreter that has the reference implementation; nothing, with words, where it cannot be had.
fn python() -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-tuf");
    let python = venv.join("bin/python");
    let works = || run(&python, &["-c", "import tuf.ngclient, cryptography"]).is_ok();
    if works() {
        return Some(python);
    }
    // two tests may make it at once: each beside, the first one in place wins
    let made = venv.with_extension(std::process::id().to_string());
    let place = made.to_string_lossy().into_owned();
    let pip = ["-m", "pip", "install", "--quiet", "tuf>=6", "cryptography"];
    let outcome = run(Path::new("python3"), &["-m", "venv", &place])
        .and_then(|_| run(&made.join("bin/python"), &pip))
        .and_then(|_| {
            if std::fs::rename(&made, &venv).is_err() {
                std::fs::remove_dir_all(&made).ok();
            }
            if works() { Ok(String::new()) } else { Err("it does not run".to_owned()) }
        });
    match outcome {
        Ok(_) => Some(python),
        Err(reason) => {
            eprintln!("skipped: Python's TUF cannot be had here: {reason}");
            None
        }
    }
}

fn run(program: &Path, args: &[&str]) -> Result<String, String> {
    #[expect(clippy::disallowed_methods, reason = "the other implementation is a program")]
    let output = Command::new(program).args(args).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(text) } else { Err(errors.into_owned()) }
}

fn now() -> Moment {
    Moment(jiff::Timestamp::now().as_second())
}

#[tokio::test(flavor = "multi_thread")]
async fn python_reads_a_registry_of_ours() {
    let Some(python) = python() else { return };
    let stand = Stand::new().await;
    let change = Change {
        role: "acme".to_owned(),
        add: vec![stand.key("acme").public().clone()],
        apps: Some(vec!["blog".to_owned()]),
        ..Change::default()
    };
    stand.project.rotate(&change, now()).unwrap();
    let text = manifest("blog", "1.0.0");
    let files = AppFiles { manifest: text.as_bytes(), ..AppFiles::default() };
    stand.project.add("acme", [files], now()).unwrap();
    // the root changes, too
    let change = Change {
        role: "root".to_owned(),
        add: vec![stand.key("root-d").public().clone()],
        ..Change::default()
    };
    stand.project.rotate(&change, now()).unwrap();
    stand.project.sign(&stand.keys(&["acme", "root-d"])).unwrap();
    stand.sign_and_publish(now());
    let root = stand.project.public().join("metadata/1.root.json");
    let work = stand.dir.path().join("python");
    let args = [
        "-c".to_owned(),
        READ.to_owned(),
        stand.server.address.clone(),
        root.display().to_string(),
        work.display().to_string(),
    ];
    let read = tokio::task::spawn_blocking(move || {
        run(&python, &args.iter().map(String::as_str).collect::<Vec<_>>())
    });
    let read = read.await.unwrap().unwrap();
    assert_eq!(read.lines().count(), 4, "{read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn we_read_a_registry_of_python() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let public = dir.path().join("public");
    run(&python, &["-c", MAKE, &public.to_string_lossy()]).unwrap();
    let server = Server::start(public.clone()).await;
    let identity = Client::look(&DirTransport::new(public)).await.unwrap();
    assert_eq!(identity.root.version, 2);
    let client = Client::new(dir.path().join("node"));
    client.trust(&server.transport(), identity.fingerprint).await.unwrap();
    let known = client.refresh(&server.transport(), now()).await.unwrap().known();
    let offered = |app: &str| {
        known.catalogs.iter().any(|catalog| {
            let document: serde_json::Value = serde_json::from_slice(&catalog.text).unwrap();
            document["apps"][app]["version"] == "1.0.0" && catalog.may_offer(app)
        })
    };
    assert!(offered("demo") && offered("blog"));
    assert!(client.load().unwrap().is_some(), "and again from disk");
}
