//! The small patterns of text settings, matched in time linear in text and pattern.
//!
//! Literal characters, `.`, classes such as `[a-z0-9_-]` and `[^/]`, the repeats `?`, `*` and `+`
//! on one character; `\` takes the next character as it is. A pattern matches the whole text.

/// Longest pattern in characters.
const LONGEST: usize = 256;

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Item>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    set: Set,
    /// May be left out.
    optional: bool,
    /// May come again.
    again: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Set {
    Any,
    One(char),
    Class { ranges: Vec<(char, char)>, negated: bool },
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Too long.
    #[error("the pattern has more than {LONGEST} characters")]
    TooLong,
    /// `[` without `]`, or an empty or reversed class.
    #[error("the pattern has a class that is not closed, empty or reversed")]
    Class,
    /// A repeat without a character before it.
    #[error("the pattern repeats nothing")]
    Repeat,
    /// `\` at the end.
    #[error("the pattern ends with `\\`")]
    Escape,
    /// A character that means something in larger pattern languages.
    #[error("the pattern has the character `{0}`; write `\\{0}` for the character itself")]
    Reserved(char),
}

impl Pattern {
    /// Parses a pattern. `^` at the start and `$` at the end are taken and change nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.chars().nth(LONGEST).is_some() {
            return Err(PatternError::TooLong);
        }
        let text = text.strip_prefix('^').unwrap_or(text);
        let text = match text.strip_suffix('$') {
            Some(rest) if !rest.ends_with('\\') => rest,
            _ => text,
        };
        let mut items: Vec<Item> = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let set = match c {
                '.' => Set::Any,
                '[' => class(&mut chars)?,
                '\\' => Set::One(chars.next().ok_or(PatternError::Escape)?),
                '?' | '*' | '+' => {
                    let last = items.last_mut().ok_or(PatternError::Repeat)?;
                    if last.optional || last.again {
                        return Err(PatternError::Repeat);
                    }
                    (last.optional, last.again) = (c != '+', c != '?');
                    continue;
                }
                '(' | ')' | '{' | '}' | '|' | '^' | '$' | ']' => {
                    return Err(PatternError::Reserved(c));
                }
                c => Set::One(c),
            };
            items.push(Item { set, optional: false, again: false });
        }
        Ok(Self(items))
    }

    /// True when the whole text fits.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut at = vec![false; self.0.len() + 1];
        if let Some(first) = at.first_mut() {
            *first = true;
        }
        self.skip(&mut at);
        for c in text.chars() {
            let mut next = vec![false; at.len()];
            for (index, item) in self.0.iter().enumerate() {
                if at.get(index) == Some(&true) && item.set.has(c) {
                    let ways = if item.again { index..=index + 1 } else { index + 1..=index + 1 };
                    next.iter_mut().skip(*ways.start()).take(ways.count()).for_each(|p| *p = true);
                }
            }
            self.skip(&mut next);
            at = next;
        }
        at.last() == Some(&true)
    }

    /// Marks what can be reached by leaving optional items out.
    fn skip(&self, at: &mut [bool]) {
        let mut reached = false;
        for (index, place) in at.iter_mut().enumerate() {
            *place |= reached;
            reached = *place && self.0.get(index).is_some_and(|item| item.optional);
        }
    }
}

impl Set {
    fn has(&self, c: char) -> bool {
        match self {
            Self::Any => true,
            Self::One(one) => *one == c,
            Self::Class { ranges, negated } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

fn class(chars: &mut std::str::Chars<'_>) -> Result<Set, PatternError> {
    let rest = chars.as_str();
    let negated = rest.starts_with('^');
    if negated {
        chars.next();
    }
    let mut ranges: Vec<(char, char)> = Vec::new();
    loop {
        let low = match chars.next().ok_or(PatternError::Class)? {
            ']' if !ranges.is_empty() => return Ok(Set::Class { ranges, negated }),
            ']' => return Err(PatternError::Class),
            '\\' => chars.next().ok_or(PatternError::Escape)?,
            c => c,
        };
        let mut ahead = chars.clone();
        let high = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(high)) if high != ']' => {
                *chars = ahead;
                high
            }
            _ => low,
        };
        if low > high {
            return Err(PatternError::Class);
        }
        ranges.push((low, high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matching() {
        for (pattern, yes, no) in [
            ("", &[""][..], &["a"][..]),
            ("abc", &["abc"], &["ab", "abcd", ""]),
            ("^[a-z]+$", &["a", "abc"], &["", "aB"]),
            ("[a-z0-9_-]*", &["", "a_-9"], &["é"]),
            ("a?b+c*", &["b", "abbcc", "bb"], &["a", "ac", "aab"]),
            ("[^/]+/.", &["ab/c"], &["/c", "a/b/c"]),
            (r"\.\?", &[".?"], &["a?"]),
            ("a*a*a*b", &["aaab", "b"], &["aaac"]),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            for text in yes {
                assert!(parsed.matches(text), "{pattern} {text}");
            }
            for text in no {
                assert!(!parsed.matches(text), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn errors() {
        for (pattern, error) in [
            ("[a", PatternError::Class),
            ("[]", PatternError::Class),
            ("[z-a]", PatternError::Class),
            ("*", PatternError::Repeat),
            ("a**", PatternError::Repeat),
            ("\\", PatternError::Escape),
            ("a|b", PatternError::Reserved('|')),
        ] {
            assert_eq!(Pattern::parse(pattern), Err(error), "{pattern}");
        }
        assert_eq!(Pattern::parse(&"a".repeat(257)), Err(PatternError::TooLong));
    }
}
