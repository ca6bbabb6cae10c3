//! S3's requests, each with the checks that make its answer worth believing.

use std::ops::Range;

use bytes::Bytes;
use s3::Bucket;
use s3::command::Command;
use s3::error::S3Error;
use s3::request::Request;
use s3::request::tokio_backend::ReqwestRequest;

use super::failure::{Failure, error_code};
use super::listing;
use crate::store::{ObjectInfo, Page};

/// Bytes. A BSON document cannot be longer; what is, is not ours and is not
/// read into memory.
const LARGEST_OBJECT: u64 = i32::MAX as u64;

/// The HTTP client's answer, with headers, body unread.
type Response = <ReqwestRequest<'static> as Request>::Response;

/// Sends one request and gives the answer if it is a success.
async fn send(bucket: &Bucket, key: &str, command: Command<'_>) -> Result<Response, Failure> {
    let request = ReqwestRequest::new(bucket, key, command).await?;
    Ok(request.response().await?)
}

/// As [`send`] does for a PUT, except that the body is not copied: the client
/// would hold a second one for as long as the store takes.
async fn send_body(
    bucket: &Bucket,
    key: &str,
    command: Command<'_>,
    body: Bytes,
) -> Result<Response, Failure> {
    let request = ReqwestRequest::new(bucket, key, command).await?;
    let mut put = bucket.http_client().put(request.url()?.as_str()).body(body);
    for (name, value) in &request.headers().await? {
        put = put.header(name.as_str(), value.as_bytes());
    }
    let response = put.send().await.map_err(S3Error::from)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    Err(S3Error::HttpFailWithBody(status.as_u16(), text(response).await?).into())
}

/// One PUT. `conditional`: only where no object of that key is, else the
/// failure is 412 `PreconditionFailed`.
pub(super) async fn put(
    bucket: &Bucket,
    key: &str,
    body: Bytes,
    conditional: bool,
) -> Result<(), Failure> {
    let mut bucket = bucket.clone();
    if conditional {
        bucket.add_header("if-none-match", "*");
    }
    let command = Command::PutObject {
        content: &body,
        content_type: "application/octet-stream",
        custom_headers: None,
        multipart: None,
    };
    let response = send_body(&bucket, key, command, body.clone()).await?;
    // Every S3 names what it stored; a proxy's friendly page does not.
    if header(&response, "etag").is_none() {
        return Err(Failure::Nonsense(format!(
            "status {} without an ETag",
            response.status().as_u16()
        )));
    }
    // Read to its end, the connection can be used again.
    match error_code(&text(response).await?) {
        None => Ok(()),
        Some(code) => Err(Failure::Nonsense(format!(
            "status 200, but an error: {code}"
        ))),
    }
}

/// Size and time of an object.
pub(super) async fn head(bucket: &Bucket, key: &str) -> Result<ObjectInfo, Failure> {
    let response = match send(bucket, key, Command::HeadObject).await {
        // A HEAD has no body: only a GET tells a missing object from a missing
        // bucket, and expired credentials from wrong ones. Its body is not read.
        Err(failure) if (400..500).contains(&failure.status()) => {
            send(bucket, key, Command::GetObject).await?
        }
        other => other?,
    };
    let modified = header(&response, "last-modified")
        .and_then(|text| jiff::fmt::rfc2822::parse(text).ok())
        .ok_or_else(|| Failure::Nonsense("an object without its time".to_owned()))?;
    Ok(ObjectInfo {
        key: key.to_owned(),
        size: content_length(&response)?,
        modified: modified.timestamp().as_millisecond(),
    })
}

/// The bytes of a whole object.
pub(super) async fn get(bucket: &Bucket, key: &str) -> Result<Vec<u8>, Failure> {
    let response = send(bucket, key, Command::GetObject).await?;
    let length = content_length(&response)?;
    if length > LARGEST_OBJECT {
        return Err(Failure::Unreadable(format!(
            "it has {length} bytes, more than a BSON document can have"
        )));
    }
    body(response, length).await
}

/// The bytes of a range of an object, which is not empty: HTTP has no empty
/// range.
pub(super) async fn get_range(
    bucket: &Bucket,
    key: &str,
    range: Range<u64>,
) -> Result<Vec<u8>, Failure> {
    let command = Command::GetObjectRange {
        start: range.start,
        end: Some(range.end - 1),
    };
    let response = send(bucket, key, command).await?;
    let total = content_range(&response, &range)?;
    if total < range.end {
        return Err(Failure::too_short(total, &range));
    }
    body(response, range.end - range.start).await
}

/// A page of up to `most` objects, and with a delimiter of folders; `token`
/// names the page, `None` the first one.
pub(super) async fn list(
    bucket: &Bucket,
    prefix: &str,
    delimiter: Option<&str>,
    token: Option<&str>,
    most: usize,
) -> Result<Page, Failure> {
    let mut bucket = bucket.clone();
    // XML cannot hold every key as it is.
    bucket.add_query("encoding-type", "url");
    let command = Command::ListObjectsV2 {
        prefix: prefix.to_owned(),
        delimiter: delimiter.map(str::to_owned),
        continuation_token: token.map(str::to_owned),
        start_after: None,
        max_keys: Some(most),
    };
    let xml = text(send(&bucket, "/", command).await?).await?;
    listing::parse(&xml, prefix, token).map_err(Failure::Nonsense)
}

/// The ids of the noncurrent versions of an object, the newest first.
pub(super) async fn versions(bucket: &Bucket, key: &str) -> Result<Vec<String>, Failure> {
    let mut bucket = bucket.clone();
    bucket.add_query("versions", "");
    bucket.add_query("prefix", key);
    bucket.add_query("encoding-type", "url");
    let xml = text(send(&bucket, "/", Command::GetObject).await?).await?;
    listing::parse_versions(&xml, key).map_err(Failure::Nonsense)
}

/// A header's value, if it is there and is text.
fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

fn content_length(response: &Response) -> Result<u64, Failure> {
    header(response, "content-length")
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Failure::Nonsense("an object without its length".to_owned()))
}

/// Checks that the answer is the range asked for, as far as the object goes,
/// and gives the object's size: `Content-Range: bytes 0-9/20` (RFC 9110).
fn content_range(response: &Response, range: &Range<u64>) -> Result<u64, Failure> {
    let answered = header(response, "content-range").unwrap_or("none");
    let total: Option<u64> = answered
        .rsplit_once('/')
        .and_then(|(_, total)| total.parse().ok())
        .filter(|total| *total > range.start);
    match total {
        Some(total)
            if answered
                == format!("bytes {}-{}/{total}", range.start, range.end.min(total) - 1) =>
        {
            Ok(total)
        }
        _ => Err(Failure::Nonsense(format!(
            "asked for the bytes {range:?} and got {answered}"
        ))),
    }
}

/// The body, which has `length` bytes or is an error.
async fn body(response: Response, length: u64) -> Result<Vec<u8>, Failure> {
    let said = content_length(&response)?;
    if said != length {
        return Err(Failure::Nonsense(format!(
            "asked for {length} bytes and got {said}"
        )));
    }
    let bytes = response.bytes().await.map_err(S3Error::from)?;
    if bytes.len() as u64 != length {
        return Err(Failure::Nonsense(format!(
            "{} bytes of {length}",
            bytes.len()
        )));
    }
    Ok(bytes.into())
}

async fn text(response: Response) -> Result<String, Failure> {
    Ok(response.text().await.map_err(S3Error::from)?)
}
