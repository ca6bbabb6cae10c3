//! Which keys and bucket names can be kept as they are on every backend.

/// Bytes; the longest key that S3 takes.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
const LONGEST_KEY: usize = 1024;

/// Checks a key that is to be written. A folder tree and a URL both give `.`,
/// `..` and empty components a meaning of their own, so such a key would come
/// back as another one.
///
/// The error is the reason, without the key.
pub(super) fn check_new_key(key: &str) -> Result<(), &'static str> {
    if key.len() > LONGEST_KEY {
        return Err("the key is longer than 1,024 bytes");
    }
    if key.contains('\0') {
        return Err("the key contains a NUL byte");
    }
    if key.split('/').any(str::is_empty) {
        return Err("the key is empty, starts or ends with / or contains //");
    }
    check_dots(key)
}

/// Checks a key that was found in a catalogue or a listing, which may be of
/// another program's making: refuses only what cannot be asked for.
///
/// The error is the reason, without the key.
pub(super) fn check_known_key(key: &str) -> Result<(), &'static str> {
    if key.is_empty() || key.starts_with('/') {
        return Err("the key is empty or starts with /");
    }
    check_dots(key)
}

/// Checks the name of a bucket, which becomes a folder, a part of a URL's path
/// or of a host name.
///
/// The error is the reason, without the name.
pub(super) fn check_bucket(bucket: &str) -> Result<(), &'static str> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if bucket.is_empty() || bucket.len() > 255 {
        return Err("a bucket's name has 1 to 255 characters");
    }
    if bucket.starts_with(['.', '-']) || !bucket.bytes().all(legal) {
        return Err(
            "a bucket's name is of letters, digits, '.', '-' and '_', and starts with no '.' or '-'",
        );
    }
    Ok(())
}

fn check_dots(key: &str) -> Result<(), &'static str> {
    if key.split('/').any(|part| part == "." || part == "..") {
        return Err("a component of the key is . or ..");
    }
    Ok(())
}
