//! S3's ListObjectsV2 answer, taken only when it is whole.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use crate::store::{ObjectInfo, Page};

/// What must be there is not optional: an answer without it is none.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListBucketResult {
    is_truncated: bool,
    next_continuation_token: Option<String>,
    key_count: Option<usize>,
    encoding_type: Option<String>,
    #[serde(default)]
    contents: Vec<Contents>,
    #[serde(default)]
    common_prefixes: Vec<CommonPrefix>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefix {
    prefix: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contents {
    key: String,
    size: u64,
    last_modified: String,
}

/// Reads one page. `asked` is the token that the page was asked for with.
///
/// The error says what is wrong with the answer: it does not parse, contradicts
/// itself, or is cut off without a token. The order is not checked: an S3 Express
/// directory bucket, for one, does not list by key.
pub(super) fn parse(xml: &str, prefix: &str, asked: Option<&str>) -> Result<Page, String> {
    let listing: ListBucketResult =
        quick_xml::de::from_str(xml).map_err(|e| format!("the listing does not parse: {e}"))?;
    let url_encoded = listing.encoding_type.as_deref() == Some("url");
    let counted = listing.contents.len() + listing.common_prefixes.len();
    if let Some(said) = listing.key_count.filter(|said| *said != counted) {
        return Err(format!(
            "the listing says {said} objects and shows {counted}"
        ));
    }
    let mut objects = Vec::with_capacity(listing.contents.len());
    for contents in listing.contents {
        objects.push(contents.object(url_encoded)?);
    }
    let mut folders = Vec::with_capacity(listing.common_prefixes.len());
    for common in listing.common_prefixes {
        folders.push(match url_encoded {
            true => decoded(&common.prefix)?,
            false => common.prefix,
        });
    }
    check_names(&objects, &folders, prefix)?;
    let next = match (listing.is_truncated, listing.next_continuation_token) {
        (false, _) => None,
        (true, None) => return Err("the listing is cut off and has no token".to_owned()),
        (true, Some(token)) if Some(token.as_str()) == asked => {
            return Err("the listing leads back to the same page".to_owned());
        }
        (true, token) => token,
    };
    Ok(Page {
        objects,
        folders,
        next,
    })
}

/// The answer to ListObjectVersions, as far as it is needed. Delete markers have
/// another name.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListVersionsResult {
    encoding_type: Option<String>,
    #[serde(default, rename = "Version")]
    versions: Vec<Version>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    key: String,
    version_id: String,
    is_latest: bool,
}

/// The noncurrent versions of exactly this key, in the order of the answer,
/// which is newest first.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>
pub(super) fn parse_versions(xml: &str, key: &str) -> Result<Vec<String>, String> {
    let listing: ListVersionsResult = quick_xml::de::from_str(xml)
        .map_err(|e| format!("the listing of versions does not parse: {e}"))?;
    let url_encoded = listing.encoding_type.as_deref() == Some("url");
    let mut found = vec![];
    for version in listing.versions {
        let of = match url_encoded {
            true => decoded(&version.key)?,
            false => version.key,
        };
        if of == key && !version.is_latest {
            found.push(version.version_id);
        }
    }
    Ok(found)
}

/// A key as it is.
fn decoded(key: &str) -> Result<String, String> {
    // S3 writes a space as '+' here, and a '+' as %2B.
    let spaced = key.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    Ok(decoded
        .map_err(|_| format!("the key {key} is not UTF-8"))?
        .into_owned())
}

impl Contents {
    fn object(self, url_encoded: bool) -> Result<ObjectInfo, String> {
        let key = match url_encoded {
            true => decoded(&self.key)?,
            false => self.key,
        };
        let modified: jiff::Timestamp = self
            .last_modified
            .parse()
            .map_err(|_| format!("the time {:?} of {key} is none", self.last_modified))?;
        Ok(ObjectInfo {
            key,
            size: self.size,
            modified: modified.as_millisecond(),
        })
    }
}

