//! What the ignore file of a build context leaves out of it: patterns as Podman and Docker read them.
//!
//! `.containerignore` goes before `.dockerignore`. Each line is a pattern with `*`, `?`, `[…]` and
//! `**`; `!` takes back what a line before it left out. What is below a path that is left out is
//! left out too.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

/// Names of the ignore file; the first that is there counts.
const NAMES: [&str; 2] = [".containerignore", ".dockerignore"];

/// The patterns of one context.
#[derive(Debug, Default)]
pub(super) struct Ignore {
    /// The file that they come from.
    file: Option<&'static str>,
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    takes_back: bool,
    tokens: Vec<Token>,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    One(char),
    /// `?`: one character of a name.
    AnyOne,
    /// `*`: any characters of a name.
    Any,
    /// `**`: any characters of a path.
    AnyPath,
    /// `**/`: nothing, or any directories.
    AnyDirs,
    /// `[a-z]`, or with `^` all others.
    Class {
        others: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Ignore {
    /// Reads the ignore file of a context.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub(super) fn of(context: &Path) -> io::Result<Self> {
        for name in NAMES {
            match fs::read(context.join(name)) {
                Ok(text) => {
                    let text = String::from_utf8_lossy(&text);
                    let patterns = text.lines().filter_map(Pattern::parse).collect();
                    return Ok(Self { file: Some(name), patterns });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self::default())
    }

    /// True for what is not in the context. The ignore file itself always is.
    pub(super) fn leaves_out(&self, path: &Path) -> bool {
        let text = path.to_string_lossy();
        if self.file.is_some_and(|file| file == text) {
            return false;
        }
        let ends = text.match_indices('/').map(|(at, _)| at).chain([text.len()]);
        let paths: Vec<&str> = ends.map(|end| &text[..end]).collect();
        let mut out = false;
        for pattern in &self.patterns {
            // one that would change nothing is not asked
            if pattern.takes_back == out && paths.iter().any(|path| pattern.matches(path)) {
                out = !pattern.takes_back;
            }
        }
        out
    }

    /// True when nothing below a directory that is left out can be in the context.
    pub(super) fn leaves_out_whole(&self) -> bool {
        !self.patterns.iter().any(|pattern| pattern.takes_back)
    }
}

impl Pattern {
    /// A line; nothing for an empty one or a comment.
    fn parse(line: &str) -> Option<Self> {
        let line = line.trim_start_matches('\u{feff}');
        if line.starts_with('#') {
            return None;
        }
        let line = line.trim();
        let (takes_back, line) = match line.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        let names = line.split('/').filter(|name| !name.is_empty() && *name != ".");
        let clean = names.collect::<Vec<_>>().join("/");
        (!clean.is_empty()).then(|| Self { takes_back, tokens: tokens(&clean) })
    }

    /// True when the whole path is matched.
    fn matches(&self, path: &str) -> bool {
        // places in the pattern that the path so far can have come to; the flag tells that it is
        // amid `**/`
        let mut at = BTreeSet::from([(0, false)]);
        self.pass_over(&mut at);
        for letter in path.chars() {
            let mut next = BTreeSet::new();
            for (place, amid) in at {
                match self.tokens.get(place) {
                    Some(Token::AnyPath) => _ = next.insert((place, false)),
                    Some(Token::Any) if letter != '/' => _ = next.insert((place, false)),
                    Some(Token::AnyDirs) => {
                        next.insert((place, true));
                        if letter == '/' {
                            next.insert((place + 1, false));
                        }
                    }
                    Some(token) if !amid && token.takes(letter) => {
                        next.insert((place + 1, false));
                    }
                    _ => {}
                }
            }
            at = next;
            self.pass_over(&mut at);
        }
        at.contains(&(self.tokens.len(), false))
    }

    /// Adds the places behind what may match nothing.
    fn pass_over(&self, at: &mut BTreeSet<(usize, bool)>) {
        for place in 0..self.tokens.len() {
            let may_be_nothing =
                matches!(self.tokens[place], Token::Any | Token::AnyPath | Token::AnyDirs);
            if may_be_nothing && at.contains(&(place, false)) {
                at.insert((place + 1, false));
            }
        }
    }
}

impl Token {
    fn takes(&self, letter: char) -> bool {
        match self {
            Self::One(one) => *one == letter,
            Self::AnyOne => letter != '/',
            Self::Class { others, ranges } => {
                let within = ranges.iter().any(|(from, to)| (*from..=*to).contains(&letter));
                letter != '/' && within != *others
            }
            Self::Any | Self::AnyPath | Self::AnyDirs => false,
        }
    }
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut left = pattern.chars().peekable();
    while let Some(letter) = left.next() {
        tokens.push(match letter {
            '*' if left.next_if_eq(&'*').is_some() => match left.next_if_eq(&'/') {
                Some(_) => Token::AnyDirs,
                None => Token::AnyPath,
            },
            '*' => Token::Any,
            '?' => Token::AnyOne,
            '\\' => Token::One(left.next().unwrap_or('\\')),
            '[' => class(&mut left),
            letter => Token::One(letter),
        });
    }
    tokens
}

/// What is behind `[`.
fn class(left: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Token {
    let others = left.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    while let Some(letter) = left.next().filter(|letter| *letter != ']') {
        let from = if letter == '\\' { left.next().unwrap_or('\\') } else { letter };
        let to = match left.next_if_eq(&'-') {
            Some(_) => left.next_if(|letter| *letter != ']').unwrap_or(from),
            None => from,
        };
        ranges.push((from, to));
    }
    Token::Class { others, ranges }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignore(text: &str) -> Ignore {
        Ignore {
            file: Some(".dockerignore"),
            patterns: text.lines().filter_map(Pattern::parse).collect(),
        }
    }

    #[test]
    fn patterns_mean_what_they_mean_to_a_build() {
        for (patterns, out, within) in [
            ("# a comment\n\n  \n", "", "a # a/b"),
            ("node_modules", "node_modules node_modules/a/b", "src/node_modules node_modules2"),
            ("/target/", "target target/debug", "a/target"),
            ("./tmp", "tmp", "a/tmp"),
            ("*.log", "a.log .log", "a/b.log alog"),
            ("*/*.log", "a/b.log", "b.log a/b/c.log"),
            ("**/*.log", "a.log a/b.log a/b/c.log", "alog"),
            ("**.log", "a.log a/b.log", "a.logs"),
            ("docs/**", "docs/a docs/a/b", "docs docs2/a"),
            ("a/**/z", "a/z a/b/z a/b/c/z", "a/bz az"),
            ("**", "a a/b", ".dockerignore"),
            ("file?", "file1", "file file12"),
            ("file[0-9a]", "file1 filea", "fileb file"),
            ("file[^0-9]", "fileb", "file1"),
            (r"a\*b", "a*b", "axb"),
            ("*.md\n!README.md", "a.md", "README.md"),
            ("docs\n!docs/a", "docs docs/b", "docs/a docs/a/c"),
            ("!a\n*", "a b", ".dockerignore"),
            ("*\n!src\nsrc/tmp", "a src/tmp src/tmp/x", "src src/main"),
        ] {
            let ignore = ignore(patterns);
            for path in out.split_whitespace() {
                assert!(ignore.leaves_out(Path::new(path)), "{patterns:?} leaves out {path}");
            }
            for path in within.split_whitespace() {
                assert!(!ignore.leaves_out(Path::new(path)), "{patterns:?} has {path}");
            }
        }
        assert!(ignore("a\nb").leaves_out_whole() && !ignore("a\n!a/b").leaves_out_whole());
    }
}
