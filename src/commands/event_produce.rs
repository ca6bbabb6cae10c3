//! `event produce`: events onto a topic, in the registry's wire format.

use std::io::{self, BufRead};
use std::path::Path;

use serde_json::{Value, json};

use super::{Exit, UsageError, event_consume, open, output};
use crate::cli::EventProduceArgs;
use crate::config::Config;
use crate::events::{self, CourseEvent, Event, EventError, EventWriter, KEY_SCHEMA, VALUE_SCHEMA};
use crate::kafka::Cluster;

/// Bytes of all events of one call, which are held at once.
const MOST_BYTES: usize = 256 << 20;

/// A longer line is no event: no broker would take it.
const LONGEST_LINE: u64 = 64 << 20;

/// Encodes everything, then registers the schemas, then sends. Exit 2 with
/// nothing sent where an event does not fit its schema, 3 where the registry or
/// Kafka does not take part. Blocks.
pub fn produce(config: &Config, args: &EventProduceArgs, json: bool) -> anyhow::Result<Exit> {
    event_consume::check_topic(&args.topic)?;
    let hop = config.hop()?;
    let registry = open::event_registry(config)?;
    let (writer, events) = match (&args.value_schema, &args.student) {
        (Some(value), _) => from_lines(args.key_schema.as_deref(), value)?,
        (None, Some(student)) => course_enrollments(student, args.count)?,
        (None, None) => return Err(UsageError("--type needs --student".to_owned()).into()),
    };
    let count = events.len();
    let cluster = Cluster::open(&hop)?;
    open::answers(&cluster)?;
    let ids = writer.register(&registry, &args.topic)?;
    events::send(&cluster, &args.topic, ids, events)?;
    output::print(&match json {
        true => json!({"topic": args.topic, "sent": count}).to_string() + "\n",
        false => format!("{count} events sent to {}\n", args.topic),
    })?;
    Ok(Exit::Clean)
}

fn course_enrollments(student: &str, count: u64) -> anyhow::Result<(EventWriter, Vec<Event>)> {
    let writer = EventWriter::new(Some(KEY_SCHEMA), VALUE_SCHEMA)?;
    let events = (0..count)
        .map(|number| {
            let event = CourseEvent::numbered(number, student);
            writer.encode(&event.key(), &event.value())
        })
        .collect::<Result<_, EventError>>()?;
    Ok((writer, events))
}

fn from_lines(key: Option<&Path>, value: &Path) -> anyhow::Result<(EventWriter, Vec<Event>)> {
    let key = key.map(|path| schema("--key-schema", path)).transpose()?;
    let value = schema("--value-schema", value)?;
    let writer = EventWriter::new(key.as_deref(), &value)
        .map_err(|error| UsageError(format!("--value-schema or --key-schema: {error}")))?;
    let mut events = Vec::new();
    let mut bytes = 0;
    let mut lines = io::stdin().lock();
    for number in 1_u64.. {
        let Some(line) = next_line(&mut lines, number)? else {
            break;
        };
        if line.trim().is_empty() {
            continue;
        }
        let event = event(&writer, &line)
            .map_err(|why| UsageError(format!("line {number}: {why}; nothing was sent")))?;
        bytes += event.bytes();
        if bytes > MOST_BYTES {
            let why = format!(
                "line {number}: more than {MOST_BYTES} bytes of events at once; nothing was sent: send them in parts"
            );
            return Err(UsageError(why).into());
        }
        events.push(event);
    }
    Ok((writer, events))
}

/// The schema in a file, which is looked at for itself.
pub(super) fn schema(option: &str, path: &Path) -> Result<String, UsageError> {
    let wrong = |why: String| UsageError(format!("{option} {}: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
    if size.len() > MOST_BYTES as u64 || !size.is_file() {
        return Err(wrong("it is no file with a schema".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    match EventWriter::new(None, &text) {
        Ok(_) => Ok(text),
        Err(error) => Err(wrong(error.to_string())),
    }
}

fn next_line(lines: &mut impl BufRead, number: u64) -> anyhow::Result<Option<String>> {
    let mut line = Vec::new();
    let mut limited = io::Read::take(lines, LONGEST_LINE + 1);
    let read = limited
        .read_until(b'\n', &mut line)
        .map_err(|error| UsageError(format!("standard input cannot be read: {error}")))?;
    let wrong = |why| UsageError(format!("line {number}: {why}; nothing was sent"));
    match read as u64 {
        0 => Ok(None),
        read if read > LONGEST_LINE => Err(wrong("longer than 64 MiB").into()),
        _ => match String::from_utf8(line) {
            Ok(line) => Ok(Some(line)),
            Err(_) => Err(wrong("not UTF-8").into()),
        },
    }
}

fn event(writer: &EventWriter, line: &str) -> Result<Event, String> {
    let line: Value = serde_json::from_str(line).map_err(|error| format!("no JSON: {error}"))?;
    if !writer.has_key() {
        return told(writer.encode(&Value::Null, &line));
    }
    match line.as_object() {
        Some(object) if object.len() == 2 => match (object.get("key"), object.get("value")) {
            (Some(key), Some(value)) => told(writer.encode(key, value)),
            _ => Err(NO_PAIR.to_owned()),
        },
        _ => Err(NO_PAIR.to_owned()),
    }
}

const NO_PAIR: &str = "with --key-schema an event is {\"key\": …, \"value\": …}";

fn told(encoded: Result<Event, EventError>) -> Result<Event, String> {
    encoded.map_err(|error| error.to_string())
}
