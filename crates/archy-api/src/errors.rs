//! Error codes of the API: what they mean and what to do.
//!
//! Codes are never reused for another meaning. Findings of plans and failures of steps bring their
//! own codes along in the same place.

/// One error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorInfo {
    /// Stable code (`data.code`).
    pub code: &'static str,
    /// When it comes.
    pub meaning: &'static str,
    /// What to do about it.
    pub hint: &'static str,
}

const fn info(code: &'static str, meaning: &'static str, hint: &'static str) -> ErrorInfo {
    ErrorInfo { code, meaning, hint }
}

/// All codes that the API itself gives.
pub const ERRORS: &[ErrorInfo] = &[
    info("parse-error", "The body is not JSON.", "Send a JSON object."),
    info(
        "invalid-request",
        "The JSON is not a call.",
        "Send an object with `method`, and `params` as an object.",
    ),
    info("method-not-found", "There is no such method.", "The API reference lists all methods."),
    info(
        "invalid-params",
        "The parameters do not fit the method.",
        "The API reference lists every method's parameters.",
    ),
    info(
        "body-too-large",
        "The body is larger than the server reads.",
        "A manifest may have at most 1 MiB.",
    ),
    info("unauthorized", "There is no valid session.", "Log in with `auth.login`."),
    info(
        "forbidden-origin",
        "A page of another origin made the call.",
        "Use the dashboard's own address on port 80 or 443.",
    ),
    info(
        "insufficient-permissions",
        "The session's role does not allow the method.",
        "Log in as an administrator.",
    ),
    info(
        "csrf-missing",
        "The `X-CSRF-Token` header is missing or wrong.",
        "Repeat the `csrf_token` cookie in the header.",
    ),
    info(
        "socket-only",
        "The parameter is only allowed over the unix socket.",
        "Run the command on the node, or send the manifest's text.",
    ),
    info("rate-limited", "Too many calls in a short time.", "Wait for `retry_after` seconds."),
    info("not-set-up", "No password is set yet.", "Set one with `auth.setup`."),
    info(
        "already-set-up",
        "A password is already set.",
        "Log in, or change it with `auth.changePassword`.",
    ),
    info(
        "password-incorrect",
        "The password is wrong.",
        "Try again; 5 attempts a minute are allowed.",
    ),
    info("password-too-weak", "The password is shorter than 8 characters.", "Choose a longer one."),
    info(
        "name-invalid",
        "The name is empty, too long or has control characters.",
        "Use 1 to 64 characters.",
    ),
    info(
        "id-invalid",
        "The text is not an app's id.",
        "Use a-z, 0-9 and hyphens, at most 63 characters.",
    ),
    info("id-mismatch", "The id is not the manifest's.", "Give the manifest's own id."),
    info("app-not-found", "No such app is installed.", "`archy list` shows what is installed."),
    info(
        "manifest-not-found",
        "The node has no manifest for this id.",
        "`archy list --available` shows what can be installed; a path installs your own.",
    ),
    info(
        "manifest-invalid",
        "The manifest is refused; `findings` lists all that is wrong.",
        "`archy app validate` shows each place with a mend.",
    ),
    info(
        "package-dir-invalid",
        "The package's directory is missing or not readable for the daemon.",
        "Give an absolute path that the service user can read.",
    ),
    info(
        "plan-refused",
        "A check forbids the plan; nothing was changed.",
        "`archy plan` shows all checks.",
    ),
    info(
        "service-not-found",
        "The app has no such service.",
        "`archy status <app>` lists its services.",
    ),
    info(
        "setting-unknown",
        "The app has no such setting.",
        "`archy config get <app>` lists its settings.",
    ),
    info(
        "setting-invalid",
        "The value does not fit the setting.",
        "`archy config get <app>` shows kind and limits.",
    ),
    info(
        "port-choice-invalid",
        "The manifest publishes no such port, or the port is out of range.",
        "Name a host port of the manifest.",
    ),
    info("exec-invalid", "There is no command to run.", "Give a program and its arguments."),
    info("container-not-running", "The service's container does not run.", "Start the app first."),
    info(
        "logs-unavailable",
        "The journal could not be read.",
        "The daemon's user needs its own journal: see operations.md.",
    ),
    info(
        "busy",
        "Another operation works on this app and cannot be replaced.",
        "Wait for it; `archy status <app>` shows it.",
    ),
    info("deadline", "It did not end in time.", "Try again; `archy doctor` looks for causes."),
    info("engine-stopped", "The engine is shutting down.", "Try again when the daemon is back."),
    info(
        "host-unreachable",
        "Podman or the user's systemd does not answer.",
        "`archy doctor` says which and why.",
    ),
    info("app-not-installed", "The app is not installed.", "`archy list` shows what is installed."),
    info("id-reserved", "The platform uses this id itself.", "Choose another id."),
    info(
        "manifest-lost",
        "The manifest of an installed app is not kept any more.",
        "Install the app again; its data is kept.",
    ),
    info(
        "consent-needed",
        "The new version wants rights that the installed one does not have; the message lists them.",
        "Give the manifest's digest as `consent`, or stay with the installed version.",
    ),
    info(
        "image-missing",
        "An image of the version before the update is not on the node any more.",
        "Pull it as the service user, then roll back again.",
    ),
    info(
        "rollback-impossible",
        "The app has no update that can be taken back, or its time is over.",
        "Install the version that you want.",
    ),
    info(
        "adopt-no-match",
        "No container of the node fits the app's manifest.",
        "Look at `package.adoptable`; names and compose's labels count.",
    ),
    info(
        "adopt-incomplete",
        "A service of the manifest has no container that could be adopted.",
        "Name the containers as the manifest does, or write the manifest for what is there.",
    ),
    info(
        "adopt-ambiguous",
        "Two containers could be the same service.",
        "Rename or remove one of them.",
    ),
    info(
        "adopt-auto-remove",
        "Podman removes the container when it stops: nothing would be left to go back to.",
        "Run it without `--rm`.",
    ),
    info(
        "already-installed",
        "The app is installed already: there is nothing to adopt.",
        "Look at its status.",
    ),
    info("not-adopted", "The app was not adopted.", "There is nothing to migrate."),
    info(
        "adopted-not-migrated",
        "The app runs in containers that Archipelago did not make.",
        "Migrate it first.",
    ),
    info(
        "adopted-gone",
        "What was adopted is not there any more.",
        "Make it as it was, or uninstall the app here and install it; its data stays.",
    ),
    info(
        "migration-final",
        "The way back from the migration was given up.",
        "The old data is where it was.",
    ),
    info(
        "migrate-data-inside",
        "The container keeps data in itself.",
        "Copy it out and run the container with it mounted.",
    ),
    info(
        "migrate-data-in-the-way",
        "There is data in the place that other data is to go to.",
        "Move it away.",
    ),
    info(
        "migrate-copy-differs",
        "A copy is not the same as its original.",
        "Look for what else writes there, or for a fault of the disk.",
    ),
    info(
        "migrate-userns",
        "User ids in the container are mapped in a way of their own.",
        "Run it without `--userns`.",
    ),
    info(
        "migrate-pod",
        "The container shares its network with a pod or another container.",
        "Run it by itself.",
    ),
    info(
        "migrate-unit-foreign",
        "The container's unit file is not the service user's own.",
        "Move it into the service user's directory.",
    ),
    info(
        "migrate-secret-gone",
        "The value of a secret cannot be read from the container any more.",
        "Start the app the way it was made, then migrate it again.",
    ),
    info("password-long", "The password is longer than 1,024 bytes.", "Choose a shorter one."),
    info(
        "password-changed-meanwhile",
        "Another session changed the password first.",
        "Log in again with the present password.",
    ),
    info(
        "mend-unknown",
        "No check offers this mend now.",
        "`archy doctor` names the mends that can be applied.",
    ),
    info("plan-stale", "The manifest changed after the plan was made.", "Ask again."),
    info(
        "internal",
        "The daemon failed; the journal has the chain under `log_id`.",
        "`journalctl -u archipelago` shows it; please report it.",
    ),
];

/// What is known about a code.
#[must_use]
pub fn find(code: &str) -> Option<&'static ErrorInfo> {
    ERRORS.iter().find(|info| info.code == code)
}
