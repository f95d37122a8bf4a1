//! SELECT by name and MANAGE CHANNEL (sections 11.9 and 11.7).
//!
//! ```text
//! 00 A4 04 00|02|0C|0E  Lc  AID or its beginning   Le 00 -> FCI        first or next occurrence; 0C: no FCI wanted
//!          04|06|08|0A                                               the same, of an applet: its own answer
//! 00 A4 04 00                                      Le 00 -> FCI of the issuer security domain
//! 00 70 00 00                                      Le 01 -> channel number
//! 00 70 80 nn                                            -> closed
//! ```

use jpkise_card::{CommandApdu, ResponseApdu};
use jpkise_wire::tlv::{constructed, object};
use jpkise_wire::{Aid, StatusWord};

use super::core::{ChannelState, Selected, SelectedKind};
use super::parameters::implicit_selection;
use super::{success, Answer, Core, Fault, GpSe};
use crate::faults;
use crate::registry::{life_cycle, Application, Kind, Privilege};
use crate::runtime::{Channel, Interface};

/// File control information template, and what stands in it (section 11.9.3).
const TAG_FCI: u32 = 0x6F;
const TAG_DF_NAME: u32 = 0x84;
const TAG_FCI_PROPRIETARY: u32 = 0xA5;
const TAG_MAX_COMMAND_DATA: u32 = 0x9F65;

/// Bits of P2 with the occurrence, and with the answer wanted (ISO/IEC 7816-4 table 40).
const P2_OCCURRENCE: u8 = 0x03;
const P2_NEXT: u8 = 0x02;
const P2_ANSWER: u8 = 0x0C;
const P2_NO_FCI: u8 = 0x0C;

/// What a SELECT by name finds.
enum Found {
    Application(Selected),
    /// The AID is none of the card's.
    Unknown,
}

impl Core {
    fn look_up(&self, channel: Channel, name: &[u8], next: bool) -> Found {
        let applications = &self.registry.applications;
        if name.is_empty() {
            return found(self.registry.issuer());
        }
        // A locked card selects only the holder of Final Application (section 5.1.1.4).
        let locked = self.registry.card_state() == life_cycle::CARD_LOCKED;
        let selectable = |a: &&crate::registry::Application| {
            if locked {
                a.privileges.has(Privilege::FINAL_APPLICATION)
            } else {
                let ignored = self.has_fault(faults::Fault::LockIgnored) && a.life_cycle & 0x07 == 0x07;
                a.origin.is_none() || a.is_selectable() || ignored
            }
        };
        let current = self.channel(channel).selected.map(|selected| selected.aid);
        let after = match current.filter(|current| next && current.starts_with(name)) {
            Some(current) => applications.iter().position(|a| a.aid == current).map_or(0, |at| at + 1),
            None => 0,
        };
        let matching = || applications[after..].iter().filter(|a| a.aid.starts_with(name)).filter(selectable);
        let exact = matching().find(|a| !next && a.aid.as_bytes() == name);
        if exact.is_none() && !next && self.has_fault(faults::Fault::PartialAidRefused) {
            return Found::Unknown;
        }
        exact.or_else(|| matching().next()).map_or(Found::Unknown, found)
    }

    /// What is selected on a channel without a SELECT: for whom that channel is meant on this interface, else the holder
    /// of Card Reset, else the issuer security domain (section 6.4).
    fn default_application(&self, channel: Channel) -> Selected {
        let interface = match self.interface {
            Interface::Contact => implicit_selection::CONTACT,
            Interface::Contactless => implicit_selection::CONTACTLESS,
        };
        let is_meant =
            |byte: &u8| byte & interface != 0 && byte & implicit_selection::CHANNEL == channel.number();
        let meant = self.registry.applications.iter().skip(1).find(|a| a.implicit.iter().any(is_meant));
        let is_there =
            |a: &&Application| a.is_selectable() && self.registry.card_state() != life_cycle::CARD_LOCKED;
        if let Some(Found::Application(selected)) = meant.filter(is_there).map(found) {
            return selected;
        }
        let holder = self.registry.applications.iter().skip(1).find(|a| {
            a.privileges.has(Privilege::CARD_RESET)
                && a.is_selectable()
                && self.registry.card_state() != life_cycle::CARD_LOCKED
        });
        match found(holder.unwrap_or_else(|| self.registry.issuer())) {
            Found::Application(selected) => selected,
            Found::Unknown => Selected { aid: self.registry.issuer().aid, kind: SelectedKind::Domain },
        }
    }
}

fn found(application: &crate::registry::Application) -> Found {
    let kind = match application.kind {
        Kind::Domain(_) => SelectedKind::Domain,
        Kind::Applet => SelectedKind::Applet,
    };
    Found::Application(Selected { aid: application.aid, kind })
}

fn file_control_information(aid: &Aid) -> Vec<u8> {
    let proprietary = constructed(TAG_FCI_PROPRIETARY, &[&object(TAG_MAX_COMMAND_DATA, &[0xFF])]);
    constructed(TAG_FCI, &[&object(TAG_DF_NAME, aid.as_bytes()), &proprietary])
}

