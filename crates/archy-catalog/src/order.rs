//! Which of two versions of an app is the newer one.

use std::cmp::Ordering;

/// Compares two versions as apps write them. This is a total order over all texts.
///
/// Runs of digits count as numbers, so that `1.9` and `2026.9` are older than `1.10` and
/// `2026.10`; missing parts as nought (`1.0` is `1.0.0`); what follows a hyphen makes a version
/// older than the one without it (`1.0-rc.1` is older than `1.0`), what follows a plus sign and a
/// leading `v` make no difference. For semantic versions that is their own order.
#[must_use]
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    Key::of(a).cmp(&Key::of(b))
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    numbers: Vec<Run<'a>>,
    released: bool,
    pre: Vec<PreRun<'a>>,
}

/// A number of any length: its length without leading noughts, then its digits.
type Number<'a> = (usize, &'a str);

/// Before the hyphen a number is newer than a word (`1.0` than `1.beta`).
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Run<'a> {
    Word(&'a str),
    Number(Number<'a>),
}

/// After the hyphen a word is newer than a number (semantic versioning, §11.4.3).
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum PreRun<'a> {
    Number(Number<'a>),
    Word(&'a str),
}

impl<'a> Key<'a> {
    fn of(version: &'a str) -> Self {
        let version = version.trim();
        let version = version
            .strip_prefix(['v', 'V'])
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            .unwrap_or(version);
        let (version, _) = version.split_once('+').unwrap_or((version, ""));
        let (numbers, pre) = match version.split_once('-') {
            Some((numbers, pre)) => (numbers, Some(pre)),
            None => (version, None),
        };
        let mut numbers = runs(numbers, Run::Number, Run::Word);
        while numbers.last() == Some(&Run::Number((0, ""))) {
            numbers.pop();
        }
        let released = pre.is_none();
        let pre = runs(pre.unwrap_or_default(), PreRun::Number, PreRun::Word);
        Self { numbers, released, pre }
    }
}

fn runs<'a, T>(
    text: &'a str,
    number: impl Fn(Number<'a>) -> T,
    word: impl Fn(&'a str) -> T,
) -> Vec<T> {
    let mut runs = Vec::new();
    for part in text.split(['.', '-', '_']) {
        let mut rest = part;
        while let Some(first) = rest.chars().next() {
            let digits = first.is_ascii_digit();
            let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
            let (run, after) = rest.split_at(end);
            rest = after;
            runs.push(if digits {
                let plain = run.trim_start_matches('0');
                number((plain.len(), plain))
            } else {
                word(run)
            });
        }
    }
    runs
}
