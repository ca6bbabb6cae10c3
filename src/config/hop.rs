//! Stanzas with `hop-` keys: which Kafka, and what of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::TopicSelection;

/// Chosen with `-H`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HopConfig {
    /// The stanza's name.
    pub stanza: String,
    pub kind: HopKind,
    /// `hop-groupname`. Default `archive_ingest`.
    pub group: GroupName,
    /// `hop-until-eos`: stop at the end of what is there now.
    pub until_eos: bool,
    /// `hop-topics`, `hop-vetoed-topics`, the veto list and `hop-test-topic`
    /// (which narrows it to that one topic).
    pub topics: TopicSelection,
    /// `hop-test-max-messages`: consume no more after that many; the process
    /// stays up.
    pub test_max_messages: Option<u64>,
    /// `hop-topic-refresh-interval-seconds`. Default 60 s.
    pub topic_refresh: Duration,
    /// `hop-properties`: handed to librdkafka as they are, after everything
    /// that this program sets itself.
    pub properties: BTreeMap<String, String>,
}

/// `hop-type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HopKind {
    /// The broker inside this process, with the known test data.
    Mock,
    Kafka {
        /// `hop-hostname` (several with commas) with `hop-port` (default 9092)
        /// where a name has none: librdkafka's `bootstrap.servers`.
        bootstrap_servers: String,
        /// `None` is PLAINTEXT.
        auth: Option<HopAuth>,
    },
}

/// How the client shows who it is. From `hop-local-auth` (hop-client's file,
/// the `[[auth]]` table whose hostname is the first of `hop-hostname`, else the
/// one without a hostname, else the only one), overridden by `HOP_USERNAME` and
/// `HOP_PASSWORD`.
#[derive(Clone, PartialEq, Eq)]
pub struct HopAuth {
    pub username: String,
    pub password: String,
    pub protocol: Protocol,
    pub mechanism: Mechanism,
    /// PEM file of the CA; librdkafka looks for the system's where absent.
    pub ssl_ca_location: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    SaslPlaintext,
    SaslSsl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupName {
    Named(String),
    /// `random`: a new group at each start.
    Random,
}
