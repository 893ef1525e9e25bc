//! The manifest that `archy app new` writes.

/// A first manifest for an app, without findings when `id` is a DNS label and `name` is one line
/// of 1 to 100 characters.
#[must_use]
pub fn starter(id: &str, name: &str) -> String {
    let name = serde_json::Value::from(name).to_string();
    format!(
        "# yaml-language-server: $schema=https://archipelago.example/manifest.schema.json
# Every key is explained in docs/manifest.md. Check this file with `archy app validate`.
app:
  id: {id}
  name: {name}
  version: 0.1.0
  description: Says what the app is good for, in one sentence.
  services:
    main:
      image: docker.io/library/nginx:1.27
      ports:
        - host: 8080
          container: 80
          auth: gated
      volumes:
        - type: bind
          source: data
          target: /usr/share/nginx/html
      health:
        type: http
        port: 80
        path: /
        interval: 30s
      resources:
        memory: 256Mi
      security:
        capabilities: [CHOWN, SETGID, SETUID, NET_BIND_SERVICE]
  interfaces:
    main:
      type: ui
      port: 8080
  metadata:
    author: Your name
    license: MIT
"
    )
}
