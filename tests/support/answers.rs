//! Answers of a server that speaks HTTP, as bytes.

/// A response with a body and its length.
pub fn response(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
        .into_bytes()
}

/// S3's error document.
pub fn s3_error(status: u16, code: &str) -> Vec<u8> {
    response(status, "", &error_document(code))
}

pub fn error_document(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>As told.</Message></Error>")
}
