//! The method table: one line per method.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};
use ts_rs::TS;

use crate::access::{Access, Role};
use crate::document::TypeScript;
use crate::rpc::NoParams;
use crate::{auth, container, doctor, explain, health, logs, node, package, server, system};

/// A method of the API.
pub trait Method {
    /// Name on the wire.
    const NAME: &'static str;
    /// Who may call it.
    const ACCESS: Access;
    /// One sentence.
    const SUMMARY: &'static str;
    /// Parameters.
    type Params: DeserializeOwned + Serialize + JsonSchema + TS + Send + 'static;
    /// Result.
    type Result: DeserializeOwned + Serialize + JsonSchema + TS + Send + 'static;
}

/// A line of the method table.
#[derive(Debug, Clone, Copy)]
pub struct MethodInfo {
    /// Name on the wire.
    pub name: &'static str,
    /// Who may call it.
    pub access: Access,
    /// One sentence.
    pub summary: &'static str,
    /// Schema of the parameters.
    pub params: fn(&mut SchemaGenerator) -> Schema,
    /// Schema of the result.
    pub result: fn(&mut SchemaGenerator) -> Schema,
    /// Collects the TypeScript types; gives the names of parameters and result.
    pub typescript: fn(&mut TypeScript) -> (String, String),
}

/// The method of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static MethodInfo> {
    METHODS.iter().find(|method| method.name == name)
}

