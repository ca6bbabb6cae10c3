//! What can be typed.

use std::path::PathBuf;

use clap::builder::ArgPredicate;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// Archives everything on a Kafka cluster, binary-exact, into objects with a
/// catalogue; finds it again, and proves that it is all there.
#[derive(Parser, Debug)]
#[command(
    name = "archive_ingest",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done and clean; 1 done, and something is not as it must be; \
                  2 the command line or the configuration is wrong; 3 it could not do its work."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Which configuration, and which of its stanzas.
#[derive(Args, Debug, Clone)]
pub struct Global {
    /// Configuration file [default: ./housekeeping.toml, else the built-in one]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Topics never to archive, one name or glob a line [default: veto.list beside the configuration]
    #[arg(long, global = true, value_name = "FILE")]
    pub veto_list: Option<PathBuf>,
    /// Stanza of the Kafka cluster [default: mock-hop]
    #[arg(short = 'H', long, global = true, value_name = "STANZA")]
    pub hop: Option<String>,
    /// Stanza of the catalogue's database [default: file-db]
    #[arg(short = 'D', long, global = true, value_name = "STANZA")]
    pub database: Option<String>,
    /// Stanza of the object store [default: file-store]
    #[arg(short = 'S', long, global = true, value_name = "STANZA")]
    pub store: Option<String>,
    /// Stanza of the kernel that entities come from [default: demo-kernel with a mock hop, else none]
    ///
    /// `run` publishes entities only where this names a kernel, or where no
    /// stanza at all is named.
    #[arg(short = 'K', long, global = true, value_name = "STANZA")]
    pub kernel: Option<String>,
    /// Stanza of the schema registry [default: none]
    #[arg(short = 'R', long, global = true, value_name = "STANZA")]
    pub registry: Option<String>,
    /// Print one JSON document, or one JSON object a line, instead of tables
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Archive what is on Kafka and publish a kernel's entities there, until told to stop
    ///
    /// Entities are published where -K names a kernel, and from the demo kernel
    /// where neither -H, -D, -S nor -K is given. When one loop ends, for whatever
    /// reason, the other is ended in good order.
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Answer the archive API, without Kafka and without archiving
    ///
    /// Read-only, unless api-uploads is switched on. Where it listens is printed
    /// on stdout. `run` answers it too.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve,
    /// Carry the events of an agent (ACA-Py) to Kafka, and records to the agent
    ///
    /// Events come by webhook, or from the plugin in plugins/, and are answered
    /// for once Kafka has acknowledged them. Records of acapy-inbound-... go to
    /// the agent, and are committed once it has taken them. Where it listens is
    /// printed on stdout. See docs/bridge.md.
    #[command(after_help = BRIDGE_EXAMPLES)]
    Bridge(BridgeArgs),
    /// List the topics on Kafka and how far each is archived
    ///
    /// RECORDS counts offsets, so compacted topics and transactions have fewer.
    /// LAG counts those that the consumer group has not committed yet.
    #[command(
        after_help = "Examples:\n  archive_ingest topics -H hop-local\n  archive_ingest topics --archived"
    )]
    Topics(TopicsArgs),
    /// List archived messages, oldest first
    #[command(after_help = LIST_EXAMPLES)]
    ListArchive(ListArgs),
    /// Show archived messages by UUID
    ///
    /// A value is shown as indented JSON, as text, or as a hex dump, on a
    /// terminal of its first 4096 bytes. Messages come in the order in which
    /// they are asked for. Exit 1 if one is missing or damaged.
    #[command(after_help = FETCH_EXAMPLES)]
    FetchUuid(FetchArgs),
    /// Check the catalogue against the store, and the store against the catalogue
    ///
    /// Every message's object must be there and of the right size, every object
    /// must be a message's, and the counts per topic must be the messages'. With
    /// --since, --until or --sample only the first of these is looked at. It may
    /// run beside an archiver: objects younger than 15 minutes need no message
    /// yet. Exit 0 only if everything held, 1 with a line for each defect or if
    /// there was nothing to check, 2 if the archive has no such topic, 3 if it
    /// could not finish, which says nothing of the archive.
    ///
    /// What it did and found is kept in the catalogue, where `status` reads it.
    /// With --repair exit 0 says that whatever was found is mended, 1 that
    /// something is left.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
    /// Write the catalogue anew from the objects in the store
    ///
    /// Every object is read and gets the row that it says it has; rows that are
    /// there stay as they are, so it may be run again, and in parts at once. What
    /// no object knows is not in the new catalogue: serial numbers, what was
    /// retracted, recorded retries, gaps, and where on the stream the messages of
    /// another archiver were. Exit 1 with a line for each object that gives no
    /// row.
    #[command(after_help = REBUILD_CATALOGUE_EXAMPLES)]
    RebuildCatalogue(RebuildCatalogueArgs),
    /// Write archived records to a Kafka cluster, as they were
    ///
    /// Key, value, headers, timestamp and partition as they were, by offset
    /// within a partition, retries of producers included. Whoever reads committed
    /// data sees each once, however often it is stopped or killed: the same
    /// command goes on where it was. Nothing is written before all targets were
    /// looked at. Exit 0 when everything is there, 1 when the archive could not
    /// give something (a line for each), 3 when it did not come to its end.
    #[command(after_help = RESTORE_EXAMPLES)]
    Restore(RestoreArgs),
    /// Show on one screen what the archive has and how it is doing
    ///
    /// Messages of the last day and hour are counted by their own timestamps.
    /// LAG counts offsets that the consumer group has not committed yet, where
    /// -H names a Kafka that answers.
    #[command(after_help = STATUS_EXAMPLES)]
    Status(StatusArgs),
    /// Leave out records that cannot be read, with a recorded gap
    ///
    /// For a partition that is stuck: a corrupt batch, for example. The running
    /// archiver notices the order within half a minute and reads on at TO. The
    /// gap is recorded with the reason "skipped"; verify reports it until it is
    /// acknowledged. The records stay in Kafka, and are not archived.
    #[command(
        after_help = "Example:\n  archive_ingest skip -H hop-local -D local-db gcn.circular 0 1200..1250"
    )]
    Skip(SkipArgs),
    /// Publish the entities of a kernel that are new, then exit
    ///
    /// Reads up to the kernel's bound: what was stored in the last seconds
    /// (kernel-window-ms) is for the next pass. Exit 1 if entities went into the
    /// quarantine, 3 if a type could not be published to its end.
    #[command(after_help = PRODUCE_EXAMPLES)]
    Produce(ProduceArgs),
    /// Remove an entity type's topic and publish all of its entities anew
    ///
    /// Consumers see a new topic; whoever kept an offset in the old one begins
    /// again. Needs a real broker.
    #[command(
        after_help = "Example:\n  archive_ingest rebuild -H hop-local -D local-db -K local-kernel --topic demo.Person"
    )]
    Rebuild(RebuildArgs),
    /// Compare all entities with what was published, and publish what is missing
    #[command(
        after_help = "Example:\n  archive_ingest reconcile -H hop-local -D local-db -K local-kernel"
    )]
    Reconcile(ReconcileArgs),
    /// List, publish or give up the entities that could not be published
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Produce and consume events under a schema registry
    #[command(subcommand)]
    Event(EventCommand),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    #[command(
        after_help = "Example:\n  archive_ingest completions bash > /etc/bash_completion.d/archive_ingest"
    )]
    Completions { shell: Shell },
    /// Print the manual page, or write one for each command into a directory
    #[command(
        after_help = "Examples:\n  archive_ingest man | man -l -\n  archive_ingest man --output /usr/local/share/man/man1"
    )]
    Man {
        /// Write a page for each command into this directory
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
    },
}

