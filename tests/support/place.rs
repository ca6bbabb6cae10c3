//! A private archive: a folder with the configuration, a catalogue and a store
//! of its own, and the program running on them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use archive_ingest::catalogue::{self, Catalogue, RowFilter};
use archive_ingest::config::{Config, Environment, Selection};
use archive_ingest::store::{self, Store};
use s3::creds::Credentials;
use s3::{Bucket, BucketConfiguration, Region};

use super::archived::{self, Archived};
use super::broker::{Access, Broker, Credential};
use super::program::{self, Ended, Process};
use super::skip::service;
use super::unique;

/// Lines of one stanza: key → value as TOML.
type Stanza = BTreeMap<String, String>;

pub struct Place {
    folder: tempfile::TempDir,
    stanzas: BTreeMap<&'static str, Stanza>,
    variables: BTreeMap<String, String>,
    database: Option<OwnDatabase>,
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

    fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let home = text(folder.path().to_path_buf());
        let mut place = Self {
            folder,
            stanzas: BTreeMap::new(),
            variables: BTreeMap::from([("HOME".to_owned(), home)]),
            database: None,
        };
        // The default ports belong to nobody's test.
        place.set("listen", "api-listen", "\"off\"");
        place.set("listen", "producer-listen", "\"off\"");
        place
    }

    pub fn use_kafka(&mut self, broker: &Broker, access: Access) -> Option<()> {
        let (address, credential) = Broker::listener(access)?;
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
        let endpoint = service("TEST_S3_ENDPOINT")?;
        let access_key = service("TEST_S3_ACCESS_KEY")?;
        let secret_key = service("TEST_S3_SECRET_KEY")?;
        let bucket = format!("test-{}", unique());
        create_bucket(&endpoint, &access_key, &secret_key, &bucket);
        self.set("store", "store-type", "\"S3\"");
        self.set("store", "store-endpoint-url", &quoted(&endpoint));
        self.set("store", "store-primary-bucket", &quoted(&bucket));
        self.variable("S3_ACCESS_KEY_ID", &access_key);
        self.variable("S3_SECRET_ACCESS_KEY", &secret_key);
        Some(())
    }

    /// A line of the configuration; `value` is TOML.
    pub fn set(&mut self, stanza: &'static str, key: &str, value: &str) {
        let lines = self.stanzas.entry(stanza).or_default();
        lines.insert(key.to_owned(), value.to_owned());
    }

    fn set_path(&mut self, stanza: &'static str, key: &str, name: &str) {
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
        std::fs::write(&path, text).expect("a folder of ours");
        path
    }

    /// The program with these arguments, in this place.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program::command();
        command
            .current_dir(self.folder.path())
            .envs(&self.variables)
            .arg("--config")
            .arg(self.write_configuration())
            .args(["-H", "hop", "-D", "db", "-S", "store"])
            .args(arguments);
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
        let selection = Selection {
            config_file: Some(self.write_configuration()),
            hop: Some("hop".to_owned()),
            database: Some("db".to_owned()),
            store: Some("store".to_owned()),
            ..Selection::default()
        };
        let environment = Environment::from_variables(&self.variables);
        Config::load_in(&selection, environment).expect("a sound configuration")
    }

    pub fn catalogue(&self) -> Box<dyn Catalogue> {
        let database = self.config().database().expect("a sound configuration");
        catalogue::open(&database).expect("a catalogue")
    }

    fn store(&self) -> Box<dyn Store> {
        let store = self.config().store().expect("a sound configuration");
        store::open(&store).expect("a store")
    }

    /// What another program does to the PostgreSQL database.
    pub fn execute(&self, sql: &str) {
        let database = self.database.as_ref().expect("it is on PostgreSQL");
        database.execute(&database.name, sql);
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

fn auth_file(address: &str, access: Access, credential: &Credential) -> String {
    let Credential {
        username,
        password,
        ca,
    } = credential;
    let (protocol, mechanism) = match access {
        Access::SaslPlaintext(mechanism) => ("SASL_PLAINTEXT", mechanism),
        Access::SaslSsl(mechanism) => ("SASL_SSL", mechanism),
        Access::Plaintext => unreachable!("PLAINTEXT has no credential"),
    };
    format!(
        "[[auth]]\nusername = {username:?}\npassword = {password:?}\nhostname = {address:?}\n\
         protocol = {protocol:?}\nmechanism = {mechanism:?}\nssl_ca_location = {ca:?}\n"
    )
}

fn create_bucket(endpoint: &str, access_key: &str, secret_key: &str, name: &str) {
    let region = Region::Custom {
        region: "us-east-1".to_owned(),
        endpoint: endpoint.to_owned(),
    };
    let credentials =
        Credentials::new(Some(access_key), Some(secret_key), None, None, None).expect("a key pair");
    let create =
        Bucket::create_with_path_style(name, region, credentials, BucketConfiguration::default());
    let made = tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(create)
        .expect("an S3 that answers");
    assert!(made.success(), "{}", made.response_text);
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().expect("UTF-8")
}

/// An empty PostgreSQL database, gone when this is dropped.
struct OwnDatabase {
    host: String,
    port: u16,
    user: String,
    password: String,
    name: String,
}

impl OwnDatabase {
    fn create() -> Option<Self> {
        let database = Self {
            host: service("TEST_PG_HOST")?,
            port: service("TEST_PG_PORT")?.parse().expect("a port"),
            user: service("TEST_PG_USER")?,
            password: service("TEST_PG_PASSWORD")?,
            name: format!("test_{}", unique()),
        };
        database.on_server(&format!("CREATE DATABASE {}", database.name));
        Some(database)
    }

    fn on_server(&self, sql: &str) {
        self.execute("postgres", sql);
    }

    fn execute(&self, database: &str, sql: &str) {
        postgres::Config::new()
            .host(&self.host)
            .port(self.port)
            .user(&self.user)
            .password(&self.password)
            .dbname(database)
            .connect(postgres::NoTls)
            .and_then(|mut client| client.batch_execute(sql))
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        self.on_server(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// A value of the configuration as the environment has it.
fn as_variable(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(list) => {
            let words: Vec<String> = list.iter().map(as_variable).collect();
            words.join(",")
        }
        toml::Value::Table(table) => {
            let pairs: Vec<String> = table
                .iter()
                .map(|(name, value)| format!("{name}={}", as_variable(value)))
                .collect();
            pairs.join(",")
        }
        other => other.to_string(),
    }
}
