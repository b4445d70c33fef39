use super::*;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn record(&mut self, longest: usize) -> Vec<u8> {
        let length = self.below(longest + 1);
        let fill = self.next().to_le_bytes();
        (0..length)
            .map(|at| fill[at % 8] ^ u8::try_from(at & 0xFF).unwrap())
            .collect()
    }
}

fn ring() -> (EventProducer, EventConsumer) {
    let (producer, fd) = EventProducer::create(3, EVENT_RING_BYTES_MIN).unwrap();
    (producer, EventConsumer::open(fd).unwrap())
}

fn dup_consumer(fd: &OwnedFd) -> EventConsumer {
    EventConsumer::open(fd.try_clone().unwrap()).unwrap()
}

#[test]
fn records_come_out_as_they_went_in_over_many_laps() {
    let (mut producer, mut consumer) = ring();
    let mut random = Random(1);
    let mut queued = std::collections::VecDeque::new();
    let mut out = Vec::new();
    let mut passed = 0;
    for _ in 0..20_000 {
        let record = random.record(600);
        if producer.push(&record).is_ok() {
            queued.push_back(record);
        }
        if random.below(3) > 0 {
            for _ in 0..random.below(4) {
                let Some(expected) = queued.pop_front() else {
                    break;
                };
                assert!(consumer.pop(&mut out));
                assert_eq!(out, expected);
                passed += out.len();
            }
        }
    }
    assert!(
        passed > 10 * EVENT_RING_BYTES_MIN,
        "the ring went round many times"
    );
    assert_eq!(consumer.core(), 3);
    assert_eq!(consumer.health().resynchronised, 0);
}

#[test]
fn a_full_ring_refuses_counts_and_recovers() {
    let (mut producer, mut consumer) = ring();
    let record = [9; 1000];
    let mut held = 0;
    while producer.push(&record).is_ok() {
        held += 1;
    }
    assert_eq!(held, EVENT_RING_BYTES_MIN / 1008);
    assert_eq!(producer.push(&record), Err(Full));
    assert_eq!((producer.lost(), consumer.health().lost), (2, 2));
    let mut out = Vec::new();
    assert!(consumer.pop(&mut out));
    assert_eq!(producer.push(&record), Ok(()));
}

#[test]
fn the_largest_record_passes_and_a_larger_one_is_refused() {
    let (mut producer, mut consumer) = ring();
    let mut out = Vec::new();
    for _ in 0..16 {
        producer.push(&[1; EVENT_BYTES_MAX]).unwrap();
        assert!(consumer.pop(&mut out));
        assert_eq!(out, [1; EVENT_BYTES_MAX]);
    }
    assert_eq!(producer.push(&[1; EVENT_BYTES_MAX + 1]), Err(Full));
    producer.push(&[]).unwrap();
    assert!(consumer.pop(&mut out));
    assert!(out.is_empty());
}

/// F132: the producer died after some of a record's bytes and before it moved its position.
#[test]
fn f132_a_producer_that_died_half_way_leaves_nothing() {
    let (mut producer, mut consumer) = ring();
    producer.push(b"whole").unwrap();
    let at = producer.written;
    producer
        .ring
        .payload(at)
        .store(0xDEAD_BEEF_0000_0010, Ordering::Relaxed);
    producer
        .ring
        .payload(at + 8)
        .store(0x4141_4141_4141_4141, Ordering::Relaxed);
    drop(producer);
    let mut out = Vec::new();
    assert!(consumer.pop(&mut out));
    assert_eq!(out, b"whole");
    assert!(!consumer.pop(&mut out));
    assert_eq!(consumer.health().resynchronised, 0);
}

/// F132: the consumer died; the next one goes on with the record that was not finished.
#[test]
fn f132_a_new_consumer_goes_on_where_the_last_one_stopped() {
    let (mut producer, fd) = EventProducer::create(0, EVENT_RING_BYTES_MIN).unwrap();
    for record in [b"one", b"two", b"six"] {
        producer.push(record).unwrap();
    }
    let mut out = Vec::new();
    let mut first = dup_consumer(&fd);
    assert!(first.pop(&mut out));
    drop(first);
    let mut second = dup_consumer(&fd);
    assert!(second.pop(&mut out));
    assert_eq!(out, b"two");
    producer.push(b"ten").unwrap();
    assert!(second.pop(&mut out) && second.pop(&mut out));
    assert_eq!(out, b"ten");
}

/// F131: what the consumer had read and not yet handled when it died is read again.
#[test]
fn f131_records_that_were_read_and_not_released_come_again() {
    let (mut producer, fd) = EventProducer::create(0, EVENT_RING_BYTES_MIN).unwrap();
    for record in [b"one", b"two", b"six"] {
        producer.push(record).unwrap();
    }
    let mut out = Vec::new();
    let mut first = dup_consumer(&fd);
    assert!(first.read(&mut out));
    first.release();
    assert!(first.read(&mut out) && first.read(&mut out) && !first.read(&mut out));
    drop(first);
    let mut second = dup_consumer(&fd);
    assert!(second.read(&mut out));
    assert_eq!(out, b"two");
    let held = producer.ring.header(AT_READ).load(Ordering::Relaxed);
    second.release();
    assert!(producer.ring.header(AT_READ).load(Ordering::Relaxed) > held);
}