#[derive(Args, Debug)]
pub struct SkipArgs {
    pub topic: String,
    pub partition: i32,
    /// Offsets to leave out: from FROM up to, and without, TO
    #[arg(value_name = "FROM..TO")]
    pub offsets: String,
}

#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Validate the configuration without connecting to anything
    #[command(
        after_help = "Examples:\n  archive_ingest config check -H hop-local -D local-db -S local-store\n  archive_ingest config check --plugin-config plugins-config.yaml"
    )]
    Check(ConfigArgs),
    /// Print the effective configuration and where each value comes from
    #[command(after_help = "Example:\n  HOP_PORT=9093 archive_ingest config show -H hop-local")]
    Show(ConfigArgs),
}

#[derive(Args, Debug)]
pub struct ConfigArgs {
    /// With the bridge of this stanza
    #[arg(
        long,
        value_name = "STANZA",
        default_value_if("plugin_config", ArgPredicate::IsPresent, "bridge")
    )]
    pub bridge: Option<String>,
    /// With a bridge that reads this agent's plugin configuration (YAML)
    #[arg(long, value_name = "FILE")]
    pub plugin_config: Option<PathBuf>,
}

const RUN_EXAMPLES: &str = "Examples:\n  \
  archive_ingest run --until-eos\n  \
  archive_ingest run -H hop-local -D local-db -S local-store\n  \
  archive_ingest run -H hop-local -D local-db -S local-store -K local-kernel\n  \
  archive_ingest run --only producer -H hop-local -D local-db -K local-kernel";

