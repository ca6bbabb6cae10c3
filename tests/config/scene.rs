//! A directory with configuration files, an environment and a command line.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use archive_ingest::config::{Config, ConfigError, Environment, HopConfig, Inspection, Selection};

pub struct Scene {
    directory: tempfile::TempDir,
    variables: BTreeMap<String, String>,
    pub selection: Selection,
}

impl Scene {
    /// An empty directory, an environment with nothing but HOME, no options.
    pub fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().to_str().unwrap().to_owned();
        Scene {
            directory,
            variables: BTreeMap::from([("HOME".to_owned(), home)]),
            selection: Selection::default(),
        }
    }

    /// With this `./housekeeping.toml`.
    pub fn of(toml: &str) -> Self {
        Scene::empty().file("housekeeping.toml", toml)
    }

    pub fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        self.file_with_mode(name, text, 0o600)
    }

    pub fn file_with_mode(self, name: &str, text: impl AsRef<[u8]>, mode: u32) -> Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn hop(mut self, stanza: &str) -> Self {
        self.selection.hop = Some(stanza.to_owned());
        self
    }

    pub fn database(mut self, stanza: &str) -> Self {
        self.selection.database = Some(stanza.to_owned());
        self
    }

    pub fn store(mut self, stanza: &str) -> Self {
        self.selection.store = Some(stanza.to_owned());
        self
    }

    pub fn kernel(mut self, stanza: &str) -> Self {
        self.selection.kernel = Some(stanza.to_owned());
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn environment(&self) -> Environment {
        Environment::from_variables(&self.variables).in_directory(self.directory.path())
    }

    pub fn load(&self) -> Result<Config, ConfigError> {
        Config::load_in(&self.selection, self.environment())
    }

    pub fn inspect(&self) -> Inspection {
        Inspection::of(&self.selection, self.environment()).unwrap()
    }

    pub fn hop_config(&self) -> HopConfig {
        self.load().unwrap().hop().unwrap()
    }

    /// The first error of a command that needs everything, as it is shown,
    /// without the directory.
    pub fn error(&self) -> String {
        let everything = || {
            let config = self.load()?;
            config.log()?;
            config.archive()?;
            config.hop()?;
            config.database()?;
            config.store()?;
            config.kernel()?;
            config.produce()?;
            config.listen()?;
            Ok(())
        };
        let outcome: Result<(), ConfigError> = everything();
        self.shown(&outcome.unwrap_err())
    }

    /// An error as it is shown, without the directory.
    pub fn shown(&self, error: &ConfigError) -> String {
        let directory = format!("{}/", self.directory.path().display());
        error.to_string().replace(&directory, "")
    }
}