macro_rules! methods {
    ($($(#[doc = $summary:literal])+ $type:ident = $name:literal ($params:ty) -> $result:ty, $access:expr;)+) => {
        $(
            $(#[doc = $summary])+
            #[derive(Debug, Clone, Copy)]
            pub struct $type;

            impl Method for $type {
                const NAME: &'static str = $name;
                const ACCESS: Access = $access;
                const SUMMARY: &'static str = concat!($($summary),+).trim_ascii_start();
                type Params = $params;
                type Result = $result;
            }
        )+

        /// All methods, in the order of the reference.
        pub const METHODS: &[MethodInfo] = &[$(
            MethodInfo {
                name: <$type as Method>::NAME,
                access: <$type as Method>::ACCESS,
                summary: <$type as Method>::SUMMARY,
                params: |generator| generator.subschema_for::<$params>(),
                result: |generator| generator.subschema_for::<$result>(),
                typescript: |out| (out.add::<$params>(), out.add::<$result>()),
            },
        )+];
    };
}

methods! {
    /// Says that the daemon lives, and whether recovery after a crash is done.
    Health = "health" (NoParams) -> health::HealthResult, Access::public();

    /// Says whether a password is set.
    AuthIsSetup = "auth.isSetup" (NoParams) -> bool, Access::public();
    /// Says whether the first steps are done.
    AuthIsOnboardingComplete = "auth.isOnboardingComplete" (NoParams) -> bool, Access::public();
    /// Sets the first password; refused once one is set.
    AuthSetup = "auth.setup" (auth::PasswordParams) -> (),
        Access::public().origin(crate::OriginRule::Standard).rate(5, 60);
    /// Begins a session; its cookies are `session` and `csrf_token`.
    AuthLogin = "auth.login" (auth::PasswordParams) -> (), Access::public().rate(5, 60);
    /// Ends the session.
    AuthLogout = "auth.logout" (NoParams) -> (), Access::write(Role::AppUser);
    /// Changes the password and ends all other sessions.
    AuthChangePassword = "auth.changePassword" (auth::ChangePasswordParams) -> (),
        Access::write(Role::Admin).rate(3, 300);

    /// Gives the whole state: apps, node, sequence number.
    ServerGetState = "server.get-state" (NoParams) -> server::GetStateResult,
        Access::read(Role::Viewer);
    /// Names the node.
    ServerSetName = "server.set-name" (server::SetNameParams) -> server::SetNameResult,
        Access::write(Role::Admin);

    /// Lists the apps whose manifest the node has.
    PackageAvailable = "package.available" (NoParams) -> package::AvailableResult,
        Access::read(Role::Viewer);
    /// Installs an app, or brings an installed one to the manifest; the work goes on in the background.
    PackageInstall = "package.install" (package::InstallParams) -> package::InstallResult,
        Access::write(Role::Admin);
    /// Brings an installed app to another manifest; what fails is taken back with image, units, settings and data.
    PackageUpdate = "package.update" (package::UpdateParams) -> package::InstallResult,
        Access::write(Role::Admin);
    /// Brings back what an app was before its last update.
    PackageRollback = "package.rollback" (package::RollbackParams) -> package::AcceptedResult,
        Access::write(Role::Admin);
    /// Lists apps whose containers are there and were not made by Archipelago.
    PackageAdoptable = "package.adoptable" (NoParams) -> package::AdoptableResult,
        Access::read(Role::Admin);
    /// Takes over containers that Archipelago did not make, as they are and as they run.
    PackageAdopt = "package.adopt" (package::AdoptParams) -> package::AcceptedResult,
        Access::write(Role::Admin);
    /// Makes adopted containers Archipelago's own, with their data and ports; or takes that back.
    PackageMigrate = "package.migrate" (package::MigrateParams) -> package::AcceptedResult,
        Access::write(Role::Admin);
    /// Says what an action would do, without doing it.
    PackagePlan = "package.plan" (package::PlanParams) -> package::PlanResult,
        Access::write(Role::Admin);
    /// Starts an app; what is missing is made anew.
    PackageStart = "package.start" (package::AppParams) -> package::AcceptedResult,
        Access::write(Role::Admin);
    /// Stops an app; it stays stopped.
    PackageStop = "package.stop" (package::AppParams) -> package::AcceptedResult,
        Access::write(Role::Admin);
    /// Stops and starts an app with environment and files resolved afresh.
    PackageRestart = "package.restart" (package::AppParams) -> package::AcceptedResult,
        Access::write(Role::Admin);
    /// Uninstalls an app; its data stays unless `purge` is true.
    PackageUninstall = "package.uninstall" (package::UninstallParams) -> package::AcceptedResult,
        Access::write(Role::Admin);
    /// Gives the last log lines of an app.
    PackageLogs = "package.logs" (logs::LogsParams) -> logs::LogsResult,
        Access::read(Role::Admin);
    /// Gives the journal of operations, newest first.
    PackageHistory = "package.history" (package::HistoryParams) -> package::HistoryResult,
        Access::read(Role::Viewer);
    /// Tells why an app is as it is: cause, last health checks, what it waits for, what comes next.
    PackageExplain = "package.explain" (package::AppParams) -> explain::ExplainResult,
        Access::read(Role::Admin);
    /// Gives an app's settings; secrets are never shown.
    PackageConfigGet = "package.config.get" (package::AppParams) -> package::ConfigResult,
        Access::read(Role::Admin);
    /// Changes settings and restarts the app if needed.
    PackageConfigSet = "package.config.set" (package::SetConfigParams) -> package::AcceptedResult,
        Access::write(Role::Admin);
    /// Runs a command in an app's container.
    PackageExec = "package.exec" (package::ExecParams) -> package::ExecResult,
        Access::write(Role::Admin);

    /// Lists the containers of all apps.
    ContainerList = "container-list" (NoParams) -> Vec<container::ContainerEntry>,
        Access::read(Role::Viewer);

    /// Gives facts about the host.
    SystemInfo = "system.info" (NoParams) -> system::SystemInfo, Access::read(Role::Viewer);
    /// Gives the host's name; clients probe their session with it.
    SystemGetHostname = "system.get-hostname" (NoParams) -> system::HostnameResult,
        Access::read(Role::AppUser);
    /// Gives processor, memory and disk use.
    SystemStats = "system.stats" (NoParams) -> system::SystemStats, Access::read(Role::Viewer);
    /// Checks host, Podman, systemd, store, certificates, space, clock and units; each with a mend.
    SystemDoctor = "system.doctor" (NoParams) -> doctor::DoctorReport, Access::read(Role::Admin);
    /// Applies mends that lose nothing; says what was done.
    SystemMend = "system.mend" (doctor::MendParams) -> doctor::MendResult,
        Access::write(Role::Admin);
    /// Gives the files of a support bundle, secrets struck out.
    SystemSupport = "system.support" (doctor::SupportParams) -> doctor::SupportResult,
        Access::write(Role::Admin);

    /// Gives the node's own state in short.
    NodeStatus = "node.status" (NoParams) -> node::NodeStatus, Access::read(Role::Viewer);
}
