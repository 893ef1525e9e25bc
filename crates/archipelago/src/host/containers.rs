//! Containers, images and hooks, through Podman's socket.

use std::path::Path;
use std::time::Duration;

use archy_engine::ports::{
    Containers, ExecOutput, HookRequest, HostResult, Progress, ProgressSink,
};
use archy_manifest::template::{Placeholder, Template};
use archy_podman::{ExecRequest, PullPolicy, Tar};
use archy_types::{Timestamp, UserError};

use super::{CHANGE_DEADLINE, SystemHost, error, full, hook_file};

/// Longest silence of a pull.
const PULL_IDLE: Duration = Duration::from_secs(180);
/// How much of a command's output is kept.
const MAX_OUTPUT: usize = 64 << 10;

/// Label that tells which content a podman secret was made from.
pub(super) const SECRET_HASH_LABEL: &str = "io.archipelago.hash";

impl Containers for SystemHost {
    async fn pull(
        &self,
        reference: &str,
        progress: ProgressSink,
        deadline: Duration,
    ) -> HostResult<()> {
        let mut arrived = (0, 0);
        let pull = self.podman.pull_image(reference, PullPolicy::Missing, PULL_IDLE, |seen| {
            arrived = (seen.done, seen.total);
            let bytes = (seen.total > 0).then_some([seen.done.min(seen.total), seen.total]);
            progress(Progress { percent: seen.percent(), text: seen.text, bytes });
        });
        match tokio::time::timeout(deadline, pull).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(failure)) => {
                let needed = full::arrived(arrived.0, arrived.1);
                Err(self.podman_failure(&failure, needed).await)
            }
            Err(_) => Err(error::fatal(
                UserError::new("pull-timeout", format!("{reference} did not arrive in time."))
                    .hint("Try again: what has arrived is kept."),
            )),
        }
    }

    async fn remove_container(&self, name: &str, deadline: Duration) -> HostResult<()> {
        let podman = self.podman.within(deadline);
        podman.remove_container(name, None).await.map(drop).map_err(|e| error::podman(&e))
    }

    async fn rename_container(&self, from: &str, to: &str) -> HostResult<()> {
        let podman = self.podman.within(CHANGE_DEADLINE);
        podman.rename_container(from, to).await.map_err(|e| error::podman(&e))
    }

    async fn remove_network(&self, name: &str) -> HostResult<()> {
        self.podman.remove_network(name).await.map(drop).map_err(|e| error::podman(&e))
    }

    async fn remove_volume(&self, name: &str) -> HostResult<()> {
        let podman = self.podman.within(CHANGE_DEADLINE);
        podman.remove_volume(name).await.map(drop).map_err(|e| error::podman(&e))
    }

    async fn sync_secret(&self, name: &str) -> HostResult<()> {
        let read = |e| error::fatal(error::file(&e));
        let value = self.secrets.read(name).map_err(read)?;
        let hash = self.secrets.keyed_hash([name]).map_err(read)?;
        let labels = [(SECRET_HASH_LABEL.to_owned(), hash)].into();
        let value = match value.expose_trimmed() {
            Some(text) => archy_types::Secret::new(text.as_bytes()),
            None => value,
        };
        self.podman.put_secret(name, &value, &labels).await.map(drop).map_err(|e| error::podman(&e))
    }

    async fn compose_secret(&self, name: &str, template: &str, hash: &str) -> HostResult<()> {
        let broken = |_| error::fatal(UserError::new("internal", "A composed secret broke down."));
        let template = Template::parse(template).map_err(broken)?;
        let text = template.resolve(|placeholder| match placeholder {
            Placeholder::Secret(part) => {
                let secret = self.secrets.read(part).map_err(|e| error::fatal(error::file(&e)))?;
                let text = secret.expose_trimmed().map(str::to_owned);
                text.ok_or_else(|| error::fatal(placeholder.unknown()))
            }
            other => Err(error::fatal(other.unknown())),
        })?;
        let value = archy_types::Secret::new(text.into_bytes());
        let labels = [(SECRET_HASH_LABEL.to_owned(), hash.to_owned())].into();
        self.podman.put_secret(name, &value, &labels).await.map(drop).map_err(|e| error::podman(&e))
    }

    async fn remove_secret(&self, name: &str) -> HostResult<()> {
        self.podman.remove_secret(name).await.map(drop).map_err(|e| error::podman(&e))
    }

    async fn exec(
        &self,
        container: &str,
        command: &[String],
        user: Option<&str>,
        deadline: Duration,
    ) -> HostResult<ExecOutput> {
        let mut request = ExecRequest::new(command.iter().cloned());
        request.user = user.map(str::to_owned);
        request.max_output = MAX_OUTPUT;
        let podman = self.podman.within(deadline);
        let done = podman.exec(container, &request).await.map_err(|e| error::podman(&e))?;
        let output = format!("{}{}", done.stdout_text(), done.stderr_text());
        Ok(ExecOutput { exit_code: i64::from(done.exit_code), output })
    }

    async fn copy_in(&self, container: &str, src: &str, dest: &str) -> HostResult<()> {
        let (base, file) = (self.config.hook_files_dir.clone(), src.to_owned());
        let (name, bytes) = self.blocking(move |_| hook_file::read(&base, &file)).await?;
        let dest_path = Path::new(dest);
        let (directory, file) = match (dest.ends_with('/'), dest_path.file_name()) {
            (false, Some(file)) => {
                let parent = dest_path.parent().unwrap_or(Path::new("/"));
                (parent.to_string_lossy().into_owned(), file.to_string_lossy().into_owned())
            }
            _ => (dest.to_owned(), name),
        };
        let mut tar = Tar::new(Timestamp(0));
        tar.file(&file, 0o644, (0, 0), &bytes)
            .map_err(|e| error::fatal(UserError::new("hook-copy", e.to_string())))?;
        match self.podman.put_archive(container, &directory, tar.finish()).await {
            Ok(()) => Ok(()),
            Err(failure) => Err(self.podman_failure(&failure, None).await),
        }
    }

    async fn http(&self, request: &HookRequest, deadline: Duration) -> HostResult<(u16, String)> {
        super::http::ask(request, deadline, MAX_OUTPUT).await.map_err(error::fatal)
    }
}
