//! What a link does to frames, as a person writes it: `loss=1%,reorder=25%,reorder-by=2ms,delay=20ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::limits::{DELAY_MAX, REORDER_BY_DEFAULT};

/// Parts per million that make the whole.
pub(crate) const WHOLE: u32 = 1_000_000;
/// Parts per million in one per cent.
const PERCENT: f64 = 10_000.0;

/// What a link does to the frames of each direction. Shares are in parts per million of all frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Impairments {
    /// Frames that do not arrive.
    pub loss: u32,
    /// Frames that are held back, and so overtaken.
    pub reorder: u32,
    /// For how long they are held back at most.
    pub reorder_by: Duration,
    /// Frames that arrive twice.
    pub duplicate: u32,
    /// Frames that arrive with one bit turned, behind the Ethernet header.
    pub corrupt: u32,
    /// IPv4 packets on their way out that are longer, in bytes, are cut into fragments of at most this; 0 cuts none.
    pub fragment_bytes_max: u16,
    /// Whether those fragments overlap.
    pub overlap: bool,
    /// How long every frame takes: half of what it adds to the round trip.
    pub delay: Duration,
}

/// A link's description that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A word that is no impairment.
    #[error(
        "`{0}` is no impairment: write none, or some of loss=1%, reorder=25%, reorder-by=2ms, duplicate=5%, corrupt=1%, delay=20ms, fragment=600B, overlap, with commas between"
    )]
    Unknown(String),
    /// A share out of range.
    #[error("`{0}` is no share: write it in per cent, from 0% to 100%")]
    Share(String),
    /// A length out of range.
    #[error("`{0}` is no length: write it in bytes, from 28B to 9000B")]
    Length(String),
    /// A time out of range.
    #[error("`{0}` is no time: write it in milliseconds, from 0ms to {max}ms", max = DELAY_MAX.as_millis())]
    Time(String),
}

impl Impairments {
    /// A link that does nothing to its frames.
    pub const NONE: Self = Self {
        loss: 0,
        reorder: 0,
        reorder_by: REORDER_BY_DEFAULT,
        duplicate: 0,
        corrupt: 0,
        fragment_bytes_max: 0,
        overlap: false,
        delay: Duration::ZERO,
    };
}

impl FromStr for Impairments {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut all = Self::NONE;
        if text == "none" {
            return Ok(all);
        }
        for word in text.split(',') {
            if word == "overlap" {
                all.overlap = true;
                continue;
            }
            let (name, value) = word
                .split_once('=')
                .ok_or_else(|| SpecError::Unknown(word.to_owned()))?;
            match name {
                "loss" => all.loss = share(value)?,
                "reorder" => all.reorder = share(value)?,
                "reorder-by" => all.reorder_by = time(value)?,
                "duplicate" => all.duplicate = share(value)?,
                "corrupt" => all.corrupt = share(value)?,
                "fragment" => all.fragment_bytes_max = length(value)?,
                "delay" => all.delay = time(value)?,
                _ => return Err(SpecError::Unknown(word.to_owned())),
            }
        }
        Ok(all)
    }
}

impl fmt::Display for Impairments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (name, share) in [
            ("loss", self.loss),
            ("reorder", self.reorder),
            ("duplicate", self.duplicate),
            ("corrupt", self.corrupt),
        ] {
            if share > 0 {
                write!(f, "{between}{name}={}%", f64::from(share) / PERCENT)?;
                between = ",";
            }
        }
        for (name, time, usual) in [
            ("reorder-by", self.reorder_by, REORDER_BY_DEFAULT),
            ("delay", self.delay, Duration::ZERO),
        ] {
            if time != usual {
                write!(f, "{between}{name}={}ms", time.as_secs_f64() * 1000.0)?;
                between = ",";
            }
        }
        if self.fragment_bytes_max > 0 {
            write!(f, "{between}fragment={}B", self.fragment_bytes_max)?;
            between = ",";
        }
        if self.overlap {
            write!(f, "{between}overlap")?;
            between = ",";
        }
        if between.is_empty() {
            f.write_str("none")?;
        }
        Ok(())
    }
}

fn share(value: &str) -> Result<u32, SpecError> {
    let number = value.strip_suffix('%').and_then(|value| value.parse().ok());
    match number {
        Some(percent) if (0.0..=100.0).contains(&percent) => Ok(rounded(percent * PERCENT)),
        _ => Err(SpecError::Share(value.to_owned())),
    }
}

fn length(value: &str) -> Result<u16, SpecError> {
    value
        .strip_suffix('B')
        .and_then(|value| value.parse().ok())
        .filter(|bytes| (28..=9000).contains(bytes))
        .ok_or_else(|| SpecError::Length(value.to_owned()))
}

fn time(value: &str) -> Result<Duration, SpecError> {
    let number = value
        .strip_suffix("ms")
        .and_then(|value| value.parse::<f64>().ok());
    match number {
        Some(ms) if (0.0..=DELAY_MAX.as_secs_f64() * 1000.0).contains(&ms) => {
            Ok(Duration::from_secs_f64(ms / 1000.0))
        }
        _ => Err(SpecError::Time(value.to_owned())),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most a million, and never negative"
)]
fn rounded(parts: f64) -> u32 {
    parts.round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_reads_back_as_it_was_written() {
        for text in [
            "none",
            "loss=0.1%",
            "fragment=600B,overlap",
            "loss=3%,reorder=25%,duplicate=5%,corrupt=1%,reorder-by=0.5ms,delay=20ms",
        ] {
            let all: Impairments = text.parse().unwrap();
            assert_eq!(all.to_string(), text);
        }
        let all: Impairments = "loss=0.1%,delay=20ms".parse().unwrap();
        assert_eq!((all.loss, all.delay), (1000, Duration::from_millis(20)));
    }

    #[test]
    fn what_cannot_be_read_is_told_with_the_word() {
        let told = |text: &str| text.parse::<Impairments>().unwrap_err().to_string();
        assert!(told("jam=1%").starts_with("`jam=1%` is no impairment"));
        assert!(told("").starts_with("`` is no impairment"));
        for text in ["loss=1", "loss=101%", "loss=-1%", "loss=%", "loss=NaN%"] {
            assert!(told(text).contains("no share"), "{text}");
        }
        for text in ["fragment=600", "fragment=27B", "fragment=9001B"] {
            assert!(told(text).contains("no length"), "{text}");
        }
        for text in ["delay=5", "delay=-1ms", "delay=1e9ms", "reorder-by=xms"] {
            assert!(told(text).contains("no time"), "{text}");
        }
    }
}
