//! What is wrong is refused with words that help, and nothing is changed.

use anyhow::{Context as _, ensure};
use archy_live::Stand;

/// Everything that an install could have touched.
fn footprint(stand: &Stand) -> anyhow::Result<String> {
    stand.user(&[
        "sh",
        "-c",
        // that it was asked for is on record
        "ls -A --ignore=audit.jsonl ~/.config/containers/systemd /var/lib/archipelago /var/lib/archipelago/secrets; podman ps -aq; podman network ls -q; podman volume ls -q; podman secret ls -q; podman images -q",
    ])
}

fn put(stand: &Stand, name: &str, text: &str) -> anyhow::Result<String> {
    let inside = format!("var/tmp/{name}.yml");
    std::fs::write(stand.node.root_path().join(&inside), text)?;
    Ok(format!("/{inside}"))
}

#[test]
fn a_wrong_manifest_is_refused_and_nothing_changed() -> anyhow::Result<()> {
    let stand = Stand::new("refuse")?;
    let before = footprint(&stand)?;
    let image = "registry.example/app:1";
    let cases = [
        (
            "socket",
            format!(
                "app:\n  id: bad\n  name: Bad\n  version: 1.0.0\n  container: {{ image: '{image}' }}\n  volumes: [{{ type: bind, source: /run/podman/podman.sock, target: /s }}]\n"
            ),
            "podman.sock",
        ),
        (
            "placeholder",
            format!(
                "app:\n  id: bad\n  name: Bad\n  version: 1.0.0\n  container:\n    image: '{image}'\n    derived_env: [{{ key: A, template: '{{{{NOT_A_PLACEHOLDER}}}}' }}]\n"
            ),
            "unknown placeholder",
        ),
        (
            "image",
            "app:\n  id: bad\n  name: Bad\n  version: 1.0.0\n  container: { image: nginx }\n"
                .to_owned(),
            "nginx",
        ),
        ("syntax", "app:\n  id: bad\n\tname: Bad\n".to_owned(), "tab"),
        (
            "cycle",
            format!(
                "app:\n  id: bad\n  name: Bad\n  version: 1.0.0\n  services:\n    a: {{ image: '{image}', depends_on: {{ b: started }} }}\n    b: {{ image: '{image}', depends_on: {{ a: started }} }}\n"
            ),
            "cycle",
        ),
    ];
    for (name, text, says) in &cases {
        let path = put(&stand, name, text)?;
        let refused = stand.archy(&["install", &path])?;
        let words = format!("{}{}", refused.stdout, refused.stderr);
        ensure!(refused.status.code() == Some(3), "{name}: exit {}: {words}", refused.status);
        ensure!(words.to_lowercase().contains(says), "{name} does not say {says:?}: {words}");
    }
    let unknown = stand.archy(&["install", "no-such-app"])?;
    ensure!(unknown.status.code() == Some(4), "an unknown id: {unknown:?}");

    // a port that something foreign holds
    let listen = ["systemd-run", "--unit=squatter", "socat", "TCP-LISTEN:18001,fork", "PIPE"];
    ensure!(stand.node.exec_root(listen)?.ok());
    let held = || stand.user(&["ss", "-ltn"]).ok().filter(|text| text.contains(":18001")).map(drop);
    ensure!(
        xtask::sh::wait_until(xtask::node::READY_LIMIT, held).is_some(),
        "socat does not listen"
    );
    let refused = stand.archy(&["install", "probe"])?;
    let words = format!("{}{}", refused.stdout, refused.stderr);
    ensure!(!refused.ok() && words.contains("port-taken") && words.contains("18001"), "{words}");

    ensure!(
        footprint(&stand)? == before,
        "something was changed:\n{before}\n--\n{}",
        footprint(&stand)?
    );
    Ok(())
}

/// Settings that an owner must fill in.
const NEEDED: &[(&str, &str)] = &[
    ("fedimint-clientd", "invite_code=fed1example"),
    ("matrix", "server_name=example.org"),
    ("netbird", "setup_key=example"),
];

#[test]
fn podmans_generator_takes_every_unit_without_a_word() -> anyhow::Result<()> {
    let stand = Stand::new("quadlet")?;
    // the test apps, and the catalog as it is in the checkout
    let catalog = stand.node.root_path().join("var/tmp/catalog");
    let copy = xtask::sh::Cmd::new("cp").arg("-rT").arg(xtask::workspace::root().join("apps"));
    copy.arg(&catalog).run()?;
    let mut places = Vec::new();
    for dir in ["/opt/archipelago/apps", "/var/tmp/catalog"] {
        let ids = stand.user(&["ls", dir])?;
        places.extend(ids.split_whitespace().map(|id| (id.to_owned(), format!("{dir}/{id}"))));
    }
    ensure!(places.len() >= 12 + 45, "only {} packages", places.len());
    for (id, package) in places {
        let out = format!("/var/tmp/units-{id}");
        let mut render = vec!["app", "render", "--out", &out, &package];
        let needed = NEEDED.iter().filter(|(app, _)| *app == id);
        render.extend(needed.flat_map(|(_, setting)| ["--set", *setting]));
        stand.archy_ok(&render)?;
        let dir = format!("QUADLET_UNIT_DIRS={out}");
        let dry = stand.node.exec_user([
            "env",
            &dir,
            "/usr/libexec/podman/quadlet",
            "-dryrun",
            "-user",
        ])?;
        // it tells which files it reads; anything else is a complaint
        let mut said = dry.stderr.lines().filter(|line| !line.contains("Loading source unit file"));
        ensure!(dry.ok() && said.all(|line| line.trim().is_empty()), "{id}: {}", dry.stderr);
        let files = stand.user(&["ls", &out])?;
        for file in files.split_whitespace() {
            let unit = archy_quadlet::unit_of(file).context("a file of another kind")?;
            ensure!(dry.stdout.contains(&format!("---{unit}---")), "{id}: {file} was dropped");
        }
    }
    Ok(())
}
