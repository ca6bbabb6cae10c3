//! A private archive: a folder with the configuration, a catalogue and a store
//! of its own, and the program running on them.

mod bucket;
mod database;
mod spelling;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use archive_ingest::catalogue::{self, Catalogue, RowFilter};
use archive_ingest::config::{Config, DatabaseConfig, Environment, Selection};
use archive_ingest::store::{self, Store};

use super::archived::{self, Archived};
use super::broker::{Access, Broker};
use super::by_hand::ByHand;
use super::program::{self, Ended, Process};
use super::proxy::{Proxy, Speech};
pub use bucket::OwnBucket;
pub use database::OwnDatabase;
use spelling::{as_variable, auth_file, quoted, text};

/// Lines of one stanza: key → value as TOML.
type Stanza = BTreeMap<String, String>;

pub struct Place {
    folder: tempfile::TempDir,
    stanzas: BTreeMap<&'static str, Stanza>,
    variables: BTreeMap<String, String>,
    /// Variables of the program alone: the test itself goes to the services
    /// directly.
    detours: BTreeMap<&'static str, String>,
    database: Option<OwnDatabase>,
    bucket: Option<OwnBucket>,
}

impl Place {
    /// The embedded defaults: the broker inside the process, SQLite, a
    /// directory.
    pub fn embedded() -> Self {
        let mut place = Self::empty();
        place.set("hop", "hop-type", "\"mock\"");
        place.set("db", "db-type", "\"sqlite\"");
        place.set_path("db", "db-path", "catalogue.sqlite");
        place.set("store", "store-type", "\"directory\"");
        place.set_path("store", "store-path", "objects");
        place
    }

    /// Kafka on PLAINTEXT, and an empty PostgreSQL database and an empty S3
    /// bucket of its own. Reads all topics of `broker` and no others.
    pub fn real(broker: &Broker) -> Option<Self> {
        Self::real_with(broker, Access::Plaintext)
    }

    /// As [`Place::real`], on another listener.
    pub fn real_with(broker: &Broker, access: Access) -> Option<Self> {
        let mut place = Self::empty();
        place.use_kafka(broker, access)?;
        place.use_postgres()?;
        place.use_s3()?;
        Some(place)
    }

    /// The broker inside the process, and an empty PostgreSQL database and an
    /// empty S3 bucket of its own.
    pub fn mock_on_services() -> Option<Self> {
        let mut place = Self::empty();
        place.set("hop", "hop-type", "\"mock\"");
        place.use_postgres()?;
        place.use_s3()?;
        Some(place)
    }

    /// Kafka on PLAINTEXT with the embedded backends, a SQLite file and a
    /// directory, in folders that are not there yet. Reads all topics of
    /// `broker` and no others.
    pub fn local(broker: &Broker) -> Option<Self> {
        let mut place = Self::empty();
        place.use_kafka(broker, Access::Plaintext)?;
        place.use_folder("archive");
        Some(place)
    }

    /// A catalogue and a store in a folder of this place.
    pub fn use_folder(&mut self, folder: &str) {
        self.set("db", "db-type", "\"sqlite\"");
        self.set_path("db", "db-path", &format!("{folder}/catalogue.sqlite"));
        self.set("store", "store-type", "\"directory\"");
        self.set_path("store", "store-path", &format!("{folder}/store"));
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let home = text(folder.path().to_path_buf());
        let mut place = Self {
            folder,
            stanzas: BTreeMap::new(),
            variables: BTreeMap::from([("HOME".to_owned(), home)]),
            detours: BTreeMap::new(),
            database: None,
            bucket: None,
        };
        // The default ports belong to nobody's test.
        place.set("listen", "api-listen", "\"off\"");
        place.set("listen", "producer-listen", "\"off\"");
        place
    }

