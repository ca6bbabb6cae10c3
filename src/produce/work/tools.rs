//! What a type is published with.

use std::time::Instant;

use tracing::info;

use super::Work;
use crate::config::ContainerCompression;
use crate::produce::container::{Codec, ContainerWriter, Limits};
use crate::produce::error::PublishError;
use crate::produce::publish::Publisher;
use crate::registry::wire;

impl Work {
    /// Makes sure of the publisher. Whether the cursor has moved, because more
    /// is published than this instance knew.
    pub(in crate::produce) fn open(&mut self) -> Result<bool, PublishError> {
        self.used = Instant::now();
        if self.publisher.is_some() {
            return Ok(false);
        }
        let seat = self.context.seat();
        let context = &self.context;
        let open = || {
            let topics = &context.config.topic;
            Publisher::open(
                &context.outlet,
                &*context.positions,
                &self.entity_type,
                topics,
            )
        };
        let publisher = match open() {
            // The type that had the topic is registered no more.
            Err(PublishError::TopicTaken { by, .. }) if !context.is_registered(&by) => {
                context.positions.release_topic(&by)?;
                open()?
            }
            opened => opened?,
        };
        let position = publisher.standing.position.clone();
        info!(of = %self.id(), topic = publisher.topic, %position, "publishing");
        self.publisher = Some((publisher, seat));
        self.board.status().position = position.clone();
        let has_moved = position > self.cursor;
        self.cursor = std::mem::take(&mut self.cursor).max(position);
        Ok(has_moved)
    }

    /// Of the schema as it is registered now.
    pub(in crate::produce) fn writer(&mut self) -> Result<&mut ContainerWriter, PublishError> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.new_writer()?,
        };
        Ok(self.writer.insert(writer))
    }

    /// The schema is the registry's, where there is one, before anything is
    /// written with it.
    fn new_writer(&self) -> Result<ContainerWriter, PublishError> {
        let (of, config) = (&self.entity_type, &self.context.config);
        if let Some(registry) = &self.context.registry {
            let topic = config.topic.name(&of.id.realm, &of.schema_name);
            let id = registry.register(&format!("{topic}-value"), &of.definition)?;
            return Ok(ContainerWriter::bare(
                &of.definition,
                wire::join(id, vec![]),
            )?);
        }
        let container = &config.container;
        let limits = Limits {
            entities: container.entities,
            bytes: container.bytes,
        };
        let codec = codec(container.compression);
        Ok(ContainerWriter::new(&of.definition, codec, limits)?)
    }

    /// The publisher and the writer, made where they are missing.
    pub(in crate::produce) fn tools(
        &mut self,
    ) -> Result<(&mut Publisher, &mut ContainerWriter), PublishError> {
        self.open()?;
        self.writer()?;
        match (&mut self.publisher, &mut self.writer) {
            (Some((publisher, _)), Some(writer)) => Ok((publisher, writer)),
            _ => Err(PublishError::Lost("the producer was closed".to_owned())),
        }
    }
}

fn codec(compression: ContainerCompression) -> Codec {
    match compression {
        ContainerCompression::Deflate => Codec::Deflate,
        ContainerCompression::Null => Codec::Null,
        ContainerCompression::Zstd => Codec::Zstandard,
    }
}
