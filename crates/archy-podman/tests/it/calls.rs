//! Plain calls: what is asked, and what of the answer is read.

use std::{collections::BTreeMap, time::Duration};

use archy_podman::{ContainerState, NetworkSpec, Tar, VolumeSpec};
use archy_types::{Health, Secret, Timestamp};

use crate::fake::{Fake, Reply};

#[tokio::test]
async fn containers_are_listed() {
    let body = r#"[{"AutoRemove":true,"Command":null,"Created":"2025-06-01T12:00:00.5+00:00",
        "Exited":false,"ExitedAt":-62135596800,"ExitCode":0,"Id":"c1","Image":"r/a:1","ImageID":"i1",
        "IsInfra":false,"Labels":{"io.archipelago.app":"web"},"Mounts":["/data"],"Names":["web"],
        "Networks":["net"],"Pid":42,"Ports":[{"host_ip":"","container_port":80,"host_port":8080,
        "range":1,"protocol":"tcp"}],"StartedAt":1748779200,"State":"running","Status":"healthy"},
        {"Id":"c2","Names":null,"Labels":null,"Ports":null,"State":"dreaming","Status":"",
        "ExitCode":137,"ExitedAt":1748779201}]"#;
    let fake = Fake::start(move |_| Reply::ok(body));
    let all = fake.podman.containers(&["io.archipelago.app"]).await.unwrap();
    let [web, other] = &all[..] else { panic!("{all:?}") };
    assert_eq!((web.name(), web.state, web.pid), ("web", ContainerState::Running, 42));
    assert_eq!((web.health, web.exited_at), (Some(Health::Healthy), None));
    assert_eq!(web.started_at, Some(Timestamp(1_748_779_200_000)));
    assert_eq!(web.created, Some(Timestamp(1_748_779_200_500)));
    assert_eq!((web.ports[0].host_port, web.ports[0].container_port), (8080, 80));
    assert_eq!((other.name(), other.state, other.health), ("c2", ContainerState::Unknown, None));
    assert_eq!(other.exit_code, 137);
    assert_eq!(
        fake.lines(),
        [
            "GET /containers/json?all=true&filters=%7B%22label%22%3A%5B%22io.archipelago.app%22%5D%7D"
        ]
    );
}

#[tokio::test]
async fn a_container_is_inspected() {
    let body = r#"{"Id":"c1","Created":"2025-06-01T12:00:00Z","Name":"web","Image":"i1",
        "ImageName":"r/a:1","ImageDigest":"sha256:1","RestartCount":2,"Config":{"Labels":{"a":"b"},
        "Env":["SECRET=x"]},"Mounts":[{"Type":"volume","Name":"v","Source":"/s","Destination":"/d",
        "RW":true}],"State":{"Status":"exited","OOMKilled":true,"Pid":0,"ExitCode":137,"Error":"",
        "StartedAt":"2025-06-01T12:00:01Z","FinishedAt":"2025-06-01T12:00:02Z",
        "Health":{"Status":"unhealthy","FailingStreak":3,"Log":[{"Start":"2025-06-01T12:00:01.5Z",
        "End":"","ExitCode":1,"Output":"status 500"}]}},
        "NetworkSettings":{"Networks":{"net":{"IPAddress":"10.0.0.2","Aliases":["web"]}}}}"#;
    let fake = Fake::start(move |line| match line {
        "GET /containers/web/json" => Reply::ok(body),
        _ => Reply::status(404, "{\"message\":\"no such container\"}"),
    });
    let web = fake.podman.container("web").await.unwrap().unwrap();
    assert_eq!((web.state, web.exit_code, web.oom_killed), (ContainerState::Exited, 137, true));
    assert_eq!((web.health.status, web.health.failing_streak), (Some(Health::Unhealthy), 3));
    assert_eq!(web.health.log[0].output, "status 500");
    assert_eq!((web.image.as_str(), web.image_id.as_str()), ("r/a:1", "i1"));
    assert_eq!(web.networks["net"].ip, "10.0.0.2");
    assert!(web.mounts[0].writable);
    assert!(!format!("{web:?}").contains("SECRET"));
    assert_eq!(fake.podman.container("gone").await.unwrap(), None);
    assert!(!fake.podman.container_exists("gone").await.unwrap());
    assert!(!fake.podman.remove_container("gone", None).await.unwrap());
}

#[tokio::test]
async fn removing_gives_the_grace() {
    let fake = Fake::start(|_| Reply::ok("[{\"Id\":\"c1\",\"Err\":null}]"));
    let grace = Some(Duration::from_secs(7));
    assert!(fake.podman.remove_container("web", grace).await.unwrap());
    assert_eq!(fake.lines(), ["DELETE /containers/web?force=true&v=true&timeout=7"]);
}

