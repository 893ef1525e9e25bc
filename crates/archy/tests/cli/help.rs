//! Help texts are golden files.

use std::path::Path;

use crate::run::{archy, golden};

#[test]
fn help_texts() {
    let commands: &[&[&str]] = &[
        &[],
        &["app"],
        &["app", "new"],
        &["app", "validate"],
        &["app", "render"],
        &["app", "import"],
        &["registry"],
        &["registry", "init"],
        &["registry", "key"],
        &["registry", "add"],
        &["registry", "sign"],
        &["registry", "publish"],
        &["registry", "rotate"],
        &["registry", "verify"],
        &["registry", "serve"],
        &["source"],
        &["source", "add"],
        &["source", "policy"],
        &["outdated"],
        &["install"],
        &["list"],
        &["status"],
        &["plan"],
        &["start"],
        &["update"],
        &["rollback"],
        &["uninstall"],
        &["logs"],
        &["exec"],
        &["config"],
        &["config", "set"],
        &["history"],
        &["doctor"],
        &["completions"],
    ];
    let mut text = String::new();
    for command in commands {
        let mut args = command.to_vec();
        args.push("--help");
        let run = archy(Path::new("."), &args).code(0);
        text.push_str(&format!("$ archy {}\n{}\n", args.join(" "), run.out));
    }
    golden("help.txt", &text);
}

#[test]
fn unknown_words_are_usage_errors() {
    archy(Path::new("."), &["instal", "x"]).code(2).err("install");
    archy(Path::new("."), &["install"]).code(2).err("APP|PATH");
    archy(Path::new("."), &["logs", "x", "-n", "100000"]).code(2);
    archy(Path::new("."), &["install", "x", "--port", "80"]).code(2).err("DECLARED=HOST");
}

#[test]
fn completion_scripts() {
    for (shell, word) in
        [("bash", "complete -F"), ("zsh", "#compdef archy"), ("fish", "complete -c archy")]
    {
        archy(Path::new("."), &["completions", shell]).code(0).out(word);
    }
}