const SERVE_EXAMPLES: &str = "Examples:\n  \
  archive_ingest serve\n  \
  API_LISTEN=127.0.0.1:0 archive_ingest serve -D local-db -S local-store";

const BRIDGE_EXAMPLES: &str = "Examples:\n  \
  archive_ingest bridge -H hop-local\n  \
  BRIDGE_AGENT_URL=http://127.0.0.1:8031 archive_ingest bridge --plugin-config plugins-config.yaml";

#[derive(Args, Debug)]
pub struct BridgeArgs {
    /// Stanza of the bridge
    #[arg(default_value = "bridge", value_name = "STANZA")]
    pub name: String,
    /// The agent's plugin configuration (YAML), whose kafka_events holds here too
    ///
    /// Without -H the cluster is the one that it names.
    #[arg(long, value_name = "FILE")]
    pub plugin_config: Option<PathBuf>,
}

/// A loop of `run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Loop {
    /// From Kafka into the archive
    Archiver,
    /// From the kernel to Kafka
    Producer,
}

impl Loop {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Archiver => "archiver",
            Self::Producer => "producer",
        }
    }
}

#[derive(Args, Debug)]
pub struct RunArgs {
    /// Publish and archive what is there now, then exit
    ///
    /// Where entities are published at all: one pass over what is new, and then
    /// everything on Kafka is archived, the entities too.
    #[arg(long)]
    pub until_eos: bool,
    /// Exit after so many records
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_messages: Option<u64>,
    /// Archive this topic and no other
    #[arg(long, value_name = "TOPIC")]
    pub test_topic: Option<String>,
    /// Run this loop and no other (with commas: these)
    ///
    /// The producer alone understands the environment of an Aether Producer.
    #[arg(long, value_name = "LOOP", value_delimiter = ',')]
    pub only: Vec<Loop>,
    /// Run all loops but this one (with commas: these)
    #[arg(long, value_name = "LOOP", value_delimiter = ',')]
    pub without: Vec<Loop>,
    /// Carry the events of this stanza's agent too (see `bridge`)
    #[arg(long, value_name = "STANZA")]
    pub bridge: Option<String>,
    /// With --bridge: the agent's plugin configuration (YAML)
    #[arg(long, value_name = "FILE", requires = "bridge")]
    pub plugin_config: Option<PathBuf>,
}

const PRODUCE_EXAMPLES: &str = "Examples:\n  \
  archive_ingest produce -H hop-local -D local-db -K local-kernel\n  \
  archive_ingest produce -H hop-local -D local-db -K local-kernel --realm demo --dry-run";

#[derive(Args, Debug)]
pub struct ProduceArgs {
    /// Only types of this realm
    #[arg(long, value_name = "REALM")]
    pub realm: Option<String>,
    /// Only the type of this topic
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Count what would be published, and publish nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Args, Debug)]
pub struct RebuildArgs {
    /// The type's topic
    #[arg(long, value_name = "TOPIC")]
    pub topic: String,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Leave the type paused and its topic unmade
    #[arg(long)]
    pub paused: bool,
}

#[derive(Args, Debug)]
pub struct ReconcileArgs {
    /// Only the type of this topic
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
}

#[derive(Subcommand, Debug)]
pub enum QuarantineCommand {
    /// List entities with the reason why they could not be published
    #[command(after_help = "Example:\n  archive_ingest quarantine list -D local-db --json")]
    List(QuarantineArgs),
    /// Publish those that fit by now; the others stay, with the reason
    ///
    /// A type that a running instance publishes is left to it, within a minute.
    #[command(
        after_help = "Example:\n  archive_ingest quarantine replay -H hop-local -D local-db -K local-kernel --realm demo"
    )]
    Replay(QuarantineArgs),
    /// Give entities up: they count as published
    #[command(
        after_help = "Example:\n  archive_ingest quarantine drop -D local-db --id 6b6e6f77-6e2d-6461-7461-2d7575696431"
    )]
    Drop(QuarantineArgs),
}

