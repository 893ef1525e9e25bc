//! The part of `org.freedesktop.systemd1.Manager` that is used.

use zbus::{OwnedObjectPath, proxy};

/// Well-known name of the manager.
pub(crate) const SERVICE: &str = "org.freedesktop.systemd1";
/// Interface of every unit.
pub(crate) const UNIT: &str = "org.freedesktop.systemd1.Unit";
/// Interface of a service unit.
pub(crate) const SERVICE_UNIT: &str = "org.freedesktop.systemd1.Service";
/// Interface of the manager.
pub(crate) const MANAGER: &str = "org.freedesktop.systemd1.Manager";
/// Object of the manager, and root of all others.
pub(crate) const ROOT: &str = "/org/freedesktop/systemd1";

/// A row of `ListUnitsByPatterns` and `ListUnitsByNames`: name, description, load, active and sub state, followed unit,
/// object path, queued job's id, type and path.
pub(crate) type UnitRow =
    (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

#[proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
pub(crate) trait Manager {
    fn subscribe(&self) -> zbus::Result<()>;
    fn reload(&self) -> zbus::Result<()>;
    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn reset_failed_unit(&self, name: &str) -> zbus::Result<()>;
    fn kill_unit(&self, name: &str, whom: &str, signal: i32) -> zbus::Result<()>;
    fn list_units_by_patterns(
        &self,
        states: &[&str],
        patterns: &[&str],
    ) -> zbus::Result<Vec<UnitRow>>;
    /// Loads those that are not loaded; one that does not exist is `not-found`.
    fn list_units_by_names(&self, names: &[&str]) -> zbus::Result<Vec<UnitRow>>;
}
