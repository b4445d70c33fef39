//! The decisions made before DPDK is called.

use super::*;

const NONE: HugepageState = HugepageState {
    reserved_mib: 0,
    free_mib: 0,
};
const PLENTY: HugepageState = HugepageState {
    reserved_mib: 1_024,
    free_mib: 512,
};

fn config(hugepages: Huge) -> EalConfig {
    EalConfig {
        hugepages,
        memory_mib: 256,
        ..EalConfig::default()
    }
}

#[test]
fn hugepages_are_taken_when_free_and_the_lack_is_said() {
    let memory = choose_memory(&config(Huge::Auto), PLENTY, None).expect("memory");
    assert!(memory.hugepages && memory.why_not.is_none());
    let memory = choose_memory(&config(Huge::Auto), NONE, None).expect("memory");
    assert!(!memory.hugepages);
    assert_eq!(
        memory.why_not.as_deref(),
        Some("0 MiB of hugepages are free and 256 MiB are needed")
    );
    let memory = choose_memory(&config(Huge::Off), PLENTY, None).expect("memory");
    assert!(
        !memory.hugepages && memory.why_not.is_none(),
        "nothing to explain: they were not wanted"
    );
    assert_eq!(
        choose_memory(&config(Huge::Require), NONE, None),
        Err(InitError::TooFewHugepages {
            needed_mib: 256,
            free_mib: 0,
            pages: 128
        })
    );
}

#[test]
fn too_little_memory_is_said_before_it_is_taken() {
    let little = Some(MemoryState { available_mib: 100 });
    let error = choose_memory(&config(Huge::Off), NONE, little).expect_err("refused");
    assert_eq!(
        error,
        InitError::TooLittleMemory {
            needed_mib: 256,
            available_mib: 100
        }
    );
    assert!(error.to_string().contains("lower memory_mib"));
    let error = validate(&EalConfig {
        memory_mib: 1,
        ..EalConfig::default()
    })
    .expect_err("refused");
    assert_eq!(error, InitError::MemoryBelowMinimum { asked_mib: 1 });
}

#[test]
fn cpu_lists_as_the_kernel_writes_them() {
    assert!(cpu_list_holds("0-3,8", 2));
    assert!(cpu_list_holds("0-3,8", 8));
    assert!(!cpu_list_holds("0-3,8", 4));
    assert!(!cpu_list_holds("", 0));
}

#[test]
fn cores_are_checked_before_dpdk_sees_them() {
    let missing = LcorePlacement {
        lcore: LcoreId(1),
        cpu: 60_000,
    };
    let mut bad = EalConfig::default();
    bad.lcores.push(missing);
    assert!(matches!(
        validate(&bad),
        Err(InitError::NoSuchCpu { cpu: 60_000, .. })
    ));
    let mut twice = EalConfig::default();
    twice.lcores.push(LcorePlacement {
        lcore: LcoreId(0),
        cpu: 0,
    });
    assert_eq!(
        validate(&twice),
        Err(InitError::LcoreTwice { lcore: LcoreId(0) })
    );
    let other = EalConfig {
        main_lcore: LcoreId(7),
        ..EalConfig::default()
    };
    assert_eq!(
        validate(&other),
        Err(InitError::NoMainLcore { main: LcoreId(7) })
    );
}

#[test]
fn hostile_device_arguments_never_reach_the_eal() {
    let memory = Memory {
        mib: 64,
        hugepages: false,
        why_not: None,
    };
    for text in [
        "net_ring0\0,x",
        "net_ring0\nfoo",
        &"x".repeat(DEVARGS_BYTES_MAX),
    ] {
        let bad = EalConfig {
            vdevs: vec![text.to_owned()],
            ..EalConfig::default()
        };
        assert!(matches!(
            arguments(&bad, &memory),
            Err(InitError::BadText {
                what: "virtual device",
                ..
            })
        ));
    }
}
