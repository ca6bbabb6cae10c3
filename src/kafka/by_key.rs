//! Which partition a key goes to.

#![allow(
    unsafe_code,
    reason = "the client's own partitioner is part of its C interface alone"
)]

use std::ptr;

use rdkafka_sys as rd;

/// The partition that Java's producers choose for a key (murmur2), of so many.
pub fn partition_of_key(key: &[u8], partitions: i32) -> i32 {
    if partitions < 1 {
        return 0;
    }
    // SAFETY: the key is valid for its length; the function looks at nothing
    // but key and number of partitions, which is not 0.
    unsafe {
        rd::rd_kafka_msg_partitioner_murmur2(
            ptr::null(),
            key.as_ptr().cast(),
            key.len(),
            partitions,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hashes are those of Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn a_key_goes_where_java_s_producers_put_it() {
        let hashes: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (
                b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            (b"abc", 479_470_107),
        ];
        for (key, hash) in hashes {
            for partitions in [1, 3, 50, 1000] {
                let expected = (hash & 0x7fff_ffff) % partitions;
                assert_eq!(partition_of_key(key, partitions), expected);
            }
        }
    }

    #[test]
    fn without_partitions_nothing_is_divided_by_0() {
        assert_eq!(partition_of_key(b"key", 0), 0);
    }
}
