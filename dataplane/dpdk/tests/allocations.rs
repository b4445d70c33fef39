//! What a core does for every packet takes nothing from the heap.

#![allow(
    unsafe_code,
    reason = "an allocator that counts; the crate is one of the rooms that hold unsafe code"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use dpdk::{Burst, Eal, EalConfig, Huge, Mempool, Port, PortConfig, Running, limits};
use sluice_packet::PacketBuf;

const BURSTS: usize = 10_000;

#[global_allocator]
static COUNTING: Counting = Counting;

/// The system's allocator, counting what the measured thread asks of it.
struct Counting;

thread_local! {
    static MEASURED: Cell<bool> = const { Cell::new(false) };
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // Neither cell has a destructor, so reading them allocates nothing and fails never.
    if MEASURED.get() {
        CALLS.set(CALLS.get() + 1);
    }
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Calls of the allocator, freeing included, that `work` makes on this thread.
fn allocator_calls(work: impl FnOnce()) -> u64 {
    CALLS.set(0);
    MEASURED.set(true);
    work();
    MEASURED.set(false);
    CALLS.get()
}

fn open(eal: &Eal, devargs: &str, pool: Mempool) -> Running {
    let port = Port::attach(eal, devargs).expect("attached");
    let port = port.configure(&PortConfig::default(), &[pool]);
    port.expect("configured").start().expect("started")
}

#[test]
fn receive_and_transmit_bursts_allocate_nothing() {
    let config = EalConfig {
        memory_mib: 64,
        hugepages: Huge::Off,
        ..EalConfig::default()
    };
    let eal = Eal::init(&config).expect("the EAL");
    let pool = Mempool::new(&eal, "test", 4_095, 250, 2_176, None).expect("a pool");
    let mut ring = open(&eal, "net_ring0", pool);
    let mut source = open(&eal, "net_null0,size=64,copy=1", pool);
    let mut burst: Burst = Burst::new();
    let (mut passed, mut bytes) = (0, 0);

    let mut turn = || {
        // From one port to another, as a core forwards; written and looked at on the way, as a worker does.
        source.rx[0].receive(&mut burst);
        ring.tx[0].send(&mut burst);
        drop(burst.drain());
        ring.rx[0].receive(&mut burst);
        let mut leaving: Burst = Burst::new();
        for mut packet in burst.drain() {
            bytes += packet.frame().len();
            packet.frame_mut().fill(7);
            leaving.push(packet).expect("as many as came");
        }
        // A packet of the core's own, and one it drops.
        if let Some(mut own) = pool.alloc() {
            own.append(60).expect("room").fill(1);
            drop(leaving.push(own));
        }
        drop(pool.alloc());
        passed += source.tx[0].send(&mut leaving);
    };

    for _ in 0..100 {
        turn();
    }
    let calls = allocator_calls(|| {
        for _ in 0..BURSTS {
            turn();
        }
    });
    assert_eq!(calls, 0, "calls of the allocator in {BURSTS} bursts");
    assert!(passed >= BURSTS * limits::BURST_PACKETS_MAX, "{passed}");
    assert!(bytes >= BURSTS * limits::BURST_PACKETS_MAX * 64, "{bytes}");
    drop(burst);
    assert_eq!(pool.in_use(), 0);
    assert_eq!(
        allocator_calls(|| drop(black_box(Box::new(0_u64)))),
        2,
        "the count is not blind"
    );
}
