//! A compose file of its own: the name and door are guessed, `.env` gives values.

use std::collections::BTreeMap;

use archy_manifest::model::SecretKind;

use super::{complete, identity, image_version, project, website};
use crate::ImportError;
use crate::compose::{self, EnvValue, Project};
use crate::draft::{Class, Draft, Known, Vars, class};
use crate::expr::Expr;
use crate::finish::Door;
use crate::source::Source;
use crate::value::Value;

/// Variables of `.env`, and those that shells have.
struct Environment(BTreeMap<String, EnvValue>);

impl Vars for Environment {
    fn get(&self, draft: &mut Draft<'_>, name: &str) -> Known {
        match (name, self.0.get(name)) {
            (_, Some(EnvValue::Literal(text) | EnvValue::Open(text))) => {
                if class(name) == Class::Generated && text.len() >= 4 {
                    let message = format!("{name} is generated instead of the value in .env");
                    draft.find("generated-secret", ".env", message);
                    return Known::Value(Expr::secret(draft.secret(name, SecretKind::Hex32)));
                }
                Known::Value(Expr::text(text.clone()))
            }
            ("PUID" | "PGID" | "UID" | "GID", None) => Known::Value(Expr::text("1000")),
            ("TZ", None) => Known::Value(draft.time_zone()),
            ("HOME", None) => Known::Value(Expr::text("~")),
            ("PWD", None) => Known::Value(Expr::text(".")),
            ("COMPOSE_PROJECT_NAME", None) => Known::Value(Expr::text(draft.app.id.clone())),
            _ => Known::Unset,
        }
    }
}

pub(super) fn import(source: &Source) -> Result<super::Finished, ImportError> {
    let dotenv = source.files.get(".env").map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let environment =
        Environment(compose::parse_env(&dotenv.unwrap_or_default()).into_iter().collect());
    let mut draft = Draft::new(source, &environment);
    identity(&mut draft, &source.name, None, None);
    let project = project(&mut draft)?;
    let name = project.name.clone().unwrap_or_else(|| source.name.clone());
    identity(&mut draft, &name, Some(&title(&name)), None);
    draft.names = compose::names(&project, main(&project).as_deref());
    compose::convert(&mut draft, &project);
    image_version(&mut draft);
    let door = draft.services.iter().find_map(|(name, svc)| {
        let (container, host) = website(&svc.container.ports)?;
        Some(Door { service: name.clone(), container, host, ..Door::default() })
    });
    // the door's own service first
    let main = draft.services.iter().find(|(_, svc)| svc.name == "main");
    let of_main = main.and_then(|(name, svc)| Some((name, website(&svc.container.ports)?)));
    let door = match of_main {
        Some((name, (container, host))) => {
            Some(Door { service: name.clone(), container, host, ..Door::default() })
        }
        None => door,
    };
    complete(draft, door)
}

/// The service that people mean: the one that publishes something like a website, else the only or
/// first one.
fn main(project: &Project) -> Option<String> {
    let published = |service: &crate::value::Map| {
        let ports = service.get("ports").map(Value::items).unwrap_or_default();
        !ports.is_empty()
    };
    let name = project.name.as_deref().unwrap_or_default();
    let named = ["app", "web", "server", "frontend", name];
    let candidates: Vec<&String> =
        project.services.iter().filter(|(_, s)| published(s)).map(|(name, _)| name).collect();
    candidates
        .iter()
        .find(|candidate| named.contains(&candidate.as_str()))
        .or_else(|| candidates.first())
        .copied()
        .or_else(|| project.services.keys().next())
        .cloned()
}

fn title(name: &str) -> String {
    let words = name.replace(['-', '_'], " ");
    let mut chars = words.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    first + chars.as_str()
}
