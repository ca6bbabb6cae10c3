//! Bounds what librdkafka holds of fetched and decompressed batches.
//!
//! librdkafka bounds the bytes of a response as they are on the wire, then
//! decompresses every batch of it at once (2 MB of gzip can become 2 GB), and does
//! not count headers in what it has fetched ahead. Its threads that talk to a
//! broker take one partition's records after another and decompress one batch
//! after another. Here such a thread waits
//!
//! - before the next batch, while what it decompressed before, and nobody has
//!   consumed yet, is `MAX_HELD_BYTES` or more. So it holds at most that much
//!   and two batches, however many partitions have large ones;
//! - before the next partition's records, while the whole process has allocated
//!   more than [`bound`] allows and fetched records are waiting to be consumed.
//!
//! librdkafka has no setting for either. Two of its functions are routed through
//! here by the linker (`build.rs`); on systems whose linker cannot do so, nothing
//! is bounded beyond librdkafka's own settings.

#![allow(
    unsafe_code,
    reason = "functions of librdkafka's are called in their place"
)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Bytes that a process may have allocated when more records are taken.
static MAX_ALLOCATED: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Whether the consumer has consumed all that was fetched.
static IS_ALL_CONSUMED: AtomicBool = AtomicBool::new(true);

/// Whether the consumer waits for memory, and not for an answer of a broker.
static IS_FULL: AtomicBool = AtomicBool::new(false);

/// Says whether the consumer waits for memory. Then nothing is consumed until the
/// store has taken a record, and the threads wait longer.
pub(super) fn full(is_full: bool) {
    IS_FULL.store(is_full, Ordering::Relaxed);
}

/// Bounds the memory of the process by `bytes`, beyond which nothing is taken of
/// a response while fetched records wait to be consumed.
pub(super) fn bound(bytes: usize) {
    MAX_ALLOCATED.store(bytes, Ordering::Relaxed);
}

