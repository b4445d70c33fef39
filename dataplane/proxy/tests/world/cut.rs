//! What routers do to untagged frames: fragments, extension headers, options.

use super::end::internet_checksum;

/// Where the IP header of an untagged frame stands.
pub const IP: usize = 14;

fn is_v6(frame: &[u8]) -> bool {
    frame[IP] >> 4 == 6
}

/// Puts length and checksum of the first IP header right.
pub fn mend(frame: &mut [u8]) {
    let length = u16::try_from(frame.len() - IP).unwrap();
    if is_v6(frame) {
        frame[IP + 4..IP + 6].copy_from_slice(&(length - 40).to_be_bytes());
        return;
    }
    frame[IP + 2..IP + 4].copy_from_slice(&length.to_be_bytes());
    let end = IP + usize::from(frame[IP] & 0xf) * 4;
    frame[IP + 10..IP + 12].fill(0);
    let sum = internet_checksum(&frame[IP..end], 0);
    frame[IP + 10..IP + 12].copy_from_slice(&sum.to_be_bytes());
}

/// A fragment of the frame's datagram: these bytes of its data.
pub fn fragment(
    frame: &[u8],
    id: u16,
    range: core::ops::Range<usize>,
    more: bool,
    data: &[u8],
) -> Vec<u8> {
    let header = if is_v6(frame) { 40 } else { 20 };
    let mut part = frame[..IP + header].to_vec();
    let offset = u16::try_from(range.start).unwrap();
    if is_v6(frame) {
        part[IP + 6] = 44;
        part.extend([frame[IP + 6], 0]);
        part.extend((offset | u16::from(more)).to_be_bytes());
        part.extend(u32::from(id).to_be_bytes());
    } else {
        part[IP + 4..IP + 6].copy_from_slice(&id.to_be_bytes());
        part[IP + 6..IP + 8]
            .copy_from_slice(&((offset / 8) | (u16::from(more) << 13)).to_be_bytes());
    }
    part.extend(&data[range]);
    mend(&mut part);
    part
}

/// Cuts the frame's datagram every `size` bytes, a multiple of eight; one that is no longer stays whole.
pub fn fragments(frame: &[u8], id: u16, size: usize) -> Vec<Vec<u8>> {
    let header = if is_v6(frame) { 40 } else { 20 };
    let data = &frame[IP + header..];
    if data.len() <= size {
        return vec![frame.to_vec()];
    }
    (0..data.len())
        .step_by(size)
        .map(|at| {
            let end = (at + size).min(data.len());
            fragment(frame, id, at..end, end < data.len(), data)
        })
        .collect()
}

/// With IPv6 extension headers: the first of kind `kind`; the last one says what follows it by a zero, which is filled in.
pub fn with_extensions(frame: &[u8], kind: u8, headers: &[&[u8]]) -> Vec<u8> {
    let mut longer = frame[..IP + 40].to_vec();
    longer[IP + 6] = kind;
    for header in headers {
        longer.extend(*header);
    }
    let last = longer.len() - headers.last().unwrap().len();
    longer[last] = frame[IP + 6];
    longer.extend(&frame[IP + 40..]);
    mend(&mut longer);
    longer
}

/// With IPv4 options, a multiple of four bytes.
pub fn with_options(frame: &[u8], options: &[u8]) -> Vec<u8> {
    let mut longer = frame[..IP + 20].to_vec();
    longer[IP] += u8::try_from(options.len() / 4).unwrap();
    longer.extend(options);
    longer.extend(&frame[IP + 20..]);
    mend(&mut longer);
    longer
}
