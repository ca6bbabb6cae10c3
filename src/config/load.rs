//! From the command line, the environment and the files to checked values.

use std::path::{Path, PathBuf};

use super::aether::AetherConfig;
use super::archive::{self, ArchiveConfig};
use super::bridge::BridgeConfig;
use super::database::DatabaseConfig;
use super::document::Source;
use super::environment::Environment;
use super::error::{ConfigError, Problem};
use super::file::{ConfigFile, Stanza};
use super::hop::{self, HopConfig};
use super::kernel::{KernelConfig, NamedBy};
use super::listen::{self, ControlConfig, ListenConfig};
use super::log::LogConfig;
use super::produce;
use super::produce::{MessageFormat, ProduceConfig};
use super::registry::RegistryConfig;
use super::selection::Selection;
use super::settings::{Layers, Settings};
use super::stanza_kind::{ALWAYS, StanzaKind, nearest, unalias};
use super::store::StoreConfig;
use super::veto::VetoList;

/// `housekeeping.toml` of this program's repository.
const BUILT_IN: &str = include_str!("../../housekeeping.toml");
/// `veto.list` of this program's repository.
const BUILT_IN_VETOES: &str = include_str!("../../veto.list");

const CONFIG_REMEDY: &str =
    "correct the path, or leave --config out for the built-in configuration";
const VETO_REMEDY: &str = "correct --veto-list, or leave it out";
const VETO_BESIDE_REMEDY: &str = "make it readable, or name another one with --veto-list";

/// A configuration whose files are read and whose keys are known. Each kind of
/// stanza becomes a checked value when it is asked for, so that a command that
/// needs no hop works beside a hop stanza that is wrong.
#[derive(Clone, Debug)]
pub struct Config {
    pub(super) selection: Selection,
    pub(super) environment: Environment,
    pub(super) file: ConfigFile,
    built_in: ConfigFile,
    path: Option<PathBuf>,
}

/// All that publishing entities works with.
#[derive(Clone, Debug)]
pub struct PublishingConfig {
    pub hop: HopConfig,
    pub kernel: KernelConfig,
    /// Where it is kept how far each type is published.
    pub positions: DatabaseConfig,
    pub positions_named_by: NamedBy,
    pub produce: ProduceConfig,
    /// What Aether Producer's environment says of the control, where it holds.
    aether_control: Option<ControlConfig>,
}

impl Config {
    /// Reads what the command line selects, in the process's environment.
    /// Errors: the file cannot be read, is not TOML, or a key in any of its
    /// stanzas is unknown, in the wrong place or a secret.
    pub fn load(selection: &Selection) -> Result<Self, ConfigError> {
        Config::load_in(selection, Environment::of_process())
    }

    /// The same in another environment.
    pub fn load_in(selection: &Selection, environment: Environment) -> Result<Self, ConfigError> {
        let config = Config::open(selection, environment)?;
        if let Some(error) = config.file.first_error() {
            return Err(error.clone());
        }
        config.check_kernel()?;
        config.registry()?;
        config.settings(StanzaKind::Listen)?;
        Ok(config)
    }

    /// The same with all that is wrong with keys left for the caller to look at.
    pub(super) fn open(
        selection: &Selection,
        environment: Environment,
    ) -> Result<Self, ConfigError> {
        let path = config_path(selection, &environment);
        let built_in = ConfigFile::parse(BUILT_IN, Source::BuiltIn)?;
        let file = match &path {
            Some(path) => read_file(path)?,
            None => built_in.clone(),
        };
        Ok(Config {
            selection: selection.clone(),
            environment,
            file,
            built_in,
            path,
        })
    }

    /// Where the configuration comes from, for messages.
    pub fn source(&self) -> &str {
        self.file.source.name()
    }

    pub fn log(&self) -> Result<LogConfig, ConfigError> {
        LogConfig::read(&self.settings(StanzaKind::Log)?)
    }

    pub fn archive(&self) -> Result<ArchiveConfig, ConfigError> {
        ArchiveConfig::read(&self.settings(StanzaKind::Archive)?)
    }

