//! Texts whose parts may be filled in by the node: secrets, settings, placeholders.

/// Where a path of the source lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Root {
    /// The app's data directory.
    Own,
    /// The folder that the store's apps share.
    Shared,
    /// What the app gives out to those that ask for a role.
    Given(String),
    /// What the app that fills a role gives out.
    Role(String),
    /// The data directory of another app.
    App(String),
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Atom {
    /// Text that stays.
    Text(String),
    /// A placeholder of manifests, without braces: `HOST_IP`, `role:name`.
    Place(String),
    /// Content of a secret.
    Secret(String),
    /// Value of a setting.
    Setting {
        /// Its key.
        key: String,
        /// It is of kind `secret`.
        secret: bool,
    },
    /// A directory of the host.
    Dir(Root),
    /// A variable that nothing sets.
    Missing(String),
}

/// A text of parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Expr(Vec<Atom>);

impl Expr {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        let mut out = Self::default();
        out.push(Atom::Text(text.into()));
        out
    }

    pub(crate) fn atom(atom: Atom) -> Self {
        let mut out = Self::default();
        out.push(atom);
        out
    }

    pub(crate) fn place(name: impl Into<String>) -> Self {
        Self::atom(Atom::Place(name.into()))
    }

    pub(crate) fn secret(name: impl Into<String>) -> Self {
        Self::atom(Atom::Secret(name.into()))
    }

    /// Adds a part; texts beside each other become one.
    pub(crate) fn push(&mut self, atom: Atom) {
        match (self.0.last_mut(), atom) {
            (_, Atom::Text(text)) if text.is_empty() => {}
            (Some(Atom::Text(last)), Atom::Text(text)) => last.push_str(&text),
            (_, atom) => self.0.push(atom),
        }
    }

    pub(crate) fn extend(&mut self, other: &Self) {
        for atom in &other.0 {
            self.push(atom.clone());
        }
    }

    pub(crate) fn atoms(&self) -> &[Atom] {
        &self.0
    }

    /// The whole as a text, when nothing has to be filled in.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Atom::Text(text)] => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The only part, when there is one.
    pub(crate) fn single(&self) -> Option<&Atom> {
        match self.0.as_slice() {
            [atom] => Some(atom),
            _ => None,
        }
    }

    pub(crate) fn has_secret(&self) -> bool {
        self.0.iter().any(|a| matches!(a, Atom::Secret(_) | Atom::Setting { secret: true, .. }))
    }

    /// The same with the texts changed.
    pub(crate) fn map_text(&self, mut change: impl FnMut(&str) -> String) -> Self {
        let mut out = Self::default();
        for atom in &self.0 {
            out.push(match atom {
                Atom::Text(text) => Atom::Text(change(text)),
                other => other.clone(),
            });
        }
        out
    }

    /// The same with each text replaced by an expression.
    pub(crate) fn split_text(&self, mut change: impl FnMut(&str) -> Self) -> Self {
        let mut out = Self::default();
        for atom in &self.0 {
            match atom {
                Atom::Text(text) => out.extend(&change(text)),
                other => out.push(other.clone()),
            }
        }
        out
    }

    /// The template of a manifest; nothing when a text has braces that a template would read.
    pub(crate) fn template(&self) -> Option<String> {
        let mut out = String::new();
        for atom in &self.0 {
            match atom {
                Atom::Text(text) if text.contains("{{") => return None,
                Atom::Text(text) => out.push_str(text),
                Atom::Place(name) => out.push_str(&format!("{{{{{name}}}}}")),
                Atom::Secret(name) => out.push_str(&format!("{{{{secret:{name}}}}}")),
                Atom::Setting { key, .. } => out.push_str(&format!("{{{{config:{key}}}}}")),
                Atom::Dir(_) | Atom::Missing(_) => {}
            }
        }
        // `{` before a placeholder would be read as its beginning
        (!out.contains("{{{")).then_some(out)
    }

    /// The text for findings: names instead of values.
    pub(crate) fn shown(&self) -> String {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|atom| match atom {
                Atom::Text(text) => text.clone(),
                Atom::Place(name) => format!("{{{{{name}}}}}"),
                Atom::Secret(name) => format!("<secret {name}>"),
                Atom::Setting { key, .. } => format!("<setting {key}>"),
                Atom::Dir(Root::Own) => "<app data>".to_owned(),
                Atom::Dir(Root::Shared) => "<shared folder>".to_owned(),
                Atom::Dir(Root::Given(role)) => format!("<what {role} gives out>"),
                Atom::Dir(Root::Role(role)) => format!("<what {role} gives out>"),
                Atom::Dir(Root::App(app)) => format!("<data of {app}>"),
                Atom::Missing(name) => format!("${{{name}}}"),
            })
            .collect();
        crate::report::shorten(&parts.concat())
    }
}

/// Splits a command line into words, as a shell does without expanding anything.
pub(crate) fn words(expr: &Expr) -> Vec<Expr> {
    let mut out = Vec::new();
    let mut word: Option<Expr> = None;
    let mut quote: Option<char> = None;
    for atom in expr.atoms() {
        let Atom::Text(text) = atom else {
            word.get_or_insert_default().push(atom.clone());
            continue;
        };
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (None, '"' | '\'') => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                (None, c) if c.is_whitespace() => out.extend(word.take()),
                (None | Some('"'), '\\') => {
                    let next = chars.next();
                    let kept = match (quote, next) {
                        (Some(_), Some(c)) if !matches!(c, '"' | '\\' | '$' | '`') => {
                            format!("\\{c}")
                        }
                        (_, Some(c)) => c.to_string(),
                        (_, None) => "\\".to_owned(),
                    };
                    word.get_or_insert_default().push(Atom::Text(kept));
                }
                (_, c) => word.get_or_insert_default().push(Atom::Text(c.to_string())),
            }
        }
    }
    out.extend(word);
    out
}

/// A word in quotes for a shell.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:=,@+-%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines() {
        for (text, expected) in [
            ("a b  c", &["a", "b", "c"][..]),
            ("sh -c 'x && \"y\"'", &["sh", "-c", "x && \"y\""]),
            (r#"a "b \" c" d\ e"#, &["a", "b \" c", "d e"]),
            ("a '' b", &["a", "", "b"]),
            ("  ", &[]),
        ] {
            let found: Vec<_> =
                words(&Expr::text(text)).iter().map(|w| w.as_text().unwrap().to_owned()).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn templates() {
        let mut expr = Expr::text("a ");
        expr.push(Atom::Secret("s".into()));
        expr.push(Atom::Place("HOST_IP".into()));
        assert_eq!(expr.template().as_deref(), Some("a {{secret:s}}{{HOST_IP}}"));
        assert_eq!(Expr::text("{{x}}").template(), None);
        let mut braces = Expr::text("{");
        braces.extend(&Expr::secret("s"));
        assert_eq!(braces.template(), None);
    }
}
