//! From a draft to a manifest's services: names, passwords, commands and the environment.

use archy_manifest::model::SecretKind;
use archy_manifest::schema::{Container, DerivedEnv, Env, SecretEnv};
use indexmap::IndexMap;

use crate::compose;
use crate::draft::{Class, Draft, Svc, class, is_dns_name};
use crate::expr::{Atom, Expr, Root, quoted};

/// Servers of images that take arguments alone.
const IMAGES: &str = include_str!("../data/images.yml");

mod literals;
mod settle;

pub(crate) use settle::{Door, settle};

/// Lowers all services into the app.
pub(crate) fn finish(draft: &mut Draft<'_>) {
    draft.services.retain(|_, svc| compose::is_runnable(&svc.container));
    rename(draft);
    literals::generate(draft);
    let mut services: IndexMap<String, Svc> = std::mem::take(&mut draft.services);
    for (original, svc) in &mut services {
        let place = format!("services.{original}");
        command(draft, svc, &place);
        environment(draft, svc, &place);
        let container = if svc.name == "main" {
            draft.app.id.clone()
        } else {
            format!("{}-{}", draft.app.id, svc.name)
        };
        svc.container.aliases = compose::aliases(svc, original, &container);
        if svc.shared {
            svc.container.network = Some("archy-net".to_owned());
        }
        if svc.container.network.as_deref() == Some("none") {
            svc.container.aliases.clear();
            svc.container.ports.clear();
        }
        draft.app.services.insert(svc.name.clone(), std::mem::take(&mut svc.container));
    }
    // `main` first
    draft.app.services.sort_by_cached_key(|name, _| name != "main");
    unused(draft);
}

/// Names that are no DNS names stand in the app's own values: there the service's name takes
/// their place.
fn rename(draft: &mut Draft<'_>) {
    let mut odd: Vec<(String, String)> = Vec::new();
    for (original, svc) in &draft.services {
        for name in std::iter::once(original).chain(&svc.names) {
            if !is_dns_name(name) && !name.is_empty() {
                odd.push((name.clone(), svc.name.clone()));
            }
        }
    }
    odd.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    if odd.is_empty() {
        return;
    }
    let mut renamed: Vec<(String, String)> = Vec::new();
    let mut change = |expr: &Expr| {
        expr.map_text(|text| {
            let mut text = text.to_owned();
            for (name, service) in &odd {
                if let Some(new) = replace_word(&text, name, service) {
                    text = new;
                    if !renamed.contains(&(name.clone(), service.clone())) {
                        renamed.push((name.clone(), service.clone()));
                    }
                }
            }
            text
        })
    };
    for svc in draft.services.values_mut() {
        // a word that is a user or a database as well is no host: those are whole values
        for (key, value) in &mut svc.env {
            if names_no_host(key, value) {
                continue;
            }
            *value = change(value);
        }
        for word in svc.command.iter_mut().chain(svc.entrypoint.iter_mut().flatten()) {
            *word = change(word);
        }
        for word in svc.health.iter_mut().flatten() {
            *word = change(word);
        }
    }
    for (name, service) in renamed {
        let message = format!("`{name}` is no DNS name; `{service}` takes its place");
        draft.find("fixed-name", "services", message);
    }
}

/// True for variables that hold a name of something else than a host.
fn names_no_host(key: &str, value: &Expr) -> bool {
    let upper = key.to_ascii_uppercase();
    let whole = value.as_text().is_some_and(|text| !text.contains([':', '/', '.', '@']));
    let other = ["USER", "USERNAME", "DB", "DATABASE", "DBNAME", "DB_NAME", "PASSWORD", "_NAME"];
    whole && other.iter().any(|end| upper.ends_with(end))
}

/// Replaces a word in a text; nothing when it is not there.
fn replace_word(text: &str, word: &str, with: &str) -> Option<String> {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let mut out = String::new();
    let mut rest = text;
    let mut found = false;
    while let Some(at) = rest.find(word) {
        let (before, after) = (rest.get(..at)?, rest.get(at + word.len()..)?);
        let joined = before.ends_with(part)
            || after.starts_with(part)
            || before.is_empty() && out.ends_with(part);
        out.push_str(before);
        out.push_str(if joined { word } else { with });
        found |= !joined;
        rest = after;
    }
    out.push_str(rest);
    found.then_some(out)
}

