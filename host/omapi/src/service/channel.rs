//! A channel of an app to an applet.

use jpkise_card::{CommandApdu, Transport};
use jpkise_gp::commands::manage_channel::INS_MANAGE_CHANNEL;
use jpkise_gp::commands::select::{self, INS_SELECT, P1_BY_NAME};
use jpkise_gp::LogicalChannel;
use jpkise_wire::StatusWord;

use super::error::{IllegalArgument, OmapiError, Security};
use super::terminal::{is_selected, Opened};
use super::{lock, Shared};
use crate::ace::Grant;

/// Class bits that name the channel, and the bit of the further interindustry form.
const CLASS_CHANNEL: u8 = 0x43;

/// An open channel; closed when dropped.
pub struct Channel<T: Transport> {
    terminal: Shared<T>,
    id: u64,
    number: LogicalChannel,
    grant: Grant,
    aid: Option<Vec<u8>>,
    select_response: Option<Vec<u8>>,
}

impl<T: Transport> Channel<T> {
    pub(super) fn new(terminal: Shared<T>, opened: Opened) -> Self {
        let Opened { id, number, grant, aid, select_response } = opened;
        let select_response = select_response.map(|answer| answer.to_bytes());
        Self { terminal, id, number, grant, aid, select_response }
    }

    /// What the enforcer decided when it was opened.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Its number on the card.
    pub fn number(&self) -> LogicalChannel {
        self.number
    }

    /// Whether it is channel 0.
    pub fn is_basic_channel(&self) -> bool {
        self.number == LogicalChannel::BASIC
    }

    /// Whether the app can still use it.
    pub fn is_open(&self) -> bool {
        lock(&self.terminal).has_channel(self.id)
    }

    /// The answer to SELECT with its status word; `None` when nothing was selected.
    pub fn select_response(&self) -> Option<&[u8]> {
        self.select_response.as_deref()
    }

    /// Sends a command; the whole answer with its status word, 61xx and 6Cxx resolved.
    pub fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, OmapiError> {
        let mut terminal = lock(&self.terminal);
        if !terminal.has_channel(self.id) {
            return Err(OmapiError::Closed);
        }
        let mut parsed = admissible(command)?;
        let header = parsed.header();
        if !self.grant.apdu.allows(header) {
            return Err(Security::Filtered { header }.into());
        }
        parsed.cla = self.number.class(parsed.cla & !CLASS_CHANNEL);
        Ok(terminal.send(&parsed)?.to_bytes())
    }

    /// Selects the next applet whose AID begins with the one the channel was opened with. `false`: there is none, and
    /// the one selected stays.
    pub fn select_next(&mut self) -> Result<bool, OmapiError> {
        let mut terminal = lock(&self.terminal);
        if !terminal.has_channel(self.id) {
            return Err(OmapiError::Closed);
        }
        let mut command = select::select_next(self.aid.as_deref().ok_or(OmapiError::NoAid)?);
        command.cla = self.number.class(command.cla);
        let answer = terminal.send(&command)?;
        match answer.sw {
            sw if is_selected(sw) => {
                self.select_response = Some(answer.to_bytes());
                Ok(true)
            }
            StatusWord::NOT_FOUND => Ok(false),
            sw => Err(OmapiError::SelectNext(sw)),
        }
    }

    /// Closes it on the card; nothing happens when it is closed already.
    pub fn close(&mut self) {
        lock(&self.terminal).close_channel(self.id);
    }
}

impl<T: Transport> Drop for Channel<T> {
    fn drop(&mut self) {
        self.close();
    }
}

/// The command as parsed, or why the service refuses it for every app, whatever the rules say.
pub fn admissible(command: &[u8]) -> Result<CommandApdu, OmapiError> {
    let length = IllegalArgument::CommandLength(command.len());
    let &[cla, ins, p1, ..] = command else { return Err(length.into()) };
    if cla == 0xFF {
        return Err(IllegalArgument::ClassFf.into());
    }
    if matches!(ins & 0xF0, 0x60 | 0x90) {
        return Err(IllegalArgument::Instruction(ins).into());
    }
    // Interindustry classes, the further ones (01xx xxxx) included; 001x xxxx is reserved.
    let interindustry = cla & 0x80 == 0 && cla & 0x60 != 0x20;
    if interindustry && ins == INS_MANAGE_CHANNEL {
        return Err(Security::ManageChannel.into());
    }
    if interindustry && ins == INS_SELECT && p1 == P1_BY_NAME {
        return Err(Security::SelectByName.into());
    }
    CommandApdu::parse(command).map_err(|_| length.into())
}
