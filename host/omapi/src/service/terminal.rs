//! One secure element behind the service: its card, its enforcer, its sessions and channels.

use std::collections::{BTreeMap, BTreeSet};

use jpkise_card::{Card, CardError, CommandApdu, ResponseApdu, Transport};
use jpkise_gp::ara::ARA_M_AID;
use jpkise_gp::commands::{manage_channel, select};
use jpkise_gp::LogicalChannel;
use jpkise_wire::{Aid, StatusWord};

use super::error::{IllegalArgument, OmapiError, Security};
use super::is_lost;
use crate::ace::enforcer::AraAccess;
use crate::ace::{App, Enforcer, Grant, SeKind, Target, WithoutAra};

/// P2 of SELECT that OMAPI knows: FCI, FCP, FMD, nothing (ISO/IEC 7816-4 section 11.2.2).
const SELECT_P2: [u8; 4] = [0x00, 0x04, 0x08, 0x0C];

pub(super) struct Terminal<T> {
    pub card: Card<T>,
    pub enforcer: Enforcer,
    sessions: BTreeSet<u64>,
    /// Open channels by identifier: their session and number.
    channels: BTreeMap<u64, (u64, LogicalChannel)>,
    next_id: u64,
    /// Whether nothing was selected on the basic channel since reset.
    default_selected: bool,
}

/// A channel just opened.
pub(super) struct Opened {
    pub id: u64,
    pub number: LogicalChannel,
    pub grant: Grant,
    pub aid: Option<Vec<u8>>,
    pub select_response: Option<ResponseApdu>,
}

