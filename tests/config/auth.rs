use archive_ingest::config::{HopAuth, HopKind, Mechanism, Protocol};

use crate::scene::Scene;

const STANZA: &str = "[h]\nhop-type = \"hop\"\nhop-hostname = \"kafka.example.org\"\n";
const WITH_FILE: &str = "[h]\nhop-type = \"hop\"\nhop-hostname = \"kafka.example.org\"\n\
                         hop-local-auth = \"~/.config/hop/auth.toml\"\n";

fn with_file(text: &str) -> Scene {
    Scene::of(WITH_FILE)
        .hop("h")
        .file(".config/hop/auth.toml", text)
}

fn auth(scene: &Scene) -> Option<HopAuth> {
    match scene.hop_config().kind {
        HopKind::Kafka { auth, .. } => auth,
        HopKind::Mock => panic!("h is kafka"),
    }
}

fn credential(username: &str) -> HopAuth {
    HopAuth {
        username: username.to_owned(),
        password: "hunter2".to_owned(),
        protocol: Protocol::SaslSsl,
        mechanism: Mechanism::ScramSha512,
        ssl_ca_location: None,
    }
}

fn table(username: &str, more: &str) -> String {
    format!("[[auth]]\nusername = \"{username}\"\npassword = \"hunter2\"\n{more}\n")
}

#[test]
fn without_a_credential_it_is_plaintext() {
    assert_eq!(auth(&Scene::of(STANZA).hop("h")), None);
}

#[test]
fn the_auth_file_of_hop_client_is_read_with_its_defaults() {
    let text = table("me", "hostname = \"kafka.example.org\"");
    assert_eq!(auth(&with_file(&text)), Some(credential("me")));
    let early = "[auth]\nusername = \"me\"\npassword = \"hunter2\"\n";
    assert_eq!(auth(&with_file(early)), Some(credential("me")));
}

#[test]
fn every_key_of_the_auth_file_is_read() {
    let text = table(
        "me",
        "hostname = \"kafka.example.org:9092\"\nprotocol = \"SASL_PLAINTEXT\"\n\
         mechanism = \"SCRAM_SHA_256\"\nssl_ca_location = \"/ca.pem\"",
    );
    let expected = HopAuth {
        protocol: Protocol::SaslPlaintext,
        mechanism: Mechanism::ScramSha256,
        ssl_ca_location: Some("/ca.pem".into()),
        ..credential("me")
    };
    assert_eq!(auth(&with_file(&text)), Some(expected));
}

#[test]
fn the_entry_for_the_host_is_taken_before_the_one_without_a_host() {
    let anywhere = table("anywhere", "");
    let other = table(
        "other",
        "hostname = \"dev.example.org\"\nmechanism = \"OAUTHBEARER\"",
    );
    let port = table("port", "hostname = \"kafka.example.org:1\"");
    let here = table("here", "hostname = \"Kafka.example.org\"");
    let all = format!("{anywhere}{other}{port}{here}");
    assert_eq!(auth(&with_file(&all)), Some(credential("here")));
    let but_here = format!("{anywhere}{other}{port}");
    assert_eq!(auth(&with_file(&but_here)), Some(credential("anywhere")));
}

#[test]
fn the_password_of_another_host_is_never_used() {
    let scene = with_file(&table("me", "hostname = \"dev.example.org\""));
    assert_eq!(
        scene.error(),
        "auth file .config/hop/auth.toml: it has no entry for kafka.example.org (only for dev.example.org): add one with `hop auth add`, or set HOP_USERNAME and HOP_PASSWORD"
    );
}

#[test]
fn an_auth_file_that_others_can_read_is_refused_with_the_command_to_type() {
    for mode in [0o640, 0o604, 0o660, 0o601] {
        let scene = Scene::of(
            "[h]\nhop-type = \"hop\"\nhop-hostname = \"x\"\nhop-local-auth = \"~/it's.toml\"\n",
        )
        .hop("h")
        .file_with_mode("it's.toml", table("me", ""), mode);
        let quoted = scene
            .path("it's.toml")
            .display()
            .to_string()
            .replace('\'', r"'\''");
        let error = scene.load().unwrap().hop().unwrap_err().to_string();
        let end =
            format!("can be read by group or others (mode {mode:04o}): type chmod 600 '{quoted}'");
        assert!(error.ends_with(&end), "{error}");
    }
}

