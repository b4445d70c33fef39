//! `appliance.toml`.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::Read;
use crate::limits::{ADDRESSES_MAX, CORE_NUMBER_MAX, SEGMENTS_MAX, VIRTUAL_SEGMENTS_MAX};
use crate::raw::{RawAppliance, RawDataplane, RawLimits, RawSegment, RawVirtualSegment};
use crate::source::KeyPath;
use crate::validate::Scope;
use crate::validate::addresses::Network;
use crate::validate::layer2;
use crate::{
    Appliance, Dataplane, InspectionSwitches, Limits, PortAddress, Problem, ProfileName, Segment,
    VirtualSegment,
};

/// What documents write for "no profile".
const NO_PROFILE: &str = "none";

/// Validates the document. Absent when something is wrong.
pub(crate) fn appliance(
    read: &Read<'_, RawAppliance>,
    profile_exists: &dyn Fn(&str) -> bool,
    problems: &mut Vec<Problem>,
) -> Option<Appliance> {
    let Read { source, raw } = read;
    let mut scope = Scope { source, problems };
    let root = KeyPath::root();
    let identity = root.key("appliance");

    let name = scope.parse(&identity.key("name"), &raw.appliance.name);
    let profile = match &raw.appliance.profile {
        None => Some(None),
        Some(name) => profile_reference(&mut scope, &identity.key("profile"), name, profile_exists),
    };
    let dataplane = dataplane(&mut scope, &root.key("dataplane"), &raw.dataplane);
    let limits = limits(&mut scope, &root.key("limits"), &raw.limits);
    let segments = segments(&mut scope, &root.key("segment"), &raw.segment);
    let virtual_segments = virtual_segments(
        &mut scope,
        &root.key("virtual_segment"),
        raw,
        profile_exists,
    );

    let network = layer2::network(&mut scope, &root, raw);

    Some(Appliance {
        name: name?,
        profile: profile?,
        dataplane: dataplane?,
        inspection: InspectionSwitches {
            client: raw.inspection.client,
            server: raw.inspection.server,
        },
        limits: limits?,
        network: network?,
        segments: segments?,
        virtual_segments: virtual_segments?,
    })
}

/// A profile by name, or none by "none". Outer absence: something is wrong.
fn profile_reference(
    scope: &mut Scope<'_, '_>,
    at: &KeyPath,
    name: &str,
    exists: &dyn Fn(&str) -> bool,
) -> Option<Option<ProfileName>> {
    if name == NO_PROFILE {
        return Some(None);
    }
    if !exists(name) {
        scope.problem(
            at,
            format!(
                "`profile` names the profile \"{name}\", which does not exist; add a document to profiles/ that has this \
                 name, or write \"none\""
            ),
        );
        return None;
    }
    scope.parse(at, name).map(Some)
}

fn dataplane(scope: &mut Scope<'_, '_>, at: &KeyPath, raw: &RawDataplane) -> Option<Dataplane> {
    let mut fine = true;
    let mut seen = BTreeSet::new();
    let cores = at.key("cores");
    for (index, core) in raw.cores.iter().enumerate() {
        let at = cores.index(index);
        if *core > CORE_NUMBER_MAX {
            scope.problem(
                &at,
                format!("`cores` has core {core}; the highest is {CORE_NUMBER_MAX}"),
            );
            fine = false;
        }
        if !seen.insert(*core) {
            scope.problem(
                &at,
                format!("`cores` has core {core} twice; each polls once"),
            );
            fine = false;
        }
    }
    if seen.contains(&raw.main_core) {
        scope.problem(
            &at.key("main_core"),
            format!(
                "`main_core` {} is among `cores`; a polling core does nothing else, choose another",
                raw.main_core
            ),
        );
        fine = false;
    }
    if raw.main_core > CORE_NUMBER_MAX {
        scope.problem(
            &at.key("main_core"),
            format!(
                "`main_core` is {}; the highest core is {CORE_NUMBER_MAX}",
                raw.main_core
            ),
        );
        fine = false;
    }
    fine.then(|| Dataplane {
        cores: raw.cores.clone(),
        main_core: raw.main_core,
        memory_mib: raw.memory_mib,
        hugepages: raw.hugepages,
        idle: raw.idle,
    })
}