/// Checks that everything is below the prefix, and nothing is there twice.
fn check_names(objects: &[ObjectInfo], folders: &[String], prefix: &str) -> Result<(), String> {
    let keys = objects.iter().map(|object| object.key.as_str());
    let mut names: Vec<&str> = keys.chain(folders.iter().map(String::as_str)).collect();
    names.sort_unstable();
    if let Some(stray) = names.iter().find(|name| !name.starts_with(prefix)) {
        return Err(format!(
            "the listing of {prefix:?} shows {stray:?}, which is not of it"
        ));
    }
    // Listing such a folder would lead back to this one.
    if let Some(folder) = folders.iter().find(|folder| folder.len() <= prefix.len()) {
        return Err(format!(
            "the listing of {prefix:?} shows {folder:?} as a folder in it"
        ));
    }
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => Err(format!("the listing shows {:?} twice", pair[0])),
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    fn listing(keys: &[String], truncated: bool, token: &str) -> String {
        let contents: String = keys
            .iter()
            .map(|key| {
                format!(
                    "<Contents><Key>{}</Key><LastModified>2024-02-29T12:00:00.250Z</LastModified>\
                     <ETag>\"0\"</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass></Contents>",
                    utf8_percent_encode(key, NON_ALPHANUMERIC)
                )
            })
            .collect();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Name>archive</Name><Prefix></Prefix>{token}<KeyCount>{}</KeyCount>\
             <MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType>\
             <IsTruncated>{truncated}</IsTruncated>{contents}</ListBucketResult>",
            keys.len()
        )
    }

    fn keys(page: Page) -> Vec<String> {
        page.objects.into_iter().map(|object| object.key).collect()
    }

    proptest! {
        #[test]
        fn every_key_comes_out_of_a_listing_as_it_was(
            keys_in in prop::collection::btree_set("\\PC{1,20}", 0..5),
        ) {
            let keys_in: Vec<String> = keys_in.into_iter().collect();
            let page = parse(&listing(&keys_in, false, ""), "", None).expect("a whole listing");
            prop_assert!(page.objects.iter().all(|o| o.size == 7 && o.modified == 1_709_208_000_250));
            prop_assert_eq!(keys(page), keys_in);
        }

        #[test]
        fn half_a_listing_is_an_error_and_never_a_shorter_one(
            cut in 0..400_usize,
        ) {
            let whole = listing(&["a".to_owned(), "b".to_owned()], false, "");
            let half = &whole[..cut.min(whole.len() - 1)];
            prop_assert!(parse(half, "", None).is_err());
        }
    }

    #[test]
    fn a_listing_that_is_cut_off_without_a_token_is_an_error() {
        assert!(parse(&listing(&[], true, ""), "", None).is_err());
    }

    #[test]
    fn a_listing_that_leads_back_to_itself_is_an_error() {
        let token = "<NextContinuationToken>t</NextContinuationToken>";
        let again = listing(&[], true, token);
        assert!(parse(&again, "", Some("t")).is_err());
        let page = parse(&again, "", Some("s")).expect("another page follows");
        assert_eq!(page.next.as_deref(), Some("t"));
    }

    #[test]
    fn a_listing_that_shows_fewer_objects_than_it_counts_is_an_error() {
        let xml = listing(&["a".to_owned()], false, "");
        let wrong = xml.replace("<KeyCount>1<", "<KeyCount>2<");
        assert!(parse(&wrong, "", None).is_err());
    }

    #[test]
    fn listing_out_of_order_is_taken() {
        let out_of_order = ["b".to_owned(), "a".to_owned()];
        let page = parse(&listing(&out_of_order, false, ""), "", None).expect("a listing");
        assert_eq!(keys(page), out_of_order);
    }

    #[test]
    fn listing_of_another_prefix_or_with_a_key_twice_is_an_error() {
        let twice = ["b".to_owned(), "a".to_owned(), "b".to_owned()];
        assert!(parse(&listing(&twice, false, ""), "", None).is_err());
        assert!(parse(&listing(&twice[..1], false, ""), "a", None).is_err());
    }

    #[test]
    fn folders_are_counted_and_decoded() {
        let folders = "<CommonPrefixes><Prefix>t/a%2Bb/</Prefix></CommonPrefixes>\
            <CommonPrefixes><Prefix>t/2026/</Prefix></CommonPrefixes>";
        let xml = listing(&["t/x".to_owned()], false, "")
            .replace("<KeyCount>1<", "<KeyCount>3<")
            .replace(
                "</ListBucketResult>",
                &format!("{folders}</ListBucketResult>"),
            );
        let page = parse(&xml, "t/", None).expect("a listing");
        assert_eq!(page.folders, ["t/a+b/", "t/2026/"]);
        assert_eq!(keys(page), ["t/x"]);
        assert!(parse(&xml, "t/a+b/", None).is_err());
    }

    #[test]
    fn an_error_document_is_not_an_empty_listing() {
        for xml in [
            "<Error><Code>AccessDenied</Code></Error>",
            "<html><body>welcome</body></html>",
            "<ListBucketResult><Name>archive</Name></ListBucketResult>",
            "",
        ] {
            assert!(parse(xml, "", None).is_err(), "{xml}");
        }
    }
}
