//! One document of `profiles/`.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::document::Read;
use crate::limits::{ADDRESSES_MAX, DOMAINS_MAX, OBJECTS_PER_PROFILE_MAX, SERVER_CERTIFICATES_MAX};
use crate::raw::{
    RawClientPolicy, RawClientProxy, RawDecryptionPolicy, RawNumbers, RawProfile, RawServerPolicy,
    RawServerProxy, RawTrustStore,
};
use crate::source::KeyPath;
use crate::validate::Scope;
use crate::validate::addresses::{Network, overlap};
use crate::{
    ClientPolicy, ClientProxy, DecryptionPolicy, PortRange, Problem, Profile, ServerPolicy,
    ServerProxy, TlsVersion, TrustStore, VersionRange,
};

/// Validates the document. Absent when something is wrong.
pub(crate) fn profile(raw: &RawProfile, scope: &mut Scope<'_, '_>) -> Option<Profile> {
    let root = KeyPath::root();
    let name = scope.parse(&root.key("name"), &raw.name);
    let description = scope.parse_optional(&root.key("description"), raw.description.as_deref());

    let client_proxies = each(
        scope,
        &root.key("client_proxy"),
        &raw.client_proxy,
        |raw| &raw.name,
        client_proxy,
    );
    let trust_stores = each(
        scope,
        &root.key("trust_store"),
        &raw.trust_store,
        |raw| &raw.name,
        trust_store,
    );
    let decryption_policies = each(
        scope,
        &root.key("decryption_policy"),
        &raw.decryption_policy,
        |raw| &raw.name,
        decryption_policy,
    );
    let client_policies = each(
        scope,
        &root.key("client_policy"),
        &raw.client_policy,
        |raw| &raw.name,
        |scope, at, policy| client_policy(scope, at, policy, raw),
    );
    let server_proxies = each(
        scope,
        &root.key("server_proxy"),
        &raw.server_proxy,
        |raw| &raw.name,
        server_proxy,
    );
    let server_policies = each(
        scope,
        &root.key("server_policy"),
        &raw.server_policy,
        |raw| &raw.name,
        |scope, at, policy| server_policy(scope, at, policy, raw),
    );
    names_across_kinds(scope, raw);

    let profile = Profile {
        name: name?,
        description: description?,
        client_proxies: client_proxies?,
        trust_stores: trust_stores?,
        decryption_policies: decryption_policies?,
        client_policies: client_policies?,
        server_proxies: server_proxies?,
        server_policies: server_policies?,
    };
    client_ports_apart(scope, &profile);
    server_tuples_apart(scope, &profile);
    Some(profile)
}