#[tokio::test]
async fn a_restart_policy_goes_in_the_query() {
    let fake = Fake::start(|_| Reply::status(201, "\"c1\""));
    fake.podman.set_restart_policy("web", "no", 0).await.unwrap();
    fake.podman.set_restart_policy("web", "on-failure", 3).await.unwrap();
    assert_eq!(
        fake.lines(),
        [
            "POST /containers/web/update?restartPolicy=no",
            "POST /containers/web/update?restartPolicy=on-failure&restartRetries=3"
        ]
    );
    assert_eq!(&fake.asked()[0].body[..], b"{}");
}

#[tokio::test]
async fn a_secret_goes_in_the_body_only() {
    let fake = Fake::start(|_| Reply::ok("{\"ID\":\"s1\"}"));
    let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
    let value = Secret::new(b"hunter2".to_vec());
    assert_eq!(fake.podman.put_secret("db pw", &value, &labels).await.unwrap(), "s1");
    let asked = &fake.asked()[0];
    assert_eq!(
        asked.line,
        "POST /secrets/create?name=db%20pw&replace=true&labels=%7B%22app%22%3A%22web%22%7D"
    );
    assert_eq!(&asked.body[..], b"hunter2");
}

#[tokio::test]
async fn secrets_are_listed() {
    let body = r#"[{"ID":"s1","CreatedAt":"2025-06-01T12:00:00Z","UpdatedAt":"2025-06-01T12:00:01Z",
        "Spec":{"Name":"pw","Driver":{"Name":"file","Options":{}},"Labels":null}}]"#;
    let fake = Fake::start(move |_| Reply::ok(body));
    let all = fake.podman.secrets().await.unwrap();
    assert_eq!((all[0].name.as_str(), all[0].id.as_str()), ("pw", "s1"));
    assert!(all[0].updated_at > all[0].created_at);
}

#[tokio::test]
async fn networks_and_volumes_are_made() {
    let fake = Fake::start(|line| match line {
        "POST /networks/create" => Reply::ok("{\"name\":\"n\",\"id\":\"1\",\"dns_enabled\":true}"),
        _ => Reply::status(201, "{\"Name\":\"v\",\"Mountpoint\":\"/m\",\"Labels\":null}"),
    });
    let spec = NetworkSpec { name: "n".to_owned(), dns_enabled: true, ..NetworkSpec::default() };
    assert!(fake.podman.create_network(&spec).await.unwrap().dns_enabled);
    let spec = VolumeSpec { name: "v".to_owned(), ..VolumeSpec::default() };
    assert_eq!(fake.podman.create_volume(&spec).await.unwrap().mountpoint, "/m");
    let body: serde_json::Value = serde_json::from_slice(&fake.asked()[0].body).unwrap();
    assert_eq!(body["name"], "n");
    assert!(body.get("subnets").is_none());
    let body: serde_json::Value = serde_json::from_slice(&fake.asked()[1].body).unwrap();
    assert_eq!(body["Name"], "v");
}

#[tokio::test]
async fn info_is_read() {
    let body = r#"{"host":{"arch":"amd64","cgroupControllers":null,"cgroupVersion":"v2","cpus":2,
        "memTotal":100,"security":{"rootless":true},"rootlessNetworkCmd":"pasta"},
        "store":{"graphRoot":"/g","graphRootAllocated":10,"graphRootUsed":4},
        "version":{"APIVersion":"5.4.2","Version":"5.4.2"}}"#;
    let fake = Fake::start(move |_| Reply::ok(body));
    let info = fake.podman.info().await.unwrap();
    assert_eq!((info.version.to_string().as_str(), info.rootless), ("5.4.2", true));
    assert!(info.cgroup_controllers.is_empty());
    assert_eq!((info.graph_root.as_str(), info.mem_total), ("/g", 100));
}

#[tokio::test]
async fn stats_and_their_error() {
    let fake = Fake::start(|line| match line {
        "GET /containers/stats?stream=false&containers=a" => Reply::ok(
            r#"{"Error":null,"Stats":[{"ContainerID":"c","Name":"a","MemUsage":5,"PIDs":2}]}"#,
        ),
        _ => Reply::ok(r#"{"Error":{"why":"no cgroups"},"Stats":null}"#),
    });
    let stats = fake.podman.stats(&["a"]).await.unwrap();
    assert_eq!((stats[0].memory, stats[0].pids), (5, 2));
    assert!(fake.podman.stats(&[]).await.is_err());
}

#[tokio::test]
async fn an_archive_is_put() {
    let fake = Fake::start(|_| Reply::ok(""));
    let mut tar = Tar::new(Timestamp(0));
    tar.file("a", 0o644, (0, 0), b"x").unwrap();
    fake.podman.put_archive("web", "/etc", tar.finish()).await.unwrap();
    let asked = &fake.asked()[0];
    assert_eq!(asked.line, "PUT /containers/web/archive?path=%2Fetc&copyUIDGID=false");
    assert_eq!(asked.body.len(), 2048);
}
