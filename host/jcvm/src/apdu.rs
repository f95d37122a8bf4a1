//! The command under way: its parts, and how far the applet has got with receiving and sending.

use crate::profile::Protocol;

/// Offset of the data in the buffer, short and extended (ISO7816.OFFSET_CDATA, OFFSET_EXT_CDATA).
const OFFSET_CDATA: u16 = 5;
const OFFSET_EXT_CDATA: u16 = 7;
/// Largest value a short holds; what setOutgoing gives for more (APDU.setOutgoing).
const MAX_LENGTH: u32 = 32767;

/// `APDU.STATE_…`
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Stage {
    #[default]
    Initial = 0,
    PartialIncoming = 1,
    FullIncoming = 2,
    Outgoing = 3,
    OutgoingLengthKnown = 4,
    PartialOutgoing = 5,
    FullOutgoing = 6,
}

/// What stands in the buffer before the data: class to P2, then the length fields.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CommandHeader {
    bytes: [u8; OFFSET_EXT_CDATA as usize],
    len: u8,
}

impl CommandHeader {
    fn push(&mut self, bytes: &[u8]) {
        let end = usize::from(self.len) + bytes.len();
        if let Some(to) = self.bytes.get_mut(self.len.into()..end) {
            to.copy_from_slice(bytes);
            self.len += u8::try_from(bytes.len()).unwrap_or(0);
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }
}

/// One command and its answer so far.
#[allow(clippy::struct_excessive_bools)] // four independent facts about a command
#[derive(Debug, Clone, Default)]
pub(crate) struct ApduState {
    /// Whether an applet's process method is running.
    pub(crate) active: bool,
    pub(crate) stage: Stage,
    pub(crate) header: CommandHeader,
    data: Vec<u8>,
    delivered: usize,
    /// Ne; 0 when there is no Le field.
    ne: u32,
    pub(crate) extended: bool,
    pub(crate) contactless: bool,
    pub(crate) protocol: Protocol,
    pub(crate) no_chaining: bool,
    /// What setOutgoingLength announced.
    announced: u16,
    pub(crate) answer: Vec<u8>,
}

/// The bytes are no command (ISO/IEC 7816-3, 12.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a command APDU")]
pub struct MalformedCommand;

impl ApduState {
    /// Takes a command apart.
    pub(crate) fn parse(
        command: &[u8],
        protocol: Protocol,
        contactless: bool,
    ) -> Result<Self, MalformedCommand> {
        let (header, rest) = command.split_at_checked(4).ok_or(MalformedCommand)?;
        let protocol = if contactless { Protocol::T1 } else { protocol };
        let mut apdu = Self { active: true, contactless, protocol, ..Self::default() };
        apdu.header.push(header);
        match rest {
            [] => apdu.header.push(&[0]),
            [le] => {
                apdu.ne = if *le == 0 { 256 } else { u32::from(*le) };
                apdu.header.push(&[*le]);
            }
            [0, high, low] => {
                apdu.extended = true;
                apdu.ne = extended_le(*high, *low);
                apdu.header.push(rest);
            }
            [0, high, low, rest @ ..] => {
                apdu.extended = true;
                let lc = usize::from(u16::from_be_bytes([*high, *low]));
                let (data, le) = rest.split_at_checked(lc).ok_or(MalformedCommand)?;
                apdu.ne = match le {
                    [] => 0,
                    [high, low] => extended_le(*high, *low),
                    _ => return Err(MalformedCommand),
                };
                if lc == 0 {
                    return Err(MalformedCommand);
                }
                apdu.header.push(&[0, *high, *low]);
                apdu.data = data.to_vec();
            }
            [lc, rest @ ..] => {
                let (data, le) = rest.split_at_checked((*lc).into()).ok_or(MalformedCommand)?;
                apdu.ne = match le {
                    [] => 0,
                    [le] => {
                        if *le == 0 {
                            256
                        } else {
                            u32::from(*le)
                        }
                    }
                    _ => return Err(MalformedCommand),
                };
                if *lc == 0 {
                    return Err(MalformedCommand);
                }
                apdu.header.push(&[*lc]);
                apdu.data = data.to_vec();
            }
        }
        // T=0 has one length byte: a command with data does not say Le, one without any says 256.
        if protocol == Protocol::T0 && (!apdu.data.is_empty() || apdu.ne == 0) {
            apdu.ne = 256;
        }
        Ok(apdu)
    }

