//! A registry that can be asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Certificate;
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_referenced_schema, get_schema_by_id, post_schema,
};
use schema_registry_converter::schema_registry_common::{
    RegisteredReference, SchemaType, SuppliedSchema,
};

use super::error::RegistryError;
use crate::avro::{Decoder, Evolution, SchemaError};
use crate::config::RegistryConfig;

/// References within references; a registry refuses circles itself.
const MOST_REFERENCES: usize = 1000;

/// Schemas are asked for once: what an id stands for never changes. A failure
/// is not remembered.
pub struct Registry {
    settings: SrSettings,
    url: String,
    known: Mutex<HashMap<u32, Arc<Registered>>>,
}

/// A schema of the registry.
#[derive(Debug)]
pub struct Registered {
    pub id: u32,
    /// Its text as the registry has it.
    pub definition: String,
    /// Texts of the schemas that it refers to, each after those that it refers
    /// to itself.
    pub references: Vec<String>,
    pub language: Language,
}

/// What a schema is written in.
#[derive(Debug)]
pub enum Language {
    Avro(Decoder),
    /// Data are JSON.
    Json,
    /// By its name in the registry.
    Other(String),
}

impl Registry {
    /// Connects to nothing yet.
    pub fn open(config: &RegistryConfig) -> Result<Self, RegistryError> {
        let url = config.urls.join(",");
        let wrong = |cause: String| RegistryError::Settings {
            url: url.clone(),
            cause,
        };
        let mut client = reqwest::Client::builder().connect_timeout(config.request_timeout);
        if let Some(path) = &config.ssl_ca_location {
            let unusable = |why: String| {
                let path = path.display();
                wrong(format!("registry-ssl-ca-location {path}: {why}"))
            };
            let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
            let ca = Certificate::from_pem_bundle(&pem).unwrap_or_default();
            if ca.is_empty() {
                return Err(unusable(
                    "there is no certificate in PEM format in it".to_owned(),
                ));
            }
            client = client.tls_certs_merge(ca);
        }
        let (first, others) = match config.urls.split_first() {
            Some((first, others)) => (first.clone(), others),
            None => return Err(wrong("there is no URL".to_owned())),
        };
        let mut builder = SrSettings::new_builder(first);
        for other in others {
            builder.add_url(other.clone());
        }
        if let Some(credential) = &config.credential {
            builder.set_basic_authorization(&credential.username, Some(&credential.password));
        }
        builder.set_timeout(config.request_timeout);
        let settings = builder
            .build_with(client)
            .map_err(|error| wrong(error.error.clone()))?;
        Ok(Self {
            settings,
            url,
            known: Mutex::default(),
        })
    }

    /// What messages call it: its URL.
    pub fn name(&self) -> &str {
        &self.url
    }

    /// The schema of an id.
    pub async fn schema(&self, id: u32) -> Result<Arc<Registered>, RegistryError> {
        if let Some(known) = self.known().get(&id) {
            return Ok(known.clone());
        }
        let what = format!("schema {id}");
        // A registry's ids are 32-bit signed integers. It does not know the path
        // of any other, and its 404 is then like that of a proxy.
        if i32::try_from(id).is_err() {
            return Err(self.unusable(&what, &"it is larger than any id of a registry"));
        }
        let found = get_schema_by_id(id, &self.settings).await;
        let found = found.map_err(|error| RegistryError::of_lookup(&self.url, &what, &error))?;
        let references = self.referenced(&what, found.references).await?;
        let language = match found.schema_type {
            SchemaType::Avro => Language::Avro(
                Decoder::new(&found.schema, &references)
                    .map_err(|error| self.unusable(&what, &error))?,
            ),
            SchemaType::Json => Language::Json,
            SchemaType::Protobuf => Language::Other("PROTOBUF".to_owned()),
            SchemaType::Other(name) => Language::Other(name),
            _ => Language::Other("a language that is not known".to_owned()),
        };
        let registered = Arc::new(Registered {
            id,
            definition: found.schema,
            references,
            language,
        });
        self.known().insert(id, registered.clone());
        Ok(registered)
    }

    /// The id of an Avro schema below a subject, registered where it is not yet.
    /// Refused, with the registry's own reason, where it does not go with the
    /// subject's earlier versions.
    pub async fn register(&self, subject: &str, definition: &str) -> Result<u32, RegistryError> {
        let schema = SuppliedSchema::new(None, SchemaType::Avro, definition.to_owned());
        let posted = post_schema(&self.settings, subject.to_owned(), schema).await;
        let what = format!("the schema of {subject}");
        match posted {
            Ok(registered) => Ok(registered.id),
            Err(error) => Err(RegistryError::of_registration(&self.url, &what, &error)),
        }
    }

    /// From what a message was written with to a reader's schema.
    pub fn evolution(writer: &Registered, reader: &str) -> Result<Evolution, SchemaError> {
        Evolution::new(&writer.definition, &writer.references, reader)
    }

    async fn referenced(
        &self,
        what: &str,
        references: Vec<RegisteredReference>,
    ) -> Result<Vec<String>, RegistryError> {
        let mut texts: Vec<String> = Vec::new();
        let mut open = references;
        // Found from the top down; the last that are found are needed first.
        while let Some(reference) = open.pop() {
            let found = get_referenced_schema(&self.settings, &reference).await;
            let found = found.map_err(|error| RegistryError::of_lookup(&self.url, what, &error))?;
            texts.retain(|text| *text != found.schema);
            texts.insert(0, found.schema);
            if texts.len() + found.references.len() > MOST_REFERENCES {
                return Err(self.unusable(what, &"it has too many references"));
            }
            open.extend(found.references);
        }
        Ok(texts)
    }

    fn unusable(&self, what: &str, why: &dyn std::fmt::Display) -> RegistryError {
        RegistryError::Refused {
            url: self.url.clone(),
            what: what.to_owned(),
            reason: why.to_string(),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Arc<Registered>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