    pub fn listen(&self) -> Result<ListenConfig, ConfigError> {
        ListenConfig::read(&self.settings(StanzaKind::Listen)?)
    }

    pub fn database(&self) -> Result<DatabaseConfig, ConfigError> {
        DatabaseConfig::read(&self.settings(StanzaKind::Database)?)
    }

    pub fn store(&self) -> Result<StoreConfig, ConfigError> {
        StoreConfig::read(&self.settings(StanzaKind::Store)?)
    }

    /// Reads the veto list and, where the stanza names one, the auth file.
    pub fn hop(&self) -> Result<HopConfig, ConfigError> {
        let settings = self.settings(StanzaKind::Hop)?;
        let vetoes = self.vetoes()?;
        match vetoes.errors.first() {
            Some(error) => Err(error.clone()),
            None => HopConfig::read(&settings, &vetoes.patterns),
        }
    }

    /// The chosen kernel, `None` where there is none: see
    /// [`Config::kernel_stanza`]. Errors: its stanza is wrong, or it is a demo
    /// and the hop is a real broker.
    pub fn kernel(&self) -> Result<Option<KernelConfig>, ConfigError> {
        let Some(stanza) = self.kernel_stanza() else {
            return Ok(None);
        };
        let kernel = KernelConfig::read(&self.settings(StanzaKind::Kernel)?)?;
        if kernel.is_demo() && !self.hop_is_mock() {
            return Err(Problem::DemoOnRealHop {
                kernel: stanza.to_owned(),
                hop: self.selection.stanza(StanzaKind::Hop).to_owned(),
            }
            .into());
        }
        Ok(Some(kernel))
    }

    /// The kernel that holds: `-K`, or the demo where the hop is a mock.
    pub fn kernel_stanza(&self) -> Option<&str> {
        let is_chosen = self.selection.kernel.is_some() || self.hop_is_mock();
        is_chosen.then(|| self.selection.stanza(StanzaKind::Kernel))
    }

    /// Whether a kernel's entities are to be published beside archiving: where
    /// `-K` names one; and the demo's, where the command line names no stanza at
    /// all, so that made-up entities come to no archive unasked.
    pub fn publishes_beside(&self) -> bool {
        match self.selection.kernel {
            Some(_) => true,
            None => !self.selection.names_any() && self.kernel_stanza().is_some(),
        }
    }

    /// That a kernel which was named can be used, whatever the command.
    pub(super) fn check_kernel(&self) -> Result<(), ConfigError> {
        match self.selection.kernel {
            Some(_) => self.kernel().map(drop),
            None => Ok(()),
        }
    }

    /// A hop stanza that is wrong is none: whoever needs it says so.
    fn hop_is_mock(&self) -> bool {
        let settings = self.resolve(StanzaKind::Hop);
        settings.is_ok_and(|(settings, _)| hop::is_mock(&settings))
    }

    /// What publishing entities works with: the environment of Aether Producer,
    /// where it is one and the command line names neither hop nor kernel, else
    /// the stanzas. `None` when no kernel is chosen.
    pub fn publishing(&self) -> Result<Option<PublishingConfig>, ConfigError> {
        let names_stanzas = self.selection.hop.is_some() || self.selection.kernel.is_some();
        if !names_stanzas && let Some(aether) = self.aether()? {
            return Ok(Some(PublishingConfig {
                hop: aether.hop,
                kernel: aether.kernel,
                positions: DatabaseConfig::Postgres(aether.positions),
                positions_named_by: NamedBy::AetherEnvironment,
                produce: aether.produce,
                aether_control: Some(aether.control),
            }));
        }
        let Some(kernel) = self.kernel()? else {
            return Ok(None);
        };
        Ok(Some(PublishingConfig {
            hop: self.hop()?,
            kernel,
            positions: self.database()?,
            positions_named_by: NamedBy::Stanza,
            produce: self.produce()?,
            aether_control: None,
        }))
    }

