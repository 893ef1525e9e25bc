//! Avahi over the system's bus: it publishes the host's own name by itself; we add the node's page.

use std::time::Duration;

use zbus::{Connection, OwnedObjectPath, proxy};

/// Name of Avahi on the bus.
const NAME: &str = "org.freedesktop.Avahi";
/// Any interface, any protocol.
const ANY: i32 = -1;
/// Time for an answer of the bus.
const DEADLINE: Duration = Duration::from_secs(5);

#[proxy(
    interface = "org.freedesktop.Avahi.Server",
    default_service = "org.freedesktop.Avahi",
    default_path = "/"
)]
trait Server {
    fn get_host_name_fqdn(&self) -> zbus::Result<String>;
    fn entry_group_new(&self) -> zbus::Result<OwnedObjectPath>;
}

#[proxy(interface = "org.freedesktop.Avahi.EntryGroup", default_service = "org.freedesktop.Avahi")]
trait EntryGroup {
    #[expect(clippy::too_many_arguments, reason = "the method is Avahi's")]
    fn add_service(
        &self,
        interface: i32,
        protocol: i32,
        flags: u32,
        name: &str,
        kind: &str,
        domain: &str,
        host: &str,
        port: u16,
        txt: &[&[u8]],
    ) -> zbus::Result<()>;
    fn commit(&self) -> zbus::Result<()>;
    fn get_state(&self) -> zbus::Result<i32>;
    fn free(&self) -> zbus::Result<()>;
}

/// A connection to Avahi, and what it publishes for us. It goes away with the connection.
#[derive(Debug)]
pub(super) struct Avahi {
    connection: Connection,
    group: Option<OwnedObjectPath>,
    name: String,
}

impl Avahi {
    /// Avahi, if it runs; it is not started.
    pub(super) async fn find() -> Option<Self> {
        let look = async {
            let connection = Connection::system().await.ok()?;
            let bus = zbus::fdo::DBusProxy::new(&connection).await.ok()?;
            let runs = bus.name_has_owner(NAME.try_into().ok()?).await.ok()?;
            runs.then(|| Self::over(connection))
        };
        tokio::time::timeout(DEADLINE, look).await.ok().flatten()
    }

    pub(super) const fn over(connection: Connection) -> Self {
        Self { connection, group: None, name: String::new() }
    }

    /// Adds the node's page.
    pub(super) async fn publish(
        mut self,
        title: &str,
        kind: &str,
        port: u16,
    ) -> zbus::Result<Self> {
        let server = ServerProxy::new(&self.connection).await?;
        self.name = server.get_host_name_fqdn().await?;
        let path = server.entry_group_new().await?;
        let group = self.group(&path).await?;
        group.add_service(ANY, ANY, 0, title, kind, "", "", port, &[]).await?;
        group.commit().await?;
        drop(group);
        self.group = Some(path);
        Ok(self)
    }

    /// The name that Avahi publishes for the host; another than the host's own when that was taken.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// True while Avahi still publishes what it was given.
    pub(super) async fn stands(&self) -> bool {
        let Some(path) = &self.group else { return false };
        let state = async { self.group(path).await?.get_state().await };
        // 3 is a collision of names, 4 a failure
        matches!(tokio::time::timeout(DEADLINE, state).await, Ok(Ok(state)) if state < 3)
    }

    /// Takes it back.
    pub(super) async fn end(self) {
        let Some(path) = &self.group else { return };
        let free = async { self.group(path).await?.free().await };
        if let Ok(Err(error)) = tokio::time::timeout(DEADLINE, free).await {
            tracing::debug!(%error, "Avahi did not take the page back");
        }
    }

    async fn group<'a>(&'a self, path: &'a OwnedObjectPath) -> zbus::Result<EntryGroupProxy<'a>> {
        EntryGroupProxy::builder(&self.connection)
            .path(path)
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await
    }
}
