//! Bodies: what is sent, and what is received within bounds.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::StatusCode;
use hyper::body::{Body as _, Frame, Incoming};
use tokio::time::{Instant, timeout, timeout_at};

use super::problem::Problem;

/// Why a body that was begun ended early; the connection is closed then.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A response's body.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// A client may take so long to send a body, and a second more for each
/// [`LEAST_RATE`] bytes that came.
const BODY_PATIENCE: Duration = Duration::from_secs(20);

/// Bytes a second.
const LEAST_RATE: u64 = 32 * 1024;

pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A body in memory that holds something until it is sent or given up.
pub fn held(bytes: Bytes, holds: impl Send + 'static) -> Body {
    const CHUNK: usize = 64 << 10;
    stream(futures::stream::unfold(
        (bytes, holds),
        |(mut rest, holds)| async move {
            if rest.is_empty() {
                return None;
            }
            let chunk = rest.split_to(rest.len().min(CHUNK));
            Some((Ok(chunk), (rest, holds)))
        },
    ))
}

/// A body that is made while it is sent. One that ends with an error is cut
/// off, so that the client sees that it is not whole.
pub fn stream<S>(chunks: S) -> Body
where
    S: Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
{
    StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync()
}

/// Many clients send all of a body before they listen. So much of one that is
/// refused is taken and thrown away, and for so long, that they hear of it.
const DISCARDED: usize = 64 << 20;
const DISCARD_PATIENCE: Duration = Duration::from_secs(2);

/// Reads a request's body of at most `limit` bytes. Errors: 413 when it is
/// larger; 408 when it comes too slowly; 400 when the client breaks off.
///
/// `waits`: the client sends nothing before it is asked to go on
/// (`Expect: 100-continue`), so nothing has to be thrown away.
pub async fn read(mut body: Incoming, limit: usize, waits: bool) -> Result<Bytes, Problem> {
    match read_within(&mut body, limit).await {
        Err(problem) if problem.status == StatusCode::PAYLOAD_TOO_LARGE && !waits => {
            // What comes of it changes nothing.
            let _ = timeout(DISCARD_PATIENCE, discard(&mut body)).await;
            Err(problem)
        }
        other => other,
    }
}

async fn discard(body: &mut Incoming) {
    let mut discarded = 0;
    while let Some(Ok(frame)) = body.frame().await {
        discarded += frame.data_ref().map_or(0, Bytes::len);
        if discarded > DISCARDED {
            break;
        }
    }
}

async fn read_within(body: &mut Incoming, limit: usize) -> Result<Bytes, Problem> {
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    let mut read = BytesMut::new();
    let begun = Instant::now();
    loop {
        let earned = Duration::from_secs(read.len() as u64 / LEAST_RATE);
        let frame = timeout_at(begun + BODY_PATIENCE + earned, body.frame()).await;
        let frame = frame.map_err(|_| too_slow())?;
        let Some(frame) = frame.transpose().map_err(|_| broken_off())? else {
            return Ok(read.freeze());
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if read.len() + data.len() > limit {
            return Err(too_large(limit));
        }
        read.extend_from_slice(&data);
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body is larger than {limit} bytes"),
    )
}

fn too_slow() -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "the body came too slowly: send it at 32 KiB a second or more",
    )
}

fn broken_off() -> Problem {
    Problem::bad_request("the body was broken off")
}
