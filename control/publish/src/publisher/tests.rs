use std::os::fd::OwnedFd;

use sluice_shm::link::{DataplaneLink, Received};
use sluice_shm::{KeySegment, SealedSnapshot, StatsSegment};

use super::*;
use crate::testing::published;

const SOON: Option<Duration> = Some(Duration::from_secs(5));
const NOW_US: u64 = 1_800_000_000_000_000;

/// A data plane with two cores on the other end of a socket pair.
struct Fake {
    link: DataplaneLink,
    control: Arc<ControlLink>,
    stats: StatsSegment,
    view: Arc<StatsView>,
}

impl Fake {
    fn start() -> Self {
        let (control, link) = ControlLink::pair().unwrap();
        let (stats, fd) = StatsSegment::create(&[1, 2], 1, 1).unwrap();
        let view = Arc::new(StatsView::open(fd).unwrap());
        Self {
            link,
            control: Arc::new(control),
            stats,
            view,
        }
    }

    fn hello(&self, publisher: &Publisher, adopted: Option<u64>) {
        publisher
            .connected(&self.control, 77, "0.1.0", adopted, NOW_US)
            .unwrap();
        publisher.attached(&self.control, &[1, 2], adopted, Arc::clone(&self.view));
        assert!(matches!(self.next().message, ToDataplane::Welcome { .. }));
    }

    fn next(&self) -> Received<ToDataplane> {
        self.link.receive(SOON).unwrap().unwrap()
    }

    fn takes(&self, expected: u64) -> (SealedSnapshot, KeySegment) {
        let received = self.next();
        assert_eq!(
            received.message,
            ToDataplane::Publish {
                generation: expected
            }
        );
        let [snapshot, keys]: [OwnedFd; 2] = received.descriptors.try_into().unwrap();
        let snapshot = SealedSnapshot::open(snapshot).unwrap();
        assert_eq!(snapshot.generation(), expected);
        (snapshot, KeySegment::open(keys).unwrap())
    }

    fn quiet(&self) {
        assert!(self.link.receive(Some(Duration::ZERO)).unwrap().is_none());
    }
}

#[test]
fn a_generation_is_adopted_core_by_core_and_the_one_before_retired() {
    let publisher = Publisher::new();
    let fake = Fake::start();
    publisher.publish(published(1), NOW_US).unwrap();
    assert_eq!(
        publisher.wait(Generation(1), Duration::ZERO),
        Outcome::NoDataPlane
    );
    fake.hello(&publisher, None);
    let (snapshot, keys) = fake.takes(1);
    let content = sluice_schema::Snapshot::decode(snapshot.bytes()).unwrap();
    let key = content
        .certificates
        .iter()
        .find(|one| one.name.as_str() == "sluice-ca")
        .unwrap()
        .key
        .unwrap();
    assert_eq!(keys.key(key.0).unwrap().as_slice(), b"sluice-ca");

    fake.stats.core(0).unwrap().adopt(1);
    publisher.refresh().unwrap();
    assert_eq!(
        publisher.wait(Generation(1), Duration::ZERO),
        Outcome::Pending { laggards: vec![2] }
    );
    assert_eq!(publisher.status().last_good, None);
    fake.stats.core(1).unwrap().adopt(1);
    publisher.refresh().unwrap();
    assert_eq!(
        publisher.wait(Generation(1), Duration::ZERO),
        Outcome::Adopted
    );
    assert_eq!(publisher.status().last_good, Some(1));

    publisher.publish(published(2), NOW_US).unwrap();
    let _taken = fake.takes(2);
    assert!(
        keys.key(key.0).is_some(),
        "the cores still decide by the first"
    );
    publisher.adopted(&fake.control, 1, 2);
    publisher.adopted(&fake.control, 2, 2);
    fake.stats.core(0).unwrap().adopt(2);
    fake.stats.core(1).unwrap().adopt(2);
    publisher.refresh().unwrap();
    assert_eq!(fake.next().message, ToDataplane::Retire { generation: 1 });
    assert!(keys.key(key.0).is_none(), "retired keys are overwritten");
}

