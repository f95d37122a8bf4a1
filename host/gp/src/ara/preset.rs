//! APDU filters from a table of commands, in place of filter bytes written by hand.

use super::access::{Filter, Filters};

/// One command a device application may send; a parameter that is `None` is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandShape {
    /// Class on the basic channel.
    pub cla: u8,
    /// Instruction.
    pub ins: u8,
    /// First parameter.
    pub p1: Option<u8>,
    /// Second parameter.
    pub p2: Option<u8>,
}

impl CommandShape {
    /// A command with both parameters fixed.
    pub const fn exact(cla: u8, ins: u8, p1: u8, p2: u8) -> Self {
        Self { cla, ins, p1: Some(p1), p2: Some(p2) }
    }

    /// A command with a free second parameter.
    pub const fn any_p2(cla: u8, ins: u8, p1: u8) -> Self {
        Self { cla, ins, p1: Some(p1), p2: None }
    }

    /// A command with both parameters free.
    pub const fn any(cla: u8, ins: u8) -> Self {
        Self { cla, ins, p1: None, p2: None }
    }

    /// The filter for it. The two channel bits of the class are left open: enforcers differ in whether they compare the
    /// class before or after they put the channel number in.
    fn filter(self) -> Filter {
        const CLASS_WITHOUT_CHANNEL: u8 = 0xFC;
        let parameter = |p: Option<u8>| p.map_or((0, 0), |value| (value, 0xFF));
        let (p1, p1_mask) = parameter(self.p1);
        let (p2, p2_mask) = parameter(self.p2);
        Filter {
            header: [self.cla & CLASS_WITHOUT_CHANNEL, self.ins, p1, p2],
            mask: [CLASS_WITHOUT_CHANNEL, 0xFF, p1_mask, p2_mask],
        }
    }
}

/// As few filters as are found that let exactly the commands of the table pass; `None` for an empty table.
pub fn filters(table: &[CommandShape]) -> Option<Filters> {
    let mut found: Vec<Filter> = table.iter().map(|shape| shape.filter()).collect();
    while let Some((first, second, both)) = joinable(&found) {
        found.remove(second);
        found[first] = both;
    }
    Filters::new(found)
}

/// Two filters whose union is one filter, exactly: one covers the other, or they differ in a single bit under one mask.
fn joinable(filters: &[Filter]) -> Option<(usize, usize, Filter)> {
    for (first, a) in filters.iter().enumerate() {
        for (second, b) in filters.iter().enumerate().skip(first + 1) {
            if a.covers(b) {
                return Some((first, second, *a));
            }
            if b.covers(a) {
                return Some((first, second, *b));
            }
            let difference = u32::from_be_bytes(a.header) ^ u32::from_be_bytes(b.header);
            if a.mask == b.mask && difference.is_power_of_two() {
                let open = |bytes: [u8; 4]| (u32::from_be_bytes(bytes) & !difference).to_be_bytes();
                return Some((first, second, Filter { header: open(a.header), mask: open(a.mask) }));
            }
        }
    }
    None
}