    /// Where the producer's control listens, and for whom; `None` is off. Aether
    /// Producer's environment says it where it holds, but `producer-listen`
    /// goes before its address.
    pub fn control(
        &self,
        publishing: &PublishingConfig,
    ) -> Result<Option<ControlConfig>, ConfigError> {
        let Some(aether) = &publishing.aether_control else {
            return Ok(self.listen()?.control);
        };
        let settings = self.settings(StanzaKind::Listen)?;
        if !settings.is_given(&listen::PRODUCER) {
            return Ok(Some(aether.clone()));
        }
        let address = listen::address(&settings, &listen::PRODUCER)?;
        Ok(address.map(|address| ControlConfig {
            address,
            ..aether.clone()
        }))
    }

    /// What the environment says where it is one of Aether Producer's: see
    /// [`AetherConfig`]. Reads its settings file.
    pub fn aether(&self) -> Result<Option<AetherConfig>, ConfigError> {
        AetherConfig::of(&self.environment)
    }

    /// Errors: among others `produce-format` is `registry` and none is chosen.
    pub fn produce(&self) -> Result<ProduceConfig, ConfigError> {
        let settings = self.settings(StanzaKind::Produce)?;
        let mut produce = ProduceConfig::read(&settings)?;
        if let MessageFormat::Registry(registry) = &mut produce.format {
            let missing = || produce::no_registry(&settings);
            *registry = Some(self.registry()?.ok_or_else(missing)?);
        }
        Ok(produce)
    }

    /// The chosen schema registry, `None` where there is none.
    pub fn registry(&self) -> Result<Option<RegistryConfig>, ConfigError> {
        match self.selection.registry {
            Some(_) => RegistryConfig::read(&self.settings(StanzaKind::Registry)?).map(Some),
            None => Ok(None),
        }
    }

    /// The chosen bridge and its cluster: the one that the plugin's file names,
    /// unless the command line names one. Reads that file.
    pub fn bridge(&self) -> Result<(BridgeConfig, HopConfig), ConfigError> {
        let settings = self.settings(StanzaKind::Bridge)?;
        let mut bridge = BridgeConfig::read(&settings, self.selection.plugin_config.as_ref())?;
        let hop = match (&bridge.plugin.bootstrap_servers, &self.selection.hop) {
            (Some(servers), None) => HopConfig::of_servers(&bridge.stanza, servers)?,
            (Some(_), Some(stanza)) => {
                let told =
                    format!("bootstrap_servers has no effect: -H {stanza} names the cluster");
                bridge.plugin.warnings.push(told);
                self.hop()?
            }
            (None, _) => self.hop()?,
        };
        // The file has no option for a CA.
        let ca = match bridge.plugin.asks_for_ssl() {
            true => {
                let (of_hop, _) = self.resolve(StanzaKind::Hop)?;
                of_hop.existing_file(&hop::SSL_CA_LOCATION)?
            }
            false => None,
        };
        let hop = bridge.hop(hop, ca);
        Ok((bridge, hop))
    }

    /// The bridge that is chosen; `None` where none is.
    pub fn bridge_stanza(&self) -> Option<&str> {
        let is_chosen = self.selection.bridge.is_some();
        is_chosen.then(|| self.selection.stanza(StanzaKind::Bridge))
    }