    /// Lc.
    pub(crate) fn incoming_length(&self) -> u16 {
        u16::try_from(self.data.len()).unwrap_or(u16::MAX)
    }

    /// Where data begins in the buffer.
    pub(crate) fn data_offset(&self) -> u16 {
        if self.extended {
            OFFSET_EXT_CDATA
        } else {
            OFFSET_CDATA
        }
    }

    /// Le as setOutgoing gives it.
    pub(crate) fn expected_length(&self) -> i16 {
        i16::try_from(self.ne.min(MAX_LENGTH)).unwrap_or(i16::MAX)
    }

    /// The next at most `room` bytes of data.
    pub(crate) fn receive(&mut self, room: usize, block: Option<u16>) -> Vec<u8> {
        let left = &self.data[self.delivered..];
        let take = left.len().min(room).min(block.map_or(usize::MAX, usize::from));
        let chunk = left[..take].to_vec();
        self.delivered += take;
        self.stage =
            if self.delivered < self.data.len() { Stage::PartialIncoming } else { Stage::FullIncoming };
        chunk
    }

    pub(crate) fn announce(&mut self, len: u16) {
        self.announced = len;
        self.stage = Stage::OutgoingLengthKnown;
    }

    /// How many of the announced bytes are still to be sent.
    pub(crate) fn left_to_send(&self) -> usize {
        usize::from(self.announced).saturating_sub(self.answer.len())
    }

    /// Appends so many bytes to the answer; `read` puts them there.
    pub(crate) fn send(&mut self, len: usize, read: impl FnOnce(&mut [u8])) {
        if self.answer.is_empty() {
            // All of it, and the status word.
            self.answer.reserve_exact(usize::from(self.announced) + 2);
        }
        let start = self.answer.len();
        self.answer.resize(start + len, 0);
        read(&mut self.answer[start..]);
        self.stage = if self.left_to_send() == 0 { Stage::FullOutgoing } else { Stage::PartialOutgoing };
    }
}

fn extended_le(high: u8, low: u8) -> u32 {
    match u16::from_be_bytes([high, low]) {
        0 => 65536,
        le => le.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_case_is_taken_apart() {
        // command, extended, Lc, Ne at T=1, Ne at T=0
        let rows: &[(&str, bool, u16, i16, i16)] = &[
            ("00A40000", false, 0, 0, 256),
            ("00A4000000", false, 0, 256, 256),
            ("00A4000005", false, 0, 5, 5),
            ("00A4000002AABB", false, 2, 0, 256),
            ("00A4000002AABB00", false, 2, 256, 256),
            ("00A4000002AABB07", false, 2, 7, 256),
            ("00A40000000000", true, 0, 32767, 32767),
            ("00A40000000123", true, 0, 0x123, 0x123),
            ("00A40000000002AABB", true, 2, 0, 256),
            ("00A40000000002AABB0100", true, 2, 256, 256),
        ];
        for (command, extended, lc, t1, t0) in rows {
            let bytes = hex::decode(command).unwrap();
            let apdu = ApduState::parse(&bytes, Protocol::T1, false).unwrap();
            let seen = (apdu.extended, apdu.incoming_length(), apdu.expected_length());
            assert_eq!(seen, (*extended, *lc, *t1), "{command}");
            let apdu = ApduState::parse(&bytes, Protocol::T0, false).unwrap();
            assert_eq!(apdu.expected_length(), *t0, "{command} at T=0");
            assert_eq!(ApduState::parse(&bytes, Protocol::T0, true).unwrap().expected_length(), *t1);
        }
        for bad in
            ["", "00A400", "00A4000003AABB", "00A4000001AABBCC", "00A40000000003AABB", "00A4000000000000"]
        {
            assert!(ApduState::parse(&hex::decode(bad).unwrap(), Protocol::T1, false).is_err(), "{bad}");
        }
    }
}
