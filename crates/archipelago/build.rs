//! Puts the built dashboard into the daemon, where there is one (`web/dist/site`).
//!
//! It writes a table of the files for `dashboard`. Without a build the table is empty, and the daemon
//! serves a page that says how to make one: cargo alone is enough for everything else.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Always there, so that cargo looks into it whether there is a build or not.
const WATCHED: &str = "../../web/dist";

fn main() -> Result<(), Box<dyn Error>> {
    say(&format!("cargo::rerun-if-changed={WATCHED}"));
    say("cargo::rerun-if-changed=build.rs");
    let site = Path::new(WATCHED).join("site");
    let mut files = Vec::new();
    if site.join("index.html").is_file() {
        collect(&fs::canonicalize(&site)?, &mut files)?;
    }
    files.sort();
    let root = if files.is_empty() { PathBuf::new() } else { fs::canonicalize(&site)? };
    let mut table = String::from("&[\n");
    for file in files.iter().filter(|file| kind(file).is_some()) {
        let name = file.strip_prefix(&root)?.to_string_lossy().replace('\\', "/");
        write!(
            table,
            "    Asset {{ path: \"/{name}\", kind: {:?}, ",
            kind(file).unwrap_or_default()
        )?;
        write!(table, "plain: include_bytes!({:?}), ", file.display().to_string())?;
        for (field, ending) in [("br", "br"), ("gzip", "gz")] {
            let twin = PathBuf::from(format!("{}.{ending}", file.display()));
            match twin.is_file() {
                true => {
                    let place = twin.display().to_string();
                    write!(table, "{field}: Some(include_bytes!({place:?})), ")?;
                }
                false => write!(table, "{field}: None, ")?,
            }
        }
        table.push_str("},\n");
    }
    table.push(']');
    #[expect(clippy::disallowed_methods, reason = "cargo tells a build script its place this way")]
    let out = std::env::var_os("OUT_DIR").ok_or("cargo did not say where to write")?;
    fs::write(Path::new(&out).join("dashboard.rs"), table)?;
    Ok(())
}

fn say(line: &str) {
    println!("{line}");
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// The type that a file is served as; what has none is not served.
fn kind(file: &Path) -> Option<&'static str> {
    Some(match file.extension()?.to_str()? {
        "html" => "text/html; charset=utf-8",
        "md" => "text/plain; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    })
}