fn limits(scope: &mut Scope<'_, '_>, at: &KeyPath, raw: &RawLimits) -> Option<Limits> {
    if raw.inspected_sessions_max > raw.flows_max {
        scope.problem(
            &at.key("inspected_sessions_max"),
            format!(
                "`inspected_sessions_max` {} is more than `flows_max` {}; every inspected session is a tracked flow, \
                 raise `flows_max`",
                raw.inspected_sessions_max, raw.flows_max
            ),
        );
        return None;
    }
    if raw.sessions_warning_percent >= raw.sessions_critical_percent {
        scope.problem(
            &at.key("sessions_warning_percent"),
            format!(
                "`sessions_warning_percent` {} is not below `sessions_critical_percent` {}; a warning comes first, lower it",
                raw.sessions_warning_percent, raw.sessions_critical_percent
            ),
        );
        return None;
    }
    Some(Limits {
        inspected_sessions_max: raw.inspected_sessions_max,
        over_limit: raw.over_limit,
        sessions_warning_percent: raw.sessions_warning_percent,
        sessions_critical_percent: raw.sessions_critical_percent,
        on_exhaustion: raw.on_exhaustion,
        flows_max: raw.flows_max,
    })
}

fn segments(scope: &mut Scope<'_, '_>, at: &KeyPath, raw: &[RawSegment]) -> Option<Vec<Segment>> {
    if raw.is_empty() {
        scope.problem(
            at,
            "there is no [[segment]]; add at least one with `name`, `port_a` and `port_b`",
        );
        return None;
    }
    scope.at_most(at, raw.len(), SEGMENTS_MAX);
    scope.unique(
        at,
        "segment",
        raw.iter().map(|segment| segment.name.as_str()),
    );
    let mut ports: BTreeMap<PortAddress, usize> = BTreeMap::new();
    let mut whole = Vec::with_capacity(raw.len());
    for (index, segment) in raw.iter().enumerate() {
        let at = at.index(index);
        let name = scope.parse(&at.key("name"), &segment.name);
        let mut port = |key: &str, text: &str| {
            let at = at.key(key);
            let port: PortAddress = scope.parse(&at, text)?;
            let line = scope.source.line_at(&at);
            if let Some(first) = ports.insert(port.clone(), line) {
                scope.problem(
                    &at,
                    format!("`{key}` {port} is in use in line {first} already; every port belongs to one segment's end"),
                );
            }
            Some(port)
        };
        let (port_a, port_b) = (
            port("port_a", &segment.port_a),
            port("port_b", &segment.port_b),
        );
        let translations = layer2::vlan_translations(
            scope,
            &at.key("vlan_translation"),
            &segment.vlan_translation,
        );
        whole.push((|| {
            Some(Segment {
                name: name?,
                port_a: port_a?,
                port_b: port_b?,
                vlan_translations: translations?,
            })
        })());
    }
    whole.into_iter().collect()
}

fn virtual_segments(
    scope: &mut Scope<'_, '_>,
    at: &KeyPath,
    raw: &RawAppliance,
    profile_exists: &dyn Fn(&str) -> bool,
) -> Option<Vec<VirtualSegment>> {
    let segments = &raw.segment;
    let raw = &raw.virtual_segment;
    scope.at_most(at, raw.len(), VIRTUAL_SEGMENTS_MAX);
    scope.unique(
        at,
        "virtual segment",
        raw.iter().map(|segment| segment.name.as_str()),
    );
    raw.iter()
        .enumerate()
        .map(|(index, raw)| virtual_segment(scope, &at.index(index), raw, segments, profile_exists))
        .collect::<Vec<_>>()
        .into_iter()
        .collect()
}

fn virtual_segment(
    scope: &mut Scope<'_, '_>,
    at: &KeyPath,
    raw: &RawVirtualSegment,
    segments: &[RawSegment],
    profile_exists: &dyn Fn(&str) -> bool,
) -> Option<VirtualSegment> {
    if let Some(segment) = &raw.segment {
        scope.refers(
            &at.key("segment"),
            "segment",
            segment,
            segments.iter().map(|segment| segment.name.as_str()),
        );
    }
    let name = scope.parse(&at.key("name"), &raw.name);
    let description = scope.parse_optional(&at.key("description"), raw.description.as_deref());
    let segment = raw.segment.as_ref().map(|segment| segment.parse());
    let vlans = scope.parse_list(&at.key("vlan"), &raw.vlan, ADDRESSES_MAX);
    let sources = scope.parse_list::<Network, _>(&at.key("sources"), &raw.sources, ADDRESSES_MAX);
    let destinations =
        scope.parse_list::<Network, _>(&at.key("destinations"), &raw.destinations, ADDRESSES_MAX);
    let profile = profile_reference(scope, &at.key("profile"), &raw.profile, profile_exists);
    let bare = |networks: Vec<Network>| networks.into_iter().map(|network| network.0).collect();
    Some(VirtualSegment {
        name: name?,
        description: description?,
        segment: segment.transpose().ok()?,
        vlans: vlans?,
        sources: bare(sources?),
        destinations: bare(destinations?),
        profile: profile?,
    })
}
