//! SET STATUS (section 11.10).
//!
//! ```text
//! 80 F0 P1 P2  Lc  AID        P1 80 card, 40 application or domain, 60 domain with its applications
//!                             P2 new state; of another application only b8 counts
//! SW 6A80 data or state, 6A88 not found, 6985 transition or right missing, 6A86 P1
//! ```

use jpkise_card::CommandApdu;
use jpkise_wire::{Aid, StatusWord};

use super::{Answer, Core, Fault, GpSe};
use crate::faults;
use crate::registry::{life_cycle, Application, Kind, Privilege, Registry};
use crate::runtime::Channel;

const P1_CARD: u8 = 0x80;
const P1_APPLICATION: u8 = 0x40;
const P1_DOMAIN_WITH_APPLICATIONS: u8 = 0x60;
const REFUSED: StatusWord = StatusWord::CONDITIONS_NOT_SATISFIED;

impl GpSe {
    pub(super) fn set_status(&mut self, channel: Channel, actor: Aid, command: &CommandApdu) -> Answer {
        match command.p1 {
            P1_CARD => self.core.set_card_state(&actor, command.p2)?,
            P1_APPLICATION | P1_DOMAIN_WITH_APPLICATIONS => {
                if self.core.registry.card_state() == life_cycle::CARD_LOCKED {
                    return Err(REFUSED.into());
                }
                let aid = Aid::new(command.data()).map_err(|_| StatusWord::WRONG_DATA)?;
                let with_applications = command.p1 == P1_DOMAIN_WITH_APPLICATIONS;
                self.core.set_application_state(&actor, &aid, command.p2, with_applications)?;
            }
            _ => return Err(StatusWord::INCORRECT_P1_P2.into()),
        }
        self.deselect_locked(channel)?;
        Ok(StatusWord::SUCCESS.into())
    }

    /// What may no longer be selected loses its session on the other channels.
    fn deselect_locked(&mut self, own: Channel) -> Result<(), Fault> {
        for channel in (0..=u8::MAX).map_while(Channel::new).filter(|channel| *channel != own) {
            let Some(selected) = self.core.channel(channel).selected else { continue };
            let application = self.core.registry.application(&selected.aid);
            let locked_card = self.core.registry.card_state() & 0x7F == 0x7F;
            let keep = application.is_some_and(|a| {
                a.origin.is_none() || !locked_card && a.life_cycle & life_cycle::LOCKED == 0
            });
            if !keep {
                self.deselect(channel)?;
            }
        }
        Ok(())
    }
}

impl Core {
    fn holds(&self, actor: &Aid, privilege: Privilege) -> bool {
        self.registry.application(actor).is_some_and(|a| a.privileges.has(privilege))
    }

    /// Moves the card's own life cycle (section 5.1): forward only, but for CARD_LOCKED, which leads back to SECURED.
    pub(super) fn set_card_state(&mut self, actor: &Aid, state: u8) -> Result<(), Fault> {
        use life_cycle::{CARD_LOCKED, INITIALIZED, OP_READY, SECURED, TERMINATED};
        let allowed = match (self.registry.card_state(), state) {
            (OP_READY, INITIALIZED | SECURED) | (INITIALIZED, SECURED) => {
                *actor == self.registry.issuer().aid
            }
            (SECURED, INITIALIZED) if self.has_fault(faults::Fault::CardStateBackwards) => true,
            (SECURED, CARD_LOCKED) | (CARD_LOCKED, SECURED) => self.holds(actor, Privilege::CARD_LOCK),
            (OP_READY..=CARD_LOCKED, TERMINATED) => self.holds(actor, Privilege::CARD_TERMINATE),
            (_, OP_READY | INITIALIZED | SECURED | CARD_LOCKED) => false,
            _ => return Err(StatusWord::WRONG_DATA.into()),
        };
        if !allowed {
            return Err(REFUSED.into());
        }
        if self.has_fault(faults::Fault::CardStateIgnored) {
            return Ok(());
        }
        self.change(|next| {
            next.issuer_mut().life_cycle = state;
            Ok(())
        })
    }

