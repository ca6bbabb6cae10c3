//! A kernel on a real PostgreSQL, its topics on the real Kafka, and the program
//! between them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use archive_ingest::config::{
    Config, DatabaseConfig, Environment, NamedBy, PostgresConfig, Selection, SslMode,
};
use archive_ingest::produce::positions::{self, Positions};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Headers;
use rdkafka::topic_partition_list::Offset;
use rdkafka::{Message, TopicPartitionList};
use uuid::Uuid;

use crate::support::place::OwnDatabase;
use crate::support::program::{Ended, Process};
use crate::support::skip::service;
use crate::support::{self, program};

/// An entity's stamp is at most this long before its transaction.
pub const WINDOW_MS: u64 = 300;

pub const PERSON: &str = r#"{"name": "Person", "type": "record", "aetherBaseSchema": true, "fields": [
    {"name": "id", "type": "string", "aetherMaskingLevel": "public"},
    {"name": "number", "type": "long"},
    {"name": "note", "type": ["null", "string"], "default": null}]}"#;

/// A kernel, the producer's tables and a folder, gone when this is dropped.
pub struct Scene {
    folder: tempfile::TempDir,
    pub database: PostgresConfig,
    own: OwnDatabase,
    pub kafka: String,
    /// What the realms of this scene begin with.
    pub realm: String,
    settings: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
}

/// A registered type.
#[derive(Clone, Debug)]
pub struct Type {
    pub realm: String,
    pub schema_id: Uuid,
    pub topic: String,
    decorator: Uuid,
    project: Uuid,
}

/// What a message on a topic says.
pub struct Read {
    pub value: Vec<u8>,
    pub key: Option<Vec<u8>>,
    pub headers: BTreeMap<String, Vec<u8>>,
}

impl Scene {
    /// `None`, said loudly, where a service is missing.
    pub fn new() -> Option<Self> {
        let kafka = service("TEST_KAFKA")?;
        let own = OwnDatabase::create()?;
        let database = PostgresConfig {
            request_timeout_seconds: 30,
            host: own.host.clone(),
            port: own.port,
            name: own.name.clone(),
            username: own.user.clone(),
            password: Some(own.password.clone()),
            sslmode: SslMode::Prefer,
            sslrootcert: None,
            pool_size: 4,
        };
        let scene = Self {
            folder: tempfile::tempdir().expect("a folder"),
            realm: format!("r{}", support::unique()),
            database,
            own,
            kafka,
            settings: BTreeMap::from([
                ("produce-topic-replicas".to_owned(), "1".to_owned()),
                ("produce-retry-pause-seconds".to_owned(), "1".to_owned()),
            ]),
            variables: BTreeMap::new(),
        };
        scene.execute(include_str!("../entities/kernel.sql"));
        Some(scene)
    }

    /// A key of `[produce]`.
    pub fn set(&mut self, key: &str, value: &str) {
        self.settings.insert(key.to_owned(), value.to_owned());
    }

