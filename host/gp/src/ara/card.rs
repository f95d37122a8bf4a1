//! The ARA-M of a card: its rules read, its rules changed.

use jpkise_card::{Card, CommandApdu, Transport};
use jpkise_wire::tlv::Tag;
use jpkise_wire::StatusWord;

use super::answer::{read_all, read_refresh_tag, AnswerFault, ReadError, RefreshTag};
use super::rule::{Reading, Rule};
use super::store::{StoreCommand, StoreStatus};
use super::ARA_M_AID;
use crate::channel::LogicalChannel;
use crate::commands::{install, manage_channel, select};
use crate::error::{GpError, Refusal, Stage};
use crate::workflow::Exchange;

/// What an ARA-M gives out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its rules, in its order.
    pub rules: Vec<Rule>,
    /// Tags of unknown objects in them, which readers pass over.
    pub ignored: Vec<Tag>,
    /// Its refresh tag.
    pub refresh_tag: RefreshTag,
}

/// Why rules could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AraError {
    /// There is no ARA-M that can be selected.
    #[error("the card has no ARA-M that can be selected ({sw})")]
    NotThere {
        /// Answer to SELECT.
        sw: StatusWord,
    },
    /// It answers what a reader refuses.
    #[error(transparent)]
    Answer(#[from] AnswerFault),
    /// The way to the card, or the channel. Nothing was written.
    #[error(transparent)]
    Gp(#[from] GpError),
    /// A command object was not taken; those before it were.
    #[error("{written} of {of} command objects are written: {source}")]
    Write {
        /// Command objects taken.
        written: usize,
        /// Command objects in all.
        of: usize,
        /// What came of the next one.
        source: GpError,
    },
}

impl AraError {
    /// What the ARA-M's refusal of a command object means.
    pub fn store_status(&self) -> Option<StoreStatus> {
        match self {
            Self::Write { source: GpError::Refused(refusal), .. } if refusal.stage == Stage::StoreData => {
                Some(refusal.sw.into())
            }
            _ => None,
        }
    }
}

/// Selects the ARA-M on the basic channel and reads refresh tag and rules, as a phone does. An open secure channel ends.
pub fn read<T: Transport>(card: &mut Card<T>, reading: Reading) -> Result<Held, AraError> {
    read_on(card, LogicalChannel::BASIC, reading)
}

/// As [`read`], on a logical channel of its own: a secure channel that is open on the basic one goes on.
pub fn read_beside<T: Transport>(card: &mut Card<T>, reading: Reading) -> Result<Held, AraError> {
    let answer = card.send(&manage_channel::open()).map_err(GpError::from)?;
    if !answer.sw.is_success() {
        let refusal = Refusal { stage: Stage::ManageChannel, sw: answer.sw, subject: None, progress: None };
        return Err(GpError::from(refusal).into());
    }
    let number = manage_channel::opened(&answer.data)
        .map_err(|error| GpError::Answer { stage: Stage::ManageChannel, error })?;
    let held = read_on(card, number, reading);
    let closed = card.send(&manage_channel::close(number));
    let held = held?;
    closed.map_err(GpError::from)?;
    Ok(held)
}

fn read_on<T: Transport>(
    card: &mut Card<T>,
    channel: LogicalChannel,
    reading: Reading,
) -> Result<Held, AraError> {
    let mut send = |command: &CommandApdu| {
        let mut command = command.clone();
        command.cla = channel.class(command.cla);
        card.send(&command)
    };
    let answer = send(&select::select(ARA_M_AID.as_bytes())).map_err(GpError::from)?;
    // A warning (62xx, 63xx) selects all the same.
    if !answer.sw.is_success() && !matches!(answer.sw.sw1(), 0x62 | 0x63) {
        return Err(AraError::NotThere { sw: answer.sw });
    }
    let refresh_tag = read_refresh_tag(&mut send).map_err(read_error)?;
    let list = read_all(&mut send, reading).map_err(read_error)?;
    Ok(Held { rules: list.rules, ignored: list.ignored, refresh_tag })
}

fn read_error(error: ReadError<jpkise_card::CardError>) -> AraError {
    match error {
        ReadError::Exchange(error) => GpError::from(error).into(),
        ReadError::Answer(fault) => fault.into(),
    }
}

/// How command objects reach the ARA-M.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Way {
    /// Through the session of the security domain it belongs to: INSTALL [for personalization] before each.
    #[default]
    Domain,
    /// In a session with the ARA-M itself.
    Direct,
}

/// Sends command objects one after the other. `progress` hears how many the ARA-M has taken.
///
/// A domain forgets whom it personalises with the last block of an object (GP Card Specification 2.3.1 section 7.3.3), so
/// that each object is announced.
pub fn write(
    channel: &mut impl Exchange,
    way: Way,
    commands: &[StoreCommand],
    progress: &mut dyn FnMut(usize),
) -> Result<(), AraError> {
    for (written, command) in commands.iter().enumerate() {
        let fault = |source| AraError::Write { written, of: commands.len(), source };
        store(channel, way, command).map_err(fault)?;
        progress(written + 1);
    }
    Ok(())
}

fn store(channel: &mut impl Exchange, way: Way, command: &StoreCommand) -> Result<(), GpError> {
    let blocks = command.commands(channel.max_data())?;
    let refused = |stage, sw| Refusal { stage, sw, subject: Some(ARA_M_AID), progress: None };
    if way == Way::Domain {
        let answer = channel.exchange(&install::personalize(&ARA_M_AID))?;
        if !answer.sw.is_success() {
            return Err(refused(Stage::Personalization, answer.sw).into());
        }
    }
    for block in &blocks {
        let sw = channel.exchange(block)?.sw;
        if !StoreStatus::from(sw).is_done() {
            return Err(refused(Stage::StoreData, sw).into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::script::Script;

    const FOR_PERSONALIZATION: &str = "80e620000f000009a00000015141434c0000000000";

    #[test]
    fn each_object_is_announced_to_the_domain_and_warnings_are_no_refusals() {
        let mut heard = Vec::new();
        let commands = [StoreCommand::UpdateRefreshTag, StoreCommand::UpdateRefreshTag];
        let mut script = Script::new(&[
            (FOR_PERSONALIZATION, "009000"),
            ("80e2900002f200", "9000"),
            (FOR_PERSONALIZATION, "009000"),
            ("80e2900002f200", "6381"),
        ]);
        write(&mut script, Way::Domain, &commands, &mut |written| heard.push(written)).unwrap();
        assert_eq!(heard, [1, 2]);
        let mut script = Script::new(&[("80e2900002f200", "9000"), ("80e2900002f200", "6382")]);
        write(&mut script, Way::Direct, &commands, &mut |_| {}).unwrap();
    }

    #[test]
    fn a_refused_object_tells_how_many_were_written_before_it() {
        let commands = [StoreCommand::UpdateRefreshTag, StoreCommand::UpdateRefreshTag];
        let mut script = Script::new(&[("80e2900002f200", "9000"), ("80e2900002f200", "6a84")]);
        let error = write(&mut script, Way::Direct, &commands, &mut |_| {}).unwrap_err();
        assert_eq!(error.store_status(), Some(StoreStatus::NoMemory));
        assert!(matches!(error, AraError::Write { written: 1, of: 2, .. }));
        let mut script = Script::new(&[(FOR_PERSONALIZATION, "6985")]);
        let error = write(&mut script, Way::Domain, &commands, &mut |_| {}).unwrap_err();
        assert_eq!(error.store_status(), None);
        assert!(matches!(error, AraError::Write { written: 0, source: GpError::Refused(_), .. }));
    }
}