#[test]
fn acknowledgements_by_message_alone_suffice() {
    let publisher = Publisher::new();
    let fake = Fake::start();
    publisher.publish(published(1), NOW_US).unwrap();
    fake.hello(&publisher, None);
    publisher.adopted(&fake.control, 1, 1);
    publisher.adopted(&fake.control, 2, 1);
    assert_eq!(
        publisher.wait(Generation(1), Duration::ZERO),
        Outcome::Adopted
    );
}

#[test]
fn a_wait_ends_when_the_answer_comes() {
    let publisher = Publisher::new();
    let fake = Fake::start();
    fake.hello(&publisher, None);
    publisher.publish(published(1), NOW_US).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _taken = fake.takes(1);
            publisher.adopted(&fake.control, 1, 1);
            publisher.adopted(&fake.control, 2, 1);
        });
        assert_eq!(
            publisher.wait(Generation(1), Duration::from_secs(10)),
            Outcome::Adopted
        );
    });
}

#[test]
fn a_refused_generation_is_told_with_its_reason_and_the_one_before_stays_good() {
    let publisher = Publisher::new();
    let fake = Fake::start();
    publisher.publish(published(1), NOW_US).unwrap();
    fake.hello(&publisher, None);
    let (_, first_keys) = fake.takes(1);
    fake.stats.core(0).unwrap().adopt(1);
    fake.stats.core(1).unwrap().adopt(1);
    publisher.refresh().unwrap();

    publisher.publish(published(2), NOW_US).unwrap();
    let (_, second_keys) = fake.takes(2);
    publisher
        .refused(&fake.control, None, 2, "the port `sl-b` is gone")
        .unwrap();
    let refused = Outcome::Refused {
        core: None,
        reason: "the port `sl-b` is gone".to_owned(),
    };
    assert_eq!(publisher.wait(Generation(2), Duration::ZERO), refused);
    publisher.refresh().unwrap();
    let status = publisher.status();
    assert_eq!((status.current, status.last_good), (Some(2), Some(1)));
    assert_eq!(
        status
            .cores
            .iter()
            .map(|core| core.generation)
            .collect::<Vec<_>>(),
        [Some(1), Some(1)]
    );
    assert_eq!(first_keys.count(), 3);
    fake.quiet();

    publisher.publish(published(3), NOW_US).unwrap();
    assert_eq!(
        second_keys.count(),
        0,
        "a generation nobody adopted is retired when it is replaced"
    );
    assert_eq!(
        publisher.wait(Generation(2), Duration::ZERO),
        Outcome::Superseded
    );
}

#[test]
fn a_generation_adopted_a_moment_ago_is_the_last_good_one_for_the_next() {
    let publisher = Publisher::new();
    let fake = Fake::start();
    fake.hello(&publisher, None);
    for generation in 1..=3 {
        publisher.publish(published(generation), NOW_US).unwrap();
        let _taken = fake.takes(generation);
        fake.stats.core(0).unwrap().adopt(generation);
        fake.stats.core(1).unwrap().adopt(generation);
        // Nobody calls refresh in between.
    }
    assert_eq!(publisher.status().last_good, Some(2));
    assert_eq!(fake.next().message, ToDataplane::Retire { generation: 1 });
    publisher.refresh().unwrap();
    assert_eq!(fake.next().message, ToDataplane::Retire { generation: 2 });
    assert_eq!(publisher.status().last_good, Some(3));
}

#[test]
fn one_core_that_refuses_is_named() {
    let publisher = Publisher::new();
    let fake = Fake::start();
    publisher.publish(published(1), NOW_US).unwrap();
    fake.hello(&publisher, None);
    fake.stats.core(0).unwrap().adopt(1);
    fake.stats
        .core(1)
        .unwrap()
        .refuse(1, "no memory for the tables");
    publisher.refresh().unwrap();
    let refused = Outcome::Refused {
        core: Some(2),
        reason: "no memory for the tables".to_owned(),
    };
    assert_eq!(publisher.wait(Generation(1), Duration::ZERO), refused);
    assert_eq!(publisher.status().last_good, None);
}

