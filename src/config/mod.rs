//! Configuration: `housekeeping.toml`, the environment, secrets, the veto list.
//!
//! Raw text becomes one checked value per stanza kind here, and nowhere else.
//! Whatever is wrong is a [`ConfigError`]: one line, exit code 2.
//!
//! ```text
//! document (TOML with lines) ─► file (stanzas, known keys) ─┐
//! environment, selection (command line) ────────────────────┴► settings ─► hop, database, …
//! ```
//! A key is declared once ([`Key`], in the file of its stanza kind) and read
//! through the same layers: its default, what is built in, the file, the
//! environment, the command line; the later ones win. Empty text counts as not
//! given, in the file as in the environment.

mod aether;
mod aether_file;
mod archive;
mod auth;
mod auth_file;
mod bridge;
mod bridge_topics;
mod database;
mod document;
mod environment;
mod error;
mod file;
mod from_value;
mod hop;
mod host;
mod inspect;
mod kernel;
mod key;
mod listen;
mod load;
mod log;
mod origin;
mod plugin_file;
mod plugin_options;
mod plugin_sections;
mod plugin_values;
mod postgres;
mod produce;
mod properties;
mod registry;
mod selection;
mod settings;
mod stanza_kind;
mod store;
mod topic_map;
mod topics;
mod value;
mod veto;

pub use aether::AetherConfig;
pub use archive::ArchiveConfig;
pub use auth::{HopAuth, Mechanism, Protocol};
pub use bridge::{AgentConfig, BridgeConfig, MessageForm};
pub use database::{DatabaseConfig, SqliteConfig};
pub use environment::Environment;
pub use error::ConfigError;
pub use from_value::Word;
pub use hop::{GroupName, HopConfig, HopKind};
pub use inspect::{Inspection, StanzaInspection};
pub use kernel::{BoundConfig, KernelConfig, KernelKind, NamedBy};
pub use key::{Built, Key};
pub use listen::{
    ApiConfig, BridgeListenConfig, ControlConfig, HttpCredential, ListenAddress, ListenConfig,
};
pub use load::{Config, PublishingConfig};
pub use log::{LogConfig, LogFormat};
pub use origin::Origin;
pub use plugin_file::PluginFile;
pub use plugin_options::{Becomes, PluginOption, Section, table as plugin_options_table};
pub use postgres::{PostgresConfig, SslMode, is_this_machine};
pub use produce::{
    ContainerCompression, ContainerConfig, MessageFormat, ProduceConfig, TopicConfig,
};
pub use registry::{RegistryConfig, RegistryCredential};
pub use selection::Selection;
pub use settings::{Setting, Settings};
pub use stanza_kind::StanzaKind;
pub use store::{DirectoryConfig, S3Config, S3Credentials, StoreConfig};
pub use topic_map::{MapError, Template, TemplateName, TopicMap};
pub use topics::{
    PatternError, TopicGlobs, TopicSelection, Verdict, is_internal, is_topic_name, not_a_topic_name,
};
pub use value::{Kind, Value, shown_properties};
