use archive_ingest::config::{ListenAddress, ListenConfig};

use crate::scene::Scene;

fn listen(scene: Scene) -> ListenConfig {
    scene.load().expect("sound").listen().expect("sound")
}

fn refused(scene: Scene) -> String {
    let error = scene.load().expect("sound keys").listen();
    scene.shown(&error.expect_err("refused"))
}

fn of(text: &str) -> Scene {
    Scene::of(&format!("[listen]\napi-listen = {text:?}\n"))
}

#[test]
fn both_listeners_are_on_loopback_without_being_asked_and_know_nobody() {
    let listen = listen(Scene::empty());
    let (api, control) = (listen.api.expect("on"), listen.control.expect("on"));
    assert_eq!(api.address.to_string(), "127.0.0.1:8000");
    assert_eq!(control.address.to_string(), "127.0.0.1:5005");
    assert!(!api.address.is_given && api.credential.is_none() && control.credential.is_none());
    assert!(!api.uploads && api.cors_origins.is_empty());
    assert_eq!(api.upload_bytes, 64 << 20);
}

#[test]
fn an_address_is_a_host_and_a_port_and_off_is_none() {
    let address =
        |text: &str| -> Option<ListenAddress> { listen(of(text)).api.map(|api| api.address) };
    assert_eq!(address("off"), None);
    assert_eq!(address("OFF"), None);
    for (text, host, port) in [
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("localhost:8000", "localhost", 8000),
        ("[::1]:65535", "::1", 65535),
        ("127.9.9.9:1", "127.9.9.9", 1),
    ] {
        let address = address(text).expect("on");
        assert_eq!((&*address.host, address.port), (host, port));
        assert!(address.is_given);
        assert_eq!(address.to_string(), text);
    }
    for text in [
        "8000",
        "127.0.0.1",
        ":8000",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "::1:8000",
        "http://x:1",
        "a b:1",
        "x:+1",
    ] {
        let error = refused(of(text).env("API_USERNAME", "u").env("API_PASSWORD", "p"));
        assert!(
            error.starts_with("housekeeping.toml:2: api-listen in [listen]: "),
            "{error}"
        );
        assert!(error.contains("is no address"), "{error}");
    }
}

#[test]
fn only_with_a_credential_the_archive_api_listens_to_other_machines() {
    for text in [
        "0.0.0.0:8000",
        "[::]:8000",
        "192.0.2.1:80",
        "archive.example.org:80",
    ] {
        let error = refused(of(text));
        assert!(
            error.contains("set API_USERNAME and API_PASSWORD"),
            "{error}"
        );
        let known = of(text).env("API_USERNAME", "u").env("API_PASSWORD", "p");
        assert!(listen(known).api.expect("on").credential.is_some());
    }
    // The control refuses by itself where nobody is known.
    listen(Scene::of("[listen]\nproducer-listen = \"0.0.0.0:5005\"\n"));
}

#[test]
fn only_with_a_key_a_bridge_listens_to_other_machines() {
    let bridge = listen(Scene::empty()).bridge.expect("on");
    assert_eq!(bridge.address.to_string(), "127.0.0.1:5010");
    let elsewhere = || Scene::of("[listen]\nbridge-listen = \"0.0.0.0:5010\"\n");
    let error = refused(elsewhere());
    assert!(error.contains("set BRIDGE_API_KEY"), "{error}");
    let bridge = listen(elsewhere().env("BRIDGE_API_KEY", "hunter2")).bridge;
    assert!(!format!("{bridge:?}").contains("hunter2"));
    assert_eq!(bridge.expect("on").key.as_deref(), Some("hunter2"));
}

#[test]
fn host_names_are_read_and_urls_refused() {
    let hosts = |text: &str| Scene::of(&format!("[listen]\nlisten-hosts = {text:?}\n"));
    assert!(listen(Scene::empty()).hosts.is_empty());
    let known = listen(hosts("archive.example.org, other.")).hosts;
    assert_eq!(known, ["archive.example.org", "other"]);
    for wrong in ["http://a.example", "a.example:80", "a b"] {
        let error = refused(hosts(wrong));
        assert!(error.contains("is no host name"), "{error}");
    }
}

#[test]
fn half_a_credential_is_refused_and_no_secret_is_ever_shown() {
    for (set, missing) in [
        ("API_USERNAME", "API_PASSWORD"),
        ("API_PASSWORD", "API_USERNAME"),
        ("PRODUCER_ADMIN_USER", "PRODUCER_ADMIN_PW"),
        ("PRODUCER_ADMIN_PW", "PRODUCER_ADMIN_USER"),
    ] {
        let error = refused(Scene::empty().env(set, "hunter2"));
        assert_eq!(
            error,
            format!("environment variable {set} is set and {missing} is not: set both or neither")
        );
        assert!(!error.contains("hunter2"), "{error}");
    }
    let known = Scene::empty()
        .env("API_USERNAME", "u")
        .env("API_PASSWORD", "hunter2");
    assert!(!format!("{:?}", listen(known)).contains("hunter2"));
    let in_file = Scene::of("[listen]\napi-password = \"hunter2\"\n").error();
    assert!(
        in_file.contains("API_PASSWORD") && !in_file.contains("hunter2"),
        "{in_file}"
    );
}

#[test]
fn origins_are_a_list_with_commas_and_nothing_else_is_one() {
    let origins = |text: &str| Scene::empty().env("API_CORS_ORIGINS", text);
    let api = listen(origins("https://a.example, http://localhost:3000")).api;
    assert_eq!(
        api.expect("on").cors_origins,
        ["https://a.example", "http://localhost:3000"]
    );
    assert_eq!(listen(origins("*")).api.expect("on").cors_origins, ["*"]);
    for text in ["example.org", "https://", "https://a/b", "ftp://a"] {
        assert!(refused(origins(text)).contains("is no origin"), "{text}");
    }
}
