//! The applet and its access rules.
//!
//! The rules are there before the applet can be selected, also when a run is cut between the two: the applet then stays
//! INSTALLED, reachable by nobody, and the next run writes what is missing and makes it selectable.

use jpkise_card::Transport;
use jpkise_gp::ara::card as ara;
use jpkise_gp::ara::provide::{install_with_rules, Provision};
use jpkise_gp::ara::rule::Reading;
use jpkise_gp::commands::install::ForInstall;
use jpkise_gp::keys::KeySource;
use jpkise_gp::registry::{Entry, LifeCycle};
use jpkise_gp::workflow::{install, make_selectable};
use rand::{CryptoRng, RngCore};

use super::super::record::RuleRecord;
use super::super::{Event, Stage};
use super::{ProvisionError, Run};

impl<T: Transport, R: RngCore + CryptoRng> Run<'_, '_, T, R> {
    /// What the plan's rules change on this card. Asked before anything is begun: a card without ARA-M is left as it is.
    pub(super) fn access(&mut self) -> Result<Option<Provision>, ProvisionError> {
        let Some(rules) = &self.request.rules else { return Ok(None) };
        let held = ara::read(self.card, Reading::Android)?;
        Ok(Some(Provision::new(self.instance(), &held.rules, rules)?))
    }

    /// An applet that is not there, with its rules.
    pub(super) fn install_applet(
        &mut self,
        keys: &dyn KeySource,
        access: Option<&Provision>,
    ) -> Result<(), ProvisionError> {
        self.begin(Stage::Install)?;
        self.record.access_rules.clear();
        let command = self.applet_command();
        match access {
            Some(provision) => {
                self.tell(provision);
                install_with_rules(&mut self.issuer_session(keys)?, &command, provision, &mut |_| ())?;
            }
            None => install(&mut self.issuer_session(keys)?, &command)?,
        }
        self.keep_rules();
        Ok(())
    }

    /// An applet that is there: its rules as the plan has them, then, where a run was cut before that, selectable.
    pub(super) fn settle_applet(
        &mut self,
        keys: &dyn KeySource,
        entry: &Entry,
        access: Option<&Provision>,
    ) -> Result<(), ProvisionError> {
        if let Some(provision) = access.filter(|provision| !provision.plan().is_empty()) {
            self.begin(Stage::AccessRules)?;
            self.tell(provision);
            let commands: Vec<_> = provision.plan().commands().collect();
            ara::write(&mut self.issuer_session(keys)?, ara::Way::Domain, &commands, &mut |_| ())?;
        }
        self.keep_rules();
        if entry.life_cycle.value == LifeCycle::INSTALLED {
            self.begin(Stage::Install)?;
            let command = self.applet_command();
            make_selectable(&mut self.issuer_session(keys)?, command.application, command.privileges)?;
        }
        Ok(())
    }

    fn applet_command(&self) -> ForInstall {
        let plan = self.request.plan;
        ForInstall::new(plan.applet.package, plan.applet.module, plan.applet.instance)
            .with_parameters(plan.install_parameters().build())
    }

    fn tell(&mut self, provision: &Provision) {
        let (added, removed) = (provision.added().len(), provision.removed().len());
        (self.events)(Event::Rules { added, removed });
    }

    /// The plan's rules are on the card now.
    fn keep_rules(&mut self) {
        if let Some(rules) = &self.request.rules {
            self.record.access_rules = rules.iter().map(RuleRecord::new).collect();
        }
    }
}
