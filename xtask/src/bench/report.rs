//! The table in `docs/benchmarks.md`: what was measured, beside its peer and its aim.
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::stats::Series;
use crate::cache::{Cache, write_whole};
use crate::workspace;

/// The table lies between these lines.
const MARKS: (&str, &str) = ("<!-- bench:begin -->", "<!-- bench:end -->");

/// One line of the table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Line {
    work: String,
    peer: String,
    peer_figure: String,
    own: String,
    ratio: String,
    aim: String,
    verdict: String,
}

/// What is hoped for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aim {
    /// Nothing: the figure is there to be known.
    None,
    /// At most this many times the peer's figure.
    Ratio(f64),
    /// A figure of at most this.
    AtMost(f64),
    /// A figure of at least this.
    AtLeast(f64),
}

impl Line {
    /// Our figure beside that of a peer.
    pub(super) fn beside(work: &str, peer: &str, theirs: &Series, own: &Series, aim: Aim) -> Self {
        let ratio = own.median() / theirs.median().max(f64::MIN_POSITIVE);
        let text =
            if let Aim::Ratio(most) = aim { format!("≤ {most}×") } else { "–".to_owned() };
        Self {
            work: work.to_owned(),
            peer: peer.to_owned(),
            peer_figure: theirs.show("ms"),
            own: own.show("ms"),
            ratio: format!("{ratio:.2}×"),
            aim: text,
            verdict: verdict(aim, ratio),
        }
    }

    /// Our figure beside that of a peer (`theirs`, `ours`), where more is better.
    pub(super) fn more(
        work: &str,
        peer: &str,
        (theirs, own): (&Series, &Series),
        unit: &str,
        least: f64,
    ) -> Self {
        let ratio = own.median() / theirs.median().max(f64::MIN_POSITIVE);
        Self {
            work: work.to_owned(),
            peer: peer.to_owned(),
            peer_figure: theirs.show(unit),
            own: own.show(unit),
            ratio: format!("{ratio:.2}×"),
            aim: format!("≥ {least}×"),
            verdict: verdict(Aim::AtLeast(least), ratio),
        }
    }

    /// A figure that stands alone; `aim_text` is the aim in words.
    pub(super) fn alone(work: &str, own: &Series, unit: &str, aim: Aim, aim_text: &str) -> Self {
        Self {
            work: work.to_owned(),
            peer: "–".to_owned(),
            peer_figure: "–".to_owned(),
            own: own.show(unit),
            ratio: "–".to_owned(),
            aim: aim_text.to_owned(),
            verdict: verdict(aim, own.median()),
        }
    }
}

impl Line {
    /// A line of the table.
    fn text(&self) -> String {
        let Self { work, peer, peer_figure, own, ratio, aim, verdict } = self;
        format!("| {work} | {peer} | {peer_figure} | {own} | {ratio} | {aim} | {verdict} |")
    }
}

fn verdict(aim: Aim, figure: f64) -> String {
    let met = match aim {
        Aim::None => return "–".to_owned(),
        Aim::Ratio(most) | Aim::AtMost(most) => figure <= most,
        Aim::AtLeast(least) => figure >= least,
    };
    if met { "met" } else { "**missed**" }.to_owned()
}

/// What one row of the table gave.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Row {
    /// How often it was measured.
    pub(super) runs: usize,
    /// Lines of the table.
    pub(super) lines: Vec<Line>,
    /// How it was measured, and what is to be said of it.
    pub(super) notes: Vec<String>,
}

impl Row {
    /// The row for a terminal.
    pub(super) fn text(&self) -> String {
        let lines = self.lines.iter().map(Line::text);
        lines.chain([self.notes.join(" ")]).collect::<Vec<_>>().join("\n")
    }
}

/// A row with the circumstances of its run.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    order: usize,
    date: String,
    load: String,
    machine: String,
    row: Row,
}

/// All rows that were measured on this machine, the last run of each.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Report {
    rows: BTreeMap<String, Kept>,
}

/// The circumstances of a row's run.
#[derive(Debug, Clone)]
pub(super) struct Circumstances {
    /// The day.
    pub(super) date: String,
    /// Load of the machine before and after.
    pub(super) load: String,
    /// The machine and what runs on it.
    pub(super) machine: String,
}

impl Report {
    fn path(cache: &Cache) -> anyhow::Result<PathBuf> {
        Ok(cache.dir("bench")?.join("rows.json"))
    }

    /// What earlier runs kept.
    ///
    /// # Errors
    /// The cache's.
    pub(super) fn open(cache: &Cache) -> anyhow::Result<Self> {
        let text = fs::read_to_string(Self::path(cache)?).unwrap_or_default();
        // a file of an older form is measured anew
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Puts a row in, in place of its last run.
    pub(super) fn add(&mut self, (order, name): (usize, &str), row: Row, at: &Circumstances) {
        let Circumstances { date, load, machine } = at.clone();
        self.rows.insert(name.to_owned(), Kept { order, date, load, machine, row });
    }

    /// Puts a row in, in place of its last run, and keeps it in the cache.
    ///
    /// # Errors
    /// The cache's.
    pub(super) fn put(
        &mut self,
        cache: &Cache,
        place: (usize, &str),
        row: Row,
        at: &Circumstances,
    ) -> anyhow::Result<()> {
        self.add(place, row, at);
        Ok(write_whole(&Self::path(cache)?, &serde_json::to_vec_pretty(self)?)?)
    }

    /// The part between the marks.
    pub(super) fn text(&self) -> String {
        let mut kept: Vec<(&String, &Kept)> = self.rows.iter().collect();
        kept.sort_by_key(|(_, kept)| kept.order);
        let mut text = String::new();
        let mut machines: Vec<&str> = kept.iter().map(|(_, kept)| kept.machine.as_str()).collect();
        machines.dedup();
        for machine in machines {
            let _ = writeln!(text, "{machine}\n");
        }
        text.push_str("| Work | Peer in the same run | Peer | Archipelago | Ratio | Aim | |\n");
        text.push_str("|---|---|---|---|---|---|---|\n");
        for line in kept.iter().flat_map(|(_, kept)| &kept.row.lines) {
            text.push_str(&line.text());
            text.push('\n');
        }
        text.push_str("\nOf each row:\n\n");
        for (name, kept) in kept {
            let Kept { date, load, row, .. } = kept;
            let _ = writeln!(
                text,
                "* **{name}**: {date}, n = {}, load of the machine {load}. {}",
                row.runs,
                row.notes.join(" ")
            );
        }
        text
    }

    /// Writes the table into the document.
    ///
    /// # Errors
    /// The document has no marks, or cannot be written.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        let path = workspace::root().join("docs/benchmarks.md");
        let old = fs::read_to_string(&path)?;
        let (head, rest) = old.split_once(MARKS.0).context("docs/benchmarks.md has no marks")?;
        let (_, tail) = rest.split_once(MARKS.1).context("docs/benchmarks.md has no end mark")?;
        let new = format!("{head}{}\n{}{}{tail}", MARKS.0, self.text(), MARKS.1);
        Ok(write_whole(&path, new.as_bytes())?)
    }
}