    pub fn use_kafka(&mut self, broker: &Broker, access: Access) -> Option<()> {
        let (address, credential) = match access {
            Access::Plaintext => (broker.address.clone(), None),
            access => Broker::listener(access)?,
        };
        self.set("hop", "hop-type", "\"kafka\"");
        self.set("hop", "hop-hostname", &quoted(&address));
        self.set("hop", "hop-topics", &format!("[{:?}]", broker.all_topics()));
        self.set("hop", "hop-groupname", &quoted(&broker.name("group")));
        // What is killed is noticed as soon as the broker allows.
        self.set(
            "hop",
            "hop-properties",
            "{ \"session.timeout.ms\" = 6000, \"heartbeat.interval.ms\" = 500 }",
        );
        if let Some(credential) = credential {
            let file = self.write("auth.toml", &auth_file(&address, access, &credential));
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))
                .expect("a file of ours");
            self.set("hop", "hop-local-auth", &quoted(&text(file)));
        }
        Some(())
    }

    pub fn use_postgres(&mut self) -> Option<()> {
        let database = OwnDatabase::create()?;
        self.set("db", "db-type", "\"postgres\"");
        self.set("db", "db-host", &quoted(&database.host));
        self.set("db", "db-port", &database.port.to_string());
        self.set("db", "db-name", &quoted(&database.name));
        self.set("db", "db-username", &quoted(&database.user));
        self.variable("DB_PASSWORD", &database.password);
        self.database = Some(database);
        Some(())
    }

    pub fn use_s3(&mut self) -> Option<()> {
        let bucket = OwnBucket::create()?;
        self.set("store", "store-type", "\"S3\"");
        self.set("store", "store-endpoint-url", &quoted(&bucket.endpoint));
        self.set("store", "store-primary-bucket", &quoted(&bucket.name));
        self.variable("S3_ACCESS_KEY_ID", &bucket.access_key);
        self.variable("S3_SECRET_ACCESS_KEY", &bucket.secret_key);
        self.bucket = Some(bucket);
        Some(())
    }

    /// What the program asks of S3 goes through this from now on.
    pub fn store_through_proxy(&mut self) -> Proxy {
        let bucket = self.bucket.as_ref().expect("it is on S3");
        let upstream = bucket.endpoint.trim_start_matches("http://");
        let proxy = Proxy::start(upstream, Speech::Http);
        let url = format!("http://{}", proxy.address);
        self.detours.insert("STORE_ENDPOINT_URL", url);
        proxy
    }

    /// What the program asks of PostgreSQL goes through this from now on, where
    /// it can be read.
    pub fn database_through_proxy(&mut self) -> Proxy {
        let database = self.database.as_ref().expect("it is on PostgreSQL");
        let upstream = format!("{}:{}", database.host, database.port);
        let proxy = Proxy::start(&upstream, Speech::Anything);
        let address = proxy.address;
        self.set("db", "db-sslmode", "\"disable\"");
        self.detours.insert("DB_HOST", address.ip().to_string());
        self.detours.insert("DB_PORT", address.port().to_string());
        proxy
    }

    /// From now on the program goes to the services directly.
    pub fn go_directly(&mut self) {
        self.detours.clear();
    }

    /// S3's credentials are those of this file, as AWS's tools keep it. The test
    /// itself keeps its own.
    pub fn use_credentials_of(&mut self, file: &Path) {
        let file = file.to_str().expect("UTF-8");
        self.detours
            .insert("AWS_SHARED_CREDENTIALS_FILE", file.to_owned());
        // What is empty is not set.
        for name in ["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"] {
            self.detours.insert(name, String::new());
        }
    }

    /// A line of the configuration; `value` is TOML.
    pub fn set(&mut self, stanza: &'static str, key: &str, value: &str) {
        let lines = self.stanzas.entry(stanza).or_default();
        lines.insert(key.to_owned(), value.to_owned());
    }

    /// As [`Place::set`]: a path in this place.
    pub fn set_path(&mut self, stanza: &'static str, key: &str, name: &str) {
        let path = quoted(&text(self.path(name)));
        self.set(stanza, key, &path);
    }

    /// A variable of the program's environment.
    pub fn variable(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        // Whole or not at all: a program that was started before may read it now.
        let new = self.path(&format!("{name}.new"));
        std::fs::write(&new, text).expect("a folder of ours");
        std::fs::rename(&new, &path).expect("a folder of ours");
        path
    }

    /// The program with these arguments, in this place.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program::command();
        command
            .current_dir(self.folder.path())
            .envs(&self.variables)
            .envs(&self.detours)
            .arg("--config")
            .arg(self.write_configuration())
            .args(["-H", "hop", "-D", "db", "-S", "store"])
            .args(arguments);
        command
    }

    /// This test executable again, in this place, as a process that does what
    /// its test of that name does there. See [`config_of_environment`].
    pub fn again(&self, test: &str) -> Command {
        let executable = std::env::current_exe().expect("it is running");
        let mut command = Command::new(executable);
        command
            .env_clear()
            .current_dir(self.folder.path())
            .envs(&self.variables)
            .env(CONFIGURATION, self.write_configuration())
            .args(["--exact", "--nocapture", test]);
        command
    }

    /// A line for the shell, in this place, where `archive_ingest` is the
    /// program.
    pub fn shell(&self, line: &str) -> Command {
        let program = assert_cmd::cargo::cargo_bin!("archive_ingest");
        let folder = program.parent().expect("a folder").display();
        let mut command = Command::new("bash");
        command
            .env_clear()
            .envs(&self.variables)
            .env("PATH", format!("{folder}:/usr/bin:/bin"))
            .current_dir(self.folder.path())
            // So that a signal reaches the program and not the shell.
            .args(["-c", &format!("exec {line}")]);
        command
    }

    /// Gives the configuration in the environment too, where it holds for
    /// stanzas of any name.
    pub fn export_stanzas(&mut self) {
        let toml = std::fs::read_to_string(self.write_configuration()).expect("just written");

        let stanzas: toml::Table = toml.parse().expect("TOML");
        for (key, value) in stanzas.values().filter_map(|v| v.as_table()).flatten() {
            self.variable(&key.to_uppercase().replace('-', "_"), &as_variable(value));
        }
    }

    pub fn start(&self, arguments: &[&str]) -> Process {
        Process::start(self.command(arguments))
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).ended()
    }

    /// `run --until-eos --json`, which must end clean.
    #[track_caller]
    pub fn run_to_end(&self) -> program::Summary {
        self.run(&["run", "--until-eos", "--json"])
            .clean()
            .summary()
    }

    fn write_configuration(&self) -> PathBuf {
        let mut toml = String::new();
        for (name, stanza) in &self.stanzas {
            toml.push_str(&format!("[{name}]\n"));
            for (key, value) in stanza {
                toml.push_str(&format!("{key} = {value}\n"));
            }
        }
        self.write("place.toml", &toml)
    }

    fn config(&self) -> Config {
        let environment = Environment::from_variables(&self.variables);
        config(self.write_configuration(), environment)
    }

    pub fn catalogue(&self) -> Box<dyn Catalogue> {
        let database = self.config().database().expect("a sound configuration");
        catalogue::open(&database).expect("a catalogue")
    }

    pub fn store(&self) -> Box<dyn Store> {
        let store = self.config().store().expect("a sound configuration");
        store::open(&store).expect("a store")
    }

    /// The name of its database on PostgreSQL.
    pub fn database_name(&self) -> String {
        let database = self.database.as_ref().expect("it is on PostgreSQL");
        database.name.clone()
    }

    pub fn is_on_postgres(&self) -> bool {
        self.database.is_some()
    }

    /// Takes an empty database instead of the one it had, which is gone.
    pub fn use_another_database(&mut self) {
        match self.is_on_postgres() {
            true => self.use_postgres().expect("it was there a moment ago"),
            false => {
                let name = format!("{}.sqlite", super::unique());
                self.set_path("db", "db-path", &name);
            }
        }
    }

    /// The store, for somebody who changes it by hand.
    pub fn objects(&self) -> ByHand {
        match &self.bucket {
            None => ByHand::folder(self.path("objects")),
            Some(bucket) => ByHand::bucket(bucket),
        }
    }

    /// What another program does to the database.
    pub fn execute(&self, sql: &str) {
        match self.config().database().expect("a sound configuration") {
            DatabaseConfig::Sqlite(sqlite) => rusqlite::Connection::open(&sqlite.path)
                .and_then(|file| file.execute_batch(sql))
                .unwrap_or_else(|error| panic!("{sql}: {error}")),
            DatabaseConfig::Postgres(_) => {
                let database = self.database.as_ref().expect("it is on PostgreSQL");
                database.execute(sql);
            }
        }
    }

    /// Everything that is archived, in the order of topic, partition, offset.
    pub fn archived(&self) -> Vec<Archived> {
        archived::read_all(&*self.catalogue(), &*self.store())
    }

    /// The keys of all objects.
    pub fn object_keys(&self) -> Vec<String> {
        archived::all_keys(&*self.store())
    }

    /// Waits until the catalogue has at least so many rows.
    pub fn wait_for_rows(&self, least: u64) {
        let catalogue = self.catalogue();
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            // Not there before the program has made it.
            let rows = catalogue.count(&RowFilter::default()).unwrap_or_default();
            if rows >= least {
                return;
            }
            assert!(Instant::now() < deadline, "{rows} rows, never {least}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Names the configuration to a process of [`Place::again`].
const CONFIGURATION: &str = "PLACE_CONFIGURATION";

/// The configuration of the place that this process was started in by
/// [`Place::again`].
pub fn config_of_environment() -> Config {
    let file = std::env::var_os(CONFIGURATION).expect("started in a place");
    config(file.into(), Environment::of_process())
}

fn config(file: PathBuf, environment: Environment) -> Config {
    let selection = Selection {
        config_file: Some(file),
        hop: Some("hop".to_owned()),
        database: Some("db".to_owned()),
        store: Some("store".to_owned()),
        ..Selection::default()
    };
    Config::load_in(&selection, environment).expect("a sound configuration")
}
