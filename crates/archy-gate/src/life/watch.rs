//! The daemon's state, followed for as long as the stage stands; gaps are bridged.

use std::sync::Arc;
use std::time::Duration;

use archy_api::state::StateData;
use archy_client::Client;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const PAUSE: Duration = Duration::from_millis(300);

/// What was last heard.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    /// The state; kept when the daemon goes away.
    pub(super) data: Option<Arc<StateData>>,
    /// The connection stands.
    pub(super) live: bool,
}

/// A subscription that is opened again and again.
#[derive(Debug)]
pub(super) struct Watch {
    heard: watch::Receiver<Heard>,
    task: JoinHandle<()>,
}

impl Watch {
    pub(super) fn open(client: Client) -> Self {
        let (told, heard) = watch::channel(Heard::default());
        let task = tokio::spawn(async move {
            loop {
                follow(&client, &told).await;
                told.send_modify(|heard| heard.live = false);
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { heard, task }
    }

    pub(super) fn heard(&self) -> watch::Receiver<Heard> {
        self.heard.clone()
    }
}

async fn follow(client: &Client, told: &watch::Sender<Heard>) {
    let Ok(mut watch) = client.watch().await else { return };
    while let Ok(update) = watch.next().await {
        told.send_replace(Heard { data: Some(update.data), live: true });
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
