//! A record's headers through librdkafka's C interface.
//!
//! The broker takes any bytes as a header's name. The high-level client
//! assumes UTF-8 without NUL, and the C interface gives a name as a C string
//! although the library knows its length: read here from where it keeps it.

#![allow(
    unsafe_code,
    reason = "header names that are no text can only be had through the C interface"
)]

use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::sync::LazyLock;

use rdkafka_sys as rd;

use crate::record::Header;

/// What precedes the bytes of a name in librdkafka 2.12 (`rdkafka_header.h`,
/// `struct rd_kafka_header_s`). Trusted only as far as [`LENGTH_IS_KNOWN`]
/// finds it so.
#[repr(C)]
struct BeforeName {
    serialized_size: usize,
    value_size: usize,
    name_size: usize,
    value: *mut c_char,
}

/// Whether the linked library keeps names as [`BeforeName`] says, tried once
/// with a name that holds a NUL.
static LENGTH_IS_KNOWN: LazyLock<bool> = LazyLock::new(|| {
    let probe = [
        Header {
            name: b"a\0b".to_vec(),
            value: None,
        },
        Header {
            name: b"longer\0name".to_vec(),
            value: Some(b"value".to_vec()),
        },
    ];
    let list = HeaderList::new(&probe);
    // SAFETY: the list was made just now and lives until the end of the block.
    let read = unsafe { read_list(list.0, name_with_length) };
    read == probe
});

/// A list of headers that librdkafka allocated.
pub(super) struct HeaderList(*mut rd::rd_kafka_headers_t);

impl HeaderList {
    pub(super) fn new(headers: &[Header]) -> Self {
        // SAFETY: every pointer is valid for the length passed with it; the
        // library copies. A null value is a null pointer, an empty one is not.
        unsafe {
            let list = rd::rd_kafka_headers_new(headers.len());
            for header in headers {
                let (value, size) = match &header.value {
                    None => (ptr::null(), 0),
                    Some(value) => (value.as_ptr().cast::<c_void>(), value.len()),
                };
                rd::rd_kafka_header_add(
                    list,
                    header.name.as_ptr().cast(),
                    header.name.len() as isize,
                    value,
                    size as isize,
                );
            }
            Self(list)
        }
    }

    /// Gives the list to a call that takes ownership of it.
    pub(super) fn into_raw(self) -> *mut rd::rd_kafka_headers_t {
        let list = self.0;
        std::mem::forget(self);
        list
    }

    /// Takes back what such a call refused.
    pub(super) fn from_raw(list: *mut rd::rd_kafka_headers_t) -> Self {
        Self(list)
    }
}

impl Drop for HeaderList {
    fn drop(&mut self) {
        // SAFETY: owned, and not used again.
        unsafe { rd::rd_kafka_headers_destroy(self.0) }
    }
}

/// The headers of a message, in order, with their exact names.
///
/// Fails where librdkafka does not read them: it takes no more than 100,000.
///
/// # Safety
/// `message` is a message that a consumer gave and that was not destroyed yet.
pub(super) unsafe fn read(
    message: *const rd::rd_kafka_message_t,
) -> Result<Vec<Header>, rd::RDKafkaErrorCode> {
    use rd::rd_kafka_resp_err_t as code;
    let mut list = ptr::null_mut();
    // SAFETY: by this function's contract.
    match unsafe { rd::rd_kafka_message_headers(message, &mut list) } {
        code::RD_KAFKA_RESP_ERR_NO_ERROR => {}
        code::RD_KAFKA_RESP_ERR__NOENT => return Ok(vec![]),
        error => return Err(error.into()),
    }
    let name = if *LENGTH_IS_KNOWN {
        name_with_length
    } else {
        name_until_nul
    };
    // SAFETY: the list belongs to the message and lives as long.
    Ok(unsafe { read_list(list, name) })
}

type ReadName = unsafe fn(*const c_char) -> Vec<u8>;

unsafe fn read_list(list: *const rd::rd_kafka_headers_t, read_name: ReadName) -> Vec<Header> {
    // SAFETY: the list is alive.
    let count = unsafe { rd::rd_kafka_header_cnt(list) };
    // Exactly as many: a structure is larger than most of what it holds.
    let mut headers = Vec::with_capacity(count);
    let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
    // SAFETY: the list is alive; name and value point into it after each call
    // that finds a header, value being null or valid for `size` bytes.
    unsafe {
        while rd::rd_kafka_header_get_all(list, headers.len(), &mut name, &mut value, &mut size)
            == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
        {
            headers.push(Header {
                name: read_name(name),
                value: bytes(value, size),
            });
        }
    }
    headers
}

unsafe fn name_with_length(name: *const c_char) -> Vec<u8> {
    // SAFETY: LENGTH_IS_KNOWN showed that this struct precedes every name.
    unsafe {
        let before = name.cast::<BeforeName>().sub(1);
        std::slice::from_raw_parts(name.cast::<u8>(), (*before).name_size).to_vec()
    }
}

unsafe fn name_until_nul(name: *const c_char) -> Vec<u8> {
    // SAFETY: librdkafka ends every name with NUL.
    unsafe { CStr::from_ptr(name).to_bytes().to_vec() }
}

/// Null stays `None`, a pointer to no bytes stays empty.
///
/// # Safety
/// `pointer` is null or valid for `length` bytes.
pub(super) unsafe fn bytes(pointer: *const c_void, length: usize) -> Option<Vec<u8>> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: by this function's contract.
    Some(unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), length) }.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linked_library_tells_the_length_of_a_name() {
        assert!(*LENGTH_IS_KNOWN);
    }
}
