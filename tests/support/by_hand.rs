//! Objects as somebody changes them who is not this program.

use std::path::PathBuf;

use s3::creds::Credentials;
use s3::{Bucket, Region};
use tokio::runtime::Runtime;

use super::place::OwnBucket;

/// The buckets of a store.
pub enum ByHand {
    /// A folder of folders.
    Folder(PathBuf),
    S3(Box<S3>),
}

pub struct S3 {
    endpoint: String,
    access_key: String,
    secret_key: String,
    primary: String,
    runtime: Runtime,
}

impl ByHand {
    pub fn folder(path: PathBuf) -> Self {
        Self::Folder(path)
    }

    pub fn bucket(bucket: &OwnBucket) -> Self {
        Self::S3(Box::new(S3 {
            endpoint: bucket.endpoint.clone(),
            access_key: bucket.access_key.clone(),
            secret_key: bucket.secret_key.clone(),
            primary: bucket.name.clone(),
            runtime: Runtime::new().expect("a runtime"),
        }))
    }

    /// The name of the bucket that the archive is in.
    pub fn primary(&self) -> &str {
        match self {
            Self::Folder(_) => "archive",
            Self::S3(s3) => &s3.primary,
        }
    }

    pub fn read(&self, key: &str) -> Vec<u8> {
        match self {
            Self::Folder(path) => {
                std::fs::read(path.join(self.primary()).join(key)).expect("it is there")
            }
            Self::S3(s3) => {
                let got = s3.runtime.block_on(s3.bucket(&s3.primary).get_object(key));
                got.expect("it is there").to_vec()
            }
        }
    }

    pub fn write(&self, key: &str, bytes: &[u8]) {
        self.write_in(self.primary(), key, bytes);
    }

    fn write_in(&self, bucket: &str, key: &str, bytes: &[u8]) {
        match self {
            Self::Folder(path) => {
                let path = path.join(bucket).join(key);
                std::fs::create_dir_all(path.parent().expect("a folder")).expect("ours");
                std::fs::write(path, bytes).expect("ours");
            }
            Self::S3(s3) => {
                let put = s3.bucket(bucket);
                s3.runtime
                    .block_on(put.put_object(key, bytes))
                    .expect("ours");
            }
        }
    }

    pub fn delete(&self, key: &str) {
        match self {
            Self::Folder(path) => {
                std::fs::remove_file(path.join(self.primary()).join(key)).expect("it is there");
            }
            Self::S3(s3) => {
                let bucket = s3.bucket(&s3.primary);
                s3.runtime
                    .block_on(bucket.delete_object(key))
                    .expect("it is there");
            }
        }
    }

    /// Lets an S3 bucket keep versions from now on.
    pub fn keep_versions(&self) {
        let Self::S3(s3) = self else {
            panic!("a directory keeps no versions");
        };
        let mut bucket = s3.bucket(&s3.primary);
        bucket.add_query("versioning", "");
        let document =
            b"<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <Status>Enabled</Status></VersioningConfiguration>";
        let put = s3.runtime.block_on(bucket.put_object("/", document));
        assert_eq!(put.expect("an S3 that answers").status_code(), 200);
    }

    /// What a provider's replication does: a bucket with these objects, under
    /// the same keys; its name.
    pub fn back_up(&self, keys: &[String]) -> String {
        let backup = match self {
            Self::Folder(_) => "archive-backup".to_owned(),
            Self::S3(s3) => {
                let backup = format!("{}-backup", s3.primary);
                let bucket = OwnBucket {
                    endpoint: s3.endpoint.clone(),
                    access_key: s3.access_key.clone(),
                    secret_key: s3.secret_key.clone(),
                    name: backup.clone(),
                };
                bucket.make();
                backup
            }
        };
        for key in keys {
            self.write_in(&backup, key, &self.read(key));
        }
        backup
    }
}

impl S3 {
    fn bucket(&self, name: &str) -> Bucket {
        let region = Region::Custom {
            region: "us-east-1".to_owned(),
            endpoint: self.endpoint.clone(),
        };
        let keys = (Some(&*self.access_key), Some(&*self.secret_key));
        let credentials = Credentials::new(keys.0, keys.1, None, None, None).expect("a key pair");
        let bucket = Bucket::new(name, region, credentials).expect("a bucket's name");
        *bucket.with_path_style()
    }
}
