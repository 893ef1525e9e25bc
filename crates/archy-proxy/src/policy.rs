//! Content security policies of apps (W3C Content Security Policy Level 3), widened by as little as a
//! declared wish needs. Pure.

/// What a page must be allowed beside what its app allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// A script of the gate's.
    pub(crate) script: Option<Script>,
    /// A page that its scripts put into a frame.
    pub(crate) frame: Option<String>,
    /// Who may put the page into a frame, in place of what it says.
    pub(crate) ancestors: Option<String>,
}

/// A script by its address and by the nonce of its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) url: String,
    pub(crate) nonce: String,
}

/// The policies of one header line, widened. What they say otherwise stays as it is written.
pub(crate) fn widen(line: &str, needs: &Needs) -> String {
    let policies = line.split(',').map(|policy| one(policy, needs));
    policies.collect::<Vec<_>>().join(", ")
}

fn one(policy: &str, needs: &Needs) -> String {
    let mut policy = Policy::parse(policy);
    if let Some(script) = &needs.script {
        let names = ["script-src-elem", "script-src", "default-src"];
        policy.allow(&names, "script-src", |sources| script.source(sources));
    }
    if let Some(frame) = &needs.frame {
        let names = ["frame-src", "child-src", "default-src"];
        policy.allow(&names, "frame-src", |_| Some(frame.clone()));
    }
    if let Some(ancestors) = &needs.ancestors
        && let Some(directive) = policy.find("frame-ancestors")
    {
        directive.1 = vec![ancestors.clone()];
    }
    policy.text()
}

impl Script {
    /// What to add to sources so that the script runs; nothing when it does already.
    fn source(&self, sources: &[String]) -> Option<String> {
        let has = |word: &str| sources.iter().any(|source| source.eq_ignore_ascii_case(word));
        let exact = |source: &String| {
            let source = source.to_ascii_lowercase();
            ["'nonce-", "'sha256-", "'sha384-", "'sha512-"]
                .iter()
                .any(|kind| source.starts_with(kind))
        };
        if has("'strict-dynamic'") {
            return Some(format!("'nonce-{}'", self.nonce));
        }
        if has("'self'") || has("*") {
            return None;
        }
        // a nonce would switch 'unsafe-inline' off, so it is given only where there is one already
        match sources.iter().any(exact) {
            true => Some(format!("'nonce-{}'", self.nonce)),
            false => Some(self.url.clone()),
        }
    }
}

/// Directives and their values, in order.
struct Policy(Vec<(String, Vec<String>)>);

impl Policy {
    fn parse(text: &str) -> Self {
        let directives = text.split(';').map(str::split_whitespace);
        Self(
            directives
                .filter_map(|mut words| {
                    Some((words.next()?.to_owned(), words.map(str::to_owned).collect()))
                })
                .collect(),
        )
    }

    /// The first of a name counts (section 4.2.1).
    fn find(&mut self, name: &str) -> Option<&mut (String, Vec<String>)> {
        self.0.iter_mut().find(|directive| directive.0.eq_ignore_ascii_case(name))
    }

    /// Adds a source to the first of these directives that is there; one that stands in for others
    /// (`default-src`) stays, and `own` is made beside it.
    fn allow(&mut self, names: &[&str], own: &str, source: impl Fn(&[String]) -> Option<String>) {
        let Some(name) = names.iter().copied().find(|name| self.find(name).is_some()) else {
            return;
        };
        let Some(directive) = self.find(name) else { return };
        let Some(source) = source(&directive.1) else { return };
        let mut sources = directive.1.clone();
        sources.retain(|source| !source.eq_ignore_ascii_case("'none'"));
        sources.push(source);
        if name == "default-src" {
            self.0.push((own.to_owned(), sources));
        } else {
            directive.1 = sources;
        }
    }

    fn text(&self) -> String {
        let words = |(name, values): &(String, Vec<String>)| {
            std::iter::once(name.as_str())
                .chain(values.iter().map(String::as_str))
                .collect::<Vec<_>>()
                .join(" ")
        };
        self.0.iter().map(words).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_widened_by_what_is_needed_and_no_more() {
        let script = Script {
            url: "https://n.local:81/nostr-provider.js".to_owned(),
            nonce: "abc".to_owned(),
        };
        let needs = Needs {
            script: Some(script),
            frame: Some("https://n.local".to_owned()),
            ancestors: Some("'self' https://n.local:*".to_owned()),
        };
        for (given, wanted) in [
            ("", ""),
            ("img-src *", "img-src *"),
            ("script-src 'self'; img-src *", "script-src 'self'; img-src *"),
            (
                "default-src 'none'",
                "default-src 'none'; script-src https://n.local:81/nostr-provider.js; \
                 frame-src https://n.local",
            ),
            ("default-src 'self'", "default-src 'self'; frame-src 'self' https://n.local"),
            (
                "script-src 'unsafe-inline' https://cdn",
                "script-src 'unsafe-inline' https://cdn https://n.local:81/nostr-provider.js",
            ),
            ("script-src 'sha256-x'", "script-src 'sha256-x' 'nonce-abc'"),
            (
                "script-src 'self' 'strict-dynamic' 'nonce-own'",
                "script-src 'self' 'strict-dynamic' 'nonce-own' 'nonce-abc'",
            ),
            (
                "frame-src 'none'; frame-ancestors 'none'",
                "frame-src https://n.local; frame-ancestors 'self' https://n.local:*",
            ),
            ("img-src a, script-src 'self'", "img-src a, script-src 'self'"),
        ] {
            assert_eq!(widen(given, &needs), wanted, "{given}");
        }
        assert_eq!(widen("frame-ancestors 'none'", &Needs::default()), "frame-ancestors 'none'");
    }
}
