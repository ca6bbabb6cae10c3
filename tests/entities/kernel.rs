//! Kernels to test on, and what an application does to them.

use std::time::Duration;

use archive_ingest::config::{BoundConfig, KernelConfig, KernelKind, NamedBy, PostgresConfig};
use archive_ingest::entities::{self, Bound, EntitySource, Position, TypeId};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use uuid::Uuid;

use crate::place::ServerDatabase;
use crate::place::skip::service;

pub const WINDOW: Duration = Duration::from_millis(300);
pub const MARGIN: Duration = Duration::from_millis(100);

const MAPPING: &str = "00000000-0000-0000-0000-00000000000a";

/// A kernel without types of its own (a demo kernel has its own), gone when this
/// is dropped.
pub struct Kernel {
    pub config: KernelConfig,
    pub source: Box<dyn EntitySource>,
    place: Place,
}

enum Place {
    File { _directory: tempfile::TempDir },
    Server(Box<ServerDatabase>),
}

impl Kernel {
    pub fn demo() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made/kernel.sqlite");
        Self::new(
            KernelKind::Demo { path },
            Place::File {
                _directory: directory,
            },
        )
    }

    /// `None`, said loudly, where no server is named.
    pub fn postgres() -> Option<Self> {
        ServerDatabase::create().map(Self::on_server)
    }

    /// The same with ICU's order of English as the database's.
    pub fn postgres_of_a_language() -> Option<Self> {
        let database = ServerDatabase::create_with(
            "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'",
        )?;
        Some(Self::on_server(database))
    }

    fn on_server(database: ServerDatabase) -> Self {
        let mut client = database.client();
        client.batch_execute(include_str!("kernel.sql")).unwrap();
        let kind = KernelKind::Aether {
            server: PostgresConfig {
                pool_size: 3,
                ..database.config.clone()
            },
            named_by: NamedBy::Stanza,
        };
        Self::new(kind, Place::Server(Box::new(database)))
    }

    fn new(kind: KernelKind, place: Place) -> Self {
        let config = KernelConfig {
            stanza: "k".into(),
            kind,
            bound: BoundConfig {
                window: WINDOW,
                margin: MARGIN,
                hold_limit: None,
                time_zone: TimeZone::UTC,
            },
        };
        let source = entities::open(&config).unwrap();
        Self {
            config,
            source,
            place,
        }
    }

    /// Another instance on the same kernel.
    pub fn open(&self) -> Box<dyn EntitySource> {
        entities::open(&self.config).unwrap()
    }

    /// Another instance under other conditions.
    pub fn open_with(&self, change: impl FnOnce(&mut KernelConfig)) -> Box<dyn EntitySource> {
        let mut config = self.config.clone();
        change(&mut config);
        entities::open(&config).unwrap()
    }

    pub fn server(&self) -> &PostgresConfig {
        match &self.place {
            Place::Server(database) => &database.config,
            Place::File { .. } => panic!("not a server"),
        }
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self.place, Place::Server(_))
    }

    /// The application's connection.
    pub fn application(&self) -> Application {
        match (&self.place, &self.config.kind) {
            (Place::Server(database), _) => Application::Server(Box::new(database.client())),
            (Place::File { .. }, KernelKind::Demo { path }) => {
                let file = rusqlite::Connection::open(path).unwrap();
                file.busy_timeout(Duration::from_secs(30)).unwrap();
                Application::File(file)
            }
            _ => unreachable!("a file is a demo"),
        }
    }

    /// A superuser's connection to the kernel's database; `None`, said loudly,
    /// where no superuser is named.
    pub fn superuser(&self) -> Option<postgres::Client> {
        Some(connect(&superuser(self.server())?))
    }

    /// Registers a schema in a realm, by a project of its own.
    pub fn register(&self, realm: &str, schema_id: Uuid, name: &str) -> Type {
        self.register_as(
            realm,
            schema_id,
            name,
            r#"{"type": "record", "name": "R", "fields": []}"#,
        )
    }

    pub fn register_as(&self, realm: &str, schema_id: Uuid, name: &str, definition: &str) -> Type {
        let decorator = random_uuid();
        let project = random_uuid();
        let sql = match &self.place {
            Place::Server(_) => format!(
                "INSERT INTO kernel_project VALUES ('{project}');
                 INSERT INTO multitenancy_mtinstance VALUES ('{project}', '{realm}');
                 INSERT INTO kernel_schema (id, name, definition)
                     VALUES ('{schema_id}', '{name}', '{definition}') ON CONFLICT DO NOTHING;
                 INSERT INTO kernel_schemadecorator (id, name, project_id, schema_id)
                     VALUES ('{decorator}', '{name}', '{project}', '{schema_id}');"
            ),
            Place::File { .. } => format!(
                "INSERT OR IGNORE INTO schema VALUES ('{schema_id}', '{name}', '{definition}', '1');
                 INSERT INTO schemadecorator
                     VALUES ('{decorator}', '{name}', '{schema_id}', '{realm}', '2026-01-01');"
            ),
        };
        self.application().execute(&sql);
        Type {
            id: TypeId {
                realm: realm.into(),
                schema_id,
            },
            decorator,
            project,
        }
    }

    /// One type, in realm `r`.
    pub fn one_type(&self) -> Type {
        self.register("r", random_uuid(), "Person")
    }

    /// Everything of a type, a page of so many after another.
    pub fn read_all(&self, of: &Type, limit: usize) -> Vec<(Uuid, String)> {
        let bound = far_future();
        let (mut all, mut after) = (Vec::new(), Position::start());
        loop {
            let page = self
                .source
                .page(&of.id, &after, &bound, limit, usize::MAX)
                .unwrap();
            let Some(last) = page.entities.last() else {
                assert!(!page.more, "more is promised and nothing comes");
                return all;
            };
            after = last.modified.clone();
            all.extend(
                page.entities
                    .into_iter()
                    .map(|entity| (entity.id, entity.modified.into_string())),
            );
            if !page.more {
                return all;
            }
        }
    }
}

