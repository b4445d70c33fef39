//! Bounds of what is compiled.

/// Policies of one direction in one profile, as many as a document may have.
pub const POLICIES_PER_PROFILE_MAX: usize = sluice_schema::limits::OBJECTS_PER_PROFILE_MAX;

/// Labels of a name that are looked up; a name of 253 bytes has at most 127.
pub const LABELS_MAX: usize = 127;

const _: () = assert!(
    POLICIES_PER_PROFILE_MAX <= u16::MAX as usize,
    "candidates number them with 16 bits"
);
const _: () = assert!(
    sluice_schema::limits::PROFILES_MAX <= u16::MAX as usize,
    "candidates number them with 16 bits"
);
const _: () = assert!(
    LABELS_MAX * 2 >= sluice_schema::limits::DOMAIN_BYTES_MAX,
    "no name has more labels"
);