/// Which entities of the quarantine; all where nothing is said.
#[derive(Args, Debug)]
pub struct QuarantineArgs {
    /// Only those of this realm
    #[arg(long, value_name = "REALM")]
    pub realm: Option<String>,
    /// Only those of the schema with this id
    #[arg(long, value_name = "UUID", requires = "realm")]
    pub schema_id: Option<uuid::Uuid>,
    /// Only the entity with this id
    #[arg(long, value_name = "UUID")]
    pub id: Option<uuid::Uuid>,
}

#[derive(Subcommand, Debug)]
pub enum EventCommand {
    /// Send events in the registry's wire format
    ///
    /// Without --type, standard input has an event a line, as JSON: its value,
    /// or with --key-schema {"key": …, "value": …}. All of them are read and
    /// encoded, and the registry has the schemas, before the first one is sent.
    /// Exit 0 says that all in-sync replicas have all of them.
    #[command(after_help = EVENT_PRODUCE_EXAMPLES)]
    Produce(EventProduceArgs),
    /// Print the events of a topic, decoded, until told to stop
    ///
    /// With --group, members of one group share the partitions, and an event is
    /// committed after it is printed: after a kill some are printed again (of the
    /// last second, 500 at most), and none is left out. Exit 1 if a value is not
    /// as --format says; it is printed as bytes.
    #[command(after_help = EVENT_CONSUME_EXAMPLES)]
    Consume(EventConsumeArgs),
}

const EVENT_PRODUCE_EXAMPLES: &str = "Examples:\n  \
  archive_ingest event produce -H hop-local -R local-registry --type course-enrollment --student Ada\n  \
  archive_ingest event produce -H hop-local -R local-registry --topic readings --value-schema reading.avsc < readings.jsonl";

/// Events that need no schema of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum EventType {
    /// A student enrolls in every other of some courses
    CourseEnrollment,
}

#[derive(Args, Debug)]
pub struct EventProduceArgs {
    /// Which events
    #[arg(
        long = "type",
        value_name = "TYPE",
        required_unless_present = "value_schema",
        requires = "student"
    )]
    pub event_type: Option<EventType>,
    /// The student's name
    #[arg(long, value_name = "NAME", requires = "event_type")]
    pub student: Option<String>,
    /// How many events
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub count: u64,
    /// Where they go
    #[arg(long, value_name = "TOPIC", default_value = "test-topic")]
    pub topic: String,
    /// Send values of the Avro schema in this file, from standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["event_type", "count"])]
    pub value_schema: Option<PathBuf>,
    /// The keys' Avro schema; without it there is no key
    #[arg(
        long,
        value_name = "FILE",
        requires = "value_schema",
        conflicts_with = "event_type"
    )]
    pub key_schema: Option<PathBuf>,
}

const EVENT_CONSUME_EXAMPLES: &str = "Examples:\n  \
  archive_ingest event consume -H hop-local -R local-registry\n  \
  archive_ingest event consume -H hop-local -R local-registry --topic readings --group shown --json\n  \
  archive_ingest event consume -H hop-local --topic readings --from 15m --format hex --count 3";

/// What values are read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum EventFormat {
    /// The registry's wire format, or Avro containers
    Avro,
    Json,
    /// Bytes
    Hex,
    /// Whatever they are
    Auto,
}

#[derive(Args, Debug)]
pub struct EventConsumeArgs {
    /// Where they come from
    #[arg(long, value_name = "TOPIC", default_value = "test-topic")]
    pub topic: String,
    /// The consumer group; without one nothing is committed
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// What values are read as
    #[arg(long, value_enum, default_value_t = EventFormat::Auto)]
    pub format: EventFormat,
    /// Where to begin what the group has committed nothing of
    ///
    /// beginning, end, or a time: RFC 3339 with an offset (2024-05-01T12:00:00Z),
    /// a date, milliseconds since 1970 or how long ago (90s, 15m, 24h, 7d, 2w).
    #[arg(
        long,
        value_name = "WHERE",
        default_value = "beginning",
        allow_hyphen_values = true
    )]
    pub from: String,
    /// Exit after so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Read values with the Avro schema in this file, newer or older than their own
    #[arg(long, value_name = "FILE")]
    pub value_schema: Option<PathBuf>,
    /// The same for keys
    #[arg(long, value_name = "FILE")]
    pub key_schema: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct TopicsArgs {
    /// List what the catalogue has instead, without asking Kafka
    #[arg(long)]
    pub archived: bool,
    /// List the kernel's entity types instead, and how far each is published
    ///
    /// RECORDS counts offsets of the type's topic: messages, and a mark for each
    /// transaction.
    #[arg(long, conflicts_with = "archived")]
    pub entities: bool,
}

