use std::time::Duration;

use archive_ingest::commands::config::{effective, show_json};
use archive_ingest::config::{KernelKind, NamedBy};
use jiff::tz::TimeZone;

use crate::scene::Scene;

const OWN: &str = "[k]\nkernel-type = \"aether\"\nkernel-host = \"db\"\n\
                   kernel-name = \"aether\"\nkernel-username = \"reader\"\n";

#[test]
fn with_a_mock_hop_the_kernel_is_the_demo_and_with_a_real_broker_there_is_none() {
    let demo = Scene::empty().load().unwrap().kernel().unwrap().unwrap();
    assert_eq!(demo.stanza, "demo-kernel");
    assert!(demo.is_demo());
    let real = Scene::empty().hop("hop-local").load().unwrap();
    assert_eq!(real.kernel().unwrap(), None);
    let shown = effective(
        &Scene::empty().hop("hop-local").selection,
        Scene::empty().environment(),
    );
    assert!(show_json(&shown.unwrap()).get("kernel").is_none());
}

#[test]
fn made_up_entities_never_go_to_a_real_broker() {
    let toml = "[mine]\nkernel-type = \"sqlite\"\nkernel-path = \"x\"\n\
                [hop-local]\nhop-type = \"kafka\"\nhop-hostname = \"x\"\n";
    for kernel in ["demo-kernel", "mine"] {
        let scene = Scene::of(toml).hop("hop-local").kernel(kernel);
        let said = format!(
            "-K {kernel}: its entities are made up, and -H hop-local is a real broker: choose a kernel of your own, or leave -K out"
        );
        assert_eq!(scene.error(), said);
        let inspected: Vec<_> = scene
            .inspect()
            .all_errors()
            .map(ToString::to_string)
            .collect();
        assert_eq!(inspected, [said]);
    }
}

#[test]
fn a_kernel_of_ones_own_is_read_with_its_defaults() {
    let scene = Scene::of(OWN)
        .kernel("k")
        .env("KERNEL_PASSWORD", "hunter2")
        .env("KERNEL_WINDOW_MS", "0");
    let kernel = scene.load().unwrap().kernel().unwrap().unwrap();
    assert!(!format!("{kernel:?}").contains("hunter2"));
    let KernelKind::Aether { server, named_by } = kernel.kind else {
        panic!("not a server");
    };
    assert_eq!(named_by, NamedBy::Stanza);
    assert_eq!((server.host.as_str(), server.port), ("db", 5432));
    assert_eq!(server.pool_size, 3);
    assert_eq!(server.password.as_deref(), Some("hunter2"));
    assert_eq!(kernel.bound.window, Duration::ZERO);
    assert_eq!(kernel.bound.margin, Duration::from_millis(100));
    assert_eq!(kernel.bound.hold_limit, Some(Duration::from_secs(600)));
    assert_eq!(kernel.bound.time_zone, TimeZone::UTC);
}

#[test]
fn a_hold_limit_of_zero_is_none() {
    let toml = format!("{OWN}kernel-hold-limit-seconds = 0\n");
    let kernel = Scene::of(&toml).kernel("k").load().unwrap().kernel();
    assert_eq!(kernel.unwrap().unwrap().bound.hold_limit, None);
}

#[test]
fn what_is_wrong_with_a_kernel_is_told_in_one_line() {
    for (addition, line) in [
        (
            "kernel-time-zone = \"Mars/Olympus\"\n",
            "housekeeping.toml:6: kernel-time-zone in [k]: \"Mars/Olympus\" is not a zone that this machine knows: write it like Africa/Lagos, and install tzdata where it is missing",
        ),
        (
            "kernel-connections = 1\n",
            "housekeeping.toml:6: kernel-connections in [k] must be a whole number from 2 to 1000, not 1",
        ),
        (
            "kernel-pasword = \"x\"\n",
            "housekeeping.toml:6: unknown key kernel-pasword in [k]: the nearest known key is kernel-password",
        ),
        (
            "kernel-password = \"x\"\n",
            "housekeeping.toml:6: kernel-password in [k] is a secret, and secrets never stand in this file: remove it and set the environment variable KERNEL_PASSWORD",
        ),
        (
            "kernel-sslmode = \"disable\"\nkernel-sslrootcert = \"housekeeping.toml\"\n",
            "housekeeping.toml:7: kernel-sslrootcert in [k]: kernel-sslmode is disable, so it would not be used: change one of the two",
        ),
    ] {
        let scene = Scene::of(&format!("{OWN}{addition}")).kernel("k");
        assert_eq!(scene.error(), line);
    }
    let url = OWN.replace("\"db\"", "\"postgres://u:p@db\"");
    assert_eq!(
        Scene::of(&url).kernel("k").error(),
        "housekeeping.toml:3: kernel-host in [k]: it must be a host name or address alone: put port, database and user into kernel-port, kernel-name and kernel-username"
    );
    assert_eq!(
        Scene::of(OWN).kernel("kk").error(),
        "-K kk: there is no such stanza in housekeeping.toml: the nearest is k (to choose from: demo-kernel, k)"
    );
}

#[test]
fn the_producer_has_the_defaults_that_the_documentation_tells() {
    let produce = Scene::empty().load().unwrap().produce().unwrap();
    assert_eq!(produce.container.entities, 250);
    assert_eq!(produce.container.bytes, 100_000);
    assert_eq!(produce.topic.partitions, 1);
    assert_eq!(produce.topic.replicas, 3);
    assert_eq!(produce.topic.properties["retention.ms"], "604800000");
    assert_eq!(produce.topic.name("realm", "Person"), "realm.Person");
}

#[test]
fn topics_of_the_producer_are_named_and_configured_as_the_stanza_says() {
    let toml = "[produce]\nproduce-name-modifier = \"v2-%s\"\n\
                produce-topic-properties = { \"retention.ms\" = -1, \"cleanup.policy\" = \"compact\" }\n";
    let produce = Scene::of(toml).load().unwrap().produce().unwrap();
    assert_eq!(produce.topic.name("realm", "Person"), "realm.v2-Person");
    assert_eq!(produce.topic.properties["retention.ms"], "-1");
    assert_eq!(produce.topic.properties["cleanup.policy"], "compact");
    for modifier in ["kernel", "%s%s", "a b%s", "%s/x"] {
        let scene = Scene::of(&format!(
            "[produce]\nproduce-name-modifier = {modifier:?}\n"
        ));
        assert!(scene.error().contains("must have %s once"), "{modifier}");
    }
}

#[test]
fn the_control_credential_is_whole_or_none_and_never_shown() {
    let scene = Scene::empty().env("PRODUCER_ADMIN_USER", "admin");
    assert_eq!(
        scene.error(),
        "environment variable PRODUCER_ADMIN_USER is set and PRODUCER_ADMIN_PW is not: set both or neither"
    );
    let scene = scene.env("PRODUCER_ADMIN_PW", "hunter2");
    let control = scene.load().unwrap().listen().unwrap().control.unwrap();
    assert_eq!(control.credential.as_ref().unwrap().password, "hunter2");
    assert!(!format!("{control:?}").contains("hunter2"));
    let shown = show_json(&effective(&scene.selection, scene.environment()).unwrap());
    assert!(!shown.to_string().contains("hunter2"));
}
