//! The table from a port's hash to its queues.

use sluice_packet::CoreSpread;

use super::{Device, RunningPort};
use crate::error::{DpdkError, Operation, check};

/// Entries that DPDK takes at once, and one bit of a mask for each.
const GROUP_ENTRIES: usize = 64;

type Group = dpdk_sys::rte_eth_rss_reta_entry64;

impl RunningPort {
    /// The queue of each of the port's hashes, as its driver says. Hashes of more bits than the table has places use the lower.
    ///
    /// # Errors
    /// The driver has no table, or does not show it.
    pub fn rss_table(&self) -> Result<Vec<u16>, DpdkError> {
        self.device.rss_table()
    }
}

impl Device {
    /// Gives each hash the queue of its core.
    pub(super) fn spread(&self, spread: CoreSpread, queues: u16) -> Result<(), DpdkError> {
        let entries = self.table_entries()?;
        let mut groups = groups(entries);
        let queue = |entry: usize| {
            let hash = u32::try_from(entry).unwrap_or_default();
            spread.core_of(hash).min(queues.saturating_sub(1))
        };
        let places = groups.iter_mut().flat_map(|group| &mut group.reta);
        for (place, entry) in places.zip(0..usize::from(entries)) {
            *place = queue(entry);
        }
        // SAFETY: the port exists and runs; there is a group for every 64 of its entries, each with a mask of those in use.
        let code =
            unsafe { dpdk_sys::rte_eth_dev_rss_reta_update(self.id, groups.as_mut_ptr(), entries) };
        check(Operation::SpreadFlows, &self.name, code)
    }

    fn rss_table(&self) -> Result<Vec<u16>, DpdkError> {
        let entries = self.table_entries()?;
        let mut groups = groups(entries);
        // SAFETY: as above; the driver writes the entries that the masks ask for.
        let code =
            unsafe { dpdk_sys::rte_eth_dev_rss_reta_query(self.id, groups.as_mut_ptr(), entries) };
        check(Operation::SpreadFlows, &self.name, code)?;
        let table = groups.iter().flat_map(|group| group.reta);
        Ok(table.take(entries.into()).collect())
    }

    fn table_entries(&self) -> Result<u16, DpdkError> {
        let entries = self.raw_info()?.reta_size;
        if entries == 0 {
            let unsupported = -crate::Errno::NOTSUP.0;
            check(Operation::SpreadFlows, &self.name, unsupported)?;
        }
        Ok(entries)
    }
}

/// Room for so many entries, all of them asked for.
fn groups(entries: u16) -> Vec<Group> {
    let entries = usize::from(entries);
    (0..entries.div_ceil(GROUP_ENTRIES))
        .map(|group| {
            let here = (entries - group * GROUP_ENTRIES).min(GROUP_ENTRIES);
            Group {
                mask: u64::MAX >> (GROUP_ENTRIES - here),
                ..Group::default()
            }
        })
        .collect()
}
