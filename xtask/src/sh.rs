//! The one place that runs commands: argument vectors only, deadlines, clear errors, progress lines.
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How much of a failed command's output an error carries, in lines.
const TAIL_LINES: usize = 25;
/// How much of a long command line an error shows, in characters.
const SHOWN: usize = 200;
/// How often a long command says that it is still at work.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Why a command gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ShError {
    /// The program is not installed.
    #[error("the program `{program}` is not installed")]
    Missing {
        /// Name of the program.
        program: String,
    },
    /// The command ended with a failure.
    #[error("`{command}` failed ({status}){tail}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its output, on lines of their own; may be empty.
        tail: String,
    },
    /// The command did not end in time and was killed.
    #[error("`{command}` did not end within {} s{tail}", .limit.as_secs())]
    Timeout {
        /// The command line.
        command: String,
        /// The deadline.
        limit: Duration,
        /// The last lines of its output, on lines of their own; may be empty.
        tail: String,
    },
    /// The operating system refused.
    #[error("cannot run `{command}`")]
    Io {
        /// The command line.
        command: String,
        /// The system's reason.
        source: io::Error,
    },
}

impl ShError {
    /// Stable code of this kind of failure.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "sh.missing-program",
            Self::Failed { .. } => "sh.failed",
            Self::Timeout { .. } => "sh.timeout",
            Self::Io { .. } => "sh.io",
        }
    }
}

/// What a command that ended has said. Output that is not UTF-8 is shown with replacement marks.
#[derive(Debug, Clone)]
pub struct Output {
    /// How the command ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// True when the command ended with status 0.
    pub fn ok(&self) -> bool {
        self.status.success()
    }

    /// Standard output without white space around it.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }
}

/// A command to run: program, arguments, environment, input, deadline.
#[derive(Debug, Clone)]
pub struct Cmd {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    input: Option<Vec<u8>>,
    limit: Option<Duration>,
}

impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = std::iter::once(&self.program).chain(&self.args);
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        let line = words.join(" ");
        if line.chars().count() <= SHOWN {
            return f.write_str(&line);
        }
        // what matters in a long one is its beginning and its end
        let head: String = line.chars().take(SHOWN / 2).collect();
        let tail: Vec<char> = line.chars().rev().take(SHOWN / 2).collect();
        write!(f, "{head} … {}", tail.iter().rev().collect::<String>())
    }
}

impl Cmd {
    /// A command without arguments, input or deadline.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            input: None,
            limit: None,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// What the command reads on standard input; without it, nothing.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Kills the command when it runs longer than this.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Runs to the end and returns what it said, whatever its exit status.
    ///
    /// # Errors
    /// When the program is missing, cannot be started or passes its deadline.
    pub fn output(&self) -> Result<Output, ShError> {
        let mut command = self.command();
        command.stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.spawn(&mut command)?;
        let input = self.input.clone().zip(child.stdin.take());
        let feeder = thread::spawn(move || {
            if let Some((bytes, mut pipe)) = input {
                // a command that does not read its input closes the pipe: no failure of ours
                let _closed = pipe.write_all(&bytes);
            }
        });
        let out = collect(child.stdout.take());
        let err = collect(child.stderr.take());
        let ended = self.wait(&mut child, |_| ());
        let _fed = feeder.join();
        let (stdout, stderr) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
        match ended? {
            Some(status) => Ok(Output { status, stdout, stderr }),
            None => Err(self.too_late(&format!("{stdout}{stderr}"))),
        }
    }

    /// Runs to the end; a failure of the command is an error with the end of its output.
    ///
    /// # Errors
    /// As [`Cmd::output`], and when the exit status is not 0.
    pub fn run(&self) -> Result<Output, ShError> {
        let output = self.output()?;
        if output.ok() {
            return Ok(output);
        }
        let tail = tail(&format!("{}{}", output.stdout, output.stderr));
        Err(ShError::Failed { command: self.to_string(), status: output.status, tail })
    }

    /// True when the command could be run and succeeded; for questions like "is it there?".
    pub fn succeeds(&self) -> bool {
        self.output().is_ok_and(|output| output.ok())
    }

    /// Runs with the caller's own standard streams, as for an interactive command.
    ///
    /// # Errors
    /// When the program is missing or cannot be started.
    pub fn attached(&self) -> Result<ExitStatus, ShError> {
        let mut command = self.command();
        let status = command.status();
        status.map_err(|source| self.refused(source))
    }

