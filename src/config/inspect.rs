//! All that is right and wrong with a configuration, without connecting to
//! anything: what `config check` tells.

use super::archive::ArchiveConfig;
use super::bridge::{self, BridgeConfig};
use super::database::DatabaseConfig;
use super::environment::Environment;
use super::error::ConfigError;
use super::file::Stanza;
use super::hop::{self, HopConfig};
use super::kernel::KernelConfig;
use super::listen::ListenConfig;
use super::load::Config;
use super::log::LogConfig;
use super::produce::ProduceConfig;
use super::registry::RegistryConfig;
use super::selection::Selection;
use super::settings::Settings;
use super::stanza_kind::StanzaKind;
use super::store::StoreConfig;
use super::veto::VetoList;

/// What was found, stanza by stanza.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The configuration file, or that it is the built-in one.
    pub configuration: String,
    /// The veto list's file; `None` where there is none.
    pub veto_list: Option<String>,
    /// How many patterns the veto list has.
    pub vetoes: usize,
    /// Those of the file in its order, then the chosen ones that it lacks.
    pub stanzas: Vec<StanzaInspection>,
    /// What is wrong outside of any stanza, the veto list included.
    pub errors: Vec<ConfigError>,
}

#[derive(Clone, Debug)]
pub struct StanzaInspection {
    pub stanza: String,
    /// `None` when nothing in the stanza tells.
    pub kind: Option<StanzaKind>,
    pub chosen: bool,
    pub errors: Vec<ConfigError>,
    /// What would be an error if the stanza were chosen, or was not looked at.
    pub notes: Vec<String>,
    /// What is right and has no effect, a line each.
    pub warnings: Vec<String>,
}

/// Whether a stanza of the kind is in use: always, except that there need not
/// be a kernel, a registry or a bridge.
fn is_used(config: &Config, kind: StanzaKind) -> bool {
    match kind {
        StanzaKind::Kernel => config.kernel_stanza().is_some(),
        StanzaKind::Bridge => config.bridge_stanza().is_some(),
        StanzaKind::Registry => config.selection.registry.is_some(),
        _ => true,
    }
}

impl Inspection {
    /// Looks at every stanza of the file and at the chosen ones, in the given
    /// environment. Errors: the file cannot be read or is not TOML.
    pub fn of(selection: &Selection, environment: Environment) -> Result<Self, ConfigError> {
        let config = Config::open(selection, environment)?;
        let (vetoes, veto_errors) = match config.vetoes() {
            Ok(list) => (list.clone(), list.errors),
            Err(error) => (VetoList::default(), vec![error]),
        };
        let mut stanzas: Vec<_> = config
            .file
            .stanzas
            .iter()
            .map(|stanza| inspect(&config, stanza, &vetoes))
            .collect();
        stanzas.extend(missing(&config, &vetoes));
        let errors = config.file.errors.iter().cloned();
        Ok(Inspection {
            configuration: config.source().to_owned(),
            veto_list: vetoes
                .source
                .as_ref()
                .map(|source| source.name().to_owned()),
            vetoes: vetoes.patterns.len(),
            stanzas,
            errors: errors.chain(veto_errors).collect(),
        })
    }

    /// Everything that is wrong, in the order of the report.
    pub fn all_errors(&self) -> impl Iterator<Item = &ConfigError> {
        let of_stanzas = self.stanzas.iter().flat_map(|stanza| &stanza.errors);
        self.errors.iter().chain(of_stanzas)
    }

    /// Everything that has no effect, in the order of the report.
    pub fn all_warnings(&self) -> impl Iterator<Item = &str> {
        let of_stanzas = self.stanzas.iter().flat_map(|stanza| &stanza.warnings);
        of_stanzas.map(String::as_str)
    }
}

fn inspect(config: &Config, stanza: &Stanza, vetoes: &VetoList) -> StanzaInspection {
    let chosen =
        |kind: &StanzaKind| is_used(config, *kind) && config.selection.stanza(*kind) == stanza.name;
    let mut inspection = match stanza.kind {
        Some(kind) if chosen(&kind) => inspect_chosen(config, kind, vetoes),
        Some(kind) => inspect_unchosen(config, stanza, kind, vetoes),
        None => StanzaInspection {
            stanza: stanza.name.clone(),
            kind: None,
            chosen: false,
            errors: Vec::new(),
            notes: Vec::new(),
            warnings: Vec::new(),
        },
    };
    inspection
        .errors
        .splice(0..0, stanza.errors.iter().cloned());
    inspection
}