/// Says whether a poll of the consumer found nothing. Then what the process has
/// allocated are no fetched records, and to wait for less would be in vain.
pub(super) fn polled(is_empty: bool) {
    IS_ALL_CONSUMED.store(is_empty, Ordering::Relaxed);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod linked {
    use std::collections::HashMap;
    use std::ffi::{c_int, c_void};
    use std::sync::atomic::Ordering;
    use std::sync::{Arc, Condvar, Mutex, MutexGuard};
    use std::time::{Duration, Instant};

    use super::{IS_ALL_CONSUMED, IS_FULL, MAX_ALLOCATED};

    /// Bytes that a broker's thread may have decompressed before it waits.
    const MAX_HELD_BYTES: usize = 32 << 20;

    /// A thread that has waited this long without anything being consumed goes on:
    /// the one that consumes may itself be waiting for an answer of this broker.
    const MAX_WAIT: Duration = Duration::from_secs(5);

    /// As [`MAX_WAIT`], while the consumer waits for memory: a rebalance waits for
    /// this thread too.
    const MAX_WAIT_WHEN_FULL: Duration = Duration::from_secs(30);

    const STEP: Duration = Duration::from_millis(100);

    /// The allocator is asked this often while a thread waits, and at most this
    /// often while none does.
    const LOOK_INTERVAL: Duration = Duration::from_millis(5);

    /// Frees a batch's buffer.
    type Free = unsafe extern "C" fn(*mut c_void);

    /// Bytes that one thread has decompressed and that are held still.
    #[derive(Default)]
    struct Held {
        bytes: Mutex<usize>,
        released: Condvar,
    }

    struct Batch {
        size: usize,
        free: Free,
        held: Arc<Held>,
    }

    thread_local! {
        static HELD: Arc<Held> = Arc::default();
    }

    /// By the address of their buffers.
    static BATCHES: Mutex<Option<HashMap<usize, Batch>>> = Mutex::new(None);

    unsafe extern "C" {
        fn __real_rd_kafka_buf_new_shadow(
            buffer: *const c_void,
            size: usize,
            free: Option<Free>,
        ) -> *mut c_void;

        fn __real_rd_kafka_msgset_parse(
            response: *mut c_void,
            request: *mut c_void,
            partition: *mut c_void,
            aborted: *mut c_void,
            version: *const c_void,
        ) -> c_int;
    }

    /// Called by librdkafka in place of its own function, for each partition of a
    /// response.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn __wrap_rd_kafka_msgset_parse(
        response: *mut c_void,
        request: *mut c_void,
        partition: *mut c_void,
        aborted: *mut c_void,
        version: *const c_void,
    ) -> c_int {
        wait_for_memory();
        // SAFETY: as the caller calls it.
        unsafe { __real_rd_kafka_msgset_parse(response, request, partition, aborted, version) }
    }

    /// Waits while the process has allocated too much and what was fetched waits
    /// to be consumed.
    fn wait_for_memory() {
        /// When the allocator was last asked and had given no more than it may.
        static FITTED: Mutex<Option<Instant>> = Mutex::new(None);
        let limit = MAX_ALLOCATED.load(Ordering::Relaxed);
        if limit == usize::MAX || lock(&FITTED).is_some_and(|at| at.elapsed() < LOOK_INTERVAL) {
            return;
        }
        let began = Instant::now();
        while allocated() > limit {
            if IS_ALL_CONSUMED.load(Ordering::Relaxed) || began.elapsed() > MAX_WAIT {
                return;
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        *lock(&FITTED) = Some(Instant::now());
    }

    /// Bytes that the process has allocated and not freed.
    fn allocated() -> usize {
        // SAFETY: only reads the allocator's own numbers.
        let told = unsafe { libc::mallinfo2() };
        told.uordblks + told.hblkhd
    }

    /// Called by librdkafka in place of its own function. Only a decompressed batch
    /// comes with a function that frees it.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn __wrap_rd_kafka_buf_new_shadow(
        buffer: *const c_void,
        size: usize,
        free: Option<Free>,
    ) -> *mut c_void {
        let Some(free) = free else {
            // SAFETY: as the caller calls it.
            return unsafe { __real_rd_kafka_buf_new_shadow(buffer, size, None) };
        };
        let held = HELD.with(Arc::clone);
        held.take(size);
        let batch = Batch { size, free, held };
        lock(&BATCHES)
            .get_or_insert_default()
            .insert(buffer as usize, batch);
        // SAFETY: as the caller calls it; `release` frees the buffer as `free` does.
        unsafe { __real_rd_kafka_buf_new_shadow(buffer, size, Some(release)) }
    }

    /// Frees a batch once librdkafka needs it no more.
    unsafe extern "C" fn release(buffer: *mut c_void) {
        // Before the buffer is freed: its address may be another batch's after.
        let batch = lock(&BATCHES)
            .as_mut()
            .and_then(|batches| batches.remove(&(buffer as usize)));
        if let Some(batch) = batch {
            // SAFETY: the function came with this buffer, which is freed once.
            unsafe { (batch.free)(buffer) };
            batch.held.give_back(batch.size);
        }
    }

    impl Held {
        fn take(&self, size: usize) {
            let mut bytes = lock(&self.bytes);
            let (mut waited, mut idle) = (Duration::ZERO, Duration::ZERO);
            while *bytes >= MAX_HELD_BYTES && idle < MAX_WAIT && waited < MAX_WAIT_WHEN_FULL {
                let (after, step) = self
                    .released
                    .wait_timeout(bytes, STEP)
                    .unwrap_or_else(|poisoned| poisoned.into_inner());
                bytes = after;
                if !step.timed_out() {
                    (waited, idle) = (Duration::ZERO, Duration::ZERO);
                    continue;
                }
                waited += STEP;
                if !IS_FULL.load(Ordering::Relaxed) {
                    idle += STEP;
                }
            }
            *bytes += size;
        }

        fn give_back(&self, size: usize) {
            *lock(&self.bytes) -= size;
            self.released.notify_all();
        }
    }

    fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        // Only whole values are put in or taken out.
        mutex
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