#[test]
fn f130_a_restarted_data_plane_gets_the_same_generation_again() {
    let publisher = Publisher::new();
    publisher.publish(published(4), NOW_US).unwrap();
    for _ in 0..2 {
        let fake = Fake::start();
        fake.hello(&publisher, None);
        let (_, keys) = fake.takes(4);
        assert_eq!(keys.count(), 3);
        fake.stats.core(0).unwrap().adopt(4);
        fake.stats.core(1).unwrap().adopt(4);
        publisher.refresh().unwrap();
        assert_eq!(
            publisher.wait(Generation(4), Duration::ZERO),
            Outcome::Adopted
        );
        publisher.disconnected(&fake.control);
        assert!(!publisher.status().connected);
        assert_eq!(
            publisher.wait(Generation(4), Duration::ZERO),
            Outcome::NoDataPlane
        );
    }
}

#[test]
fn f131_a_restarted_control_plane_finds_the_data_plane_up_to_date_and_sends_nothing() {
    let publisher = Publisher::new();
    publisher.restore(Some(published(4)), None);
    let fake = Fake::start();
    fake.stats.core(0).unwrap().adopt(4);
    fake.stats.core(1).unwrap().adopt(4);
    fake.hello(&publisher, Some(4));
    publisher.refresh().unwrap();
    assert_eq!(
        publisher.wait(Generation(4), Duration::ZERO),
        Outcome::Adopted
    );
    fake.quiet();
}

#[test]
fn a_fresh_data_plane_that_refuses_the_current_generation_gets_the_last_good_one() {
    let publisher = Publisher::new();
    publisher.restore(Some(published(6)), Some(published(5)));
    let fake = Fake::start();
    fake.hello(&publisher, None);
    let _refused = fake.takes(6);
    publisher
        .refused(
            &fake.control,
            None,
            6,
            "the interface `sl-c` does not exist",
        )
        .unwrap();
    let _good = fake.takes(5);
    publisher.adopted(&fake.control, 1, 5);
    publisher.adopted(&fake.control, 2, 5);
    publisher.refresh().unwrap();
    let status = publisher.status();
    assert_eq!(
        status.refused.as_deref(),
        Some("the interface `sl-c` does not exist")
    );
    assert_eq!(
        status
            .cores
            .iter()
            .map(|core| core.generation)
            .collect::<Vec<_>>(),
        [Some(5), Some(5)]
    );
    assert_eq!((status.current, status.last_good), (Some(6), Some(5)));
}

#[test]
fn a_late_message_of_a_replaced_link_changes_nothing() {
    let publisher = Publisher::new();
    publisher.publish(published(1), NOW_US).unwrap();
    let (old, new) = (Fake::start(), Fake::start());
    old.hello(&publisher, None);
    new.hello(&publisher, None);
    publisher.adopted(&old.control, 1, 1);
    publisher.disconnected(&old.control);
    assert!(publisher.status().connected);
    assert_eq!(publisher.status().laggards(), [1, 2]);
}

#[test]
fn a_broken_link_leaves_the_generation_current() {
    let publisher = Publisher::new();
    let fake = Fake::start();
    fake.hello(&publisher, None);
    let control = Arc::clone(&fake.control);
    drop(fake);
    assert!(publisher.publish(published(1), NOW_US).is_err());
    publisher.disconnected(&control);
    let again = Fake::start();
    again.hello(&publisher, None);
    let _taken = again.takes(1);
}

#[test]
fn a_long_reason_is_cut_at_a_character() {
    assert_eq!(cut("short"), "short");
    let long = "ä".repeat(REASON_BYTES_MAX);
    assert_eq!(cut(&long).len(), REASON_BYTES_MAX);
    let odd = format!("a{long}");
    assert_eq!(cut(&odd).len(), REASON_BYTES_MAX - 1);
}