/// Commands and health checks: what has to be filled in comes from the environment, through a shell.
fn command(draft: &mut Draft<'_>, svc: &mut Svc, place: &str) {
    let entrypoint = std::mem::take(&mut svc.entrypoint);
    let args = std::mem::take(&mut svc.command);
    match entrypoint {
        Some(words) if words.is_empty() => {
            let message = "an empty entry point; the image's own stays";
            draft.find("unsupported-key", &format!("{place}.entrypoint"), message);
        }
        Some(mut words) if words.iter().chain(&args).any(|w| w.as_text().is_none()) => {
            words.extend(args);
            let lowered = through_shell(draft, svc, &words, &format!("{place}.entrypoint"));
            svc.container.entrypoint = Some(lowered);
            return;
        }
        Some(words) => svc.container.entrypoint = Some(texts(&words)),
        None => {}
    }
    let here = format!("{place}.command");
    if let Some(lowered) = arguments(&args) {
        svc.container.command = lowered;
    } else if let Some(server) = server(svc, &args) {
        let mut words = vec![Expr::text(server)];
        words.extend(args);
        svc.container.command = through_shell(draft, svc, &words, &here);
    } else if svc.container.entrypoint.is_none()
        && args.first().and_then(Expr::as_text).is_none_or(|first| first.starts_with('-'))
    {
        let message = "arguments for an entry point that the source does not name hold values that are filled in";
        draft.find("unresolved-variable", &here, message);
        svc.container.command = args.iter().filter_map(Expr::as_text).map(str::to_owned).collect();
    } else {
        svc.container.command = through_shell(draft, svc, &args, &here);
    }
    if let Some(words) = std::mem::take(&mut svc.health) {
        let here = format!("{place}.healthcheck");
        let words = match words.iter().all(|word| word.as_text().is_some()) {
            true => texts(&words),
            false => through_shell(draft, svc, &words, &here),
        };
        if let Some(health) = svc.container.health.as_mut() {
            health.command = words;
        }
    }
}

/// Arguments as a manifest takes them: with placeholders, without secrets.
fn arguments(words: &[Expr]) -> Option<Vec<String>> {
    let open = |atom: &Atom| match atom {
        Atom::Text(_) | Atom::Place(_) => false,
        Atom::Setting { secret, .. } => *secret,
        Atom::Secret(_) | Atom::Dir(_) | Atom::Missing(_) => true,
    };
    words
        .iter()
        .map(|word| match word.as_text() {
            Some(text) => Some(text.to_owned()),
            None if word.atoms().iter().any(open) => None,
            None => word.template(),
        })
        .collect()
}

/// The server that an image's entry point puts before arguments that begin with `-`.
fn server(svc: &Svc, args: &[Expr]) -> Option<String> {
    let dash =
        |expr: &Expr| matches!(expr.atoms().first(), Some(Atom::Text(t)) if t.starts_with('-'));
    if svc.container.entrypoint.is_some() || !args.first().is_some_and(dash) {
        return None;
    }
    let image = svc.container.image.as_deref()?.split('@').next()?;
    let name = image.rsplit('/').next()?.split(':').next()?;
    let table = crate::value::read(IMAGES.as_bytes()).ok()?;
    table.text_of(name).map(str::to_owned)
}

fn texts(words: &[Expr]) -> Vec<String> {
    words.iter().filter_map(Expr::as_text).map(str::to_owned).collect()
}

/// A command whose open parts are variables of the container.
fn through_shell(draft: &mut Draft<'_>, svc: &mut Svc, words: &[Expr], place: &str) -> Vec<String> {
    if words.iter().any(Expr::has_secret) {
        draft.find("secret-in-command", place, "a shell in the container fills it in");
    }
    let is_shell =
        |word: &str| matches!(word.rsplit('/').next(), Some("sh" | "bash" | "ash" | "dash"));
    let first = words.first().and_then(Expr::as_text).unwrap_or_default().to_owned();
    let flag = words.get(1).and_then(Expr::as_text).unwrap_or_default().to_owned();
    if is_shell(&first) && flag.starts_with('-') && flag.contains('c') {
        let mut out = vec![first, flag];
        for word in words.iter().skip(2) {
            let script = filled(draft, svc, word, place, |text| text.to_owned(), "");
            out.push(script);
        }
        return out;
    }
    let script: Vec<String> = words
        .iter()
        .map(|word| match word.as_text() {
            Some(text) => quoted(text),
            None => filled(draft, svc, word, place, quoted, "\""),
        })
        .collect();
    vec!["sh".to_owned(), "-c".to_owned(), format!("exec {}", script.join(" "))]
}

/// A word for a shell, with variables of the container in the place of its open parts.
fn filled(
    draft: &mut Draft<'_>,
    svc: &mut Svc,
    word: &Expr,
    place: &str,
    text: impl Fn(&str) -> String,
    quote: &str,
) -> String {
    let mut out = String::new();
    for atom in word.atoms() {
        match atom {
            Atom::Text(part) => out.push_str(&text(part)),
            Atom::Missing(_) => {}
            Atom::Dir(_) => {
                let message = format!("a directory of the host in a command: {}", word.shown());
                draft.find("unresolved-variable", place, message);
            }
            open => {
                let name = variable_of(svc, open);
                out.push_str(&format!("{quote}${{{name}}}{quote}"));
            }
        }
    }
    out
}

