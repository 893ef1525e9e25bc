//! What an app's author adds to the life: steps that write data through the app and steps that find it again.
//! They stand in `gate.yml` beside the manifest.

use serde::Deserialize;

/// `gate.yml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OwnTest {
    /// Manifest of the next version, beside this file; without it the gate makes one.
    pub next: Option<String>,
    /// Done once, after the app was found reachable.
    pub write: Vec<Step>,
    /// Done after each phase that leaves the app running.
    pub verify: Vec<Step>,
}

/// One step: exactly one of `exec` and `http`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Program and arguments in a service's container; it must end with 0.
    #[serde(default)]
    pub exec: Vec<String>,
    /// Service of `exec`; the chief one when absent.
    #[serde(default)]
    pub service: Option<String>,
    /// A request to a published port, from the node itself.
    #[serde(default)]
    pub http: Option<Http>,
    /// Text that the output or the body must hold.
    #[serde(default)]
    pub contains: Option<String>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Port on the node as the manifest declares it.
    pub port: u16,
    /// Path with query.
    #[serde(default = "root")]
    pub path: String,
    /// `GET` unless written.
    #[serde(default = "get")]
    pub method: String,
    /// Body.
    #[serde(default)]
    pub body: Option<String>,
    /// Status that must come; any below 400 when absent.
    #[serde(default)]
    pub status: Option<u16>,
}

fn root() -> String {
    "/".to_owned()
}

fn get() -> String {
    "GET".to_owned()
}

impl Step {
    /// The step in words.
    #[must_use]
    pub fn title(&self) -> String {
        let text = match &self.http {
            Some(http) => format!("{} :{}{}", http.method, http.port, http.path),
            None => self.exec.join(" "),
        };
        text.chars().take(80).collect()
    }
}

impl OwnTest {
    /// Reads a `gate.yml`.
    ///
    /// # Errors
    /// Where and why it cannot be read.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let value = archy_manifest::yaml::to_json(text)?;
        let test: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        for step in test.write.iter().chain(&test.verify) {
            if step.exec.is_empty() == step.http.is_none() {
                return Err("a step has exactly one of `exec` and `http`".to_owned());
            }
            if step.http.as_ref().is_some_and(|http| {
                !http.path.starts_with('/') || http.path.contains(char::is_whitespace)
            }) {
                return Err("a path begins with / and has no white space".to_owned());
            }
        }
        Ok(test)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read() {
        let test = OwnTest::parse(
            b"write:\n  - { exec: [psql, -c, \"select 1\"], service: database }\n  - http: { port: 18001, path: \"/w?n=1\", status: 200 }\nverify:\n  - { exec: [cat, \"7\"], contains: 'a b' }\n",
        )
        .unwrap();
        assert_eq!(test.write.len(), 2);
        assert_eq!(test.write[0].title(), "psql -c select 1");
        assert_eq!(test.write[1].title(), "GET :18001/w?n=1");
        assert_eq!(test.verify[0].contains.as_deref(), Some("a b"));
    }

    #[test]
    fn what_is_no_step_is_refused() {
        for bad in [
            "write: [{ }]",
            "write: [{ exec: [a], http: { port: 1 } }]",
            "write: [{ http: { port: 1, path: x } }]",
            "writes: []",
            "verify: [{ exec: [a], staus: 200 }]",
        ] {
            assert!(OwnTest::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