/// Which archived messages.
#[derive(Args, Debug, Clone, Default)]
pub struct Select {
    /// Only these topics: names or globs (repeatable)
    #[arg(long = "topic", value_name = "GLOB")]
    pub topics: Vec<String>,
    /// Only messages of this time or later
    ///
    /// RFC 3339 with an offset (2024-05-01T12:00:00Z), a date (2024-05-01, from
    /// midnight UTC), milliseconds since 1970 (1714564800000) or how long ago
    /// (90s, 15m, 24h, 7d, 2w).
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Only messages before this time
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub until: Option<String>,
}

const LIST_EXAMPLES: &str = "Examples:\n  \
  archive_ingest list-archive --topic 'gcn.*' --since 7d\n  \
  archive_ingest list-archive --count\n  \
  archive_ingest list-archive --reverse --limit 10 --json";

#[derive(Args, Debug)]
pub struct ListArgs {
    #[command(flatten)]
    pub select: Select,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Newest first
    #[arg(long)]
    pub reverse: bool,
    /// How many per topic instead of each
    #[arg(long, conflicts_with_all = ["limit", "reverse"])]
    pub count: bool,
}

const FETCH_EXAMPLES: &str = "Examples:\n  \
  archive_ingest fetch-uuid 6b6e6f77-6e2d-6461-7461-2d7575696431\n  \
  archive_ingest fetch-uuid --payload 6b6e6f77-6e2d-6461-7461-2d7575696431 > value\n  \
  archive_ingest list-archive --json | jq -r .uuid | archive_ingest fetch-uuid --bson --output objects -";

#[derive(Args, Debug)]
pub struct FetchArgs {
    /// UUIDs, or `-` to read them from standard input
    #[arg(required = true, value_name = "UUID")]
    pub uuids: Vec<String>,
    /// Write exactly the value's bytes, of several messages one after another
    #[arg(long, conflicts_with = "bson")]
    pub payload: bool,
    /// Write exactly the stored object's bytes, of several one after another
    #[arg(long)]
    pub bson: bool,
    /// Write into this file, or a file each into this directory
    ///
    /// A directory is one that exists, whose name ends in /, or that is for
    /// several UUIDs; it is made where it is missing. Its files are called
    /// UUID.txt, .json, .payload or .bson. Files that exist are replaced.
    #[arg(long, value_name = "FILE|DIR")]
    pub output: Option<PathBuf>,
}

const VERIFY_EXAMPLES: &str = "Examples:\n  \
  archive_ingest verify\n  \
  archive_ingest verify --deep --topic 'gcn.*' --since 24h\n  \
  archive_ingest verify --deep --sample 1% --json\n  \
  archive_ingest verify --deep --subset 3/7 --resume\n  \
  archive_ingest verify --deep --repair --dry-run";