impl GpSe {
    pub(super) fn select_by_name(&mut self, channel: Channel, command: &CommandApdu, bytes: &[u8]) -> Answer {
        let occurrence = command.p2 & P2_OCCURRENCE;
        let answer_wanted = command.p2 & P2_ANSWER;
        let known_p2 = command.p2 & !(P2_OCCURRENCE | P2_ANSWER) == 0 && matches!(occurrence, 0 | P2_NEXT);
        if !known_p2 {
            return Err(StatusWord::INCORRECT_P1_P2.into());
        }
        let selected = match self.core.look_up(channel, command.data(), occurrence == P2_NEXT) {
            Found::Application(selected) => selected,
            Found::Unknown if self.core.has_fault(faults::Fault::UnknownAidSelected) => return success([]),
            Found::Unknown => {
                // An applet may have files of that name of its own (Java Card RE section 4.5.2).
                let current = self.core.channel(channel).selected.map(|selected| selected.kind);
                return if current == Some(SelectedKind::Applet) && occurrence == 0 {
                    self.applet_command(channel, bytes)
                } else {
                    Err(StatusWord::NOT_FOUND.into())
                };
            }
        };
        // FCP and FMD templates (04, 08) are an applet's to give: Android's compatibility suite asks its applet for them.
        if selected.kind == SelectedKind::Domain && !matches!(answer_wanted, 0 | P2_NO_FCI) {
            return Err(StatusWord::INCORRECT_P1_P2.into());
        }
        self.deselect(channel)?;
        self.make_current(channel, selected)?;
        if selected.kind == SelectedKind::Applet {
            return self.process(channel, bytes, true);
        }
        let data = match answer_wanted {
            P2_NO_FCI => Vec::new(),
            _ if self.core.has_fault(faults::Fault::SelectWithoutFci) => Vec::new(),
            _ => file_control_information(&selected.aid),
        };
        let locked = self.core.registry.card_state() == life_cycle::CARD_LOCKED;
        let sw = if locked { StatusWord::CARD_LOCKED } else { StatusWord::SUCCESS };
        Ok(ResponseApdu::new(data, sw))
    }

    /// Ends the application session on the channel.
    pub(super) fn deselect(&mut self, channel: Channel) -> Result<(), Fault> {
        let state = self.core.channel_mut(channel);
        let selected = state.selected;
        if selected.is_some_and(|selected| selected.kind == SelectedKind::Applet) {
            // The session ends after deselect(): the applet may still call resetSecurity() there.
            self.runtime.deselect(channel, &mut self.core)?;
        }
        let keeps_session = self.core.has_fault(faults::Fault::SessionSurvivesSelect);
        let state = self.core.channel_mut(channel);
        state.selected = None;
        if !keeps_session {
            state.end_session();
        }
        Ok(())
    }

    fn make_current(&mut self, channel: Channel, selected: Selected) -> Result<(), Fault> {
        self.core.channel_mut(channel).selected = Some(selected);
        if selected.kind == SelectedKind::Domain {
            return Ok(());
        }
        let interface = self.core.interface;
        let result = self.runtime.select(channel, selected.aid, interface, &mut self.core);
        if !matches!(result, Ok(true)) {
            self.core.channel_mut(channel).selected = None;
            self.core.channel_mut(channel).end_session();
        }
        if result? {
            Ok(())
        } else {
            Err(StatusWord::APPLET_SELECT_FAILED.into())
        }
    }

    /// Selects what is selected on a channel that has just been opened, without a SELECT command.
    pub(super) fn select_by_default(&mut self, channel: Channel) -> Result<(), Fault> {
        let selected = self.core.default_application(channel);
        self.make_current(channel, selected)
    }

    pub(super) fn manage_channel(&mut self, channel: Channel, command: &CommandApdu) -> Answer {
        match (command.p1, command.p2) {
            (0x00, 0x00) => self.open_channel(channel),
            (0x80, number) => self.close_channel(number),
            _ => Err(StatusWord::INCORRECT_P1_P2.into()),
        }
    }

    fn open_channel(&mut self, origin: Channel) -> Answer {
        if self.core.registry.card_state() == life_cycle::CARD_LOCKED {
            return Err(StatusWord::FUNCTION_NOT_SUPPORTED.into());
        }
        if self.core.free_channel().is_none() && self.core.has_fault(faults::Fault::ChannelBeyondLimit) {
            return success([self.core.profile.channels.saturating_sub(1)]);
        }
        let new = self.core.free_channel().ok_or(StatusWord::FUNCTION_NOT_SUPPORTED)?;
        self.core.channel_mut(new).is_open = true;
        // From the basic channel the default application; from another one what is selected there (JCRE section 4.3).
        let inherited = self.core.channel(origin).selected.filter(|_| origin != Channel::BASIC);
        let result = match inherited {
            Some(selected) => self.make_current(new, selected),
            None => self.select_by_default(new),
        };
        match result {
            Ok(()) => success([new.number()]),
            Err(fault) => {
                *self.core.channel_mut(new) = ChannelState::default();
                Err(fault)
            }
        }
    }

    fn close_channel(&mut self, number: u8) -> Answer {
        let channel = Channel::new(number).filter(|channel| *channel != Channel::BASIC);
        let channel = channel.ok_or(StatusWord::CHANNEL_NOT_SUPPORTED)?;
        if !self.core.channel(channel).is_open {
            return Ok(StatusWord::CHANNEL_ALREADY_CLOSED.into());
        }
        if self.core.has_fault(faults::Fault::ChannelCloseIgnored) {
            return Ok(StatusWord::SUCCESS.into());
        }
        self.deselect(channel)?;
        *self.core.channel_mut(channel) = ChannelState::default();
        Ok(StatusWord::SUCCESS.into())
    }
}
