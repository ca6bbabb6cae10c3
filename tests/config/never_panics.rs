use archive_ingest::config::{Inspection, StanzaKind};
use proptest::prelude::*;

use crate::scene::Scene;

/// Text that looks like TOML with known and unknown keys.
fn toml() -> impl Strategy<Value = String> {
    let keys: Vec<&str> = StanzaKind::ALL
        .iter()
        .flat_map(|kind| kind.keys())
        .map(|key| key.name)
        .chain([
            "auth",
            "username",
            "password",
            "hostname",
            "\"a\\nb\"",
            "hop-tpye",
        ])
        .collect();
    let value = prop_oneof![
        Just("\"kafka\"".to_owned()),
        Just("\"sql\"".to_owned()),
        Just("\"S3\"".to_owned()),
        Just("\"\\u0000\\n\"".to_owned()),
        Just("[\"a[\", 1]".to_owned()),
        Just("{ a = { b = 1 }, c = [] }".to_owned()),
        Just("1979-05-27".to_owned()),
        any::<i128>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        "\\PC*".prop_map(|text| format!("{text:?}")),
    ];
    let stanza = prop::sample::select(vec![
        "[h]",
        "[d]",
        "[s]",
        "[log]",
        "[archive]",
        "[k]",
        "[produce]",
        "[[auth]]",
        "",
    ]);
    let line =
        (prop::sample::select(keys), value).prop_map(|(key, value)| format!("{key} = {value}"));
    let part = (stanza, prop::collection::vec(line, 0..4))
        .prop_map(|(stanza, lines)| format!("{stanza}\n{}\n", lines.join("\n")));
    prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
}

fn any_text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => toml().prop_map(String::into_bytes),
        1 => "\\PC*".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

/// All errors, of every way to read the configuration.
fn errors(scene: &Scene) -> Vec<String> {
    let mut errors = Vec::new();
    match Inspection::of(&scene.selection, scene.environment()) {
        Ok(inspection) => errors.extend(inspection.all_errors().map(ToString::to_string)),
        Err(error) => errors.push(error.to_string()),
    }
    if let Ok(config) = scene.load() {
        errors.extend(config.hop().err().map(|error| error.to_string()));
        errors.extend(config.database().err().map(|error| error.to_string()));
        errors.extend(config.store().err().map(|error| error.to_string()));
        errors.extend(config.kernel().err().map(|error| error.to_string()));
        errors.extend(config.produce().err().map(|error| error.to_string()));
    }
    errors
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_text_as_configuration_panics_and_every_error_is_one_line(text in any_text()) {
        let scene = Scene::empty().file("housekeeping.toml", text);
        let scene = scene.hop("h").database("d").store("s");
        let without_kernel = errors(&scene);
        for error in without_kernel.into_iter().chain(errors(&scene.kernel("k"))) {
            prop_assert!(!error.contains(char::is_control), "{error}");
        }
    }

    #[test]
    fn no_text_as_veto_list_panics_and_every_error_is_one_line(text in any_text()) {
        for error in errors(&Scene::of("").file("veto.list", text)) {
            prop_assert!(!error.contains(char::is_control), "{error}");
        }
    }

    #[test]
    fn no_text_as_auth_file_panics_and_every_error_is_one_line(text in any_text()) {
        let toml = "[h]\nhop-type = \"kafka\"\nhop-hostname = \"x\"\nhop-local-auth = \"~/auth\"\n";
        for error in errors(&Scene::of(toml).hop("h").file("auth", text)) {
            prop_assert!(!error.contains(char::is_control), "{error}");
        }
    }

    #[test]
    fn no_environment_panics_and_every_error_is_one_line(
        index in any::<prop::sample::Index>(),
        text in "[^\\x00]*",
        stanza in prop::sample::select(vec!["hop-local", "mock-hop"]),
    ) {
        let keys: Vec<_> = StanzaKind::ALL.iter().flat_map(|kind| kind.keys()).collect();
        let scene = Scene::empty().hop(stanza).database("local-db").store("local-store");
        let scene = scene.kernel("local-kernel");
        for error in errors(&scene.env(&index.get(&keys).variable(), &text)) {
            prop_assert!(!error.contains(char::is_control), "{error}");
        }
    }
}
