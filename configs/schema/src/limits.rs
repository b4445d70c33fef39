//! Every bound on a configuration, with its unit.

/// Longest document, bytes.
pub const DOCUMENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Documents in one configuration.
pub const DOCUMENTS_MAX: usize = 1_025;
/// All documents of one configuration together, bytes.
pub const DOCUMENTS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Problems reported at once; more are counted, not listed.
pub const PROBLEMS_MAX: usize = 100;

/// Longest name of a profile, policy, segment, trust store or certificate, characters.
pub const NAME_CHARS_MAX: usize = 64;
/// Longest name of a client or server proxy, characters.
pub const PROXY_NAME_CHARS_MAX: usize = 128;
/// Longest description, characters.
pub const DESCRIPTION_CHARS_MAX: usize = 512;

/// Profiles of one appliance.
pub const PROFILES_MAX: usize = 1_024;
/// Segments of one appliance.
pub const SEGMENTS_MAX: usize = 64;
/// VLAN translations of one segment.
pub const VLAN_TRANSLATIONS_MAX: usize = 4_094;
/// Highest VLAN identifier (IEEE 802.1Q-2018 table 9-2 reserves 4095).
pub const VLAN_ID_MAX: u16 = 4_094;
/// Virtual segments of one appliance.
pub const VIRTUAL_SEGMENTS_MAX: usize = 1_024;
/// Polling cores of one appliance.
pub const CORES_MAX: usize = 128;
/// Highest number of a core.
pub const CORE_NUMBER_MAX: u16 = 1_023;
/// Proxies, policies, trust stores or decryption policies of one kind in one profile.
pub const OBJECTS_PER_PROFILE_MAX: usize = 1_024;
/// Distinct certificates that one appliance's server proxies name.
pub const SERVER_CERTIFICATES_MAX: usize = 1_000;
/// Domains in one list of a decryption policy.
pub const DOMAINS_MAX: usize = 100_000;
/// Longest domain name, bytes (RFC 1035 section 2.3.4, without the final dot).
pub const DOMAIN_BYTES_MAX: usize = 253;
/// Longest label of a domain name, bytes (RFC 1035 section 2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;
/// Addresses in one list.
pub const ADDRESSES_MAX: usize = 10_000;

/// Least memory that the data plane starts with, MiB.
pub const MEMORY_MIB_MIN: u32 = 64;
/// Most memory that the data plane takes, MiB.
pub const MEMORY_MIB_MAX: u32 = 1024 * 1024;
/// Least number of flows that the tables are sized for.
pub const FLOWS_MIN: u32 = 1_024;
/// Most flows that the tables are sized for.
pub const FLOWS_MAX: u32 = 1 << 26;
/// Shortest origin key that a client proxy may be told to accept, bits of RSA.
pub const MINIMUM_KEY_BITS_MIN: u16 = 512;
/// Longest origin key that a client proxy may be told to demand, bits of RSA.
pub const MINIMUM_KEY_BITS_MAX: u16 = 16_384;

/// Longest encoded snapshot, bytes.
pub const SNAPSHOT_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Certificates in one snapshot.
pub const SNAPSHOT_CERTIFICATES_MAX: usize = 16_384;

const _: () = assert!(DOCUMENT_BYTES_MAX <= DOCUMENTS_BYTES_MAX);
const _: () = assert!(
    PROFILES_MAX < DOCUMENTS_MAX,
    "one document per profile and one for the appliance"
);
const _: () = assert!(
    NAME_CHARS_MAX <= PROXY_NAME_CHARS_MAX && PROXY_NAME_CHARS_MAX <= DESCRIPTION_CHARS_MAX
);
const _: () = assert!(DOCUMENTS_BYTES_MAX < SNAPSHOT_BYTES_MAX);
const _: () = assert!(LABEL_BYTES_MAX < DOMAIN_BYTES_MAX);
const _: () =
    assert!(MINIMUM_KEY_BITS_MIN < MINIMUM_KEY_BITS_MAX && MEMORY_MIB_MIN < MEMORY_MIB_MAX);
const _: () = assert!(CORES_MAX <= CORE_NUMBER_MAX as usize + 1);
