//! Tasks of this workspace: `cargo xtask <task>`.
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{bench, codegen, corpora, dist, gate, images, node, sh, test, tidy, up, workspace};

/// Tasks of this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

/// The table of tasks: one line here, one in `run`.
#[derive(Debug, Subcommand)]
enum Task {
    /// Run a node with a dashboard and an app to open.
    Up(up::UpArgs),
    /// Take it down again.
    Down(up::DownArgs),
    /// Test everything: lints, tests in memory, tests on real nodes.
    Test(test::TestArgs),
    /// Measure the platform beside its peers and write `docs/benchmarks.md`.
    Bench(bench::BenchArgs),
    /// Run the whole life of all test apps on a node, several times, and write `docs/gate.md`.
    Gate(gate::GateArgs),
    /// Make, boot, ask and remove test nodes.
    Node(node::cli::NodeArgs),
    /// Build the images of the test apps and push them to the nodes' registry.
    Images(images::cli::ImagesArgs),
    /// Check the rules of this repository that no compiler checks.
    Tidy,
    /// Write the generated files.
    Codegen {
        /// Only say which ones are stale, and fail if any is.
        #[arg(long)]
        check: bool,
    },
    /// Import the apps of other stores and write the scorecard in `docs/importers.md`.
    Corpora(corpora::CorporaArgs),
    /// Build the Debian package.
    Dist,
}

fn run(task: Task) -> anyhow::Result<ExitCode> {
    match task {
        Task::Node(args) => Ok(node::cli::run(args)?),
        Task::Up(args) => up::up(&args).map(done),
        Task::Down(args) => up::down(&args).map(done),
        Task::Test(args) => test::run(&args),
        Task::Bench(args) => bench::run(&args).map(done),
        Task::Gate(args) => gate::run(&args).map(done),
        Task::Corpora(args) => corpora::run(&args),
        Task::Tidy => tidy::run(),
        Task::Codegen { check: true } => codegen::check(),
        Task::Codegen { check: false } => codegen::write().map(done),
        Task::Dist => {
            let deb = dist::deb(workspace::Profile::Release)?;
            sh::print(&deb.display().to_string());
            Ok(ExitCode::SUCCESS)
        }
        Task::Images(args) => Ok(images::cli::run(&args).map(|()| ExitCode::SUCCESS)?),
    }
}

fn done((): ()) -> ExitCode {
    ExitCode::SUCCESS
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(code) => code,
        Err(error) => {
            sh::say(&format!("error: {error:#}"));
            let of_node = error.downcast_ref().map(|e: &node::NodeError| (e.code(), e.hint()));
            let of_images =
                error.downcast_ref().map(|e: &images::ImagesError| (e.code(), e.hint()));
            if let Some((code, hint)) = of_node.or(of_images) {
                sh::say(&format!("  code: {code}\n  hint: {hint}"));
            }
            ExitCode::FAILURE
        }
    }
}