/// A bound after everything.
pub fn far_future() -> Bound {
    Bound {
        below: Position::new("9999-01-01T00:00:00"),
        held_back: None,
    }
}

/// A registered type with what rows of it need.
#[derive(Clone, Debug)]
pub struct Type {
    pub id: TypeId,
    pub decorator: Uuid,
    pub project: Uuid,
}

/// One row to be.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: Uuid,
    /// Whole.
    pub modified: String,
    pub payload: String,
}

/// A row with this time, and its id behind it.
pub fn row(id: u128, time: &str) -> Row {
    let id = Uuid::from_u128(id);
    Row {
        id,
        modified: format!("{time}-{id}"),
        payload: format!("{{\"id\": \"{id}\"}}"),
    }
}

/// A row that is stamped now, or so long ago.
pub fn row_now(ago: Duration) -> Row {
    let id = random_uuid();
    Row {
        modified: format!("{}-{id}", stamp(ago)),
        payload: "{}".into(),
        id,
    }
}

/// As Python's `datetime.now().isoformat()` has it.
pub fn stamp(ago: Duration) -> String {
    let micros = i64::try_from(ago.as_micros()).unwrap();
    let time = Timestamp::now().checked_sub(micros.microseconds()).unwrap();
    let time = TimeZone::UTC.to_datetime(time);
    match time.subsec_nanosecond() / 1000 {
        0 => time.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
        micros => format!("{}.{micros:06}", time.strftime("%Y-%m-%dT%H:%M:%S")),
    }
}

pub fn random_uuid() -> Uuid {
    Uuid::from_u128(rand::random())
}

/// What writes entities.
pub enum Application {
    File(rusqlite::Connection),
    Server(Box<postgres::Client>),
}

impl Application {
    pub fn execute(&mut self, sql: &str) {
        match self {
            Self::File(file) => file.execute_batch(sql).unwrap(),
            Self::Server(client) => client.batch_execute(sql).unwrap(),
        }
    }

    /// SQLite's takes the right to write at once.
    pub fn begin(&mut self) {
        match self {
            Self::File(_) => self.execute("BEGIN IMMEDIATE"),
            Self::Server(_) => self.execute("BEGIN"),
        }
    }

    pub fn commit(&mut self) {
        self.execute("COMMIT");
    }

    pub fn insert(&mut self, of: &Type, row: &Row) {
        let (id, modified, decorator) = (row.id, &row.modified, of.decorator);
        let payload = row.payload.replace('\'', "''");
        let sql = match self {
            Self::File(_) => format!(
                "INSERT INTO entity (id, payload, modified, status, schemadecorator_id)
                 VALUES ('{id}', '{payload}', '{modified}', 'Pending Approval', '{decorator}')"
            ),
            Self::Server(_) => format!(
                "INSERT INTO kernel_entity
                     (id, payload, modified, status, mapping_id, schemadecorator_id, project_id)
                 VALUES ('{id}', '{payload}', '{modified}', 'Pending Approval', '{MAPPING}',
                     '{decorator}', '{}')",
                of.project
            ),
        };
        self.execute(&sql);
    }

    pub fn insert_all<'a>(&mut self, of: &Type, rows: impl IntoIterator<Item = &'a Row>) {
        self.begin();
        for row in rows {
            self.insert(of, row);
        }
        self.commit();
    }
}

/// The same database, as the superuser sees it.
pub fn superuser(of: &PostgresConfig) -> Option<PostgresConfig> {
    Some(PostgresConfig {
        username: service("TEST_PG_SUPERUSER")?,
        password: Some(service("TEST_PG_SUPERPASSWORD")?),
        ..of.clone()
    })
}

pub fn connect(config: &PostgresConfig) -> postgres::Client {
    postgres::Config::new()
        .host(&config.host)
        .port(config.port)
        .dbname(&config.name)
        .user(&config.username)
        .password(config.password.as_deref().unwrap_or_default())
        .connect(postgres::NoTls)
        .unwrap()
}

/// A role that may read the views and sees of others' transactions only that
/// they are; gone when this is dropped.
pub struct Stranger {
    pub config: PostgresConfig,
    server: PostgresConfig,
}

impl Stranger {
    pub fn of(kernel: &Kernel) -> Option<Self> {
        let server = superuser(kernel.server())?;
        let name = format!("stranger_{}", random_uuid().simple());
        connect(&server)
            .batch_execute(&format!(
                "CREATE ROLE {name} LOGIN PASSWORD 'stranger';
                 GRANT SELECT ON kernel_schema_vw, kernel_entity_vw TO {name};"
            ))
            .unwrap();
        Some(Self {
            config: PostgresConfig {
                username: name,
                password: Some("stranger".into()),
                pool_size: 3,
                ..kernel.server().clone()
            },
            server,
        })
    }

    pub fn open(&self, kernel: &Kernel) -> Box<dyn EntitySource> {
        kernel.open_with(|config| {
            config.kind = KernelKind::Aether {
                server: self.config.clone(),
                named_by: NamedBy::Stanza,
            };
        })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let name = &self.config.username;
        let drop = format!("DROP OWNED BY {name}; DROP ROLE {name}");
        if let Err(error) = connect(&self.server).batch_execute(&drop) {
            eprintln!("{drop}: {error}");
        }
    }
}

/// Asks until the answer is there.
#[track_caller]
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(std::time::Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
