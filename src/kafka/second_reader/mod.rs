//! A client of Kafka's protocol that shares no code with librdkafka: what it
//! reads proves that the archiver's client has read the same.
//!
//! It reads committed records: it leaves out aborted transactions and control
//! batches itself. Of the cluster's settings it takes those for addresses, TLS
//! and SASL; what it cannot do is an error and never passed over. Blocks.
//!
//! Memory: one response (4 MiB, or one batch where that is larger) and one
//! unpacked record. A response over 1 GiB and a batch that unpacks to more than
//! 2 GiB are errors.

mod batch;
mod codec;
mod connection;
mod scram;
mod settings;
mod wire;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use tracing::debug;

use super::admin::{PartitionOffsets, TopicInfo};
use super::client::{Cluster, KafkaFailure};
use super::partition::{Offsets, TopicPartition};
use super::reader::Reading;
use crate::record::Record;
use batch::{Aborted, Consumed, Wanted, read_batches};
use connection::{Connection, api};
use settings::Settings;
use wire::{Reader, Writer};

/// Without progress for this long, the cluster is said to be away.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(60);
/// Questions about topics and offsets.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(20);
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

const FETCH_WAIT_MS: i32 = 500;
const FETCH_BYTES: i32 = 4 << 20;
const FETCH_PARTITION_BYTES: i32 = 1 << 20;

const READ_UNCOMMITTED: i8 = 0;
const READ_COMMITTED: i8 = 1;
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

/// Why something was not read.
#[derive(Debug)]
enum ReadError {
    /// A broker cannot be reached now, or another one leads. Retry.
    Connection(String),
    /// Credentials, permissions or settings are wrong.
    Refused(String),
    /// What came cannot be read.
    Unreadable(String),
}

impl ReadError {
    fn unreadable(why: &str) -> Self {
        Self::Unreadable(why.to_owned())
    }
}

/// The second client. Connects when it is first asked for something.
pub struct SecondReader {
    settings: Settings,
    cluster: String,
    /// Host and port of each broker.
    brokers: BTreeMap<i32, (String, u16)>,
    connections: BTreeMap<i32, Connection>,
    /// To a bootstrap server.
    bootstrap: Option<Connection>,
}

/// Where a log ends that has the given leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch up to the one asked for; `None` where the log has none.
    pub epoch: Option<i32>,
    /// The offset after that epoch's last record; `None` where it has none.
    pub end: Option<i64>,
}

struct Topic {
    error: i16,
    name: String,
    partitions: BTreeMap<i32, i32>,
}

/// A partition that is being read.
struct Position {
    /// From here to `next` nothing was left out.
    start: i64,
    next: i64,
    end: i64,
}

impl SecondReader {
    /// Fails where the cluster's settings are of a kind that it cannot use.
    pub fn open(cluster: &Cluster) -> Result<Self, KafkaFailure> {
        Self::with_config(&cluster.client_config(), cluster.name())
    }

    /// `cluster` is what messages call it.
    pub(super) fn with_config(config: &ClientConfig, cluster: &str) -> Result<Self, KafkaFailure> {
        let settings = Settings::read(config);
        Ok(Self {
            settings: settings.map_err(|cause| KafkaFailure::Refused {
                cluster: cluster.to_owned(),
                cause,
            })?,
            cluster: cluster.to_owned(),
            brokers: BTreeMap::new(),
            connections: BTreeMap::new(),
            bootstrap: None,
        })
    }