/// F132: one record of many is damaged; the others still arrive.
#[test]
fn f132_a_torn_record_is_skipped_and_the_rest_read() {
    for damaged in 0..20_u64 {
        let (mut producer, mut consumer) = ring();
        let mut starts = Vec::new();
        for index in 0..20_u64 {
            starts.push(producer.written);
            producer.push(&[u8::try_from(index).unwrap(); 100]).unwrap();
        }
        let start = starts[usize::try_from(damaged).unwrap()];
        let word = producer.ring.payload(start + (damaged % 13) * 8);
        word.store(!word.load(Ordering::Relaxed), Ordering::Relaxed);
        let mut seen = Vec::new();
        let mut out = Vec::new();
        while consumer.pop(&mut out) {
            assert_eq!(out.len(), 100);
            seen.push(u64::from(out[0]));
        }
        let expected: Vec<u64> = (0..20).filter(|index| *index != damaged).collect();
        assert_eq!(seen, expected);
        assert_eq!(consumer.health().resynchronised, 1);
        producer.push(b"after").unwrap();
        assert!(consumer.pop(&mut out));
        assert_eq!(out, b"after");
    }
}

/// F132: whatever stands in the memory, neither end panics, loops or reads outside, and what comes out is a record
/// that went in.
#[test]
fn f132_random_corruption_never_yields_a_record_that_was_not_written() {
    for seed in 1..=300_u64 {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let (mut producer, mut consumer) = ring();
        let mut written = std::collections::BTreeSet::new();
        let mut out = Vec::new();
        for _ in 0..200 {
            for _ in 0..random.below(20) {
                let record = random.record(400);
                if producer.push(&record).is_ok() {
                    written.insert(record);
                }
            }
            for _ in 0..random.below(4) {
                let at = random.below(HEADER_WORDS + EVENT_RING_BYTES_MIN / WORD);
                let value = match random.below(4) {
                    0 => u64::MAX,
                    1 => random.next() & 0xFFFF,
                    2 => 0,
                    _ => random.next(),
                };
                producer.ring.word(at).store(value, Ordering::Relaxed);
            }
            if random.below(8) == 0 {
                let at = [AT_WRITTEN, AT_READ, AT_LOST][random.below(3)];
                let value = random.next() >> random.below(64);
                producer.ring.word(at).store(value, Ordering::Relaxed);
            }
            for _ in 0..random.below(30) {
                if !consumer.pop(&mut out) {
                    break;
                }
                assert!(written.contains(&out), "seed {seed}: a record nobody wrote");
            }
        }
        // Nothing stays broken: after one more turn of both ends, records pass again.
        while consumer.pop(&mut out) {}
        let mut recovered = false;
        for _ in 0..4 {
            let _ = producer.push(b"recovered");
            while consumer.pop(&mut out) {
                recovered |= out == b"recovered";
            }
        }
        assert!(recovered, "seed {seed}: the ring did not recover");
    }
}

#[test]
fn f132_a_ring_with_a_damaged_header_is_refused_or_read_but_never_panics() {
    for seed in 1..=500_u64 {
        let mut random = Random(seed);
        let (mut producer, fd) = EventProducer::create(0, EVENT_RING_BYTES_MIN).unwrap();
        producer.push(b"record").unwrap();
        let at = [AT_MAGIC, AT_VERSION, AT_BYTES, AT_CORE, AT_WRITTEN, AT_READ][random.below(6)];
        producer
            .ring
            .word(at)
            .store(random.next() >> random.below(64), Ordering::Relaxed);
        if let Ok(mut consumer) = EventConsumer::open(fd) {
            let mut out = Vec::new();
            while consumer.pop(&mut out) {
                assert_eq!(out, b"record");
            }
        }
    }
}

#[test]
fn two_threads_pass_records_at_full_speed() {
    let (mut producer, mut consumer) = ring();
    const RECORDS: u64 = 100_000;
    let writer = std::thread::spawn(move || {
        for number in 0..RECORDS {
            let record = [number.to_le_bytes(), (!number).to_le_bytes()].concat();
            while producer.push(&record).is_err() {
                std::thread::yield_now();
            }
        }
    });
    let mut out = Vec::new();
    let mut next = 0_u64;
    while next < RECORDS {
        if consumer.pop(&mut out) {
            assert_eq!(out, [next.to_le_bytes(), (!next).to_le_bytes()].concat());
            next += 1;
        } else {
            std::thread::yield_now();
        }
    }
    writer.join().unwrap();
    assert_eq!(consumer.health().resynchronised, 0);
}

#[test]
fn a_size_that_is_no_power_of_two_is_refused() {
    for bytes in [
        0,
        1,
        EVENT_RING_BYTES_MIN - 1,
        EVENT_RING_BYTES_MIN + 8,
        EVENT_RING_BYTES_MAX * 2,
    ] {
        assert!(matches!(
            EventProducer::create(0, bytes),
            Err(EventRingError::Size { .. })
        ));
    }
}

#[test]
fn an_ordinary_file_is_no_ring() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 20).unwrap();
    assert!(matches!(
        EventConsumer::open(file.into()),
        Err(EventRingError::Memory(MemoryError::NotSealed))
    ));
}