    fn set_application_state(
        &mut self,
        actor: &Aid,
        aid: &Aid,
        state: u8,
        with_applications: bool,
    ) -> Result<(), Fault> {
        let application = self.registry.application(aid).ok_or(StatusWord::REFERENCED_DATA_NOT_FOUND)?;
        if *aid == self.registry.issuer().aid {
            return Err(REFUSED.into());
        }
        let lock = state & life_cycle::LOCKED != 0;
        let is_self = aid == actor;
        if is_self && !with_applications {
            return self.set_own_domain_state(aid, state);
        }
        // Only a domain above it, or a holder of Global Lock, moves somebody else; and only its lock.
        let above = self.registry.is_under(&application.domain, actor);
        if !above && !self.holds(actor, Privilege::GLOBAL_LOCK) && !is_self {
            return Err(REFUSED.into());
        }
        if with_applications {
            if application.as_domain().is_none() {
                return Err(StatusWord::WRONG_DATA.into());
            }
            // A domain may lock itself together with its applications, not unlock.
            if is_self && !lock {
                return Err(REFUSED.into());
            }
            return self.change(|next| {
                lock_with_applications(next, aid, lock);
                Ok(())
            });
        }
        if (application.life_cycle & life_cycle::LOCKED != 0) == lock {
            return Err(REFUSED.into());
        }
        self.change(|next| {
            if let Some(application) = next.application_mut(aid) {
                set_lock(application, lock);
            }
            Ok(())
        })
    }

    /// A domain moves itself to PERSONALIZED or to LOCKED (section 5.3.2).
    fn set_own_domain_state(&mut self, aid: &Aid, state: u8) -> Result<(), Fault> {
        use life_cycle::{LOCKED, PERSONALIZED, SELECTABLE};
        let current = self.registry.application(aid).map_or(0, |a| a.life_cycle);
        let next_state = match state {
            PERSONALIZED if current == SELECTABLE => PERSONALIZED,
            _ if state & LOCKED != 0 && current & LOCKED == 0 => current | LOCKED,
            _ => return Err(REFUSED.into()),
        };
        self.change(|next| {
            next.application_mut(aid).ok_or(REFUSED)?.life_cycle = next_state;
            Ok(())
        })
    }
}

fn set_lock(application: &mut Application, lock: bool) {
    // The other bits keep the state to come back to.
    if lock {
        application.life_cycle |= life_cycle::LOCKED;
    } else {
        application.life_cycle &= !life_cycle::LOCKED;
    }
}

/// Locks or unlocks a domain with everything directly associated with it; a mix beforehand is no error.
fn lock_with_applications(registry: &mut Registry, domain: &Aid, lock: bool) {
    let theirs = |a: &Application| a.aid == *domain || a.domain == *domain;
    for application in registry.applications.iter_mut().skip(1).filter(|a| theirs(a)) {
        set_lock(application, lock);
    }
}

impl Core {
    /// The life cycle of an applet as it sees and changes it itself (GPSystem).
    pub(super) fn set_own_applet_state(&mut self, aid: &Aid, state: u8) -> bool {
        let Some(application) = self.registry.application(aid) else { return false };
        if !matches!(application.kind, Kind::Applet) {
            return false;
        }
        let current = application.life_cycle;
        let locks = state & life_cycle::LOCKED != 0;
        // Own states have the low three bits set; one cannot unlock oneself (section 5.3.1).
        let fits = if locks {
            current & life_cycle::LOCKED == 0
        } else {
            state & 0x07 == 0x07 && current & life_cycle::LOCKED == 0 && current & 0x07 == 0x07
        };
        let next_state = if locks { current | life_cycle::LOCKED } else { state };
        fits && self
            .change(|next| {
                next.application_mut(aid).ok_or(REFUSED)?.life_cycle = next_state;
                Ok(())
            })
            .is_ok()
    }
}
