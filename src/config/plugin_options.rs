//! What becomes of each option of the Kafka plugin's file: the one table, which
//! the documentation shows too.

/// What an option becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// Of librdkafka, with the same value.
    Property(&'static str),
    /// Something of the bridge's own: what.
    Bridge(&'static str),
    /// Nothing, and a warning says why.
    Nothing(&'static str),
}

/// An option of the file, where it has its place.
#[derive(Clone, Copy, Debug)]
pub struct PluginOption {
    pub name: &'static str,
    pub becomes: Becomes,
}

/// Where an option stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    General,
    Consumer,
    Producer,
}

use Becomes::{Bridge, Nothing, Property};

const fn option(name: &'static str, becomes: Becomes) -> PluginOption {
    PluginOption { name, becomes }
}

/// Directly below `kafka_events`; for both directions.
pub const GENERAL: &[PluginOption] = &[
    option(
        "bootstrap_servers",
        Bridge("the cluster, unless the command line names one with -H"),
    ),
    option("client_id", Property("client.id")),
    option("request_timeout_ms", Property("socket.timeout.ms")),
    option(
        "connections_max_idle_ms",
        Property("connections.max.idle.ms"),
    ),
    option(
        "api_version",
        Nothing("the client asks the broker for its versions"),
    ),
    option("security_protocol", Property("security.protocol")),
    option(
        "ssl_context",
        Nothing(
            "an object of Python cannot stand in a file: name a CA with HOP_SSL_CA_LOCATION (hop-ssl-ca-location)",
        ),
    ),
    option("sasl_mechanism", Property("sasl.mechanism")),
    option("sasl_plain_username", Property("sasl.username")),
    option("sasl_plain_password", Property("sasl.password")),
    option(
        "sasl_kerberos_service_name",
        Nothing("the client is built without Kerberos"),
    ),
    option(
        "sasl_kerberos_domain_name",
        Nothing("the client is built without Kerberos"),
    ),
    option(
        "sasl_oauth_token_provider",
        Nothing("an object of Python cannot stand in a file: use PLAIN or SCRAM"),
    ),
];

/// Below `consumer-config`.
pub const CONSUMER: &[PluginOption] = &[
    option("group_id", Bridge("the consumer group")),
    option("fetch_max_wait_ms", Property("fetch.wait.max.ms")),
    option("fetch_max_bytes", Property("fetch.max.bytes")),
    option("fetch_min_bytes", Property("fetch.min.bytes")),
    option(
        "max_partition_fetch_bytes",
        Property("fetch.message.max.bytes"),
    ),
    option(
        "auto_offset_reset",
        Bridge("where a new group begins; topics that turn up later are read from their beginning"),
    ),
    option(
        "enable_auto_commit",
        Nothing("a record is committed when the agent has taken it, and never before"),
    ),
    option(
        "auto_commit_interval_ms",
        Property("auto.commit.interval.ms"),
    ),
    option("check_crcs", Property("check.crcs")),
    option(
        "metadata_max_age_ms",
        Property("topic.metadata.refresh.interval.ms"),
    ),
    option("max_poll_interval_ms", Property("max.poll.interval.ms")),
    option(
        "rebalance_timeout_ms",
        Nothing("the client has max_poll_interval_ms for it"),
    ),
    option("session_timeout_ms", Property("session.timeout.ms")),
    option("heartbeat_interval_ms", Property("heartbeat.interval.ms")),
    option(
        "consumer_timeout_ms",
        Nothing("the client fetches in the background without pauses"),
    ),
    option(
        "max_poll_records",
        Nothing("records are handed to the agent one after another"),
    ),
];

/// Below `producer-config`.
pub const PRODUCER: &[PluginOption] = &[
    option(
        "metadata_max_age_ms",
        Property("topic.metadata.refresh.interval.ms"),
    ),
    option("compression_type", Property("compression.type")),
    option("max_batch_size", Property("batch.size")),
    option("max_request_size", Property("message.max.bytes")),
    option("linger_ms", Property("linger.ms")),
    option("send_backoff_ms", Property("retry.backoff.ms")),
];

impl Section {
    pub const ALL: [Section; 3] = [Section::General, Section::Consumer, Section::Producer];

    pub fn options(self) -> &'static [PluginOption] {
        match self {
            Section::General => GENERAL,
            Section::Consumer => CONSUMER,
            Section::Producer => PRODUCER,
        }
    }

    /// The key that it stands below; `None` for the general one.
    pub fn key(self) -> Option<&'static str> {
        match self {
            Section::General => None,
            Section::Consumer => Some("consumer-config"),
            Section::Producer => Some("producer-config"),
        }
    }

    pub fn option(self, name: &str) -> Option<&'static PluginOption> {
        self.options().iter().find(|option| option.name == name)
    }
}

/// The table of the documentation, in Markdown.
pub fn table() -> String {
    let mut text = String::from("| option | becomes |\n|---|---|\n");
    for section in Section::ALL {
        for option in section.options() {
            let place = section
                .key()
                .map_or(String::new(), |key| format!("{key} › "));
            let becomes = match option.becomes {
                Property(name) => format!("`{name}`"),
                Bridge(what) => what.to_owned(),
                Nothing(why) => format!("nothing, with a warning: {why}"),
            };
            text.push_str(&format!("| {place}`{}` | {becomes} |\n", option.name));
        }
    }
    text
}
