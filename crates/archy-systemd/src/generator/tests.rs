//! Outputs as Podman 5.4.2 writes them, and a stand-in that misbehaves.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

const STDERR: &str = r#"quadlet-generator[1]: Loading source unit file /q/bad.container
quadlet-generator[1]: Loading source unit file /q/good.container
quadlet-generator[1]: Warning: good.container specifies the image "bad.container" which not a fully qualified image name.
quadlet-generator[1]: converting "n.network": cannot set more gateways than subnets
converting "bad.container": unsupported key 'Foo' in group 'Container' in /q/bad.container
quadlet-generator[1]: something else
"#;

const STDOUT: &str = "---other.service---\n[X-Container]\nImage=a\n\n[Unit]\nSourcePath=/q/good.container\n\n---x---\n";

#[test]
fn every_file_is_accounted_for() {
    let names = ["bad.container", "good.container", "n.network", "lost.volume"];
    let report = parse(names.map(str::to_owned).to_vec(), STDOUT, STDERR);
    let good = &report.files["good.container"];
    assert_eq!(good.unit.as_ref().unwrap().0, "other.service");
    assert!(good.unit.as_ref().unwrap().1.contains("Image=a\n"));
    assert_eq!((good.errors.len(), good.warnings.len()), (0, 1));
    let errors: Vec<_> = report.errors().map(|(name, _)| name).collect();
    assert_eq!(errors, ["bad.container", "lost.volume", "n.network"]);
    assert!(report.files["bad.container"].errors[0].contains("unsupported key 'Foo'"));
    assert!(report.files["lost.volume"].errors[0].contains("something else"));
    assert_eq!(report.general, ["something else"]);
    assert!(!report.is_ok());
}

#[test]
fn one_unparsable_file_drops_all() {
    let stderr = "quadlet-generator[2]: No files parsed from [/q]\n\
        quadlet-generator[2]: error loading \"/q/syntax.container\", file contains line 1: “[Co”\n";
    let names = vec!["a.container".to_owned(), "syntax.container".to_owned()];
    let report = parse(names, "", stderr);
    assert!(report.files["syntax.container"].errors[0].contains("line 1"));
    assert!(report.files["a.container"].errors[0].contains("No files parsed"));
}

fn fake(dir: &Path, script: &str) -> PathBuf {
    let program = dir.join("generator");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

fn files() -> Vec<(String, String)> {
    vec![("a.container".to_owned(), "x".to_owned()), ("p.service".to_owned(), String::new())]
}

#[tokio::test]
async fn files_are_put_in_a_directory_of_their_own() {
    let temp = tempfile::tempdir().unwrap();
    let script = "[ \"$1 $2\" = '-dryrun -user' ] || exit 9
        for f in \"$QUADLET_UNIT_DIRS\"/*.container; do
        echo '---a.service---'; echo \"SourcePath=$f\"; done";
    let program = fake(temp.path(), script);
    let scratch = temp.path().join("scratch");
    let limit = Duration::from_secs(20);
    let report = check_files(files(), &scratch, &program, limit).await.unwrap();
    assert!(report.is_ok(), "{report:?}");
    assert_eq!(report.files.len(), 1, "a plain service is none of the generator's business");
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0, "nothing is left behind");
}

#[tokio::test]
async fn a_generator_that_misbehaves() {
    let temp = tempfile::tempdir().unwrap();
    let limit = Duration::from_secs(20);
    let ask = async |script: &str, limit| {
        let program = fake(temp.path(), script);
        check_files(files(), &temp.path().join("s"), &program, limit).await
    };
    let error = ask("exec sleep 1000", Duration::from_millis(50)).await;
    assert!(matches!(error, Err(GeneratorError::Timeout(_))), "{error:?}");
    let error = ask("exec cat /dev/zero", limit).await;
    assert!(matches!(error, Err(GeneratorError::TooLarge)), "{error:?}");
    let error = ask("echo panic: oh >&2; exit 2", limit).await;
    let Err(GeneratorError::Crashed { stderr, .. }) = error else { panic!("{error:?}") };
    assert_eq!(stderr, "panic: oh");
    let none = Path::new("/nonexistent/generator");
    let error = check_files(files(), &temp.path().join("s"), none, limit).await;
    assert!(matches!(error, Err(GeneratorError::Run { .. })), "{error:?}");
}
