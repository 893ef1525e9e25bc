//! Precedence, defaults of both modes, and what is refused.

use std::path::{Path, PathBuf};

use super::*;

fn user(name: &str) -> User {
    User {
        uid: 1000,
        name: name.into(),
        home: Some("/home/someone".into()),
        executable: "/usr/local/bin/archipelago".into(),
    }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn read(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, file).unwrap();
    Config::read(Sources::new(pairs(env), pairs(flags)), Some(path), &user("someone"))
}

#[test]
fn later_sources_win_and_empty_means_unset() {
    let file = "host_ip = '10.0.0.1'\nbind_port = 1111";
    for (env, flags, ip, port) in [
        (&[][..], &[][..], "10.0.0.1", 1111),
        (&[("ARCHIPELAGO_HOST_IP", "10.0.0.2")], &[], "10.0.0.2", 1111),
        (&[("ARCHIPELAGO_HOST_IP", "")], &[], "10.0.0.1", 1111),
        (&[("ARCHIPELAGO_BIND_PORT", "2222")], &[("bind_port", "3333")], "10.0.0.1", 3333),
    ] {
        let config = read(file, env, flags).unwrap();
        assert_eq!(config.naming.host_ip, Some(ip.parse().unwrap()));
        assert_eq!(config.listen.https_port, Some(port));
        assert_eq!(config.warnings, Vec::<String>::new());
    }
}

#[test]
fn desktop_paths_follow_xdg() {
    let env = [("XDG_RUNTIME_DIR", "/run/user/7"), ("XDG_DATA_HOME", "/d"), ("HOME", "/h")];
    let paths = read("", &env, &[]).unwrap().paths;
    assert_eq!(paths.data_dir, Path::new("/d/archipelago"));
    assert_eq!(paths.state_dir, Path::new("/h/.local/state/archipelago"));
    assert_eq!(paths.rpc_socket, Path::new("/run/user/7/archipelago/archipelago.sock"));
    assert_eq!(paths.quadlet_dir, Path::new("/h/.config/containers/systemd"));
    assert_eq!(paths.bus_address, "unix:path=/run/user/7/bus");
    let sideload = PathBuf::from("/d/archipelago/sideload");
    let handed = PathBuf::from("/opt/archipelago/web-ui/archipelago-runtime/apps");
    assert_eq!(paths.apps_dirs, [PathBuf::from("/d/archipelago/apps"), handed, sideload]);
}

#[test]
fn node_paths_are_the_documented_ones() {
    let config =
        Config::read(Sources::new([], pairs(&[("mode", "node")])), None, &user("x")).unwrap();
    assert_eq!(config.file, Path::new("/etc/archipelago/config.toml"));
    let paths = config.paths;
    assert_eq!(paths.data_dir, Path::new("/var/lib/archipelago"));
    assert_eq!(paths.secrets_dir, Path::new("/var/lib/archipelago/secrets"));
    assert_eq!(paths.podman_socket, Path::new("/run/user/1000/podman/podman.sock"));
    assert_eq!(paths.rpc_socket, Path::new("/run/archipelago/archipelago.sock"));
    assert_eq!(paths.apps_dirs[0], Path::new("/opt/archipelago/apps"));
    assert_eq!(paths.ssl_dir, Path::new("/etc/archipelago/ssl"));
    assert_eq!(paths.quadlet_dir, Path::new("/home/someone/.config/containers/systemd"));
}

#[test]
fn the_service_user_means_a_node() {
    for (name, mode) in [("archipelago", Mode::Node), ("someone", Mode::User)] {
        let config = Config::read(Sources::new([], []), None, &user(name)).unwrap();
        assert_eq!(config.mode, mode);
    }
}

#[test]
fn known_keys_of_older_nodes_are_accepted() {
    let file = "data_dir = '/v'\nbind_host = '0.0.0.0'\nbind_port = 443\nlog_level = 'debug'\n\
                host_ip = '10.0.0.1'\ndev_mode = true\ncontainer_runtime = 'podman'\n\
                port_offset = 0\nuse_quadlet_backends = true\npublic_host = 'Node.Example.org.'\n";
    let config = read(file, &[], &[]).unwrap();
    assert_eq!(config.warnings, Vec::<String>::new());
    assert_eq!(config.naming.public_host.as_deref(), Some("node.example.org"));
    assert!(config.naming.dev_mode);
}

#[test]
fn a_misspelt_key_is_named_with_a_guess() {
    let config = read("bind_prot = 1", &[("ARCHIPELAGO_HOST_PI", "1")], &[]).unwrap();
    let all = config.warnings.join("\n");
    assert!(all.contains("`bind_prot`") && all.contains("did you mean `bind_port`"), "{all}");
    assert!(all.contains("did you mean `host_ip`"), "{all}");
}

#[test]
fn bad_values_say_where_and_what() {
    for (file, env, part) in [
        ("bind_port = 99999", &[][..], "`bind_port` must be a port number"),
        ("dev_mode = 'perhaps'", &[], "true or false"),
        ("data_dir = 'here'", &[], "an absolute path"),
        ("", &[("ARCHIPELAGO_BIND_HOST", "nowhere")], "environment ARCHIPELAGO_BIND_HOST"),
        ("a = [", &[], "not valid TOML"),
    ] {
        let error = read(file, env, &[]).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn public_names() {
    for (text, name) in [
        ("Node.Example.org.", Some("node.example.org")),
        ("example", None),
        ("10.0.0.1", None),
        ("https://a.b", None),
        ("a_b.c", None),
        ("*.a.b", None),
    ] {
        assert_eq!(public_name(text).as_deref(), name, "{text}");
    }
}

#[test]
fn how_much_is_remembered() {
    let days = |days: u64| Duration::from_secs(days * 86_400);
    for (file, operations, events, manifests) in [
        ("", 200, 10_000, days(90)),
        ("keep_operations = 3\nkeep_events = 5\nkeep_manifests_days = 1", 3, 5, days(1)),
        ("keep_operations = 0\nkeep_events = 0\nkeep_manifests_days = 0", 1, 0, days(0)),
    ] {
        let config = read(file, &[], &[]).unwrap();
        assert_eq!(config.keeping, Keeping { operations, events, manifests }, "{file}");
        assert_eq!(config.warnings, Vec::<String>::new());
    }
    assert!(read("keep_events = 'many'", &[], &[]).is_err());
}
