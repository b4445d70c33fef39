//! What only an appliance that inspects nothing can do: asymmetric networks and VLAN translation.

use std::collections::BTreeMap;

use crate::limits::VLAN_TRANSLATIONS_MAX;
use crate::raw::{RawAppliance, RawInspection, RawVlanTranslation};
use crate::source::KeyPath;
use crate::validate::Scope;
use crate::{Network, VlanTranslation};

/// Validates `[network]`, and that nothing is inspected where the network forbids it.
pub(crate) fn network(
    scope: &mut Scope<'_, '_>,
    root: &KeyPath,
    raw: &RawAppliance,
) -> Option<Network> {
    let on = switches_on(&raw.inspection);
    let translated = raw
        .segment
        .iter()
        .position(|segment| !segment.vlan_translation.is_empty());
    let mut fine = true;
    if !on.is_empty() && raw.network.asymmetric {
        scope.problem(
            &root.key("network").key("asymmetric"),
            format!(
                "`asymmetric` in [network] is true and {on}: inspection needs both directions of a flow; set `asymmetric` \
                 to false, or `client` and `server` in [inspection] to false"
            ),
        );
        fine = false;
    }
    if !on.is_empty()
        && let Some(index) = translated
    {
        scope.problem(
            &root.key("segment").index(index).key("vlan_translation"),
            format!(
                "there is a [[segment.vlan_translation]] and {on}: a flow that is inspected keeps its VLAN; take the \
                 translation out, or set `client` and `server` in [inspection] to false"
            ),
        );
        fine = false;
    }
    fine.then_some(Network {
        asymmetric: raw.network.asymmetric,
    })
}

/// The switches of `[inspection]` that are on, for a message; empty when none is.
fn switches_on(inspection: &RawInspection) -> &'static str {
    match (inspection.client, inspection.server) {
        (true, true) => "`client` and `server` in [inspection] are true, which they are unless set",
        (true, false) => "`client` in [inspection] is true, which it is unless set",
        (false, true) => "`server` in [inspection] is true, which it is unless set",
        (false, false) => "",
    }
}

/// Validates a segment's translations: an identifier has one partner on the other side.
pub(crate) fn vlan_translations(
    scope: &mut Scope<'_, '_>,
    at: &KeyPath,
    raw: &[RawVlanTranslation],
) -> Option<Vec<VlanTranslation>> {
    scope.at_most(at, raw.len(), VLAN_TRANSLATIONS_MAX);
    let mut fine = raw.len() <= VLAN_TRANSLATIONS_MAX;
    for key in ["port_a", "port_b"] {
        let mut seen = BTreeMap::new();
        for (index, translation) in raw.iter().enumerate() {
            let vlan = match key {
                "port_a" => translation.port_a,
                _ => translation.port_b,
            };
            let at = at.index(index).key(key);
            let line = scope.source.line_at(&at);
            if let Some(first) = seen.insert(vlan, line) {
                scope.problem(
                    &at,
                    format!(
                        "`{key}` {vlan} is translated in line {first} already; a VLAN has one identifier on the other side, \
                         take one out"
                    ),
                );
                fine = false;
            }
        }
    }
    fine.then(|| {
        raw.iter()
            .map(|translation| VlanTranslation {
                port_a: translation.port_a,
                port_b: translation.port_b,
            })
            .collect()
    })
}
