//! `config check` and `config show`: whether the configuration is right, and
//! what holds.

use std::io::Write;

use serde_json::{Value as Json, json};

use super::{Exit, output, table};
use crate::config::{
    Built, Config, ConfigError, Environment, Inspection, Setting, Settings, StanzaInspection,
    StanzaKind, Value, shown_properties,
};

pub use crate::config::Selection;

/// The kinds whose effective values `config show` tells.
const SHOWN: &[StanzaKind] = &[
    StanzaKind::Log,
    StanzaKind::Archive,
    StanzaKind::Hop,
    StanzaKind::Database,
    StanzaKind::Store,
    StanzaKind::Listen,
    StanzaKind::Kernel,
    StanzaKind::Produce,
    StanzaKind::Bridge,
    StanzaKind::Registry,
];

/// `config check`: prints a line per stanza on stdout (or one JSON document),
/// every warning and every error as a line on stderr, and gives the exit code: 0 or 2. Connects
/// to nothing. Errors: a [`ConfigError`] when the file cannot be read or is not
/// TOML; stdout cannot be written.
pub fn check(selection: &Selection, json: bool) -> anyhow::Result<Exit> {
    let inspection = Inspection::of(selection, Environment::of_process())?;
    let text = match json {
        true => pretty(&check_json(&inspection))?,
        false => check_table(&inspection),
    };
    output::print(&text)?;
    let mut stderr = std::io::stderr().lock();
    for warning in inspection.all_warnings() {
        writeln!(stderr, "warning: {warning}")?;
    }
    for error in inspection.all_errors() {
        writeln!(stderr, "error: {error}")?;
    }
    let is_sound = inspection.all_errors().next().is_none();
    Ok(if is_sound { Exit::Clean } else { Exit::Usage })
}

/// `config show`: prints key, value and origin of everything that holds in the
/// chosen stanzas, secrets only as `[set]` or `[not set]`. Errors: a
/// [`ConfigError`]; stdout cannot be written.
pub fn show(selection: &Selection, json: bool) -> anyhow::Result<Exit> {
    let effective = effective(selection, Environment::of_process())?;
    let text = match json {
        true => pretty(&show_json(&effective))?,
        false => show_table(&effective),
    };
    output::print(&text)?;
    Ok(Exit::Clean)
}

/// What was found, as a table with a line per stanza.
pub fn check_table(inspection: &Inspection) -> String {
    let veto_list = inspection.veto_list.as_deref().unwrap_or("none");
    let stanzas = table::render(
        ["stanza", "kind", "chosen", "result", "notes"],
        inspection.stanzas.iter().map(check_row),
    );
    format!(
        "configuration: {}\nveto list: {veto_list} ({} patterns)\n\n{stanzas}",
        inspection.configuration, inspection.vetoes,
    )
}

fn check_row(stanza: &StanzaInspection) -> [String; 5] {
    let result = match stanza.errors.len() {
        0 => "ok".to_owned(),
        1 => "1 error".to_owned(),
        several => format!("{several} errors"),
    };
    let warnings = match stanza.warnings.len() {
        0 => None,
        1 => Some("1 warning".to_owned()),
        several => Some(format!("{several} warnings")),
    };
    let notes: Vec<String> = warnings.into_iter().chain(stanza.notes.clone()).collect();
    [
        stanza.stanza.escape_debug().to_string(),
        stanza.kind.map_or("unknown", StanzaKind::name).to_owned(),
        if stanza.chosen { "yes" } else { "no" }.to_owned(),
        result,
        notes.join("; "),
    ]
}

/// What was found, as one document.
pub fn check_json(inspection: &Inspection) -> Json {
    let stanzas: Vec<Json> = inspection
        .stanzas
        .iter()
        .map(|stanza| {
            json!({
                "stanza": stanza.stanza,
                "kind": stanza.kind.map(StanzaKind::name),
                "chosen": stanza.chosen,
                "ok": stanza.errors.is_empty(),
                "errors": lines(stanza.errors.iter()),
                "notes": stanza.notes,
                "warnings": stanza.warnings,
            })
        })
        .collect();
    json!({
        "ok": inspection.all_errors().next().is_none(),
        "configuration": inspection.configuration,
        "veto_list": inspection.veto_list,
        "vetoes": inspection.vetoes,
        "stanzas": stanzas,
        "errors": lines(inspection.errors.iter()),
    })
}

fn lines<'a>(errors: impl Iterator<Item = &'a ConfigError>) -> Vec<String> {
    errors.map(ConfigError::to_string).collect()
}

/// The effective values of the chosen stanzas. Errors: the first value that
/// is wrong.
pub fn effective(
    selection: &Selection,
    environment: Environment,
) -> Result<Vec<Settings>, ConfigError> {
    let config = Config::load_in(selection, environment)?;
    let used = |kind: &&StanzaKind| match kind {
        StanzaKind::Kernel => config.kernel_stanza().is_some(),
        StanzaKind::Bridge => config.bridge_stanza().is_some(),
        StanzaKind::Registry => selection.registry.is_some(),
        _ => true,
    };
    SHOWN
        .iter()
        .filter(used)
        .map(|kind| config.settings(*kind))
        .collect()
}

/// A line per key: stanza, key, value, origin.
pub fn show_table(effective: &[Settings]) -> String {
    let rows = effective.iter().flat_map(|settings| {
        shown(settings).map(|setting| {
            [
                format!("[{}]", settings.stanza.escape_debug()),
                setting.key.name.to_owned(),
                value_text(setting),
                setting.origin.to_string(),
            ]
        })
    });
    table::render(["stanza", "key", "value", "from"], rows)
}

/// One document: stanza kind → its name and its keys with value and origin.
pub fn show_json(effective: &[Settings]) -> Json {
    let stanza = |settings: &Settings| {
        let keys: serde_json::Map<String, Json> = shown(settings)
            .map(|setting| {
                let value = json!({
                    "value": value_json(setting),
                    "from": setting.origin.to_string(),
                });
                (setting.key.name.to_owned(), value)
            })
            .collect();
        let document = json!({ "stanza": settings.stanza, "keys": keys });
        (settings.kind.name().to_owned(), document)
    };
    Json::Object(effective.iter().map(stanza).collect())
}

/// All keys but those that nothing acts on and nobody gave.
fn shown(settings: &Settings) -> impl Iterator<Item = &Setting> {
    let all = settings.settings.iter();
    all.filter(|setting| setting.key.built == Built::Yes || setting.value.is_some())
}

fn value_text(setting: &Setting) -> String {
    match &setting.value {
        None | Some(Value::Secret(_)) if setting.key.is_secret() => secret(setting).to_owned(),
        None => "-".to_owned(),
        Some(value) => value.to_string(),
    }
}

fn value_json(setting: &Setting) -> Json {
    match &setting.value {
        None | Some(Value::Secret(_)) if setting.key.is_secret() => json!(secret(setting)),
        None => Json::Null,
        Some(Value::Flag(flag)) => json!(flag),
        Some(Value::Number(number)) => json!(number),
        Some(Value::Topics(topics)) => json!(topics),
        Some(Value::Properties(properties)) => json!(shown_properties(properties)),
        Some(value) => json!(value.to_string()),
    }
}

fn secret(setting: &Setting) -> &'static str {
    if setting.value.is_some() {
        "[set]"
    } else {
        "[not set]"
    }
}

fn pretty(document: &Json) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}
