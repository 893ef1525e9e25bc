//! The form of a script: comment, sections, commands with their output.

use anyhow::{Context as _, bail, ensure};

/// A command and what it prints.
#[derive(Debug)]
pub(crate) struct Command {
    /// The line without the `$`.
    pub(crate) line: String,
    /// What it prints, each line with its end.
    pub(crate) output: String,
}

/// A script.
#[derive(Debug)]
pub(crate) struct Script {
    /// Everything in front of the first command, as it is written.
    head: String,
    /// Manifests: name and text.
    pub(crate) manifests: Vec<(String, String)>,
    /// Facts about the host, one a line.
    pub(crate) host: Vec<String>,
    /// Commands in order.
    pub(crate) commands: Vec<Command>,
}

/// Where lines go.
enum Section {
    Comment,
    Manifest,
    Host,
    Script,
}

impl Script {
    /// Reads a script.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        ensure!(text.starts_with("# "), "a script begins with `#` and what it shows");
        let mut script = Self {
            head: String::new(),
            manifests: Vec::new(),
            host: Vec::new(),
            commands: Vec::new(),
        };
        let mut section = Section::Comment;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("--- ") {
                section = script.begin(name)?;
            } else {
                script.line(&section, line)?;
            }
            if script.commands.is_empty() {
                script.head.push_str(line);
                script.head.push('\n');
            }
        }
        ensure!(!script.commands.is_empty(), "there is no command in it");
        for command in &mut script.commands {
            // a blank line stands between a command's output and the next command
            let end = command.output.trim_end_matches('\n').len();
            command.output.truncate(end);
            if end > 0 {
                command.output.push('\n');
            }
        }
        Ok(script)
    }

    fn begin(&mut self, name: &str) -> anyhow::Result<Section> {
        ensure!(self.commands.is_empty(), "the section {name} comes after the commands");
        if let Some(name) = name.strip_prefix("manifest ") {
            ensure!(self.manifest(name).is_err(), "the manifest {name} is there twice");
            self.manifests.push((name.to_owned(), String::new()));
            return Ok(Section::Manifest);
        }
        match name {
            "host" => Ok(Section::Host),
            "script" => Ok(Section::Script),
            other => bail!("{other:?} is no section: manifest NAME, host, script"),
        }
    }

    fn line(&mut self, section: &Section, line: &str) -> anyhow::Result<()> {
        match section {
            Section::Comment => ensure!(line.starts_with('#'), "{line:?} stands outside a section"),
            Section::Manifest => {
                if let Some((_, text)) = self.manifests.last_mut() {
                    text.push_str(line);
                    text.push('\n');
                }
            }
            Section::Host => {
                if !line.trim().is_empty() {
                    self.host.push(line.to_owned());
                }
            }
            Section::Script => match (line.strip_prefix("$ "), self.commands.last_mut()) {
                (Some(line), _) => {
                    self.commands.push(Command { line: line.to_owned(), output: String::new() });
                }
                (None, Some(command)) => {
                    command.output.push_str(line);
                    command.output.push('\n');
                }
                (None, None) => bail!("{line:?} stands before the first command"),
            },
        }
        Ok(())
    }

    /// The text of a manifest.
    pub(crate) fn manifest(&self, name: &str) -> anyhow::Result<&str> {
        let found = self.manifests.iter().find(|(known, _)| known == name);
        found.map(|(_, text)| text.as_str()).with_context(|| format!("no manifest {name}"))
    }

    /// The script as a file.
    pub(crate) fn to_text(&self) -> String {
        let mut text = self.head.clone();
        for (index, command) in self.commands.iter().enumerate() {
            if index > 0 {
                text.push('\n');
            }
            text.push_str("$ ");
            text.push_str(&command.line);
            text.push('\n');
            text.push_str(&command.output);
        }
        text
    }
}