    /// Every topic that the credential may see, ordered by name.
    pub fn topics(&mut self) -> Result<Vec<TopicInfo>, KafkaFailure> {
        let mut topics: Vec<TopicInfo> = self
            .patiently(|reader| reader.metadata(None))?
            .into_iter()
            .filter(|topic| topic.error == 0)
            .map(|topic| TopicInfo {
                name: topic.name,
                leaderless: topic
                    .partitions
                    .iter()
                    .filter(|(_, leader)| **leader < 0)
                    .map(|(partition, _)| *partition)
                    .collect(),
                partitions: topic.partitions.into_keys().collect(),
            })
            .collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// Begin and end of each partition, the end being the last stable offset.
    pub fn offsets(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, PartitionOffsets>, KafkaFailure> {
        let starts = self.list_offsets_patiently(partitions, EARLIEST, READ_COMMITTED)?;
        let mut ends = self.list_offsets_patiently(partitions, LATEST, READ_COMMITTED)?;
        Ok(starts
            .into_iter()
            .filter_map(|(partition, start)| {
                let end = ends.remove(&partition)?;
                Some((partition, PartitionOffsets { start, end }))
            })
            .collect())
    }

    /// The high watermark of each partition: where its log ends, records of open
    /// transactions included.
    pub fn high_watermarks(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<Offsets, KafkaFailure> {
        self.list_offsets_patiently(partitions, LATEST, READ_UNCOMMITTED)
    }

    fn list_offsets_patiently(
        &mut self,
        partitions: &[TopicPartition],
        time: i64,
        isolation: i8,
    ) -> Result<Offsets, KafkaFailure> {
        self.patiently(|reader| reader.list_offsets(partitions, time, isolation))
    }

    /// Where the log of each partition ends that has this leader epoch. Those
    /// without a leader, or whose leader has just changed, are left out. Asks
    /// once.
    pub fn epoch_ends(
        &mut self,
        epochs: &BTreeMap<TopicPartition, i32>,
    ) -> Result<BTreeMap<TopicPartition, EpochEnd>, KafkaFailure> {
        let partitions: Vec<TopicPartition> = epochs.keys().cloned().collect();
        let request = |partition: &TopicPartition, body: &mut Writer| {
            let epoch = epochs.get(partition).copied().unwrap_or(-1);
            body.i32(partition.partition).i32(-1).i32(epoch);
        };
        let call = (api::OFFSET_FOR_LEADER_EPOCH, 2, Writer::default());
        let answers = self.ask_leaders(&partitions, call, request, |response| {
            let (error, partition) = (response.i16()?, response.i32()?);
            let (epoch, end) = (response.i32()?, response.i64()?);
            let end = EpochEnd {
                epoch: (epoch >= 0).then_some(epoch),
                end: (end >= 0).then_some(end),
            };
            Ok((partition, error, end))
        });
        let answers = answers.map_err(|error| self.failure(error))?;
        let known = answers.into_iter();
        Ok(known.filter_map(|(p, end)| Some((p, end.ok()?))).collect())
    }

    /// The record at that offset; `None` where the log has none there (any
    /// more).
    pub fn record(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<Record>, KafkaFailure> {
        let known = self
            .patiently(|reader| reader.metadata(Some(&[topic])))?
            .into_iter()
            .find(|known| known.error == 0 && known.name == topic);
        if !known.is_some_and(|known| known.partitions.contains_key(&partition)) {
            return Ok(None);
        }
        let range = BTreeMap::from([(partition, offset..offset + 1)]);
        let mut found = None;
        self.read(topic, &range, |record| {
            found = Some(record);
            Reading::Stop
        })?;
        Ok(found)
    }

    /// Gives each committed record of these ranges of offsets, a partition each,
    /// to `each`; those of a partition in their order. Offsets without a record,
    /// and those that retention has removed, are passed over.
    ///
    /// Returns which offsets of each partition were read without a break, so that
    /// those of them without a record hold none. It is less than the range where
    /// retention was quicker, or the log ends before it.
    pub fn read(
        &mut self,
        topic: &str,
        ranges: &BTreeMap<i32, Range<i64>>,
        mut each: impl FnMut(Record) -> Reading,
    ) -> Result<BTreeMap<i32, Range<i64>>, KafkaFailure> {
        let name: Arc<str> = topic.into();
        let mut open: BTreeMap<i32, Position> = ranges
            .iter()
            .filter(|(_, range)| !range.is_empty())
            .map(|(partition, range)| {
                let (start, end) = (range.start, range.end);
                let next = start;
                (*partition, Position { start, next, end })
            })
            .collect();
        let mut read = BTreeMap::new();
        let mut leaders = BTreeMap::new();
        let mut deadline = Instant::now() + PROGRESS_TIMEOUT;
        while !open.is_empty() {
            let why = match self.round(&name, &mut open, &mut read, &mut leaders, &mut each) {
                Ok(Round::Stopped) => return Ok(read),
                Ok(Round::Progress) => {
                    deadline = Instant::now() + PROGRESS_TIMEOUT;
                    continue;
                }
                Ok(Round::Nothing) => format!(
                    "nothing of {topic} came for {} s",
                    PROGRESS_TIMEOUT.as_secs()
                ),
                Err(ReadError::Connection(why)) => {
                    self.disconnect();
                    leaders.clear();
                    std::thread::sleep(RETRY_INTERVAL);
                    why
                }
                Err(error) => return Err(self.failure(error)),
            };
            if Instant::now() > deadline {
                return Err(self.failure(ReadError::Connection(why)));
            }
        }
        Ok(read)
    }

    /// One fetch of each leader.
    fn round(
        &mut self,
        topic: &Arc<str>,
        open: &mut BTreeMap<i32, Position>,
        read: &mut BTreeMap<i32, Range<i64>>,
        leaders: &mut BTreeMap<i32, i32>,
        each: &mut dyn FnMut(Record) -> Reading,
    ) -> Result<Round, ReadError> {
        if leaders.is_empty() {
            *leaders = self.leaders_of(topic)?;
        }
        let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for &partition in open.keys() {
            let leader = leaders.get(&partition).copied().unwrap_or(-1);
            by_leader.entry(leader).or_default().push(partition);
        }
        let mut round = Round::Nothing;
        for (leader, partitions) in by_leader {
            let response = self.fetch(leader, topic, &partitions, open)?;
            let fetched = self.take_in(topic, &response, open, read, each)?;
            match fetched {
                Round::Stopped => return Ok(Round::Stopped),
                Round::Progress => round = Round::Progress,
                Round::Nothing => {}
            }
        }
        Ok(round)
    }

    fn fetch(
        &mut self,
        leader: i32,
        topic: &str,
        partitions: &[i32],
        open: &BTreeMap<i32, Position>,
    ) -> Result<Fetched, ReadError> {
        if leader < 0 {
            return Err(ReadError::Connection(format!(
                "{topic} partition {}: no broker leads it",
                partitions.first().copied().unwrap_or_default()
            )));
        }
        let connection = self.connection(leader)?;
        // zstd needs 10; brokers before 2.1 know 4.
        let version = connection.version(api::FETCH, &[4, 10])?;
        let mut body = Writer::default();
        body.i32(-1).i32(FETCH_WAIT_MS).i32(1).i32(FETCH_BYTES);
        body.i8(READ_COMMITTED);
        if version >= 7 {
            // No session.
            body.i32(0).i32(-1);
        }
        body.count(1).string(topic).count(partitions.len());
        for partition in partitions {
            let next = open.get(partition).map_or(0, |position| position.next);
            body.i32(*partition);
            if version >= 9 {
                body.i32(-1);
            }
            body.i64(next);
            if version >= 5 {
                body.i64(-1);
            }
            body.i32(FETCH_PARTITION_BYTES);
        }
        if version >= 7 {
            body.count(0);
        }
        let bytes = connection.exchange(api::FETCH, version, &body)?;
        Ok(Fetched { version, bytes })
    }

    fn take_in(
        &mut self,
        topic: &Arc<str>,
        fetched: &Fetched,
        open: &mut BTreeMap<i32, Position>,
        read: &mut BTreeMap<i32, Range<i64>>,
        each: &mut dyn FnMut(Record) -> Reading,
    ) -> Result<Round, ReadError> {
        let mut round = Round::Nothing;
        let mut response = Reader(&fetched.bytes);
        response.i32()?;
        if fetched.version >= 7 {
            check("Fetch", topic, -1, response.i16()?)?;
            response.i32()?;
        }
        for _ in 0..response.count()? {
            response.string()?;
            for _ in 0..response.count()? {
                let (partition, error) = (response.i32()?, response.i16()?);
                response.i64()?;
                let last_stable = response.i64()?;
                if fetched.version >= 5 {
                    response.i64()?;
                }
                let mut aborted = Vec::new();
                for _ in 0..response.count()? {
                    aborted.push(Aborted {
                        producer_id: response.i64()?,
                        first_offset: response.i64()?,
                    });
                }
                let bytes = response.bytes()?;
                let Some(position) = open.get_mut(&partition) else {
                    continue;
                };
                let mut is_over = false;
                if error == OFFSET_OUT_OF_RANGE {
                    let place = TopicPartition::new(topic, partition);
                    let starts =
                        self.list_offsets(std::slice::from_ref(&place), EARLIEST, READ_COMMITTED)?;
                    let start = starts.get(&place).copied().unwrap_or_default();
                    if start > position.next {
                        position.start = start;
                        position.next = start;
                    } else {
                        // The log was cut off, and ends before it.
                        is_over = true;
                    }
                } else {
                    check("Fetch", topic, partition, error)?;
                    let wanted = Wanted {
                        topic,
                        partition,
                        from: position.next,
                        to: position.end,
                    };
                    let Consumed { next, is_stopped } =
                        read_batches(bytes, &aborted, &wanted, each)?;
                    if is_stopped {
                        return Ok(Round::Stopped);
                    }
                    if next == position.next && !bytes.is_empty() {
                        return Err(ReadError::Unreadable(format!(
                            "{topic} partition {partition}: the batch at offset {next} came cut off"
                        )));
                    }
                    let is_at_end = next == position.next && next >= last_stable;
                    if next == position.next && !is_at_end {
                        continue;
                    }
                    is_over = is_at_end;
                    position.next = next;
                }
                round = Round::Progress;
                if is_over || position.next >= position.end {
                    let end = position.next.min(position.end);
                    read.insert(partition, position.start..end);
                    open.remove(&partition);
                }
            }
        }
        Ok(round)
    }

    fn leaders_of(&mut self, topic: &str) -> Result<BTreeMap<i32, i32>, ReadError> {
        let described = self.metadata(Some(&[topic]))?;
        let described = described.into_iter().find(|one| one.name == topic);
        let described = described.ok_or_else(|| {
            ReadError::Connection(format!("topic {topic}: the cluster does not describe it"))
        })?;
        check("Metadata", topic, -1, described.error)?;
        Ok(described.partitions)
    }

    /// `None` asks for all topics.
    fn metadata(&mut self, topics: Option<&[&str]>) -> Result<Vec<Topic>, ReadError> {
        let mut connection = match self.bootstrap.take() {
            Some(connection) => connection,
            None => self.connect_anywhere()?,
        };
        let version = connection.version(api::METADATA, &[4, 5])?;
        let mut body = Writer::default();
        match topics {
            None => {
                body.i32(-1);
            }
            Some(topics) => {
                body.count(topics.len());
                for topic in topics {
                    body.string(topic);
                }
            }
        }
        // Creates no topic.
        body.i8(0);
        let bytes = connection.exchange(api::METADATA, version, &body)?;
        self.bootstrap = Some(connection);
        let mut response = Reader(&bytes);
        response.i32()?;
        for _ in 0..response.count()? {
            let id = response.i32()?;
            let host = response.string()?.to_owned();
            let port = u16::try_from(response.i32()?).unwrap_or_default();
            response.nullable_string()?;
            self.brokers.insert(id, (host, port));
        }
        response.nullable_string()?;
        response.i32()?;
        let mut topics = Vec::new();
        for _ in 0..response.count()? {
            let error = response.i16()?;
            let name = response.string()?.to_owned();
            response.i8()?;
            let mut partitions = BTreeMap::new();
            for _ in 0..response.count()? {
                response.i16()?;
                partitions.insert(response.i32()?, response.i32()?);
                let lists = if version >= 5 { 3 } else { 2 };
                for _ in 0..lists {
                    for _ in 0..response.count()? {
                        response.i32()?;
                    }
                }
            }
            topics.push(Topic {
                error,
                name,
                partitions,
            });
        }
        Ok(topics)
    }

    fn list_offsets(
        &mut self,
        partitions: &[TopicPartition],
        time: i64,
        isolation: i8,
    ) -> Result<Offsets, ReadError> {
        let mut head = Writer::default();
        head.i32(-1).i8(isolation);
        let request = |partition: &TopicPartition, body: &mut Writer| {
            body.i32(partition.partition).i64(time);
        };
        let call = (api::LIST_OFFSETS, 2, head);
        let answers = self.ask_leaders(partitions, call, request, |response| {
            let (partition, error) = (response.i32()?, response.i16()?);
            response.i64()?;
            Ok((partition, error, response.i64()?))
        })?;
        let answers = answers.into_iter();
        answers.map(|(p, offset)| Ok((p, offset?))).collect()
    }

    /// Asks the leader of each partition; an answer or error each. `call` is the request's key, its
    /// version and what precedes the topics.
    fn ask_leaders<T>(
        &mut self,
        partitions: &[TopicPartition],
        call: (i16, i16, Writer),
        request: impl Fn(&TopicPartition, &mut Writer),
        read: impl Fn(&mut Reader<'_>) -> Result<(i32, i16, T), ReadError>,
    ) -> Result<BTreeMap<TopicPartition, Result<T, ReadError>>, ReadError> {
        let mut names: Vec<&str> = partitions.iter().map(|p| &*p.topic).collect();
        names.sort_unstable();
        names.dedup();
        let described = match names.is_empty() {
            true => vec![],
            false => self.metadata(Some(&names))?,
        };
        let leaders: BTreeMap<&str, &BTreeMap<i32, i32>> = described
            .iter()
            .map(|topic| (topic.name.as_str(), &topic.partitions))
            .collect();
        let mut by_leader: BTreeMap<i32, BTreeMap<&str, Vec<&TopicPartition>>> = BTreeMap::new();
        let mut answers = BTreeMap::new();
        for partition in partitions {
            let leader = leaders
                .get(&*partition.topic)
                .and_then(|leaders| leaders.get(&partition.partition))
                .filter(|leader| **leader >= 0);
            match leader {
                Some(leader) => {
                    let topics = by_leader.entry(*leader).or_default();
                    topics.entry(&partition.topic).or_default().push(partition);
                }
                None => {
                    let why = format!(
                        "{} partition {}: no broker leads it",
                        partition.topic, partition.partition
                    );
                    answers.insert(partition.clone(), Err(ReadError::Connection(why)));
                }
            }
        }
        let (key, version, head) = call;
        for (leader, topics) in by_leader {
            let mut body = Writer(head.0.clone());
            body.count(topics.len());
            for (topic, partitions) in topics {
                body.string(topic).count(partitions.len());
                for partition in partitions {
                    request(partition, &mut body);
                }
            }
            let connection = self.connection(leader)?;
            connection.version(key, &[version])?;
            let bytes = connection.exchange(key, version, &body)?;
            let mut response = Reader(&bytes);
            response.i32()?;
            for _ in 0..response.count()? {
                let topic: Arc<str> = response.string()?.into();
                for _ in 0..response.count()? {
                    let (partition, error, answer) = read(&mut response)?;
                    let checked = check("its leader's answer", &topic, partition, error);
                    let topic = topic.clone();
                    let place = TopicPartition { topic, partition };
                    answers.insert(place, checked.map(|()| answer));
                }
            }
        }
        Ok(answers)
    }

    fn connection(&mut self, broker: i32) -> Result<&mut Connection, ReadError> {
        if !self.connections.contains_key(&broker) {
            let (host, port) = self.brokers.get(&broker).ok_or_else(|| {
                ReadError::Connection(format!("broker {broker} has no known address"))
            })?;
            let connection = Connection::open(&self.settings, host, *port)?;
            self.connections.insert(broker, connection);
        }
        self.connections
            .get_mut(&broker)
            .ok_or_else(|| ReadError::unreadable("a connection is missing"))
    }

    /// To the first of the bootstrap servers and known brokers that answers.
    fn connect_anywhere(&self) -> Result<Connection, ReadError> {
        let mut last = ReadError::Connection("no bootstrap server is known".to_owned());
        let known = self.settings.bootstrap.iter().chain(self.brokers.values());
        for (host, port) in known {
            match Connection::open(&self.settings, host, *port) {
                Err(error @ ReadError::Connection(_)) => last = error,
                opened => return opened,
            }
        }
        Err(last)
    }

    fn disconnect(&mut self) {
        self.connections.clear();
        self.bootstrap = None;
    }

    /// Retries what another broker, or the same one later, may answer.
    fn patiently<T>(
        &mut self,
        mut ask: impl FnMut(&mut Self) -> Result<T, ReadError>,
    ) -> Result<T, KafkaFailure> {
        let deadline = Instant::now() + QUESTION_TIMEOUT;
        loop {
            match ask(self) {
                Ok(answer) => return Ok(answer),
                Err(ReadError::Connection(why)) if Instant::now() < deadline => {
                    debug!("{why}: retrying");
                    self.disconnect();
                    std::thread::sleep(RETRY_INTERVAL);
                }
                Err(error) => return Err(self.failure(error)),
            }
        }
    }

    fn failure(&self, error: ReadError) -> KafkaFailure {
        let cluster = self.cluster.clone();
        match error {
            ReadError::Connection(cause) => KafkaFailure::Unavailable { cluster, cause },
            ReadError::Refused(cause) | ReadError::Unreadable(cause) => {
                KafkaFailure::Refused { cluster, cause }
            }
        }
    }
}

struct Fetched {
    version: i16,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    Progress,
    Nothing,
    Stopped,
}

const OFFSET_OUT_OF_RANGE: i16 = 1;

/// What a broker's error code means; `partition` is −1 for the whole topic.
fn check(what: &str, topic: &str, partition: i32, code: i16) -> Result<(), ReadError> {
    let place = match partition {
        -1 => topic.to_owned(),
        _ => format!("{topic} partition {partition}"),
    };
    match code {
        0 => Ok(()),
        // Unknown server error, unknown topic, leader not available or elsewhere,
        // timed out, replica not available, storage error, epochs, offset not
        // available.
        -1 | 3 | 5 | 6 | 7 | 9 | 56 | 74 | 75 | 78 => Err(ReadError::Connection(format!(
            "{place}: {what}: the broker answers with error {code}"
        ))),
        2 => Err(ReadError::Unreadable(format!(
            "{place}: the broker says that the log is corrupt (error 2)"
        ))),
        29 => Err(ReadError::Refused(format!(
            "{place}: the user may not read it: it needs READ and DESCRIBE"
        ))),
        76 => Err(ReadError::Unreadable(format!(
            "{place}: the broker cannot give zstd to this client (error 76)"
        ))),
        _ => Err(ReadError::Unreadable(format!(
            "{place}: {what}: the broker answers with error {code}"
        ))),
    }
}
