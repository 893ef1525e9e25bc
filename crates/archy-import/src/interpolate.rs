//! Variables in compose files: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:?message}`,
//! `${NAME:+other}`, and `$$` for a dollar. Source: compose specification, "Interpolation".

/// Deepest nesting of defaults.
const MAX_DEPTH: usize = 16;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text that stays.
    Text(String),
    /// A variable.
    Variable {
        /// Its name.
        name: String,
        /// What stands beside it.
        form: Form,
    },
}

/// What stands beside the name of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// Nothing: empty when it is not set.
    Bare,
    /// `-` or `:-`: another value when it is not set; `empty` when also for an empty one.
    Default {
        /// With `:`.
        empty: bool,
        /// The other value.
        value: Vec<Piece>,
    },
    /// `?` or `:?`: must be set, with what is said otherwise.
    Required(String),
    /// `+` or `:+`: this when it is set, else nothing.
    Instead(Vec<Piece>),
}

/// Reads a text. Never fails: what is no variable stays as text, as a shell's `${` in a command.
#[must_use]
pub(crate) fn parse(text: &str) -> Vec<Piece> {
    parse_at(text, 0)
}

fn parse_at(text: &str, depth: usize) -> Vec<Piece> {
    let mut out = Pieces::default();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let (before, after) = rest.split_at(dollar);
        out.text(before);
        let after = after.get(1..).unwrap_or_default();
        if let Some(tail) = after.strip_prefix('$') {
            out.text("$");
            rest = tail;
        } else if let Some((piece, tail)) = variable(after, depth) {
            out.0.push(piece);
            rest = tail;
        } else {
            out.text("$");
            rest = after;
        }
    }
    out.text(rest);
    out.0
}

#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn text(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.0.push(Piece::Text(text.to_owned())),
        }
    }
}

/// Reads what follows a dollar.
fn variable(text: &str, depth: usize) -> Option<(Piece, &str)> {
    if let Some(inner) = text.strip_prefix('{') {
        let end = closing(inner)?;
        let (body, tail) = (inner.get(..end)?, inner.get(end + 1..)?);
        let (name, rest) = name(body)?;
        return Some((Piece::Variable { name: name.to_owned(), form: form(rest, depth)? }, tail));
    }
    let (name, tail) = name(text)?;
    Some((Piece::Variable { name: name.to_owned(), form: Form::Bare }, tail))
}

/// Where the brace closes that was open before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    let mut dollar = false;
    for (at, c) in text.char_indices() {
        match c {
            '{' if dollar => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
        dollar = c == '$';
    }
    None
}

fn name(text: &str) -> Option<(&str, &str)> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c: char| !word(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    good.then_some((name, rest))
}

fn form(text: &str, depth: usize) -> Option<Form> {
    let nested = |text: &str| match depth < MAX_DEPTH {
        true => parse_at(text, depth + 1),
        false => vec![Piece::Text(text.to_owned())],
    };
    let (empty, rest) = match text.strip_prefix(':') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    match rest.chars().next() {
        None if !empty => Some(Form::Bare),
        Some('-') => Some(Form::Default { empty, value: nested(rest.get(1..)?) }),
        Some('?') => Some(Form::Required(rest.get(1..)?.to_owned())),
        Some('+') => Some(Form::Instead(nested(rest.get(1..)?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With `A` set to `a`, `E` to nothing; required variables print as `!NAME`.
    fn shown(pieces: &[Piece]) -> String {
        let value = |name: &str| match name {
            "A" => Some("a"),
            "E" => Some(""),
            _ => None,
        };
        let mut out = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Variable { name, form } => out.push_str(&match (value(name), form) {
                    (Some(""), Form::Default { empty: true, value }) => shown(value),
                    (None, Form::Default { value, .. }) => shown(value),
                    (None, Form::Required(_)) => format!("!{name}"),
                    (Some(_), Form::Instead(value)) => shown(value),
                    (_, Form::Instead(_)) => String::new(),
                    (value, _) => value.unwrap_or_default().to_owned(),
                }),
            }
        }
        out
    }

    #[test]
    fn the_forms() {
        for (text, expected) in [
            ("plain", "plain"),
            ("$A", "a"),
            ("x${A}y", "xay"),
            ("$A/$B/c", "a//c"),
            ("${B:-d}", "d"),
            ("${E:-d}${E-d}", "d"),
            ("${B:-${A}}", "a"),
            ("${B-${C:-${A}x}}z", "axz"),
            ("${B:?no}", "!B"),
            ("${A:+yes}${B:+no}", "yes"),
            ("$$A $$$A", "$A $a"),
            ("${B:-{\"a\":1}}", "{\"a\":1}"),
            ("${A", "${A"),
            ("$1 ${1} $ ${A!x}", "$1 ${1} $ ${A!x}"),
            ("${A:}", "${A:}"),
            ("é$Aé", "éaé"),
        ] {
            assert_eq!(shown(&parse(text)), expected, "{text}");
        }
    }
}
