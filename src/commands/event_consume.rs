//! `event consume`: the events of a topic, decoded.

use std::io::Write;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::event_produce::schema;
use super::output::{self, Stdout, one_line};
use super::produce::listen_to_signals;
use super::{Exit, UsageError, open, select};
use crate::cli::{EventConsumeArgs, EventFormat};
use crate::config::{Config, GroupName, HopConfig, is_topic_name, not_a_topic_name};
use crate::events::{
    self, Asked, ConsumeError, CourseEvent, EventReader, Format, Receiver, Shown, Start,
};
use crate::kafka::Cluster;
use crate::record::Record;
use crate::registry::BlockingRegistry;
use crate::shutdown;

/// Prints until told to end, or `--count` are printed. Blocks.
pub fn consume(config: &Config, args: &EventConsumeArgs, json: bool) -> anyhow::Result<Exit> {
    let hop = config.hop()?;
    let asked = asked(&hop, args)?;
    let read = |option, path: &Option<_>| {
        let path: Option<&std::path::PathBuf> = path.as_ref();
        path.map(|path| schema(option, path)).transpose()
    };
    let registry = config.registry()?;
    if registry.is_none() && (args.key_schema.is_some() || args.value_schema.is_some()) {
        let why = "--value-schema and --key-schema need a schema registry: name its stanza with -R";
        return Err(UsageError(why.to_owned()).into());
    }
    let reader = EventReader {
        format: format(args.format),
        key_schema: read("--key-schema", &args.key_schema)?,
        value_schema: read("--value-schema", &args.value_schema)?,
        registry: registry.as_ref().map(BlockingRegistry::open).transpose()?,
    };
    let (trigger, shutdown) = shutdown::signal();
    let _listener = listen_to_signals(trigger)?;
    let cluster = Cluster::open(&hop)?;
    open::answers(&cluster)?;
    let mut printer = Printer {
        reader,
        json,
        out: Stdout::new(),
        is_as_asked: true,
    };
    events::consume(&cluster, &asked, &shutdown, &mut printer)?;
    Ok(match printer.is_as_asked {
        true => Exit::Clean,
        false => Exit::Found,
    })
}

/// That Kafka may have a topic of this name.
pub(super) fn check_topic(topic: &str) -> Result<(), UsageError> {
    match is_topic_name(topic) {
        true => Ok(()),
        false => Err(UsageError(format!("--topic {}", not_a_topic_name(topic)))),
    }
}

fn asked(hop: &HopConfig, args: &EventConsumeArgs) -> Result<Asked, UsageError> {
    check_topic(&args.topic)?;
    if let Some(group) = &args.group {
        check_group(hop, group)?;
    }
    let start = match args.from.as_str() {
        "beginning" => Start::Beginning,
        "end" => Start::End,
        typed => Start::Time(select::time(typed, Timestamp::now()).ok_or_else(|| {
            UsageError(format!(
                "--from {typed:?} is neither beginning nor end nor a time: write a time as \
                 2024-05-01T12:00:00Z, 2024-05-01, 1714564800000 or 90s, 15m, 24h, 7d, 2w"
            ))
        })?),
    };
    Ok(Asked {
        topic: args.topic.clone(),
        group: args.group.clone(),
        start,
        count: args.count,
    })
}

/// The archiver's group would lose what is committed here.
fn check_group(hop: &HopConfig, group: &str) -> Result<(), UsageError> {
    if hop.group == GroupName::Named(group.to_owned()) {
        return Err(UsageError(format!(
            "--group {group} is the archiver's own (hop-groupname), which would never archive what is consumed here: take another name"
        )));
    }
    match group.is_empty() || group.contains(char::is_control) {
        true => Err(UsageError(format!(
            "--group {group:?} is not the name of a group: leave it out, or give it a name"
        ))),
        false => Ok(()),
    }
}

fn format(typed: EventFormat) -> Format {
    match typed {
        EventFormat::Avro => Format::Avro,
        EventFormat::Json => Format::Json,
        EventFormat::Hex => Format::Hex,
        EventFormat::Auto => Format::Auto,
    }
}

struct Printer {
    reader: EventReader,
    json: bool,
    out: Stdout,
    /// Whether every value was what `--format` says.
    is_as_asked: bool,
}

impl Receiver for Printer {
    fn receive(&mut self, record: &Record) -> Result<(), ConsumeError> {
        let key = self.reader.key(record.key.as_deref())?;
        let value = self.reader.value(record.value.as_deref())?;
        if let Some(trouble) = &value.trouble {
            let place = format!("{}/{}/{}", record.topic, record.partition, record.offset);
            let told = format!("the value of {place} is shown as bytes: {trouble}");
            match self.reader.format {
                Format::Auto => output::note(&told),
                _ => {
                    output::error(&told);
                    self.is_as_asked = false;
                }
            }
        }
        let line = match self.json {
            true => json_line(record, &key, &value),
            false => text_line(record, &key, &value),
        };
        writeln!(self.out, "{line}")
            .and_then(|()| self.out.flush())
            .map_err(ConsumeError::Output)
    }
}

fn json_line(record: &Record, key: &Shown, value: &Shown) -> String {
    json!({
        "topic": &*record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": key,
        "value": value,
    })
    .to_string()
}

/// Course enrolments as sentences, other events with their place.
fn text_line(record: &Record, key: &Shown, value: &Shown) -> String {
    if let Some(event) = CourseEvent::of(&value.data) {
        let what = if event.is_enroll {
            "enrolled"
        } else {
            "unenrolled"
        };
        return one_line(&format!("{}  {} {what}", event.course_key, event.user)).into_owned();
    }
    let place = format!("{}/{}/{}", record.topic, record.partition, record.offset);
    one_line(&format!("{place}  {}  {}", text(key), text(value))).into_owned()
}

/// `null`, bytes as 0x…, text as it is, JSON as JSON.
fn text(shown: &Shown) -> String {
    match (shown.format, &shown.data) {
        ("bytes", Value::String(digits)) => match shown.schema_id {
            Some(id) => format!("(schema {id}) 0x{digits}"),
            None => format!("0x{digits}"),
        },
        ("text", Value::String(text)) => text.clone(),
        (_, json) => json.to_string(),
    }
}
