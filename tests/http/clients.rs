//! The clients that people use.

use std::process::Command;

use archive_ingest::envelope;

use crate::scene::{Serving, give_credential};
use crate::support::broker::Access;
use crate::support::python::Python;
use crate::support::skip::service;
use crate::support::{Broker, Place};

/// Every check that schemathesis has, but for those that `arguments`, or a
/// schemathesis.toml in the place, leave out. (`--checks all` would overrule that.)
fn schemathesis(serving: &Serving, arguments: &[&str]) {
    let Some(program) = service("TEST_SCHEMATHESIS") else {
        return;
    };
    let output = Command::new(program)
        .args(["run", "--max-examples", "40", "--workers", "1"])
        .args(arguments)
        .arg(format!("http://{}/api/openapi.json", serving.address))
        .current_dir(serving.place.path(""))
        .env("NO_COLOR", "1")
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env(
            "PYTHONPATH",
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python"),
        )
        // Its bytecode is no part of the repository.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("schemathesis runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Whether a BSON body breaks its schema it cannot tell: it says so of arrays
/// that it calls valid itself. Malformed uploads have tests of their own.
const UPLOADS: &str = r#"
[[operations]]
include-path = "/topic/{topic}"
include-method = "POST"
checks.negative_data_rejection.enabled = false
"#;

#[test]
fn schemathesis_finds_no_difference_between_the_api_and_its_description() {
    let serving = Serving::with_credential();
    let credential = crate::scene::basic(crate::scene::USER, crate::scene::PASSWORD);
    serving.place.write("schemathesis.toml", UPLOADS);
    schemathesis(&serving, &["-H", &credential]);
}

#[test]
fn schemathesis_finds_no_difference_for_a_caller_that_nobody_knows() {
    let serving = Serving::with_credential();
    serving.place.write("schemathesis.toml", UPLOADS);
    // Whether a credential is needed where the document says so is asked of the
    // caller that has one.
    schemathesis(&serving, &["--exclude-checks", "ignored_auth"]);
}

#[test]
fn hop_client_offloads_a_message_of_five_megabytes_and_a_subscriber_gets_it_back() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let mechanism = Access::SaslSsl("SCRAM-SHA-512");
    let Some(mut place) = Place::real_with(&broker, mechanism) else {
        return;
    };
    let Some(python) = Python::of("TEST_PY_CLIENTS") else {
        return;
    };
    let Some((address, Some(credential))) = Broker::listener(mechanism) else {
        return;
    };
    let topic = broker.create("offload", 1);
    // Kafka's credential is the archive's, as hop-client has but one.
    give_credential(&mut place);
    place.variable("API_USERNAME", &credential.username);
    place.variable("API_PASSWORD", &credential.password);
    let serving = Serving::of(place);
    let printed = python.run(
        "offload_with_hop.py",
        &[
            &address,
            &topic,
            credential.ca.to_str().expect("UTF-8"),
            &format!("http://{}", serving.address),
        ],
        &[
            ("HOP_USERNAME", &credential.username),
            ("HOP_PASSWORD", &credential.password),
        ],
    );
    let uuid = printed.trim();
    let stored = crate::http::ask(
        serving.address,
        "GET",
        &format!("/msg/{uuid}"),
        &[&crate::scene::basic(
            &credential.username,
            &credential.password,
        )],
        None,
    );
    let document = envelope::decode(&stored.with(200).body).expect("a stored document");
    assert_eq!(&*document.topic, format!("{topic}+oversized"));
    assert!(document.annotations.direct_upload);
    // Nobody else sees it.
    serving.get(&format!("/msg/{uuid}")).with(401);
    // The placeholder is archived like any other message.
    serving.place.run_to_end();
    let verified = serving.place.run(&["verify", "--deep"]);
    assert_eq!(verified.code, Some(0), "{verified}");
}
