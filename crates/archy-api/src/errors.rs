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
    info(
        "code-incorrect",
        "The code of the second factor is wrong, or was used already.",
        "Wait for the next code; the phone's clock must be right.",
    ),
    info(
        "login-expired",
        "No password was entered before this code, or too long ago, or too many codes were wrong.",
        "Enter the password again.",
    ),
    info("totp-on", "The second factor is on already.", "Switch it off first."),
    info("totp-off", "The second factor is not on.", "Switch it on first."),
    info("totp-not-begun", "No second factor was begun lately.", "Begin with `auth.totp.setup`."),
    info("session-not-found", "There is no such session.", "`auth.sessions` lists them."),
    info("token-not-found", "There is no such token.", "`auth.listDeviceTokens` lists them."),
    info(
        "passkey-needs-name",
        "The page was reached by an address; passkeys belong to names.",
        "Open the node by its name, for example https://<name>.local.",
    ),
    info(
        "passkey-refused",
        "The passkey is not known, the answer was wrong or came too late.",
        "Try again, or log in with the password.",
    ),
    info("passkey-failed", "The passkey could not be asked for.", "Log in with the password."),
    info("passkey-not-found", "There is no such passkey.", "`auth.passkey.list` lists them."),
    info("too-many-passkeys", "A user has at most 20 passkeys.", "Remove one that is not used."),
    info("user-exists", "There is a user of this name.", "Choose another name."),
    info("user-not-found", "There is no user of this name.", "`users.list` shows them."),
    info(
        "user-name-invalid",
        "The name does not fit a user.",
        "Use 2 to 32 of a-z, 0-9, `.`, `-` and `_`, and begin with a letter.",
    ),
    info("too-many-users", "A node has at most 64 users.", "Delete some."),
    info("owner-stays", "The owner stays, as an administrator.", "Change the owner's password."),
    info(
        "seed-confirmed",
        "The recovery seed was written down, and is neither shown again nor replaced.",
        "Your own note is the only copy.",
    ),
    info("seed-not-shown", "The seed was not shown yet.", "Show it with `seed.generate` first."),
    info(
        "seed-words-wrong",
        "A word that was asked for is another.",
        "Compare each with your note; the seed can be shown again.",
    ),
    info(
        "seed-in-use",
        "Identities of this node come from the present seed.",
        "Confirm it, or delete its identities first.",
    ),
    info(
        "seed-unreadable",
        "The recovery seed cannot be read.",
        "Put identity/seed.json and identity/seal.key back from one backup; nothing was changed.",
    ),
    info(
        "certificate-unusable",
        "A certificate cannot be issued.",
        "The service user must be able to write the certificate's directory (ssl_dir).",
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
        "consent-busy",
        "Too many requests of an app's page wait for a person.",
        "Answer those that are open.",
    ),
    info("consent-decided", "The prompt was answered otherwise.", "Let the app ask again."),
    info(
        "consent-denied",
        "An app's page may not do this, or nobody has answered yet.",
        "Ask with `identity.consent-ask` first, and let the owner answer.",
    ),
    info("consent-gone", "The request of the app's page is over.", "Let the app ask again."),
    info(
        "consent-invalid",
        "App, origin or method are not those of an app's page.",
        "Send the app's id and the origin as the browser told it.",
    ),
    info(
        "consents-file-damaged",
        "consents.json cannot be read.",
        "Put it back from a backup, or remove it: apps then ask again.",
    ),
    info("cipher-empty", "The text is empty.", "Send at least one character."),
    info(
        "cipher-too-long",
        "The text is too long.",
        "Encrypt at most 65,535 bytes; ciphertexts have at most 132,000.",
    ),
    info(
        "cipher-undecryptable",
        "The ciphertext does not open.",
        "It was written for another identity, by another peer, or was changed.",
    ),
    info(
        "did-invalid",
        "The text is no `did:key` of an Ed25519 key.",
        "Such a did begins with did:key:z6Mk.",
    ),
    info(
        "event-hash-invalid",
        "`event_hash` is not 64 hex digits.",
        "Send the event itself in `event`.",
    ),
    info(
        "event-invalid",
        "The event is none.",
        "Send an object with kind, created_at, tags and content as NIP-01 says.",
    ),
    info(
        "event-pubkey-mismatch",
        "The event names another public key than the identity's.",
        "Let the app ask for the public key again, or choose its identity.",
    ),
    info("event-signature-wrong", "Id or signature of the event are wrong.", "Sign it again."),
    info(
        "event-too-large",
        "The event is too large.",
        "At most 512 KiB of content and 5,000 tags.",
    ),
    info(
        "http-auth-invalid",
        "The `Authorization: Nostr` header does not fit the request.",
        "Sign a fresh event of kind 27235 for exactly this address and method.",
    ),
    info(
        "identity-file-damaged",
        "An identity's file does not open.",
        "Put it back from a backup; nothing was changed.",
    ),
    info(
        "identity-file-unreadable",
        "A file of the identities cannot be read.",
        "The service user must own it.",
    ),
    info(
        "identity-file-unwritable",
        "A file of the identities was not saved.",
        "Look at the free space and permissions of the data directory.",
    ),
    info(
        "identity-is-node",
        "The node's own identity stays.",
        "It derives from the recovery seed.",
    ),
    info(
        "identity-key-exists",
        "The identity has a Nostr key.",
        "Create another identity for another key.",
    ),
    info(
        "identity-key-taken",
        "An identity of this node, or the node itself, has this key.",
        "Use that identity, or delete it first.",
    ),
    info("identity-limit", "A node has at most 256 identities.", "Delete one that is not needed."),
    info(
        "identity-linked",
        "A linked identity's key is not here.",
        "Use the app that holds the key.",
    ),
    info(
        "identity-name-invalid",
        "The name has not 1 to 100 characters, or has control characters.",
        "Choose another name.",
    ),
    info(
        "identity-no-nostr-key",
        "The identity has no Nostr key.",
        "Make one with `identity.create-nostr-key`.",
    ),
    info("identity-none", "There is no default identity.", "Create one, or choose a default."),
    info("identity-not-found", "There is no such identity.", "`identity.list` shows them all."),
    info(
        "link-uri-invalid",
        "The text is no link of a signer.",
        "Copy the whole link from the signer.",
    ),
    info("link-uri-key", "The link names no key.", "Copy the whole link from the signer."),
    info(
        "link-uri-nostrconnect",
        "A nostrconnect link is for the signer, not for the node.",
        "Let the node make the link, or copy a bunker:// link from the signer.",
    ),
    info(
        "link-uri-secret",
        "The link's secret is missing or too long.",
        "Copy the whole link from the signer.",
    ),
    info(
        "linked-signer-auth-url",
        "The linked signer wants a page to be opened, which is not supported.",
        "Use a signer that asks in its own window.",
    ),
    info(
        "linked-signer-bad-response",
        "The linked signer sent something that cannot be right.",
        "Update the signer, or link it anew.",
    ),
    info(
        "linked-signer-busy",
        "Too many requests wait for linked signers.",
        "Wait until some are answered.",
    ),
    info(
        "linked-signer-denied",
        "The linked signer said no.",
        "Allow it in the signer and try again.",
    ),
    info(
        "linked-signer-offline",
        "No relay of the link can be reached.",
        "Look whether the node reaches the relays.",
    ),
    info(
        "linked-signer-refused",
        "The linked signer does not want the link.",
        "Make a new link in the signer: each works once.",
    ),
    info(
        "linked-signer-silent",
        "The linked signer did not answer in time.",
        "Open the signer, allow the request, and try again.",
    ),
    info("message-too-long", "The text to be signed is too long.", "Sign a digest of it."),
    info(
        "nsec-invalid",
        "The key is neither an nsec nor 64 hex digits.",
        "Copy the whole key; it begins with nsec1.",
    ),
    info("pairing-expired", "No signer came to the pairing.", "Begin again and scan the new code."),
    info(
        "pairing-limit",
        "There are four open pairings already.",
        "Finish one, or wait five minutes.",
    ),
    info(
        "pairing-not-found",
        "There is no such pairing.",
        "Begin again; a pairing stays open for five minutes.",
    ),
    info(
        "profile-invalid",
        "The profile is no object, or too large.",
        "Send an object of at most 32 KiB.",
    ),
    info(
        "profile-missing",
        "The identity has no profile yet.",
        "Send it as an object, for example with name and about.",
    ),
    info("pubkey-invalid", "The text is no public key.", "Give 64 hex digits or an npub."),
    info(
        "random-unavailable",
        "The operating system gives no random bytes.",
        "Try again; if it stays so, restart the machine.",
    ),
    info(
        "relay-count",
        "There must be 1 to 8 relays.",
        "Give addresses such as wss://relay.example.",
    ),
    info("relay-limit", "The list holds at most 64 relays.", "Remove one first."),
    info("relay-not-found", "No such relay is listed.", "`nostr.list-relays` shows them all."),
    info(
        "relay-url-invalid",
        "The address is not one of a relay.",
        "It begins with wss:// or ws:// and names a host.",
    ),
    info(
        "relays-file-damaged",
        "relays.json cannot be read.",
        "Put it back from a backup, or remove it.",
    ),
    info(
        "seal-key-damaged",
        "identity/seal.key is damaged.",
        "Put it back from a backup; nothing was changed.",
    ),
    info(
        "seal-key-missing",
        "identity/seal.key is missing, and secrets were encrypted with it.",
        "Put it back from a backup; nothing was changed.",
    ),
    info(
        "seed-checksum",
        "The words are of the list but do not fit together.",
        "A word is wrong or two are swapped: compare each with your note.",
    ),
    info("seed-index-invalid", "The index is beyond 2,147,483,647.", "Choose a smaller one."),
    info(
        "seed-missing",
        "The node has no recovery seed yet.",
        "Make one with `seed.generate`, or bring one along with `seed.restore`.",
    ),
    info(
        "seed-word-count",
        "The seed has not 24 words.",
        "Write all words in their order, with spaces between them.",
    ),
    info(
        "seed-word-unknown",
        "A word is not one of the list.",
        "Look at that word again; its first four letters suffice.",
    ),
    info(
        "signer-not-linked",
        "The identity's key is on this node, so it cannot approve logins.",
        "Link a signer on another device first.",
    ),
    info(
        "signer-unavailable",
        "No login with a signer can begin now.",
        "Log in with the password; that ends pauses as well.",
    ),
    info("signer-login-expired", "The login with a signer took too long.", "Begin again."),
    info("signer-busy", "A login with a signer is under way already.", "Wait two minutes."),
    info(
        "signer-limit",
        "As many signers as there may be can approve logins.",
        "Remove one with auth.signer.remove.",
    ),
    info(
        "signer-login-ended",
        "The login was not approved.",
        "Begin again; the password works as well.",
    ),
    info("signer-login-invalid", "The signed event does not fit the login.", "Begin again."),
    info(
        "journal-silent",
        "The journal does not answer.",
        "`journalctl -u archipelago` on the node shows the same.",
    ),
    info(
        "notify-mail-deadline",
        "The mail server did not take the mail in time.",
        "Check host and port.",
    ),
    info(
        "notify-mail-invalid",
        "The settings for mails do not fit together.",
        "Your mail provider tells host, port and user for outgoing mail.",
    ),
    info(
        "notify-mail-refused",
        "The mail server does not take the mail, or is not who it should be.",
        "Check host, port, user and password; port 465 is for TLS, 587 for STARTTLS.",
    ),
    info("notify-mail-tls", "TLS cannot be used for mails.", "Check the server's name."),
    info(
        "notify-off",
        "This way to the owner is not set up.",
        "Fill in where to, switch it on, and save.",
    ),
    info(
        "notify-push-invalid",
        "The browser's subscription does not fit.",
        "Subscribe again on the page.",
    ),
    info(
        "notify-push-key",
        "The node's key for browsers cannot be read.",
        "Report it with a support bundle.",
    ),
    info(
        "notify-url-invalid",
        "A webhook goes to a whole http:// or https:// address.",
        "Write no user name and password into it.",
    ),
    info(
        "registry-exists",
        "There is a registry of this name, or there are too many.",
        "Remove one first.",
    ),
    info(
        "registry-fingerprint",
        "The registry has no root key set of this fingerprint.",
        "Compare it with the publisher's, letter by letter, from another place than the server.",
    ),
    info(
        "registry-format",
        "A file of the registry cannot be read.",
        "Check the address; tell the publisher.",
    ),
    info(
        "registry-missing-file",
        "A file of the registry is missing.",
        "Check the address; tell the publisher.",
    ),
    info(
        "registry-mixed",
        "Files were offered that were never published together.",
        "Nothing was used. Somebody may interfere; ask the publisher.",
    ),
    info("registry-name", "The name cannot be used.", "Use a-z, 0-9 and hyphens."),
    info("registry-not-found", "There is no such registry.", "`archy source list` shows them."),
    info("registry-order", "The order is not from 1 to 64.", "One with a smaller number wins."),
    info(
        "registry-rollback",
        "An older catalog was offered as new.",
        "Nothing was used. The server may be a stale mirror; ask the publisher.",
    ),
    info(
        "registry-signature",
        "Too few valid signatures of the keys that count.",
        "Nothing was used. Ask the publisher whether keys were changed.",
    ),
    info("registry-slow", "A file of the registry did not arrive in time.", "Try again later."),
    info(
        "registry-stale",
        "The catalog is past its date.",
        "Ask the publisher for a fresh signature; `archy source accept-stale` consents to it.",
    ),
    info(
        "registry-target",
        "A file is not the one that was signed.",
        "Nothing was used. Ask the publisher.",
    ),
    info(
        "registry-too-large",
        "A file of the registry is larger than it may be.",
        "Tell the publisher.",
    ),
    info(
        "registry-unreachable",
        "The registry cannot be reached.",
        "Check the address and the network. The last good catalog stays in use.",
    ),
    info("policy-invalid", "The update policy is not valid.", "Mind the limits in its text."),
    info(
        "update-adopted",
        "Adopted containers do not update by themselves.",
        "Update the app by hand.",
    ),
    info(
        "update-own-manifest",
        "An app of the owner's own manifest does not update by itself.",
        "Update it by hand.",
    ),
    info("update-refused", "The update by itself was refused.", "Update the app by hand."),
    info(
        "update-tried",
        "This version was tried already.",
        "`archy history` tells what came of it; update by hand.",
    ),
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
