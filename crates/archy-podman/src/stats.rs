//! Use of resources, measured once.

use serde::Deserialize;

use crate::{Podman, PodmanError, call::Call, wire::nullable};

/// What a container uses at this moment. Figures of controllers that the host does not delegate
/// are 0.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Stats {
    /// Id of the container.
    #[serde(rename = "ContainerID")]
    pub id: String,
    /// Its name.
    #[serde(rename = "Name", default)]
    pub name: String,
    /// Processor time used since its start, in nanoseconds.
    #[serde(rename = "CPUNano", default)]
    pub cpu_nanos: u64,
    /// Per cent of one processor since its start.
    #[serde(rename = "AvgCPU", default)]
    pub average_cpu: f64,
    /// Memory in bytes.
    #[serde(rename = "MemUsage", default)]
    pub memory: u64,
    /// Limit of memory in bytes; the host's memory when there is none.
    #[serde(rename = "MemLimit", default)]
    pub memory_limit: u64,
    /// Processes and threads.
    #[serde(rename = "PIDs", default)]
    pub pids: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawReport {
    #[serde(default)]
    error: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "nullable")]
    stats: Vec<Stats>,
}

// === impl Podman ===

impl Podman {
    /// Measures these containers once; all running ones when none is named.
    ///
    /// # Errors
    /// Those of every call; 404 when a named one does not exist.
    pub async fn stats(&self, names: &[&str]) -> Result<Vec<Stats>, PodmanError> {
        let mut call = Call::get(&["containers", "stats"]).query("stream", "false");
        for name in names {
            call = call.query("containers", name);
        }
        let report: RawReport = self.json(&call).await?;
        match report.error {
            None | Some(serde_json::Value::Null) => Ok(report.stats),
            Some(error) => Err(PodmanError::Api {
                op: call.op,
                status: 200,
                message: error.to_string(),
                cause: None,
            }),
        }
    }
}
