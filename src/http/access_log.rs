//! One line for each request, when its answer has ended.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, SizeHint};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use tracing::{debug, info};

use super::body::{Body, BodyError};

/// A request that is being answered.
pub struct Logged {
    method: String,
    /// As it was sent, so that it is on one line whatever it contains.
    path: String,
    peer: IpAddr,
    begun: Instant,
}

impl Logged {
    pub fn begin(parts: &Parts, peer: IpAddr) -> Self {
        Self {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            peer,
            begun: Instant::now(),
        }
    }

    /// The line is written when the body has been sent, or is given up.
    pub fn end(self, response: Response<Body>) -> Response<Body> {
        let status = response.status();
        response.map(|body| {
            let counted = Counted {
                is_whole: body.is_end_stream(),
                body,
                bytes: 0,
                line: self,
                status,
            };
            counted.boxed_unsync()
        })
    }

    fn write(&self, status: StatusCode, bytes: u64, is_whole: bool) {
        let (status, ms) = (status.as_u16(), self.begun.elapsed().as_millis() as u64);
        let Self {
            method, path, peer, ..
        } = self;
        let cut = if is_whole { "" } else { ", cut off" };
        // What asks every few seconds whether all is well would hide the rest.
        if is_probe(path) && status < 400 {
            debug!("{peer} {method} {path}: {status}, {bytes} bytes, {ms} ms{cut}");
        } else {
            info!("{peer} {method} {path}: {status}, {bytes} bytes, {ms} ms{cut}");
        }
    }
}

fn is_probe(path: &str) -> bool {
    matches!(
        path,
        "/livez" | "/readyz" | "/metrics" | "/health" | "/healthcheck" | "/health_check"
    )
}

/// A body that is counted while it is sent.
struct Counted {
    body: Body,
    bytes: u64,
    is_whole: bool,
    line: Logged,
    status: StatusCode,
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                self.bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
                self.is_whole = self.body.is_end_stream();
            }
            Poll::Ready(None) => self.is_whole = true,
            _ => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.line.write(self.status, self.bytes, self.is_whole);
    }
}