impl<T: Transport> Terminal<T> {
    pub(super) fn new(card: Card<T>, kind: SeKind, without_ara: WithoutAra) -> Self {
        Self {
            card,
            enforcer: Enforcer::new(kind, without_ara),
            sessions: BTreeSet::new(),
            channels: BTreeMap::new(),
            next_id: 0,
            default_selected: true,
        }
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn open_session(&mut self) -> u64 {
        let id = self.new_id();
        self.sessions.insert(id);
        id
    }

    pub(super) fn has_session(&self, id: u64) -> bool {
        self.sessions.contains(&id)
    }

    pub(super) fn has_channel(&self, id: u64) -> bool {
        self.channels.contains_key(&id)
    }

    /// Closes one session, or all.
    pub(super) fn close_sessions(&mut self, session: Option<u64>) {
        self.close_channels(session);
        match session {
            Some(id) => drop(self.sessions.remove(&id)),
            None => self.sessions.clear(),
        }
    }

    /// Closes the channels of one session, or all.
    pub(super) fn close_channels(&mut self, session: Option<u64>) {
        let concerned = |(id, (owner, _)): (&u64, &(u64, LogicalChannel))| {
            session.is_none_or(|session| session == *owner).then_some(*id)
        };
        let ids: Vec<u64> = self.channels.iter().filter_map(concerned).collect();
        for id in ids {
            self.close_channel(id);
        }
    }

    /// Closes a channel on the card. A card that does not answer any more has closed it already.
    pub(super) fn close_channel(&mut self, id: u64) {
        let Some((_, number)) = self.channels.remove(&id) else { return };
        if number == LogicalChannel::BASIC {
            if !self.default_selected {
                self.default_selected = self.send(&select::select(&[])).is_ok();
            }
        } else {
            let _ = self.send(&manage_channel::close(number));
        }
    }

    /// One exchange; a card that was removed or reset has no channels any more.
    pub(super) fn send(&mut self, command: &CommandApdu) -> Result<ResponseApdu, CardError> {
        let result = self.card.send(command);
        if result.as_ref().is_err_and(is_lost) {
            self.channels.clear();
            self.default_selected = true;
        }
        result
    }

    /// `None` when the card has no channel left.
    fn manage_open(&mut self) -> Result<Option<LogicalChannel>, OmapiError> {
        let answer = self.send(&manage_channel::open())?;
        if !answer.sw.is_success() {
            return Ok(None);
        }
        manage_channel::opened(&answer.data).map(Some).map_err(|_| OmapiError::NoChannelNumber)
    }

    /// Lets the enforcer look for new rules, over a channel of its own. `false` when there is no channel for that.
    pub(super) fn refresh(&mut self) -> Result<bool, OmapiError> {
        let Some(number) = self.manage_open()? else { return Ok(false) };
        let mut command = select::select(ARA_M_AID.as_bytes());
        command.cla = number.class(command.cla);
        let result = match self.send(&command) {
            Ok(answer) if is_selected(answer.sw) => {
                let (card, enforcer) = (&mut self.card, &mut self.enforcer);
                enforcer.refresh(AraAccess::Selected(&mut |command| {
                    let mut command = command.clone();
                    command.cla = number.class(command.cla);
                    card.send(&command)
                }))
            }
            Ok(_) => self.enforcer.refresh(AraAccess::Absent),
            Err(error) => Err(error),
        };
        let _ = self.send(&manage_channel::close(number));
        result?;
        Ok(true)
    }

    /// The enforcer's word on an app and an applet. `None` when no channel is left to ask the ARA-M.
    fn access(&mut self, aid: Option<Aid>, app: &App) -> Result<Option<Grant>, OmapiError> {
        if !app.privileged && !self.refresh()? {
            return Ok(None);
        }
        let target = aid.map_or(Target::Default, Target::Aid);
        let grant = self.enforcer.decide(target, app);
        Ok(Some(grant.map_err(|denial| Security::Denied(Box::new(denial)))?))
    }

    fn checked(&self, session: u64, aid: Option<&[u8]>, p2: u8) -> Result<Option<Aid>, OmapiError> {
        if !self.has_session(session) {
            return Err(OmapiError::Closed);
        }
        // An empty AID is no AID.
        let aid = aid.filter(|aid| !aid.is_empty());
        let aid =
            aid.map(|aid| Aid::new(aid).map_err(|_| IllegalArgument::AidLength(aid.len()))).transpose()?;
        if !SELECT_P2.contains(&p2) {
            return Err(OmapiError::P2(p2));
        }
        Ok(aid)
    }

    pub(super) fn open_logical(
        &mut self,
        session: u64,
        app: &App,
        aid: Option<&[u8]>,
        p2: u8,
    ) -> Result<Option<Opened>, OmapiError> {
        let aid = self.checked(session, aid, p2)?;
        if aid.is_none() && self.enforcer.kind() == SeKind::Uicc && !app.privileged {
            return Ok(None);
        }
        let Some(grant) = self.access(aid, app)? else { return Ok(None) };
        let Some(number) = self.manage_open()? else { return Ok(None) };
        let select_response = match aid {
            None => None,
            Some(aid) => match self.select_on(number, &aid, p2) {
                Ok(answer) => Some(answer),
                Err(error) => {
                    let _ = self.send(&manage_channel::close(number));
                    return Err(error);
                }
            },
        };
        Ok(Some(self.register(session, number, grant, aid, select_response)))
    }

    pub(super) fn open_basic(
        &mut self,
        session: u64,
        app: &App,
        aid: Option<&[u8]>,
        p2: u8,
    ) -> Result<Option<Opened>, OmapiError> {
        let aid = self.checked(session, aid, p2)?;
        if self.enforcer.kind() == SeKind::Uicc && !app.privileged {
            return Ok(None);
        }
        if self.channels.values().any(|(_, number)| *number == LogicalChannel::BASIC) {
            return Ok(None);
        }
        if aid.is_none() && !self.default_selected {
            return Err(OmapiError::NotDefault);
        }
        let Some(grant) = self.access(aid, app)? else { return Ok(None) };
        let select_response = match aid {
            None => None,
            Some(aid) => {
                self.default_selected = false;
                Some(self.select_on(LogicalChannel::BASIC, &aid, p2)?)
            }
        };
        Ok(Some(self.register(session, LogicalChannel::BASIC, grant, aid, select_response)))
    }

    fn register(
        &mut self,
        session: u64,
        number: LogicalChannel,
        grant: Grant,
        aid: Option<Aid>,
        select_response: Option<ResponseApdu>,
    ) -> Opened {
        let id = self.new_id();
        self.channels.insert(id, (session, number));
        Opened { id, number, grant, aid: aid.map(|aid| aid.as_bytes().to_vec()), select_response }
    }

    fn select_on(&mut self, number: LogicalChannel, aid: &Aid, p2: u8) -> Result<ResponseApdu, OmapiError> {
        let mut command = select::select(aid.as_bytes());
        command.cla = number.class(command.cla);
        command.p2 = p2;
        let answer = self.send(&command)?;
        match answer.sw {
            sw if is_selected(sw) => Ok(answer),
            sw @ (StatusWord::NOT_FOUND | StatusWord::APPLET_SELECT_FAILED) => {
                Err(OmapiError::NoSuchElement(sw))
            }
            StatusWord::INCORRECT_P1_P2 | StatusWord::FUNCTION_NOT_SUPPORTED => Err(OmapiError::P2(p2)),
            sw => Err(OmapiError::SelectFailed(sw)),
        }
    }
}

/// 9xxx, 62xx and 63xx count as selected.
pub(super) fn is_selected(sw: StatusWord) -> bool {
    sw.sw1() & 0xF0 == 0x90 || matches!(sw.sw1(), 0x62 | 0x63)
}
