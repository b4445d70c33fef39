//! VLANs that have another identifier on the other side of a segment.
//!
//! Between the ports a frame wears port A's identifiers: port B's are rewritten as a frame comes in there, and back as one
//! leaves there. So the two directions of a flow have one VLAN.

use sluice_packet::{SegmentId, Side};
use sluice_schema::Appliance;

/// 802.1Q, 802.1ad, and the type that stacked tags had before it.
const TAG_TYPES: [[u8; 2]; 3] = [[0x81, 0x00], [0x88, 0xa8], [0x91, 0x00]];
const TAG_TYPE_AT: usize = 12;
const TAG_CONTROL_AT: usize = 14;
const VID_MASK: u16 = 0x0fff;

/// The translations of every segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Translations {
    /// By position of the segment; empty when no segment translates.
    segments: Vec<Pairs>,
}

/// Identifiers of one segment, sorted by the first of each pair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Pairs {
    a_to_b: Vec<(u16, u16)>,
    b_to_a: Vec<(u16, u16)>,
}

impl Translations {
    /// As the configuration says.
    pub(crate) fn of(appliance: &Appliance) -> Self {
        let segments: Vec<Pairs> = appliance
            .segments
            .iter()
            .map(|segment| {
                let pairs = segment.vlan_translations.iter();
                let mut a_to_b: Vec<_> = pairs.map(|pair| (pair.port_a, pair.port_b)).collect();
                let mut b_to_a: Vec<_> = a_to_b.iter().map(|(a, b)| (*b, *a)).collect();
                a_to_b.sort_unstable();
                b_to_a.sort_unstable();
                Pairs { a_to_b, b_to_a }
            })
            .collect();
        if segments.iter().all(|pairs| pairs.a_to_b.is_empty()) {
            return Self::default();
        }
        Self { segments }
    }

    /// True when every frame keeps its VLAN.
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// A frame that came in at `side`.
    pub(crate) fn received(&self, segment: SegmentId, side: Side, frame: &mut [u8]) {
        if side == Side::B
            && let Some(pairs) = self.segments.get(usize::from(segment.0))
        {
            rewrite(&pairs.b_to_a, frame);
        }
    }

    /// A frame that is about to leave at `side`.
    pub(crate) fn sent(&self, segment: SegmentId, side: Side, frame: &mut [u8]) {
        if side == Side::B
            && let Some(pairs) = self.segments.get(usize::from(segment.0))
        {
            rewrite(&pairs.a_to_b, frame);
        }
    }
}

/// Gives the outermost tag the identifier's partner. Priority and drop eligibility stay; so does a frame without a tag or of
/// a VLAN without a partner.
fn rewrite(pairs: &[(u16, u16)], frame: &mut [u8]) {
    let Some((head, rest)) = frame.split_at_mut_checked(TAG_CONTROL_AT) else {
        return;
    };
    let tagged = head
        .get(TAG_TYPE_AT..)
        .is_some_and(|found| TAG_TYPES.iter().any(|tag| tag == found));
    let (true, Some(control)) = (tagged, rest.first_chunk_mut::<2>()) else {
        return;
    };
    let value = u16::from_be_bytes(*control);
    let vid = value & VID_MASK;
    if let Ok(at) = pairs.binary_search_by_key(&vid, |(from, _)| *from)
        && let Some((_, to)) = pairs.get(at)
    {
        *control = ((value & !VID_MASK) | to).to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use sluice_schema::{Document, load};

    use super::*;

    fn translations(pairs: &[(u16, u16)]) -> Translations {
        let mut text = "[appliance]\nname = \"a\"\n[dataplane]\ncores = [1]\n[inspection]\nclient = false\n\
                        server = false\n[[segment]]\nname = \"s\"\nport_a = \"tap:a\"\nport_b = \"tap:b\"\n"
            .to_owned();
        for (port_a, port_b) in pairs {
            text +=
                &format!("[[segment.vlan_translation]]\nport_a = {port_a}\nport_b = {port_b}\n");
        }
        text += "[[segment]]\nname = \"t\"\nport_a = \"tap:c\"\nport_b = \"tap:d\"\n";
        let document = Document {
            path: "appliance.toml".to_owned(),
            text,
        };
        Translations::of(&load(&[document]).expect("valid").appliance)
    }

    fn frame(tag_type: u16, control: u16) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend(tag_type.to_be_bytes());
        frame.extend(control.to_be_bytes());
        frame.extend([0x08, 0x00, 0x45, 0xab]);
        frame
    }

    /// From one port to the other of a segment.
    fn through(translations: &Translations, segment: u16, from: Side, frame: &[u8]) -> Vec<u8> {
        let mut frame = frame.to_vec();
        translations.received(SegmentId(segment), from, &mut frame);
        translations.sent(SegmentId(segment), from.other(), &mut frame);
        frame
    }

    #[test]
    fn f9_a_vlan_has_its_partners_identifier_on_the_other_side_whatever_the_tag_type() {
        let swapped = translations(&[(100, 200), (200, 100), (7, 4_094)]);
        for tag_type in [0x8100, 0x88a8, 0x9100] {
            for (at_a, at_b) in [(100, 200), (200, 100), (7, 4_094), (300, 300), (0, 0)] {
                // Priority 5, eligible to be dropped.
                let [a, b] = [at_a, at_b].map(|vid| frame(tag_type, 0xb000 | vid));
                assert_eq!(through(&swapped, 0, Side::A, &a), b, "{tag_type:x} {at_a}");
                assert_eq!(through(&swapped, 0, Side::B, &b), a, "{tag_type:x} {at_b}");
                assert_eq!(through(&swapped, 1, Side::A, &a), a, "another segment");
            }
        }
    }

    #[test]
    fn f9_between_the_ports_both_directions_have_one_vlan() {
        let translations = translations(&[(100, 200)]);
        let mut from_a = frame(0x8100, 100);
        let mut from_b = frame(0x8100, 200);
        translations.received(SegmentId(0), Side::A, &mut from_a);
        translations.received(SegmentId(0), Side::B, &mut from_b);
        assert_eq!(from_a, from_b);
    }

    #[test]
    fn f9_inner_tags_untagged_frames_and_stumps_stay() {
        let translations = translations(&[(100, 200)]);
        let mut stacked = frame(0x88a8, 9);
        stacked.extend([0x81, 0x00, 0, 100]);
        for untouched in [
            stacked,
            frame(0x0800, 100),
            vec![0x81; 15],
            vec![0x81; 13],
            Vec::new(),
        ] {
            for side in [Side::A, Side::B] {
                assert_eq!(through(&translations, 0, side, &untouched), untouched);
            }
        }
    }

    #[test]
    fn without_translations_there_is_nothing_to_look_up() {
        assert!(translations(&[]).is_empty());
        assert!(!translations(&[(1, 2)]).is_empty());
    }
}
