use archive_ingest::config::StanzaKind;

use crate::scene::Scene;

const HOUSEKEEPING: &str = include_str!("../../housekeeping.toml");
const VETO_LIST: &str = include_str!("../../veto.list");

#[test]
fn the_configuration_in_the_repository_is_valid_built_in_and_as_a_file() {
    let as_file = Scene::of(HOUSEKEEPING).file("veto.list", VETO_LIST);
    for scene in [Scene::empty(), as_file] {
        let inspection = scene.inspect();
        let errors: Vec<_> = inspection.all_errors().map(ToString::to_string).collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(inspection.vetoes, 1);
        let mut names: Vec<_> = inspection
            .stanzas
            .iter()
            .map(|s| s.stanza.as_str())
            .collect();
        names.sort_unstable();
        let expected = [
            "archive",
            "bridge",
            "demo-kernel",
            "file-db",
            "file-store",
            "hop-dev",
            "hop-local",
            "hop-prod",
            "listen",
            "local-db",
            "local-kernel",
            "local-registry",
            "local-store",
            "log",
            "mock-hop",
            "produce",
        ];
        assert_eq!(names, expected);
    }
}

#[test]
fn a_commented_key_can_be_uncommented() {
    let uncommented: String = HOUSEKEEPING
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if is_key_line(key) => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let errors: Vec<_> = Scene::of(&uncommented)
        .inspect()
        .all_errors()
        .map(ToString::to_string)
        .filter(|error| !error.contains("/etc/ssl/certs/my-ca.pem"))
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
}

fn is_key_line(line: &str) -> bool {
    line.split_once(" = ")
        .is_some_and(|(key, _)| StanzaKind::of_key(key).is_some())
}

#[test]
fn every_key_is_documented_and_a_commented_default_is_the_default() {
    for key in StanzaKind::ALL.iter().flat_map(|kind| kind.keys()) {
        assert!(
            HOUSEKEEPING.contains(key.name),
            "{} is not documented",
            key.name
        );
        let commented = HOUSEKEEPING
            .lines()
            .filter_map(|line| line.strip_prefix('#')?.split_once(" = "))
            .filter(|(name, _)| *name == key.name);
        for (name, value) in commented {
            let value = value.trim_matches(|c| "[]\"".contains(c)).replace('_', "");
            let default = key.default.map(|default| default.replace('_', ""));
            if let Some(default) = default {
                assert_eq!(value, default, "{name}");
            }
        }
    }
}

#[test]
fn every_key_has_a_description_and_a_variable_of_its_own() {
    let keys: Vec<_> = StanzaKind::ALL
        .iter()
        .flat_map(|kind| kind.keys())
        .collect();
    let variables: std::collections::BTreeSet<_> = keys.iter().map(|key| key.variable()).collect();
    assert_eq!(variables.len(), keys.len());
    assert!(
        keys.iter()
            .all(|key| !key.about.is_empty() && !key.about.contains('\n'))
    );
}