    /// Runs a long command, its output going to a log file, with a sign of life now and then.
    ///
    /// # Errors
    /// As [`Cmd::run`]; the error carries the end of the log.
    pub fn logged(&self, log: &Path) -> Result<(), ShError> {
        let file = File::create(log).map_err(|source| self.refused(source))?;
        let both = file.try_clone().map_err(|source| self.refused(source))?;
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(file).stderr(both);
        let mut child = self.spawn(&mut command)?;
        let mut beat = Instant::now();
        let ended = self.wait(&mut child, |started| {
            if beat.elapsed() >= HEARTBEAT {
                beat = Instant::now();
                let last = last_line(log);
                let of = log.file_stem().unwrap_or_default().to_string_lossy();
                say(&format!("    … {of}, {} s: {last}", started.elapsed().as_secs()));
            }
        })?;
        let said = || std::fs::read_to_string(log).unwrap_or_default();
        match ended {
            Some(status) if status.success() => Ok(()),
            Some(status) => {
                Err(ShError::Failed { command: self.to_string(), status, tail: tail(&said()) })
            }
            None => Err(self.too_late(&said())),
        }
    }

    /// Starts the command in a session of its own, its output appended to a log, and leaves it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn detached(&self, log: &Path) -> Result<(), ShError> {
        let open = || File::options().create(true).append(true).open(log);
        let (out, err) = (open(), open());
        let mut session = Self::new("setsid").arg("--fork").arg(&self.program).args(&self.args);
        session.env.clone_from(&self.env);
        let mut command = session.command();
        command.stdin(Stdio::null());
        command.stdout(out.map_err(|source| self.refused(source))?);
        command.stderr(err.map_err(|source| self.refused(source))?);
        let status = command.status().map_err(|source| session.refused(source))?;
        if status.success() {
            return Ok(());
        }
        Err(ShError::Failed { command: self.to_string(), status, tail: String::new() })
    }

    #[expect(clippy::disallowed_methods, reason = "the one adapter for commands of the workspace")]
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().map(|(key, value)| (key, value)));
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
    }

    fn spawn(&self, command: &mut Command) -> Result<Child, ShError> {
        command.spawn().map_err(|source| self.refused(source))
    }

    fn refused(&self, source: io::Error) -> ShError {
        let missing = source.kind() == io::ErrorKind::NotFound;
        if missing && self.dir.as_ref().is_none_or(|dir| dir.exists()) {
            return ShError::Missing { program: self.program.to_string_lossy().into_owned() };
        }
        ShError::Io { command: self.to_string(), source }
    }

    fn too_late(&self, said: &str) -> ShError {
        let limit = self.limit.unwrap_or_default();
        ShError::Timeout { command: self.to_string(), limit, tail: tail(said) }
    }

    /// The exit status, or `None` when the deadline passed and the command was killed.
    fn wait(
        &self,
        child: &mut Child,
        mut tick: impl FnMut(Instant),
    ) -> Result<Option<ExitStatus>, ShError> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = child.try_wait().map_err(|source| self.refused(source))? {
                return Ok(Some(status));
            }
            if self.limit.is_some_and(|limit| started.elapsed() >= limit) {
                let _gone = child.kill();
                child.wait().map_err(|source| self.refused(source))?;
                return Ok(None);
            }
            tick(started);
            nap(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}

/// Asks until there is an answer or the deadline has passed.
pub fn wait_until<T>(deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if started.elapsed() >= deadline {
            return None;
        }
        nap(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Prints a line of progress on standard error.
#[expect(clippy::print_stderr, reason = "progress of a command line tool")]
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// Prints a result on standard output.
pub fn print(text: &str) {
    // a reader that went away (`| head`) is no failure
    let _gone = writeln!(io::stdout().lock(), "{text}");
}

/// Does one step of a task, saying what it is and how long it took.
///
/// # Errors
/// Those of the step.
pub fn step<T, E>(what: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let started = Instant::now();
    say(&format!("  … {what}"));
    let result = work();
    let mark = if result.is_ok() { "✓" } else { "✗" };
    say(&format!("  {mark} {what} ({:.1} s)", started.elapsed().as_secs_f64()));
    result
}

/// A variable of the environment, when it is set and not empty.
#[expect(clippy::disallowed_methods, reason = "the command line is an edge: it reads its settings")]
pub fn env(key: &str) -> Option<String> {
    std::env::var(key).ok().filter(|value| !value.is_empty())
}

#[expect(clippy::disallowed_methods, reason = "the pause between two questions, with a deadline")]
fn nap(pause: Duration) {
    thread::sleep(pause);
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(mut pipe) = pipe {
            let _end = pipe.read_to_end(&mut said);
        }
        String::from_utf8_lossy(&said).into_owned()
    })
}

fn tail(said: &str) -> String {
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines[from..].iter().map(|line| format!("\n    {line}")).collect()
}

fn last_line(log: &Path) -> String {
    let Ok(file) = File::open(log) else { return String::new() };
    let lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
    let last = lines.filter(|line| !line.is_empty()).last().unwrap_or_default();
    String::from_utf8_lossy(&last).chars().take(90).collect()
}
