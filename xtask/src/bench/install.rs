//! Install until healthy, beside the same units written by hand.
use serde_json::json;

use super::inside::{Action, Until};
use super::report::{Aim, Line, Row};
use super::stand::Stand;
use super::stats::Series;

/// The app's id.
const ID: &str = "bench-one";
/// Its port on the node.
pub(super) const PORT: u16 = 18101;

/// An app of one service, as small as one can be.
pub(super) fn manifest(stand: &Stand) -> anyhow::Result<String> {
    one(stand, ID, PORT)
}

/// A manifest of one service with a health check and a published port.
///
/// # Errors
/// The image was not built.
pub(super) fn one(stand: &Stand, id: &str, port: u16) -> anyhow::Result<String> {
    let image = super::image(stand, "probe")?;
    Ok(format!(
        "app:
  id: {id}
  name: Benchmark
  version: 1.0.0
  description: One service to measure with.
  services:
    main:
      image: {image}
      ports: [{{ host: {port}, container: 8080, auth: none, auth_rationale: A benchmark. }}]
      health: {{ type: http, port: 8080, path: /health, interval: 2s, timeout: 5s }}
"
    ))
}

/// Measures.
///
/// # Errors
/// Something does not come to run.
pub(super) fn row(stand: &Stand, runs: usize) -> anyhow::Result<Row> {
    let text = manifest(stand)?;
    stand.clear()?;
    // the image is present from here on
    stand.install(ID, &text)?;
    let files = stand.unit_files(ID)?;
    stand.purge(ID)?;
    let dir = format!("opt/archipelago/apps/{ID}");
    std::fs::create_dir_all(stand.path(&dir))?;
    std::fs::write(stand.path(&dir).join("manifest.yml"), &text)?;

    let (mut rpc, mut cli, mut hand, mut reload) =
        (Series::default(), Series::default(), Series::default(), Series::default());
    for _ in 0..runs {
        stand.with_daemon()?;
        rpc.push(stand.install(ID, &text)?.total());
        stand.purge(ID)?;
        stand.quiet();
        cli.push(stand.perform(vec![Action::run(&["archy", "install", ID])])?.total());
        stand.purge(ID)?;
        stand.without_daemon()?;
        let mut actions: Vec<Action> = files
            .iter()
            .map(|(path, text)| Action::Write { path: path.clone(), text: text.clone() })
            .collect();
        actions.push(Action::run(&["systemctl", "--user", "daemon-reload"]));
        actions.push(Action::run(&["systemctl", "--user", "start", &format!("{ID}.service")]));
        let done = stand.perform(actions)?;
        hand.push(done.total());
        reload.push(done.marks[files.len()]);
        remove_by_hand(stand, ID, &files)?;
    }
    std::fs::remove_dir_all(stand.path(&dir))?;
    stand.with_daemon()?;
    let peer = "the same units written by hand, daemon-reload, start";
    let work = "install → healthy, image present, 1 service";
    Ok(Row {
        runs,
        lines: vec![
            Line::beside(&format!("{work} (API)"), peer, &hand, &rpc, Aim::Ratio(1.25)),
            Line::beside(&format!("{work} (`archy install`)"), peer, &hand, &cli, Aim::None),
        ],
        notes: vec![format!(
            "One service with a network, a published port and `Notify=healthy`. By hand: the files that Archipelago \
             rendered, with the daemon stopped; of that the writing and the reload took {}. Ours ends when \
             `server.get-state` says running and healthy.",
            reload.show("ms")
        )],
    })
}

/// Takes units away that were written by hand.
///
/// # Errors
/// They do not stop.
pub(super) fn remove_by_hand(
    stand: &Stand,
    id: &str,
    files: &[(std::path::PathBuf, String)],
) -> anyhow::Result<()> {
    stand.user(&["systemctl", "--user", "stop", &format!("{id}.service")])?;
    stand.user(&["systemctl", "--user", "stop", &format!("{id}-network.service")])?;
    for (path, _) in files {
        std::fs::remove_file(stand.path(&path.to_string_lossy()))?;
    }
    stand.user(&["systemctl", "--user", "daemon-reload"])?;
    stand.user(&["podman", "network", "rm", "-f", id])?;
    Ok(())
}

/// Parameters that uninstall and keep the data.
pub(super) fn leave(id: &str) -> Action {
    Action::ask_with("package.uninstall", id, json!({ "id": id }), Until::Gone)
}
