//! Any bytes are read without a panic; what an author wrote survives being written out again.

use archy_manifest::schema::{
    App, Container, DerivedEnv, Document, Env, Mount, MountType, Port, Resources, Seconds, Size,
};
use archy_manifest::{parse, parse_document};
use proptest::prelude::*;

fn written(document: &Document) -> Vec<u8> {
    serde_json::to_vec(document).unwrap_or_default()
}

/// Text that makes YAML writers stumble.
fn awkward() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,20}",
        "\\PC{0,12}",
        prop::sample::select(vec![
            "yes", "null", "~", "1.10", "0x1F", "1e3", "- a", "a: b", "#x", "'", "\"", "{", "[",
            "*a", "&a", "!t", "%", "@", "|", ">", "\\", "\n", "a\nb\n", "\t", " x ", "---", "...",
            "<<", "=",
        ])
        .prop_map(str::to_owned),
    ]
}

prop_compose! {
    fn container(base: u16)(
        tag in "[a-z0-9]{1,8}",
        command in prop::collection::vec(awkward(), 0..4),
        env in prop::collection::btree_map("[A-Z][A-Z0-9_]{0,8}", awkward(), 0..5),
        derived in prop::collection::btree_map("D_[A-Z]{1,5}", "[a-z ]{0,8}(\\{\\{(HOST_IP|DISK_GB)\\}\\})?", 0..3),
        ports in prop::collection::btree_set(1u16..500, 0..4),
        dirs in prop::collection::btree_set("[a-z]{1,6}", 0..3),
        memory in prop::option::of((6u64 << 20)..(1 << 40)),
        grace in prop::option::of(1u32..3600),
        init in any::<bool>(),
    ) -> Container {
        Container {
            image: Some(format!("registry.example/app:{tag}")),
            command,
            env: Some(Env::Map(env.into_iter().collect())),
            derived_env: Some(DerivedEnv::Map(derived.into_iter().collect())),
            ports: ports.into_iter().map(|port| Port {
                host: Some(base + port), container: port, ..Port::default()
            }).collect(),
            volumes: dirs.into_iter().map(|dir| Mount {
                kind: Some(MountType::Bind), target: format!("/{dir}"), source: Some(dir), ..Mount::default()
            }).collect(),
            resources: Some(Resources { memory: memory.map(Size), ..Resources::default() }),
            stop_grace_secs: grace.map(Seconds),
            init,
            ..Container::default()
        }
    }
}

prop_compose! {
    fn document()(
        id in "[a-z][a-z0-9]{0,12}",
        name in "[A-Za-z][ -~]{0,20}",
        version in "[0-9]{1,3}(\\.[0-9]{1,3}){0,2}",
        description in prop::option::of(awkward()),
        first in container(1000),
        second in prop::option::of(container(2000)),
        alone in any::<bool>(),
    ) -> Document {
        let mut app = App { id, name, version, description, ..App::default() };
        if alone {
            app.container = Some(first);
        } else {
            app.services.insert("main".to_owned(), first);
            app.services.extend(second.map(|second| ("side".to_owned(), second)));
        }
        Document { app }
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn any_text(text in "[ -~\n\t{}\\[\\]:,&*#|>'\"-]{0,300}") {
        let _ = parse(text.as_bytes());
    }

    #[test]
    fn any_damage(at in 0usize..3000, bytes in "[\\PC\n\t]{0,6}", cut in 0usize..20) {
        let mut text = include_str!("fixtures/stack.yml").to_owned();
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        if text.is_char_boundary(at) && text.is_char_boundary(end) {
            text.replace_range(at..end, &bytes);
        }
        let parsed = parse(text.as_bytes());
        prop_assert_eq!(parsed.manifest.is_none(), parsed.diagnostics.has_errors());
        let _ = parsed.diagnostics.render("manifest.yml");
    }

    #[test]
    fn valid_manifests_round_trip(document in document()) {
        let text = written(&document);
        let (again, diagnostics) = parse_document(&text);
        prop_assert!(!diagnostics.has_errors(), "{}", diagnostics.render("m"));
        let again = again.unwrap();
        prop_assert_eq!(&again, &document);
        let manifest = parse(&text).manifest.unwrap();
        prop_assert_eq!(&parse(&written(&again)).manifest.unwrap(), &manifest);
        prop_assert_eq!(manifest.services.len(), document.app.services.len().max(1));
    }
}

#[test]
fn fixtures_round_trip() {
    for text in [
        &include_bytes!("fixtures/stack.yml")[..],
        include_bytes!("fixtures/storage.yml"),
        include_bytes!("fixtures/ui.yml"),
        include_bytes!("fixtures/patch-level-1.yml"),
        include_bytes!("fixtures/generated.json"),
    ] {
        let document = parse_document(text).0.unwrap();
        assert_eq!(parse(&written(&document)).manifest, parse(text).manifest);
    }
}
