//! An empty bucket on the S3 that the environment names.

use s3::creds::Credentials;
use s3::{Bucket, BucketConfiguration, Region};

use crate::support::skip::service;
use crate::support::unique;

pub struct OwnBucket {
    pub endpoint: String,
    pub access_key: String,
    pub secret_key: String,
    pub name: String,
}

impl OwnBucket {
    pub fn create() -> Option<Self> {
        let bucket = Self {
            endpoint: service("TEST_S3_ENDPOINT")?,
            access_key: service("TEST_S3_ACCESS_KEY")?,
            secret_key: service("TEST_S3_SECRET_KEY")?,
            name: format!("test-{}", unique()),
        };
        bucket.make();
        Some(bucket)
    }

    fn make(&self) {
        let region = Region::Custom {
            region: "us-east-1".to_owned(),
            endpoint: self.endpoint.clone(),
        };
        let (id, secret) = (
            Some(self.access_key.as_str()),
            Some(self.secret_key.as_str()),
        );
        let credentials = Credentials::new(id, secret, None, None, None).expect("a key pair");
        let name = &self.name;
        let create = Bucket::create_with_path_style(
            name,
            region,
            credentials,
            BucketConfiguration::default(),
        );
        let made = tokio::runtime::Runtime::new()
            .expect("a runtime")
            .block_on(create)
            .expect("an S3 that answers");
        assert!(made.success(), "{}", made.response_text);
    }
}
