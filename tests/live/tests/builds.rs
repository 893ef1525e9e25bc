//! Images that are built on the node, from a context beside the manifest: built anew when what is in the context
//! changes, and only then; the owner's own `:local` image is left alone. And a port that was chosen is remembered.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use archy_live::{Stand, get};
use xtask::sh::wait_until;

/// Longest time from a change to the app that is made of it: a level pass, two looks, a build.
const TAKEN_OVER: Duration = Duration::from_secs(180);
/// A level pass, which comes every 30 s, and what it leads to.
const PASSES: Duration = Duration::from_secs(45);
const PACKAGE: &str = "/opt/archipelago/apps/sketch";
const PORT: u16 = 18421;

struct Sketch<'a> {
    stand: &'a Stand,
    package: PathBuf,
}

impl Sketch<'_> {
    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        Ok(fs::write(self.package.join(name), text)?)
    }

    fn page(&self) -> Option<String> {
        let url = self.stand.url(PORT, "/");
        get(&url).ok().filter(|page| page.status == 200).map(|page| page.body)
    }

    fn until_page(&self, text: &str) -> anyhow::Result<()> {
        let shown = || self.page().filter(|page| page.contains(text)).map(drop);
        wait_until(TAKEN_OVER, shown).with_context(|| {
            format!(
                "{text:?} is not shown, but {:?}: {:#?}\n{}",
                self.page(),
                self.stand.app("sketch"),
                self.stand.log()
            )
        })?;
        self.stand.until_state("sketch", "running")
    }

    fn container(&self) -> anyhow::Result<String> {
        self.stand.user(&["podman", "inspect", "-f", "{{.Id}} {{.State.StartedAt}}", "sketch"])
    }

    /// When the image was built last.
    fn built(&self) -> anyhow::Result<String> {
        let show = ["systemctl", "--user", "show", "-P", "ActiveEnterTimestamp"];
        self.stand.user(&[&show[..], &["sketch-build.service"]].concat())
    }

    /// Nothing is built or restarted.
    fn rests(&self, why: &str) -> anyhow::Result<()> {
        let before = (self.container()?, self.built()?);
        let other = || ((self.container().ok()?, self.built().ok()?) != before).then_some(());
        ensure!(
            wait_until(PASSES, other).is_none(),
            "{why}: it was made anew\n{}",
            self.stand.log()
        );
        Ok(())
    }
}

#[test]
fn builds_follow_their_context_and_leave_the_owners_image_alone() -> anyhow::Result<()> {
    let stand = Stand::new("sketch")?;
    let nginx = stand.index.get("nginx").context("no nginx image")?.reference.clone();
    let package = stand.node.root_path().join(PACKAGE.trim_start_matches('/'));
    fs::create_dir_all(package.join("image"))?;
    let sketch = Sketch { stand: &stand, package };
    let containerfile = format!("FROM {nginx}\nCOPY page /usr/share/nginx/html/index.html\n");
    sketch.write("image/Containerfile", &containerfile)?;
    sketch.write("image/page", "the first page\n")?;
    let manifest = format!(
        "app:\n  id: sketch\n  name: Sketch\n  version: 1.0.0\n  description: Built here.\n  services:\n    main:\n      \
         build: {{ context: image }}\n      ports: [{{ host: {PORT}, container: 8080, auth: none, auth_rationale: A \
         test. }}]\n      volumes: [{{ type: bind, source: data, target: /data }}]\n      \
         health: {{ type: http, port: 8080, path: /health, interval: 2s }}\n"
    );
    sketch.write("manifest.yml", &manifest)?;
    stand.archy_ok(&["install", &format!("{PACKAGE}/manifest.yml")])?;
    sketch.until_page("the first page")?;
    sketch.rests("nothing changed")?;

    sketch.write("image/page", "the second page\n")?;
    sketch.until_page("the second page")?;
    // written anew with the same content, and a file beside the context: neither is a change
    sketch.write("image/page", "the second page\n")?;
    sketch.write("notes", "not in the context\n")?;
    sketch.rests("the content is the same")?;

    // what cannot be built does not end what runs
    let before = sketch.container()?;
    sketch.write("image/Containerfile", &format!("{containerfile}COPY no-such-file /\n"))?;
    let named = || stand.app("sketch").ok()??.to_string().contains("sketch-build").then_some(());
    wait_until(TAKEN_OVER, named)
        .with_context(|| format!("not named: {:#?}\n{}", stand.app("sketch"), stand.log()))?;
    ensure!(sketch.container()? == before, "it was ended for a build that fails");
    ensure!(sketch.page().is_some(), "it does not answer");
    sketch.write("image/Containerfile", &containerfile)?;
    stand.until_state("sketch", "running")?;

    // the owner's own image takes its place, whatever the context says
    stand.user(&["podman", "tag", &nginx, "localhost/sketch:local"])?;
    sketch.until_page("It works")?;
    sketch.write("image/page", "the third page\n")?;
    sketch.rests("the owner's image counts")?;
    let image = stand.user(&["podman", "inspect", "-f", "{{.ImageName}}", "sketch"])?;
    ensure!(image.trim() == "localhost/sketch:local", "{image}");
    stand.user(&["podman", "untag", "localhost/sketch:local", "localhost/sketch:local"])?;
    sketch.until_page("the third page")
}

#[test]
fn builds_aside_a_port_that_was_chosen_is_offered_and_remembered() -> anyhow::Result<()> {
    let stand = Stand::new("ports")?;
    let image = stand.index.get("probe").context("no probe image")?.reference.clone();
    // somebody has the port: the app says which one is free
    let foreign = ["podman", "run", "-d", "--name", "stranger", "-p", "18001:8080", &image];
    stand.user(&foreign)?;
    let refused = stand.archy(&["install", "probe"])?;
    let words = format!("{}{}", refused.stdout, refused.stderr);
    ensure!(!refused.ok() && words.contains("port-taken"), "{words}");
    let free = words.split("for example ").nth(1).context("no port is offered")?;
    let free: String = free.chars().take_while(char::is_ascii_digit).collect();
    let free: u16 = free.parse().with_context(|| words.clone())?;
    stand.archy_ok(&["install", "probe", "--port", &format!("18001={free}")])?;
    stand.until_answers(&stand.url(free, "/health"), 200)?;

    // gone and back, without a word about ports: it is where it was
    stand.archy_ok(&["--quiet", "uninstall", "probe"])?;
    stand.archy_ok(&["--quiet", "install", "probe"])?;
    stand.until_answers(&stand.url(free, "/health"), 200)?;
    ensure!(
        stand.user(&["podman", "inspect", "-f", "{{.State.Status}}", "stranger"])?.trim()
            == "running"
    );

    // purged, it begins anew
    stand.archy_ok(&["--quiet", "uninstall", "probe", "--purge", "--yes"])?;
    stand.user(&["podman", "rm", "-f", "stranger"])?;
    stand.archy_ok(&["--quiet", "install", "probe"])?;
    stand.until_answers(&stand.url(18001, "/health"), 200)?;
    Ok(())
}
