//! A pass that finds nothing to do, over a modelled host: `crates/archy-engine/benches/pass.rs`.
use std::fs;

use anyhow::Context;
use serde_json::Value;

use super::report::{Aim, Line, Row};
use super::stand;
use super::stats::Series;
use crate::sh;
use crate::workspace::{self, AttachedOk};

/// Samples that criterion takes of each.
const SAMPLES: usize = 100;

/// Measures; the number of samples is the bench's own.
///
/// # Errors
/// The bench does not build or run.
pub(super) fn row() -> anyhow::Result<Row> {
    let args = ["bench", "--locked", "-p", "archy-engine", "--bench", "pass"];
    sh::step("a pass over a modelled host", || workspace::cargo(&args)?.attached_ok())?;
    let pass = |apps| estimate("plan-and-assess", apps);
    let (small, large) = (pass(40)?, pass(400)?);
    let (twice_small, twice_large) = (pass(80)?, pass(800)?);
    let (whole_small, whole_large) = (estimate("engine", 40)?, estimate("engine", 400)?);
    let work = |n: u32| format!("one no-op pass, {n} installed apps (modelled host), CPU");
    let of = Series::from;
    Ok(Row {
        runs: SAMPLES,
        lines: vec![
            Line::alone(&work(40), &of(small), "ms", Aim::AtMost(20.0), "≤ 20 ms"),
            Line::alone(&work(400), &of(large), "ms", Aim::AtMost(200.0), "≤ 200 ms"),
            Line::alone(
                "no-op pass: 800 apps beside 80",
                &of(twice_large / twice_small.max(f64::MIN_POSITIVE)),
                "times as long",
                // linear is ten times; a fifth is allowed for
                Aim::AtMost(12.0),
                "linear (10)",
            ),
        ],
        notes: vec![format!(
            "Processor time of plan and assessment of every app, each of two services with a secret, a file and a \
             volume; median of criterion's samples. 400 beside 40 are {:.1} times as long: the smaller set fits into \
             the processor's second-level cache. The engine's whole pass \
             (look at the model, fingerprints, plans, states, snapshot) takes {whole_small:.2} ms with 40 apps and \
             {whole_large:.2} ms with 400.",
            large / small.max(f64::MIN_POSITIVE)
        )],
    })
}

/// Criterion's median in milliseconds.
fn estimate(group: &str, apps: u32) -> anyhow::Result<f64> {
    let path = stand::target()?.join(format!("criterion/{group}/{apps}/new/estimates.json"));
    let text = fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
    let value: Value = serde_json::from_str(&text)?;
    let nanos = value["median"]["point_estimate"].as_f64();
    Ok(nanos.context("an estimate without a median")? / 1e6)
}