#[derive(Args, Debug)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub select: Select,
    /// Check only so many messages (up to 100000) or percent, chosen at random
    #[arg(long, value_name = "N|P%")]
    pub sample: Option<String>,
    /// Check only part I of N, always the same days of topics
    ///
    /// A part is made of key ranges (topic/year/month/day), so only these are
    /// listed; parts of an archive with few days are not equally large.
    #[arg(long, value_name = "I/N", conflicts_with = "sample")]
    pub subset: Option<String>,
    /// Read every object and compare its content with the catalogue
    #[arg(long)]
    pub deep: bool,
    /// Compare what Kafka still holds with the catalogue too
    ///
    /// Records that the consumer group has not committed yet are left out: they
    /// need not be archived yet.
    #[arg(long, conflicts_with = "sample")]
    pub against_kafka: bool,
    /// How old an object without a message must be to be told: 0s when nothing archives
    #[arg(long, value_name = "AGE", default_value = "15m")]
    pub in_flight: String,
    /// Go on where the last verify with the same options was stopped
    #[arg(long, conflicts_with = "sample")]
    pub resume: bool,
    /// Exit 0, not 1, if there was no message to check
    #[arg(long)]
    pub allow_empty: bool,
    /// Mend what can be mended
    ///
    /// Damaged rows are rewritten from objects that have the content digest of the
    /// row. Objects that are missing, damaged or contradict the digest are stored
    /// again from a noncurrent version, the backup bucket or Kafka (-H), under a
    /// new key where something lies under theirs; counts are taken anew; with
    /// --against-kafka, records that were never archived are. Nothing is ever
    /// deleted or replaced in the store, and a row that changed meanwhile is left.
    #[arg(long)]
    pub repair: bool,
    /// With --repair: tell what would be done, and do nothing
    #[arg(long, requires = "repair")]
    pub dry_run: bool,
    /// With --repair: a bucket with copies of the objects under the same keys [default: store-backup-bucket]
    #[arg(long, value_name = "BUCKET", requires = "repair")]
    pub backup_bucket: Option<String>,
    /// With --repair: give a row to every whole object that has none, although nothing but the object itself says that it was archived
    ///
    /// Without it an object gets a row only if its claim or its record in Kafka
    /// confirms it. Whether the message is public is taken from
    /// hop-public-topics, never from the object.
    #[arg(long, requires = "repair")]
    pub adopt_orphans: bool,
    /// Check nothing, but note that the gaps (of --topic) are known: they are listed from then on, and no defects
    #[arg(long, conflicts_with_all = ["sample", "subset", "deep", "against_kafka", "resume", "repair", "since", "until"])]
    pub acknowledge_gaps: bool,
}

const REBUILD_CATALOGUE_EXAMPLES: &str = "Examples:\n  \
  archive_ingest rebuild-catalogue\n  \
  archive_ingest rebuild-catalogue -D local-db -S local-store --shard 1/4";

#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Exit 1 if anything needs a person: defects that the last verify left, gaps
    /// that are not acknowledged, no verify of the whole archive that held, a
    /// store that does not answer, an unfinished rebuild
    #[arg(long)]
    pub check: bool,
}

const STATUS_EXAMPLES: &str = "Examples:\n  \
  archive_ingest status\n  \
  archive_ingest status -H hop-local -D local-db --json\n  \
  archive_ingest status --check";

#[derive(Args, Debug)]
pub struct RebuildCatalogueArgs {
    /// Read only part I of N of the objects, always the same: for N processes at once
    ///
    /// A part is made of key ranges (topic/year/month/day), so each process lists
    /// only its own.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// Read all objects, also those that a rebuild which was stopped has read
    #[arg(long)]
    pub from_start: bool,
}

const RESTORE_EXAMPLES: &str = "Examples:\n  \
  archive_ingest restore -H hop-new -D local-db -S local-store --topic 'gcn.*' --create-topics\n  \
  archive_ingest restore -H hop-local -D local-db -S local-store --topic gcn.circular --to gcn.again --since 7d --dry-run\n  \
  archive_ingest list-archive --topic a --json | jq -r .uuid | archive_ingest restore -H hop-local --uuid-file - --map a=b";

#[derive(Args, Debug, Default)]
pub struct RestoreArgs {
    #[command(flatten)]
    pub select: Select,
    /// Only messages whose UUIDs are in this file, one a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub uuid_file: Option<PathBuf>,
    /// Restore into this topic [default: into the topic of the same name]
    #[arg(long, value_name = "TOPIC", conflicts_with = "map")]
    pub to: Option<String>,
    /// Restore topic FROM into topic TO (repeatable)
    #[arg(long, value_name = "FROM=TO")]
    pub map: Vec<String>,
    /// Tell what would be restored and what stands against it, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Into the partitions that they were in: the default
    #[arg(long, conflicts_with = "by_key")]
    pub preserve_partitions: bool,
    /// Into the partitions of their keys, as Java's producers choose them
    #[arg(long)]
    pub by_key: bool,
    /// Make topics that do not exist, set to keep everything
    #[arg(long)]
    pub create_topics: bool,
    /// At most so many records a second
    #[arg(long, value_name = "N/s")]
    pub rate: Option<String>,
    /// Add a header _archive_uuid with the archive's UUID
    #[arg(long)]
    pub mark: bool,
    /// Restore even into a topic that this archive reads, and so archives again
    #[arg(long)]
    pub into_archived: bool,
    /// Restore even beside records of which no note tells what they are
    #[arg(long)]
    pub append: bool,
}