    /// The effective values of the chosen stanza of a kind.
    pub fn settings(&self, kind: StanzaKind) -> Result<Settings, ConfigError> {
        let (settings, errors) = self.resolve(kind)?;
        match errors.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(settings),
        }
    }

    /// The chosen stanza's values with all that is wrong with them.
    pub(super) fn resolve(
        &self,
        kind: StanzaKind,
    ) -> Result<(Settings, Vec<ConfigError>), ConfigError> {
        let name = self.selection.stanza(kind);
        let file = self.chosen_stanza(kind, name)?;
        let layers = Layers {
            stanza: name,
            kind,
            built_in: self.always_there(kind, name),
            file,
            environment: &self.environment,
            chosen: true,
            command_line: self.selection.overrides(),
        };
        let (mut settings, errors) = layers.resolve();
        archive::settle(&mut settings);
        Ok((settings, errors))
    }

    /// A stanza of the file looked at by itself: without the environment and
    /// without the files that it names.
    pub(super) fn resolve_unchosen(
        &self,
        stanza: &Stanza,
        kind: StanzaKind,
    ) -> (Settings, Vec<ConfigError>) {
        let layers = Layers {
            stanza: &stanza.name,
            kind,
            built_in: self.always_there(kind, &stanza.name),
            file: Some(stanza),
            environment: &self.environment,
            chosen: false,
            command_line: Vec::new(),
        };
        layers.resolve()
    }

    /// The veto list, empty where there is none. Errors: it cannot be read.
    pub(super) fn vetoes(&self) -> Result<VetoList, ConfigError> {
        match self.veto_path() {
            Some((path, remedy)) => VetoList::read(&path, remedy),
            None if self.path.is_none() => Ok(VetoList::parse(BUILT_IN_VETOES, Source::BuiltIn)),
            None => Ok(VetoList::default()),
        }
    }

    fn veto_path(&self) -> Option<(PathBuf, &'static str)> {
        if let Some(named) = &self.selection.veto_list {
            return Some((named.clone(), VETO_REMEDY));
        }
        let beside = self.path.as_ref()?.with_file_name("veto.list");
        beside.exists().then_some((beside, VETO_BESIDE_REMEDY))
    }

    /// The stanza in the file, `None` when it is one that is always there and
    /// the file does not have it.
    fn chosen_stanza(&self, kind: StanzaKind, name: &str) -> Result<Option<&Stanza>, ConfigError> {
        let Some(option) = kind.option() else {
            return Ok(self.file.stanza(name));
        };
        match self.file.stanza(name) {
            Some(stanza) if stanza.kind == Some(kind) => Ok(Some(stanza)),
            None if self.always_there(kind, name).is_some() => {
                // An alias stands for the stanza of the file, if it has it.
                Ok(self
                    .file
                    .stanza(unalias(name))
                    .filter(|s| s.kind == Some(kind)))
            }
            Some(_) => Err(Problem::WrongStanza {
                option,
                name: name.to_owned(),
                prefix: kind.prefix(),
                known: self.names(kind).join(", "),
            }
            .into()),
            None => Err(self.unknown_stanza(kind, option, name)),
        }
    }

    fn unknown_stanza(&self, kind: StanzaKind, option: &'static str, name: &str) -> ConfigError {
        let known = self.names(kind);
        let nearest = nearest(name, known.iter().copied());
        Problem::UnknownStanza {
            option,
            name: name.to_owned(),
            file: self.source().to_owned(),
            nearest: nearest.unwrap_or(kind.default_stanza()).to_owned(),
            known: known.join(", "),
        }
        .into()
    }

    /// The stanzas that a kind can be chosen from.
    fn names(&self, kind: StanzaKind) -> Vec<&str> {
        let of_file = self
            .file
            .stanzas
            .iter()
            .filter(|stanza| stanza.kind == Some(kind));
        let always = ALWAYS.iter().filter(|(_, always)| *always == kind);
        let mut names: Vec<&str> = of_file
            .map(|stanza| stanza.name.as_str())
            .chain(always.map(|(name, _)| *name))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The built-in stanza below one of the names that are always there.
    fn always_there(&self, kind: StanzaKind, name: &str) -> Option<&Stanza> {
        let name = unalias(name);
        ALWAYS
            .contains(&(name, kind))
            .then(|| self.built_in.stanza(name))?
    }
}

fn config_path(selection: &Selection, environment: &Environment) -> Option<PathBuf> {
    selection.config_file.clone().or_else(|| {
        let here = environment.resolve("housekeeping.toml");
        here.exists().then_some(here)
    })
}

fn read_file(path: &Path) -> Result<ConfigFile, ConfigError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| Problem::Unreadable {
        what: "configuration file",
        file: file.clone(),
        cause: error.to_string(),
        remedy: CONFIG_REMEDY,
    })?;
    ConfigFile::parse(&text, Source::File(file))
}