/// A variable of the container that holds a part; a new one when there is none.
fn variable_of(svc: &mut Svc, atom: &Atom) -> String {
    let wanted = Expr::atom(atom.clone());
    let shell = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if let Some((name, _)) = svc.env.iter().find(|(name, value)| shell(name) && **value == wanted) {
        return name.clone();
    }
    let base = match atom {
        Atom::Secret(name) => name.as_str(),
        Atom::Setting { key, .. } => key.as_str(),
        Atom::Place(name) => name.as_str(),
        _ => "VALUE",
    };
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name = format!("ARCHY_{}", base.chars().map(word).collect::<String>());
    svc.env.insert(name.clone(), wanted);
    name
}

/// The environment: plain, from templates, from secrets, from settings.
fn environment(draft: &mut Draft<'_>, svc: &mut Svc, place: &str) {
    let mut plain: IndexMap<String, String> = IndexMap::new();
    let mut derived: IndexMap<String, String> = IndexMap::new();
    let mut secret: IndexMap<String, String> = IndexMap::new();
    for (key, value) in std::mem::take(&mut svc.env) {
        let here = format!("{place}.environment.{key}");
        let value = located(draft, &value, &here);
        if let Some(text) = value.as_text() {
            plain.insert(key, text.to_owned());
            continue;
        }
        match value.single() {
            Some(Atom::Secret(name)) => {
                secret.insert(key, name.clone());
            }
            Some(Atom::Setting { key: setting, .. }) => draft.target(setting, &svc.name, &key),
            _ => match value.template() {
                Some(template) => _ = derived.insert(key, template),
                None => {
                    let message = "has braces that a template would read";
                    draft.find("unreadable", &here, message);
                }
            },
        }
    }
    let container: &mut Container = &mut svc.container;
    container.env = (!plain.is_empty()).then_some(Env::Map(plain));
    container.derived_env = (!derived.is_empty()).then_some(DerivedEnv::Map(derived));
    container.secret_env = (!secret.is_empty()).then_some(SecretEnv::Map(secret));
}

/// Directories of the host in a value: the container has other paths.
fn located(draft: &mut Draft<'_>, value: &Expr, place: &str) -> Expr {
    let mut out = Expr::default();
    for atom in value.atoms() {
        match atom {
            Atom::Dir(root) => {
                let message = format!(
                    "a directory of the host, which the app does not see: {}",
                    value.shown()
                );
                draft.find("replaced-host", place, message);
                let id = &draft.app.id;
                out.push(Atom::Text(match root {
                    Root::Own => format!("{}/{id}", archy_manifest::DATA_ROOT),
                    Root::Shared => format!("{}/{id}/shared", archy_manifest::DATA_ROOT),
                    Root::App(app) | Root::Role(app) | Root::Given(app) => {
                        format!("{}/{app}", archy_manifest::DATA_ROOT)
                    }
                }));
            }
            Atom::Missing(_) => {}
            other => out.push(other.clone()),
        }
    }
    out
}

/// Takes out secrets and settings that nothing uses.
fn unused(draft: &mut Draft<'_>) {
    let mut text = String::new();
    let mut used: Vec<String> = Vec::new();
    for container in draft.app.services.values() {
        container.command.iter().for_each(|word| text.push_str(word));
        if let Some(DerivedEnv::Map(all)) = &container.derived_env {
            all.values().for_each(|template| text.push_str(template));
        }
        if let Some(SecretEnv::Map(all)) = &container.secret_env {
            used.extend(all.values().cloned());
        }
        used.extend(container.secret_files.keys().cloned());
    }
    for file in &draft.app.files {
        text.push_str(&file.content);
    }
    let named = |kind: &str, name: &str| text.contains(&format!("{{{{{kind}:{name}}}}}"));
    draft.app.secrets.retain(|name, _| used.contains(name) || named("secret", name));
    let mut idle: Vec<String> = Vec::new();
    draft.app.config.retain(|key, setting| {
        let keep = !setting.targets.is_empty() || named("config", key);
        if !keep {
            idle.push(key.clone());
        }
        keep
    });
    for key in idle {
        draft.find("metadata", &key, "the field reaches no container; it is left out");
    }
}

/// The kind of secret that takes the place of a value of this length.
fn kind_for(length: usize) -> SecretKind {
    if length <= 32 { SecretKind::Hex16 } else { SecretKind::Hex32 }
}

/// True for a value that is a password that everybody can read in the source.
fn is_default_password(key: &str, value: &str) -> bool {
    let word = value.to_ascii_lowercase();
    let flag = ["true", "false", "yes", "no", "none", "null", "auto", "disabled", "enabled"];
    class(key) == Class::Generated
        && value.len() >= 4
        && !flag.contains(&word.as_str())
        && !value.starts_with(['/', '.'])
        && !value.contains("://")
        && !value.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_texts() {
        for (text, expected) in [
            ("my_db_1", Some("db")),
            ("http://my_db_1:80/", Some("http://db:80/")),
            ("x my_db_10", None),
            ("xmy_db_1", None),
            ("my_db_1 my_db_1", Some("db db")),
        ] {
            assert_eq!(replace_word(text, "my_db_1", "db").as_deref(), expected, "{text}");
        }
    }
}
