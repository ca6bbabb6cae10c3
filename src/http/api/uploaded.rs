//! The body of an upload.

use bson::raw::{RawBsonRef, RawDocument};

use crate::record::Header;

/// A message as it was uploaded.
#[derive(Debug, PartialEq, Eq)]
pub struct Uploaded {
    pub value: Vec<u8>,
    pub key: Option<Vec<u8>>,
    pub headers: Vec<Header>,
}

/// `{message: binary, headers: [[name, binary]…], key?: binary}`; values
/// may be text too. The error says what is wrong.
pub fn parse(bytes: &[u8]) -> Result<Uploaded, String> {
    let not_bson = |_| "Request must be valid BSON".to_owned();
    let document = RawDocument::from_bytes(bytes).map_err(not_bson)?;
    let (mut value, mut key, mut headers) = (None, None, vec![]);
    for element in document {
        let (name, element) = element.map_err(not_bson)?;
        match name.as_str() {
            "message" => value = Some(bytes_of("message", element)?),
            "key" if element == RawBsonRef::Null => key = None,
            "key" => key = Some(bytes_of("key", element)?),
            "headers" => headers = headers_of(element)?,
            other => return Err(format!("Unsupported key in request body: {other}")),
        }
    }
    Ok(Uploaded {
        value: value.ok_or("Missing message key in request body")?,
        key,
        headers,
    })
}

fn bytes_of(what: &str, element: RawBsonRef<'_>) -> Result<Vec<u8>, String> {
    match element {
        RawBsonRef::Binary(binary) => Ok(binary.bytes.to_vec()),
        RawBsonRef::String(text) => Ok(text.as_bytes().to_vec()),
        _ => Err(format!("{what} is not binary data")),
    }
}

fn headers_of(element: RawBsonRef<'_>) -> Result<Vec<Header>, String> {
    let RawBsonRef::Array(pairs) = element else {
        return Err("headers are not an array".to_owned());
    };
    let mut headers = Vec::new();
    for pair in pairs {
        let pair = pair.map_err(|_| "Request must be valid BSON".to_owned())?;
        headers.push(pair_of(pair)?);
    }
    Ok(headers)
}

fn pair_of(pair: RawBsonRef<'_>) -> Result<Header, String> {
    let wrong = || "A header is not a pair of a name and binary data".to_owned();
    let RawBsonRef::Array(pair) = pair else {
        return Err(wrong());
    };
    let parts: Vec<RawBsonRef<'_>> = pair
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|_| "Request must be valid BSON".to_owned())?;
    match parts[..] {
        [RawBsonRef::String(name), value] => header_of(name, value),
        _ => Err(wrong()),
    }
}

fn header_of(name: &str, value: RawBsonRef<'_>) -> Result<Header, String> {
    let value = match value {
        RawBsonRef::Null => None,
        value => Some(bytes_of(&format!("Header with key {name}"), value)?),
    };
    Ok(Header {
        name: name.as_bytes().to_vec(),
        value,
    })
}

#[cfg(test)]
mod tests {
    use bson::raw::{RawArrayBuf, RawDocumentBuf, cstr};
    use bson::spec::BinarySubtype;
    use bson::{Binary, doc};
    use proptest::prelude::*;

    use super::*;

    fn binary(bytes: &[u8]) -> Binary {
        Binary {
            subtype: BinarySubtype::Generic,
            bytes: bytes.to_vec(),
        }
    }

    fn error_of(document: bson::Document) -> String {
        let bytes = document.to_vec().expect("BSON");
        parse(&bytes).expect_err("malformed")
    }

    proptest! {
        #[test]
        fn what_is_uploaded_is_read_as_it_was(
            value in prop::collection::vec(any::<u8>(), 0..50),
            key in prop::option::of(prop::collection::vec(any::<u8>(), 0..9)),
            headers in prop::collection::vec(("[a-z_]{0,5}", prop::option::of(prop::collection::vec(any::<u8>(), 0..9))), 0..5)
        ) {
            let mut document = RawDocumentBuf::new();
            document.append(cstr!("message"), binary(&value));
            let mut array = RawArrayBuf::new();
            for (name, value) in &headers {
                let mut pair = RawArrayBuf::new();
                pair.push(name.as_str());
                match value {
                    Some(value) => pair.push(binary(value)),
                    None => pair.push(RawBsonRef::Null),
                }
                array.push(pair);
            }
            document.append(cstr!("headers"), array);
            if let Some(key) = &key {
                document.append(cstr!("key"), binary(key));
            }
            let headers = headers
                .into_iter()
                .map(|(name, value)| Header { name: name.into_bytes(), value })
                .collect();
            let read = parse(document.as_bytes()).expect("sound");
            prop_assert_eq!(read, Uploaded { value, key, headers });
        }

        #[test]
        fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&bytes);
            // With the right length more of it is looked at.
            let length = (bytes.len() as i32 + 5).to_le_bytes();
            bytes.splice(0..0, length);
            bytes.push(0);
            let _ = parse(&bytes);
        }
    }

    #[test]
    fn what_is_malformed_is_told_by_name() {
        let message = || binary(b"v");
        assert_eq!(error_of(doc! {}), "Missing message key in request body");
        assert_eq!(
            error_of(doc! {"message": message(), "x": 1}),
            "Unsupported key in request body: x"
        );
        assert_eq!(error_of(doc! {"message": 1}), "message is not binary data");
        assert_eq!(
            error_of(doc! {"message": message(), "headers": [["a", 1]]}),
            "Header with key a is not binary data"
        );
        for headers in [
            doc! {"h": [[1, message()]]},
            doc! {"h": [["a"]]},
            doc! {"h": ["a"]},
        ] {
            let document = doc! {"message": message(), "headers": headers.get("h").expect("there")};
            assert_eq!(
                error_of(document),
                "A header is not a pair of a name and binary data"
            );
        }
        assert_eq!(
            parse(b"{}").expect_err("JSON"),
            "Request must be valid BSON"
        );
    }
}
