//! Raw bindings to the system's DPDK, made when the crate is built, for the `dpdk` crate and nobody else.
//!
//! Functions keep DPDK's names and contracts; see the [DPDK API reference](https://doc.dpdk.org/api-22.11/). Inline functions
//! are compiled once, in C, and called. `dpdk_shim_*` and `DPDK_SHIM_*` give what the headers hold as macros, bit fields
//! or anonymous unions, so that the same Rust reads every release from 22.11 on.

#![no_std]
#![allow(
    unsafe_code,
    reason = "one of the three rooms that hold unsafe code; see ARCHITECTURE.md"
)]

mod bindings {
    #![allow(
        missing_docs,
        non_camel_case_types,
        non_snake_case,
        non_upper_case_globals,
        dead_code,
        unreachable_pub,
        clippy::all,
        clippy::pedantic,
        clippy::undocumented_unsafe_blocks,
        clippy::multiple_unsafe_ops_per_block,
        clippy::cast_possible_truncation,
        clippy::allow_attributes_without_reason,
        reason = "generated from DPDK's headers"
    )]
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

pub use bindings::*;
