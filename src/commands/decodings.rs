//! What `fetch-uuid` knows of messages in a schema registry's format.

use super::output;
use crate::config::Config;
use crate::envelope::Document;
use crate::registry::wire;
use crate::registry::{Decoded, NotDecoded, Registry};

/// A key or a value; `None` where it does not begin as one of a registry, or no
/// registry is chosen.
pub(super) type Decoding = Option<Result<Decoded, NotDecoded>>;

#[derive(Debug, Default)]
pub(super) struct Decodings {
    pub key: Decoding,
    pub value: Decoding,
}

/// Asks the registry, until it is away.
pub(super) struct Decodes {
    registry: Option<Registry>,
    /// Why it is not asked again.
    away: Option<NotDecoded>,
}

impl Decodes {
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let registry = config.registry()?;
        Ok(Self {
            registry: registry.as_ref().map(Registry::open).transpose()?,
            away: None,
        })
    }

    /// A registry that gives no answer is told once, and costs one request.
    pub async fn of(&mut self, document: &Document) -> Decodings {
        Decodings {
            key: self.decode(document.key.as_deref()).await,
            value: self.decode(document.value.as_deref()).await,
        }
    }

    async fn decode(&mut self, bytes: Option<&[u8]>) -> Decoding {
        let (bytes, registry) = (bytes?, self.registry.as_ref()?);
        if let Some(away) = &self.away {
            let (schema_id, _) = wire::split(bytes)?;
            return Some(Err(NotDecoded {
                schema_id,
                reason: away.reason.clone(),
            }));
        }
        let decoding = registry.decode(bytes).await?;
        if let Err(failed) = &decoding
            && failed.is_unanswered()
        {
            output::note(&format!(
                "{failed}; messages of its schemas are shown as bytes"
            ));
            self.away = Some(failed.clone());
        }
        Some(decoding)
    }
}