/// The chosen stanzas that the file does not have, or has as another kind.
fn missing(config: &Config, vetoes: &VetoList) -> Vec<StanzaInspection> {
    let lacks = |kind: &&StanzaKind| {
        let stanza = config.file.stanza(config.selection.stanza(**kind));
        stanza.is_none_or(|stanza| stanza.kind != Some(**kind))
    };
    let used = |kind: &&StanzaKind| is_used(config, **kind);
    let kinds = StanzaKind::ALL.iter().filter(used).filter(lacks);
    let inspected = kinds.map(|kind| inspect_chosen(config, *kind, vetoes));
    // Nobody chooses these: without them there is nothing to tell.
    let unchosen = [Some(StanzaKind::Listen), Some(StanzaKind::Produce)];
    let told =
        |found: &StanzaInspection| !unchosen.contains(&found.kind) || !found.errors.is_empty();
    inspected.filter(told).collect()
}

fn inspect_chosen(config: &Config, kind: StanzaKind, vetoes: &VetoList) -> StanzaInspection {
    let mut warnings = Vec::new();
    let errors = match config.resolve(kind) {
        Err(error) => vec![error],
        Ok((settings, errors)) if errors.is_empty() => {
            let built = match kind {
                // With the file of its agent's plugin, before which the command
                // line may name another one.
                StanzaKind::Bridge => config.bridge().map(|(bridge, _)| {
                    warnings = bridge.plugin.warnings;
                }),
                _ => build(&settings, vetoes).and_then(|()| beside(config, kind)),
            };
            built.err().into_iter().collect()
        }
        Ok((_, errors)) => errors,
    };
    StanzaInspection {
        stanza: config.selection.stanza(kind).to_owned(),
        kind: Some(kind),
        chosen: true,
        errors,
        notes: Vec::new(),
        warnings,
    }
}

/// What a stanza is to other stanzas.
fn beside(config: &Config, kind: StanzaKind) -> Result<(), ConfigError> {
    match kind {
        StanzaKind::Kernel => config.kernel().map(drop),
        StanzaKind::Produce => config.produce().map(drop),
        _ => Ok(()),
    }
}

fn inspect_unchosen(
    config: &Config,
    stanza: &Stanza,
    kind: StanzaKind,
    vetoes: &VetoList,
) -> StanzaInspection {
    let (settings, mut errors) = config.resolve_unchosen(stanza, kind);
    if errors.iter().all(ConfigError::is_not_built) {
        errors.extend(build(&settings, vetoes).err());
    }
    let (not_built, errors): (Vec<_>, Vec<_>) =
        errors.into_iter().partition(ConfigError::is_not_built);
    let mut notes: Vec<String> = not_built.iter().map(ConfigError::to_string).collect();
    if settings.is_given(&hop::LOCAL_AUTH) {
        notes.push("hop-local-auth is read only when the stanza is chosen".to_owned());
    }
    if settings.is_given(&bridge::PLUGIN_CONFIG) {
        notes.push(format!(
            "bridge-plugin-config is read only when the stanza is chosen: --bridge {}",
            stanza.name
        ));
    }
    StanzaInspection {
        stanza: stanza.name.clone(),
        kind: Some(kind),
        chosen: false,
        errors,
        notes,
        warnings: Vec::new(),
    }
}

/// Makes the typed value and lets it go again.
fn build(settings: &Settings, vetoes: &VetoList) -> Result<(), ConfigError> {
    match settings.kind {
        StanzaKind::Log => LogConfig::read(settings).map(drop),
        StanzaKind::Archive => ArchiveConfig::read(settings).map(drop),
        StanzaKind::Hop => HopConfig::read(settings, &vetoes.patterns).map(drop),
        StanzaKind::Database => DatabaseConfig::read(settings).map(drop),
        StanzaKind::Store => StoreConfig::read(settings).map(drop),
        StanzaKind::Listen => ListenConfig::read(settings).map(drop),
        StanzaKind::Kernel => KernelConfig::read(settings).map(drop),
        StanzaKind::Produce => ProduceConfig::read(settings).map(drop),
        StanzaKind::Bridge => BridgeConfig::read(settings, None).map(drop),
        StanzaKind::Registry => RegistryConfig::read(settings).map(drop),
    }
}
