//! `archy dial`: standard input and output become a connection to the daemon, or to a port of this machine. It is the
//! other end of a program that reaches a node, as with `ssh node archy dial`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::context::Context;
use crate::error::{CommandError, Kind};

const LIMIT: Duration = Duration::from_secs(10);
const BUFFER: usize = 64 * 1024;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Connect to this address instead of the daemon; one byte says that the connection stands
    #[arg(long, value_name = "ADDRESS:PORT")]
    tcp: Option<SocketAddr>,
}

/// Runs it.
pub(crate) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    match args.tcp {
        Some(to) => {
            let failed = |error| failed(&to.to_string(), &error);
            let stream = TcpStream::connect_timeout(&to, LIMIT).map_err(failed)?;
            let there = stream.try_clone().map_err(failed)?;
            let ended = stream.try_clone().map_err(failed)?;
            // not fed through a buffer of lines
            output().and_then(|mut out| out.write_all(b"+")).map_err(failed)?;
            splice(stream, there, move || _ = ended.shutdown(Shutdown::Write)).map_err(failed)
        }
        None => {
            let failed = |error| failed(&context.socket.display().to_string(), &error);
            let stream = UnixStream::connect(&context.socket).map_err(failed)?;
            let there = stream.try_clone().map_err(failed)?;
            let ended = stream.try_clone().map_err(failed)?;
            splice(stream, there, move || _ = ended.shutdown(Shutdown::Write)).map_err(failed)
        }
    }
}

fn failed(to: &str, error: &io::Error) -> CommandError {
    CommandError::new(Kind::Unreachable, "dial-failed", format!("{to}: {error}."))
        .hint("`systemctl status archipelago` shows whether the daemon runs.")
}

fn output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Copies both ways until the other side has ended.
fn splice(
    mut from: impl Read,
    mut to: impl Write + Send + 'static,
    ended: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    std::thread::spawn(move || {
        // the end of our input, and of its reader, is the end of what we send
        let _ended = pass(&mut io::stdin().lock(), &mut to);
        ended();
    });
    pass(&mut from, &mut output()?)
}

/// Passes on what there is at once; `io::copy` may leave it to the kernel, which waits for more.
fn pass(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => to.write_all(buffer.get(..length).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