    /// A variable of the program's environment.
    pub fn variable(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    fn client(&self, database: &str) -> postgres::Client {
        postgres::Config::new()
            .host(&self.database.host)
            .port(self.database.port)
            .user(&self.database.username)
            .password(self.database.password.as_deref().unwrap_or_default())
            .dbname(database)
            .connect(postgres::NoTls)
            .expect("a server")
    }

    pub fn application(&self) -> postgres::Client {
        self.client(&self.database.name)
    }

    pub fn execute(&self, sql: &str) {
        self.own.execute(sql);
    }

    pub fn positions(&self) -> Box<dyn Positions> {
        let config = DatabaseConfig::Postgres(self.database.clone());
        let positions = positions::open(&config, NamedBy::Stanza).expect("positions");
        positions.migrate().expect("an empty database");
        positions
    }

    /// Registers a type in the realm `{realm}{suffix}`.
    pub fn register(&self, suffix: &str, schema_id: Uuid, name: &str, definition: &str) -> Type {
        let (realm, decorator, project) = (
            format!("{}{suffix}", self.realm),
            Uuid::from_u128(rand::random()),
            Uuid::from_u128(rand::random()),
        );
        let definition = definition.replace('\'', "''");
        self.execute(&format!(
            "INSERT INTO kernel_project VALUES ('{project}');
             INSERT INTO multitenancy_mtinstance VALUES ('{project}', '{realm}');
             INSERT INTO kernel_schema (id, name, definition)
                 VALUES ('{schema_id}', '{name}', '{definition}') ON CONFLICT DO NOTHING;
             INSERT INTO kernel_schemadecorator (id, name, project_id, schema_id)
                 VALUES ('{decorator}', '{name}', '{project}', '{schema_id}');"
        ));
        Type {
            topic: format!("{realm}.{name}"),
            realm,
            schema_id,
            decorator,
            project,
        }
    }

    pub fn person(&self) -> Type {
        self.register("", Uuid::from_u128(rand::random()), "Person", PERSON)
    }

    /// Stores `count` entities of type Person in one statement, stamped so long
    /// ago and a microsecond apart; `number` counts from `first` on.
    pub fn store(&self, of: &Type, first: u64, count: u64, ago: Duration) {
        self.store_with(&mut self.application(), of, first, count, ago);
    }

    pub fn store_with(
        &self,
        client: &mut impl postgres::GenericClient,
        of: &Type,
        first: u64,
        count: u64,
        ago: Duration,
    ) {
        let stamp = stamp(ago);
        client
            .batch_execute(&format!(
                "INSERT INTO kernel_entity
                     (id, payload, modified, mapping_id, schemadecorator_id, project_id)
                 SELECT id, jsonb_build_object('id', id, 'number', n, 'note', repeat('x', 40)),
                     to_char(timestamp '{stamp}' + n * interval '1 microsecond',
                         'YYYY-MM-DD\"T\"HH24:MI:SS.US') || '-' || id,
                     '00000000-0000-0000-0000-00000000000a', '{}', '{}'
                 FROM (SELECT n, gen_random_uuid() AS id
                     FROM generate_series({first}, {}) AS n) AS made",
                of.decorator,
                of.project,
                first + count - 1,
            ))
            .expect("entities");
    }

    /// Stores one entity with this payload; its id.
    pub fn store_payload(&self, of: &Type, payload: &str, ago: Duration) -> Uuid {
        let id = Uuid::from_u128(rand::random());
        let modified = format!("{}-{id}", stamp(ago));
        let insert = "INSERT INTO kernel_entity
                (id, payload, modified, mapping_id, schemadecorator_id, project_id)
            VALUES ($1, ($2::text)::jsonb, $3, '00000000-0000-0000-0000-00000000000a', $4, $5)";
        self.application()
            .execute(
                insert,
                &[&id, &payload, &modified, &of.decorator, &of.project],
            )
            .expect("an entity");
        id
    }

    fn write_configuration(&self) -> PathBuf {
        let lines: String = self
            .settings
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        let PostgresConfig {
            host,
            port,
            name,
            username,
            ..
        } = &self.database;
        let text = format!(
            "[hop]\nhop-type = \"kafka\"\nhop-hostname = {:?}\n\
             [db]\ndb-type = \"postgres\"\ndb-host = {host:?}\ndb-port = {port}\n\
             db-name = {name:?}\ndb-username = {username:?}\n\
             [kernel]\nkernel-type = \"aether\"\nkernel-host = {host:?}\nkernel-port = {port}\n\
             kernel-name = {name:?}\nkernel-username = {username:?}\n\
             kernel-window-ms = {WINDOW_MS}\nkernel-margin-ms = 100\n\
             [listen]\napi-listen = \"off\"\nproducer-listen = \"off\"\n[produce]\n{lines}",
            self.kafka
        );
        let file = self.folder.path().join("scene.toml");
        std::fs::write(&file, text).expect("a folder of ours");
        file
    }

    fn variables(&self) -> BTreeMap<String, String> {
        let password = self.database.password.clone().unwrap_or_default();
        let home = self.folder.path().to_string_lossy().into_owned();
        let mut variables = BTreeMap::from([
            ("HOME".to_owned(), home),
            ("DB_PASSWORD".to_owned(), password.clone()),
            ("KERNEL_PASSWORD".to_owned(), password),
        ]);
        variables.extend(self.variables.clone());
        variables
    }

    /// What the program reads here, for whoever calls its rooms.
    pub fn config(&self) -> Config {
        let selection = Selection {
            config_file: Some(self.write_configuration()),
            hop: Some("hop".to_owned()),
            database: Some("db".to_owned()),
            kernel: Some("kernel".to_owned()),
            ..Selection::default()
        };
        let environment = Environment::from_variables(&self.variables());
        Config::load_in(&selection, environment).expect("a sound configuration")
    }

    /// In the scene's folder and environment, without its configuration.
    pub fn start_bare(&self, arguments: &[&str]) -> Process {
        let mut command = program::command();
        command
            .current_dir(self.folder.path())
            .envs(self.variables())
            .args(arguments);
        Process::start(command)
    }

    pub fn start(&self, arguments: &[&str]) -> Process {
        let mut command = program::command();
        command
            .current_dir(self.folder.path())
            .envs(self.variables())
            .arg("--config")
            .arg(self.write_configuration())
            .args(["-H", "hop", "-D", "db", "-K", "kernel"])
            .args(arguments);
        Process::start(command)
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).ended()
    }

