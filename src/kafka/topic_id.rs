//! Topic ids: what tells a topic from one that had its name before.
//!
//! librdkafka itself goes on at its position when a topic comes back under
//! another id (a FIXME of `rdkafka_topic.c` in 2.12), and the high-level client
//! does not show ids: they are asked for here.

#![allow(
    unsafe_code,
    reason = "topic ids can only be had through the C interface"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka_sys as rd;

use crate::record::TopicId;

/// One request asks for so many topics: the client compares each answer with
/// all that were asked for.
const TOPICS_A_REQUEST: usize = 1000;

/// The ids of topics, by name. One that does not exist, or whose broker gives
/// no ids, is not in it.
pub type TopicIds = BTreeMap<Arc<str>, TopicId>;

/// What a cluster tells of topics.
#[derive(Debug, Default)]
pub struct TopicAnswers {
    pub ids: TopicIds,
    /// Topics that the user may see and not read.
    pub unreadable: BTreeSet<Arc<str>>,
    /// Topics that the cluster does not have.
    pub deleted: BTreeSet<Arc<str>>,
}

/// Asks for the ids of these topics, each named once, and what the user may do
/// with them. `timeout` is for each request.
pub(super) fn describe<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: &[&str],
    timeout: Duration,
) -> KafkaResult<TopicAnswers> {
    let mut answers = TopicAnswers::default();
    let Some(first) = topics.first() else {
        return Ok(answers);
    };
    // One that answers: left alone the client would wait for the controller,
    // which the broker inside the process does not have.
    let metadata = consumer.fetch_metadata(Some(first), timeout)?;
    let broker = metadata.orig_broker_id();
    for some in topics.chunks(TOPICS_A_REQUEST) {
        let client = consumer.client().native_ptr();
        // SAFETY: the client lives as long as the consumer.
        let question = unsafe { Question::new(client, broker, some, timeout)? };
        let some = question.answer(timeout)?;
        answers.ids.extend(some.ids);
        answers.unreadable.extend(some.unreadable);
        answers.deleted.extend(some.deleted);
    }
    Ok(answers)
}

/// A request that is under way, and where its answer comes.
struct Question(*mut rd::rd_kafka_queue_t);

impl Question {
    /// # Safety
    /// The client is alive.
    unsafe fn new(
        client: *mut rd::rd_kafka_t,
        broker: i32,
        topics: &[&str],
        timeout: Duration,
    ) -> KafkaResult<Self> {
        let names: Vec<CString> = topics
            .iter()
            .map(|name| CString::new(*name))
            .collect::<Result<_, _>>()?;
        let mut names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: the client is alive, the names are until the end of the
        // block; all are copied. An option that is refused keeps its default.
        unsafe {
            let question = Self(rd::rd_kafka_queue_new(client));
            let options = rd::rd_kafka_AdminOptions_new(
                client,
                rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            );
            let (no_text, milliseconds) = (ptr::null_mut(), milliseconds(timeout));
            rd::rd_kafka_AdminOptions_set_request_timeout(options, milliseconds, no_text, 0);
            rd::rd_kafka_AdminOptions_set_broker(options, broker, no_text, 0);
            let refused = rd::rd_kafka_AdminOptions_set_include_authorized_operations(options, 1);
            rd::rd_kafka_error_destroy(refused);
            let topics =
                rd::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
            rd::rd_kafka_DescribeTopics(client, topics, options, question.0);
            rd::rd_kafka_TopicCollection_destroy(topics);
            rd::rd_kafka_AdminOptions_destroy(options);
            Ok(question)
        }
    }

    fn answer(self, timeout: Duration) -> KafkaResult<TopicAnswers> {
        // SAFETY: the queue is ours; an event is until it is destroyed.
        unsafe {
            let event = rd::rd_kafka_queue_poll(self.0, milliseconds(timeout));
            if event.is_null() {
                return Err(KafkaError::MetadataFetch(
                    rd::RDKafkaErrorCode::OperationTimedOut,
                ));
            }
            let ids = read(event);
            rd::rd_kafka_event_destroy(event);
            ids
        }
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        // SAFETY: ours, and not used again.
        unsafe { rd::rd_kafka_queue_destroy(self.0) }
    }
}

fn milliseconds(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}

/// # Safety
/// The event is alive, and the answer to a question about topics.
unsafe fn read(event: *mut rd::rd_kafka_event_t) -> KafkaResult<TopicAnswers> {
    // SAFETY: by this function's contract; what the event gives lives as long
    // as it does, a topic's name and id are never null, and `count` topics are
    // there.
    unsafe {
        let error = rd::rd_kafka_event_error(event);
        if error != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(KafkaError::MetadataFetch(error.into()));
        }
        let result = rd::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return Ok(TopicAnswers::default());
        }
        let mut count = 0;
        let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        let mut answers = TopicAnswers::default();
        for index in 0..count {
            let topic = *topics.add(index);
            let name = CStr::from_ptr(rd::rd_kafka_TopicDescription_name(topic));
            let name: Arc<str> = name.to_string_lossy().into();
            let id = rd::rd_kafka_TopicDescription_topic_id(topic);
            let high = rd::rd_kafka_Uuid_most_significant_bits(id) as u64;
            let low = rd::rd_kafka_Uuid_least_significant_bits(id) as u64;
            if let Some(id) = TopicId::new(u128::from(high) << 64 | u128::from(low)) {
                answers.ids.insert(name.clone(), id);
            }
            let error = rd::rd_kafka_TopicDescription_error(topic);
            if rd::rd_kafka_error_code(error)
                == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
            {
                answers.deleted.insert(name);
                continue;
            }
            let mut operations = 0;
            let list = rd::rd_kafka_TopicDescription_authorized_operations(topic, &mut operations);
            if list.is_null() || operations == 0 {
                // A broker that does not say what is allowed.
                continue;
            }
            let allowed = std::slice::from_raw_parts(list, operations);
            let reads = [
                rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_READ,
                rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_ALL,
            ];
            if !allowed.iter().any(|operation| reads.contains(operation)) {
                answers.unreadable.insert(name);
            }
        }
        Ok(answers)
    }
}