#[test]
fn a_bad_auth_file_is_one_line_without_the_password() {
    for (text, line) in [
        (
            "[[auth]\n".to_owned(),
            ".config/hop/auth.toml:1: not valid TOML: unclosed array table, expected `]`; correct the line (text stands in quotes)",
        ),
        (
            "[[auth]]\npassword = hunter2\n".to_owned(),
            ".config/hop/auth.toml:2: not valid TOML: string values must be quoted, expected literal string; correct the line (text stands in quotes)",
        ),
        (
            "[other]\n".to_owned(),
            "auth file .config/hop/auth.toml: it has no [[auth]] table: add one with `hop auth add`",
        ),
        (
            "auth = [\"hunter2\"]\n".to_owned(),
            "auth file .config/hop/auth.toml: auth must be a list of tables: write [[auth]] in front of each credential",
        ),
        (
            "[[auth]]\nusername = \"me\"\n".to_owned(),
            "auth file .config/hop/auth.toml: an [[auth]] table has no password: add it with `hop auth add`",
        ),
        (
            "[[auth]]\nusername = \"me\"\npassword = [\"hunter2\"]\n".to_owned(),
            "auth file .config/hop/auth.toml: line 3: password must be text: put it into quotes",
        ),
        (
            "[[auth]]\nusername = \"me\"\npassword = \"hunter2\\u0000\"\n".to_owned(),
            "auth file .config/hop/auth.toml: line 3: password contains a control character: remove it",
        ),
        (
            table("me", "mechanism = \"OAUTHBEARER\""),
            "auth file .config/hop/auth.toml: line 4: mechanism must be one of SCRAM-SHA-512, SCRAM-SHA-256, PLAIN, not \"OAUTHBEARER\"",
        ),
        (
            table("me", "protocol = \"SSL\""),
            "auth file .config/hop/auth.toml: line 4: protocol must be one of SASL_SSL, SASL_PLAINTEXT, not \"SSL\"",
        ),
        (
            table("me", "") + &table("you", ""),
            "auth file .config/hop/auth.toml: it has several entries for kafka.example.org: keep one, or set HOP_USERNAME and HOP_PASSWORD",
        ),
    ] {
        let error = with_file(&text).error();
        assert_eq!(error, line, "for {text}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert_eq!(
        Scene::of(WITH_FILE).hop("h").error(),
        "auth file .config/hop/auth.toml: No such file or directory (os error 2); write it with `hop auth add`, or set HOP_USERNAME and HOP_PASSWORD"
    );
}

#[test]
fn a_credential_in_the_environment_needs_no_file() {
    let by_environment = |toml: &str| {
        Scene::of(toml)
            .hop("h")
            .env("HOP_USERNAME", "env")
            .env("HOP_PASSWORD", "hunter2")
    };
    assert_eq!(auth(&by_environment(STANZA)), Some(credential("env")));
    assert_eq!(auth(&by_environment(WITH_FILE)), Some(credential("env")));
    let scene = by_environment(STANZA)
        .file("ca.pem", "")
        .env("HOP_SECURITY_PROTOCOL", "sasl_plaintext")
        .env("HOP_SASL_MECHANISM", "PLAIN")
        .env("HOP_SSL_CA_LOCATION", "~/ca.pem");
    let expected = HopAuth {
        protocol: Protocol::SaslPlaintext,
        mechanism: Mechanism::Plain,
        ssl_ca_location: Some(scene.path("ca.pem")),
        ..credential("env")
    };
    assert_eq!(auth(&scene), Some(expected));
}

#[test]
fn a_credential_in_the_environment_goes_before_the_one_in_the_file() {
    let scene = with_file(&table("file", "protocol = \"SASL_PLAINTEXT\""))
        .env("HOP_USERNAME", "env")
        .env("HOP_PASSWORD", "hunter2");
    let expected = HopAuth {
        protocol: Protocol::SaslPlaintext,
        ..credential("env")
    };
    assert_eq!(auth(&scene), Some(expected));
}

#[test]
fn plaintext_that_is_asked_for_makes_no_use_of_a_credential() {
    let scene = Scene::empty()
        .hop("hop-local")
        .env("HOP_USERNAME", "env")
        .env("HOP_PASSWORD", "hunter2");
    assert_eq!(auth(&scene), None);
}

#[test]
fn a_password_is_hidden_in_debug_output() {
    let shown = format!("{:?}", credential("me"));
    assert!(
        shown.contains("[hidden]") && !shown.contains("hunter2"),
        "{shown}"
    );
}
