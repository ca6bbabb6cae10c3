//! A registry's wire format: a byte 0, the schema's id as four bytes, the
//! highest first, and the data
//! (<https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format>).

use schema_registry_converter::schema_registry_common::{
    BytesResult, get_bytes_result, get_payload,
};

/// Schema id and data of a message that begins as one of a registry does;
/// `None` for anything else. Other binary data may begin with a 0 too.
pub fn split(message: &[u8]) -> Option<(u32, &[u8])> {
    match get_bytes_result(Some(message)) {
        BytesResult::Valid(id, datum) => Some((id, datum)),
        BytesResult::Null | BytesResult::Invalid(_) => None,
    }
}

/// The message of data of a schema.
pub fn join(schema_id: u32, datum: Vec<u8>) -> Vec<u8> {
    get_payload(schema_id, datum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_is_a_zero_the_id_with_its_highest_byte_first_and_the_data() {
        let message = join(0x0102_0304, b"data".to_vec());
        assert_eq!(message, b"\x00\x01\x02\x03\x04data");
        assert_eq!(split(b"\x00\x00\x00\x00\x07"), Some((7, &b""[..])));
    }

    proptest! {
        #[test]
        fn id_and_data_come_back_from_a_message(id: u32, datum: Vec<u8>) {
            let message = join(id, datum.clone());
            prop_assert_eq!(message.len(), datum.len() + 5);
            prop_assert_eq!(split(&message), Some((id, datum.as_slice())));
        }

        #[test]
        fn whatever_is_split_is_the_same_when_joined_again(message: Vec<u8>) {
            match split(&message) {
                Some((id, datum)) => prop_assert_eq!(join(id, datum.to_vec()), message),
                None => prop_assert!(message.len() < 5 || message[0] != 0),
            }
        }
    }
}