    /// Everything that is stored is older than the window.
    pub fn settle(&self) {
        std::thread::sleep(Duration::from_millis(WINDOW_MS + 200));
    }

    /// What a read_committed consumer finds on a topic from its beginning.
    pub fn read(&self, topic: &str) -> Vec<Read> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.kafka)
            .set("group.id", support::unique())
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_committed")
            .create()
            .expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Beginning)
            .expect("an offset");
        consumer.assign(&list).expect("a topic");
        let mut all = vec![];
        loop {
            match consumer.poll(Duration::from_secs(30)).expect("an answer") {
                Err(rdkafka::error::KafkaError::PartitionEOF(_)) => return all,
                Err(error) => panic!("{topic}: {error}"),
                Ok(message) => all.push(Read {
                    value: message.payload().expect("no tombstone").to_vec(),
                    key: message.key().map(<[u8]>::to_vec),
                    headers: message.headers().map_or_else(BTreeMap::new, |headers| {
                        let own = |h: rdkafka::message::Header<'_, &[u8]>| {
                            (h.key.to_owned(), h.value.unwrap_or_default().to_vec())
                        };
                        headers.iter().map(own).collect()
                    }),
                }),
            }
        }
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new()
            .set("bootstrap.servers", &self.kafka)
            .create()
            .expect("a sound configuration")
    }

    /// Removes a topic behind the program's back.
    pub fn delete_topic(&self, topic: &str) {
        let admin = self.admin();
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        let gone = futures::executor::block_on(admin.delete_topics(&[topic], &options));
        assert_eq!(gone.expect("an answer"), [Ok(topic.to_owned())]);
    }

    /// A setting of a topic; `None` where there is no such topic.
    pub fn topic_setting(&self, topic: &str, name: &str) -> Option<String> {
        let metadata = self.admin();
        let metadata = metadata
            .inner()
            .fetch_metadata(None, Duration::from_secs(30))
            .expect("an answer");
        metadata
            .topics()
            .iter()
            .find(|known| known.name() == topic)?;
        let asked = [ResourceSpecifier::Topic(topic)];
        let admin = self.admin();
        let answer = admin.describe_configs(&asked, &AdminOptions::new());
        let answer = futures::executor::block_on(answer).expect("an answer");
        let resource = answer.into_iter().next()?.ok()?;
        resource.get(name)?.value.clone()
    }

    /// The `number` of every entity on a topic, in order.
    pub fn numbers(&self, topic: &str) -> Vec<u64> {
        let messages = self.read(topic);
        messages
            .iter()
            .flat_map(|one| entities(&one.value))
            .map(number)
            .collect()
    }
}

fn number(entity: apache_avro::types::Value) -> u64 {
    let apache_avro::types::Value::Record(fields) = entity else {
        panic!("no record");
    };
    match fields.into_iter().find(|(name, _)| name == "number") {
        Some((_, apache_avro::types::Value::Long(number))) => number as u64,
        other => panic!("{other:?}"),
    }
}

pub fn entities(container: &[u8]) -> Vec<apache_avro::types::Value> {
    let reader = apache_avro::Reader::new(container).expect("a container");
    reader.map(|entity| entity.expect("an entity")).collect()
}

/// UTC, so long ago.
pub fn stamp(ago: Duration) -> String {
    let micros = i64::try_from(ago.as_micros()).expect("not so long");
    let time = Timestamp::now() - micros.microseconds();
    TimeZone::UTC
        .to_datetime(time)
        .strftime("%Y-%m-%dT%H:%M:%S.%6f")
        .to_string()
}

impl Drop for Scene {
    fn drop(&mut self) {
        let admin = self.admin();
        if let Ok(metadata) = admin.inner().fetch_metadata(None, Duration::from_secs(30)) {
            let names = metadata.topics().iter().map(|topic| topic.name());
            let own: Vec<&str> = names.filter(|name| name.starts_with(&self.realm)).collect();
            if !own.is_empty() {
                // What is left is left on a broker for tests.
                let _ =
                    futures::executor::block_on(admin.delete_topics(&own, &AdminOptions::new()));
            }
        }
    }
}