/// The certificates that all server proxies name together are bounded.
pub(crate) fn server_certificates(read: &[Read<'_, RawProfile>], problems: &mut Vec<Problem>) {
    let mut names = BTreeSet::new();
    for Read { source, raw } in read {
        for (index, proxy) in raw.server_proxy.iter().enumerate() {
            let before = names.len();
            names.extend(proxy.certificates.iter());
            if before <= SERVER_CERTIFICATES_MAX && names.len() > SERVER_CERTIFICATES_MAX {
                let at = KeyPath::root()
                    .key("server_proxy")
                    .index(index)
                    .key("certificates");
                problems.push(source.problem(
                    &at,
                    format!("`certificates` brings the server certificates past {SERVER_CERTIFICATES_MAX}, the most one appliance takes"),
                ));
            }
        }
    }
}

fn each<R, T>(
    scope: &mut Scope<'_, '_>,
    at: &KeyPath,
    raw: &[R],
    name: impl Fn(&R) -> &String,
    mut validate: impl FnMut(&mut Scope<'_, '_>, &KeyPath, &R) -> Option<T>,
) -> Option<Vec<T>> {
    scope.at_most(at, raw.len(), OBJECTS_PER_PROFILE_MAX);
    scope.unique(
        at,
        &at.last_key().replace('_', " "),
        raw.iter().map(|raw| name(raw).as_str()),
    );
    let all: Vec<Option<T>> = raw
        .iter()
        .enumerate()
        .map(|(index, raw)| validate(scope, &at.index(index), raw))
        .collect();
    all.into_iter().collect()
}

fn client_proxy(
    scope: &mut Scope<'_, '_>,
    at: &KeyPath,
    raw: &RawClientProxy,
) -> Option<ClientProxy> {
    let name = scope.parse(&at.key("name"), &raw.name);
    let description = scope.parse_optional(&at.key("description"), raw.description.as_deref());
    let signing_certificate = scope.parse(&at.key("signing_certificate"), &raw.signing_certificate);
    let untrusted_certificate = scope.parse_optional(
        &at.key("untrusted_certificate"),
        raw.untrusted_certificate.as_deref(),
    );
    let lets_through = !raw.block_invalid_certificates || !raw.block_expired_certificates;
    if lets_through && raw.untrusted_certificate.is_none() {
        scope.problem(
            &at.key("untrusted_certificate"),
            format!(
                "`untrusted_certificate` is missing in the client proxy \"{}\", which does not block every origin that \
                 fails verification; name the CA that signs for those",
                raw.name
            ),
        );
        return None;
    }
    if raw.untrusted_certificate.as_deref() == Some(raw.signing_certificate.as_str()) {
        scope.problem(
            &at.key("untrusted_certificate"),
            "`untrusted_certificate` is the signing certificate itself, so clients would trust what did not verify; \
             name another CA",
        );
        return None;
    }
    let detection_ports = ports(scope, &at.key("detection_ports"), &raw.detection_ports);
    let tls_versions = versions(scope, &at.key("tls_versions"), &raw.tls_versions);
    Some(ClientProxy {
        name: name?,
        description: description?,
        signing_certificate: signing_certificate?,
        untrusted_certificate: untrusted_certificate?,
        service: raw.service,
        detection_ports: detection_ports?,
        minimum_key_bits: raw.minimum_key_bits,
        block_invalid_certificates: raw.block_invalid_certificates,
        block_expired_certificates: raw.block_expired_certificates,
        reset_client_on_block: raw.reset_client_on_block,
        irregular_handshake: raw.irregular_handshake,
        session_logging: raw.session_logging,
        tls_versions: tls_versions?,
    })
}

fn trust_store(scope: &mut Scope<'_, '_>, at: &KeyPath, raw: &RawTrustStore) -> Option<TrustStore> {
    let name = scope.parse(&at.key("name"), &raw.name);
    let description = scope.parse_optional(&at.key("description"), raw.description.as_deref());
    let authorities = scope.parse_list(
        &at.key("authorities"),
        &raw.authorities,
        OBJECTS_PER_PROFILE_MAX,
    );
    if !raw.default_authorities && raw.authorities.is_empty() {
        scope.problem(
            at,
            format!(
                "the trust store \"{}\" is empty, so no origin would verify; set `default_authorities` or name `authorities`",
                raw.name
            ),
        );
        return None;
    }
    Some(TrustStore {
        name: name?,
        description: description?,
        default_authorities: raw.default_authorities,
        authorities: authorities?,
    })
}

fn decryption_policy(
    scope: &mut Scope<'_, '_>,
    at: &KeyPath,
    raw: &RawDecryptionPolicy,
) -> Option<DecryptionPolicy> {
    let name = scope.parse(&at.key("name"), &raw.name);
    let description = scope.parse_optional(&at.key("description"), raw.description.as_deref());
    let do_not_decrypt =
        scope.parse_list(&at.key("do_not_decrypt"), &raw.do_not_decrypt, DOMAINS_MAX);
    let always_decrypt =
        scope.parse_list(&at.key("always_decrypt"), &raw.always_decrypt, DOMAINS_MAX);
    Some(DecryptionPolicy {
        name: name?,
        description: description?,
        do_not_decrypt: do_not_decrypt?,
        always_decrypt: always_decrypt?,
    })
}

fn client_policy(
    scope: &mut Scope<'_, '_>,
    at: &KeyPath,
    raw: &RawClientPolicy,
    profile: &RawProfile,
) -> Option<ClientPolicy> {
    scope.refers(
        &at.key("client_proxy"),
        "client_proxy",
        &raw.client_proxy,
        profile.client_proxy.iter().map(|proxy| proxy.name.as_str()),
    );
    scope.refers(
        &at.key("trust_store"),
        "trust_store",
        &raw.trust_store,
        profile.trust_store.iter().map(|store| store.name.as_str()),
    );
    if let Some(decryption_policy) = &raw.decryption_policy {
        scope.refers(
            &at.key("decryption_policy"),
            "decryption_policy",
            decryption_policy,
            profile
                .decryption_policy
                .iter()
                .map(|policy| policy.name.as_str()),
        );
    }
    let name = scope.parse(&at.key("name"), &raw.name);
    let description = scope.parse_optional(&at.key("description"), raw.description.as_deref());
    let never = networks(
        scope,
        &at.key("never_decrypt_sources"),
        &raw.never_decrypt_sources,
    );
    let always = networks(
        scope,
        &at.key("always_decrypt_sources"),
        &raw.always_decrypt_sources,
    );
    let (never, always) = (never?, always?);
    if let Some(both) = always.iter().find(|network| never.contains(network)) {
        scope.problem(
            &at.key("always_decrypt_sources"),
            format!("`always_decrypt_sources` has {both}, and so has `never_decrypt_sources`; keep it in one"),
        );
        return None;
    }
    Some(ClientPolicy {
        name: name?,
        description: description?,
        enabled: raw.enabled,
        // Invalid names and names of nothing are told where they stand; here they only end the attempt.
        client_proxy: raw.client_proxy.parse().ok()?,
        decryption_policy: raw
            .decryption_policy
            .as_ref()
            .map(|name| name.parse())
            .transpose()
            .ok()?,
        trust_store: raw.trust_store.parse().ok()?,
        never_decrypt_sources: never,
        always_decrypt_sources: always,
    })
}

fn server_proxy(
    scope: &mut Scope<'_, '_>,
    at: &KeyPath,
    raw: &RawServerProxy,
) -> Option<ServerProxy> {
    let name = scope.parse(&at.key("name"), &raw.name);
    let description = scope.parse_optional(&at.key("description"), raw.description.as_deref());
    let addresses = networks(scope, &at.key("addresses"), &raw.addresses);
    let ports = ports(scope, &at.key("ports"), &raw.ports);
    let certificates = scope.parse_list(
        &at.key("certificates"),
        &raw.certificates,
        SERVER_CERTIFICATES_MAX,
    );
    let tls_versions = versions(scope, &at.key("tls_versions"), &raw.tls_versions);
    Some(ServerProxy {
        name: name?,
        description: description?,
        addresses: addresses?,
        ports: ports?,
        service: raw.service,
        certificates: certificates?,
        reset_server_on_block: raw.reset_server_on_block,
        session_logging: raw.session_logging,
        tls_versions: tls_versions?,
    })
}

fn server_policy(
    scope: &mut Scope<'_, '_>,
    at: &KeyPath,
    raw: &RawServerPolicy,
    profile: &RawProfile,
) -> Option<ServerPolicy> {
    scope.refers(
        &at.key("server_proxy"),
        "server_proxy",
        &raw.server_proxy,
        profile.server_proxy.iter().map(|proxy| proxy.name.as_str()),
    );
    let name = scope.parse(&at.key("name"), &raw.name);
    let description = scope.parse_optional(&at.key("description"), raw.description.as_deref());
    let source_exceptions = networks(scope, &at.key("source_exceptions"), &raw.source_exceptions);
    Some(ServerPolicy {
        name: name?,
        description: description?,
        enabled: raw.enabled,
        server_proxy: raw.server_proxy.parse().ok()?,
        source_exceptions: source_exceptions?,
    })
}

fn networks(scope: &mut Scope<'_, '_>, at: &KeyPath, raw: &[String]) -> Option<Vec<IpNet>> {
    let list = scope.parse_list::<Network, _>(at, raw, ADDRESSES_MAX)?;
    Some(list.into_iter().map(|network| network.0).collect())
}

/// The ranges sorted, with those that touch or overlap joined.
fn ports(scope: &mut Scope<'_, '_>, at: &KeyPath, raw: &[RawNumbers]) -> Option<Vec<PortRange>> {
    let mut list = scope.parse_list::<PortRange, _>(at, raw, ADDRESSES_MAX)?;
    list.sort();
    let mut joined: Vec<PortRange> = Vec::with_capacity(list.len());
    for range in list {
        match joined.last_mut() {
            Some(last) if u32::from(range.first()) <= u32::from(last.last()) + 1 => {
                if let Some(longer) = PortRange::new(last.first(), last.last().max(range.last())) {
                    *last = longer;
                }
            }
            _ => joined.push(range),
        }
    }
    Some(joined)
}

fn versions(scope: &mut Scope<'_, '_>, at: &KeyPath, raw: &[TlsVersion]) -> Option<VersionRange> {
    let range = VersionRange::of(raw);
    if range.is_none() {
        scope.problem(
            at,
            "`tls_versions` has a gap; name every version from the lowest to the highest",
        );
    }
    range
}

/// A client policy never has the name of a server policy.
fn names_across_kinds(scope: &mut Scope<'_, '_>, raw: &RawProfile) {
    for (index, policy) in raw.client_policy.iter().enumerate() {
        if let Some(other) = raw
            .server_policy
            .iter()
            .position(|server| server.name == policy.name)
        {
            let line = scope.source.line_at(
                &KeyPath::root()
                    .key("server_policy")
                    .index(other)
                    .key("name"),
            );
            scope.problem(
                &KeyPath::root()
                    .key("client_policy")
                    .index(index)
                    .key("name"),
                format!(
                    "`name` \"{}\" is taken by the server policy in line {line}; rename one",
                    policy.name
                ),
            );
        }
    }
}

/// Different client policies never listen on the same port.
fn client_ports_apart(scope: &mut Scope<'_, '_>, profile: &Profile) {
    let ports = |policy: &ClientPolicy| {
        profile
            .client_proxy(&policy.client_proxy)
            .map(|proxy| proxy.detection_ports.as_slice())
            .unwrap_or_default()
    };
    for (index, policy) in profile.client_policies.iter().enumerate() {
        for other in profile.client_policies.iter().take(index) {
            let shared = ports(policy).iter().find_map(|a| {
                ports(other)
                    .iter()
                    .find(|b| a.overlaps(**b))
                    .map(|b| (*a, *b))
            });
            if let Some((mine, theirs)) = shared {
                scope.problem(
                    &KeyPath::root().key("client_policy").index(index).key("client_proxy"),
                    format!(
                        "the detection ports {mine} of the client policy \"{}\" (`client_proxy` \"{}\") overlap {theirs} of \
                         the client policy \"{}\"; take the shared ports out of one",
                        policy.name, policy.client_proxy, other.name
                    ),
                );
            }
        }
    }
}

/// Different server policies never protect the same address and port: which certificate to show would be unclear.
fn server_tuples_apart(scope: &mut Scope<'_, '_>, profile: &Profile) {
    for (index, policy) in profile.server_policies.iter().enumerate() {
        for other in profile.server_policies.iter().take(index) {
            let (Some(mine), Some(theirs)) = (
                profile.server_proxy(&policy.server_proxy),
                profile.server_proxy(&other.server_proxy),
            ) else {
                continue;
            };
            let port = mine
                .ports
                .iter()
                .find(|a| theirs.ports.iter().any(|b| a.overlaps(*b)));
            let address = mine
                .addresses
                .iter()
                .find(|a| theirs.addresses.iter().any(|b| overlap(**a, *b)));
            if let (Some(port), Some(address)) = (port, address) {
                scope.problem(
                    &KeyPath::root().key("server_policy").index(index).key("server_proxy"),
                    format!(
                        "{address} port {port} of the server policy \"{}\" (`server_proxy` \"{}\") is protected by the \
                         server policy \"{}\" already; take it out of one",
                        policy.name, policy.server_proxy, other.name
                    ),
                );
            }
        }
    }
}
