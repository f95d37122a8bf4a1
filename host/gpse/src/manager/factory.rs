//! What a card leaves the factory with besides its registry: applets installed from ROM.

use jpkise_card::TransportError;
use jpkise_wire::StatusWord;

use super::install::grant;
use super::{Fault, GpSe};
use crate::profile::{Preinstalled, ARA, ARA_PACKAGE};
use crate::registry::{life_cycle, Application, Kind, Privileges};
use crate::runtime::InstallRequest;

impl GpSe {
    /// Installs what the profile names. A real card's maker does it before the card has a life cycle to forbid it.
    pub(super) fn preinstall(&mut self) -> Result<(), TransportError> {
        let has_ara = self.core.registry.load_file(&ARA_PACKAGE).is_some_and(|l| l.modules.contains(&ARA));
        let ara = (self.core.profile.ara && has_ara).then(|| Preinstalled {
            package: ARA_PACKAGE,
            module: ARA,
            instance: ARA,
            privileges: Privileges::default(),
            parameters: Vec::new(),
        });
        let others = self.core.profile.applets.clone();
        for applet in ara.into_iter().chain(others) {
            self.preinstall_one(&applet).map_err(|fault| match fault {
                Fault::Failed(error) => error,
                Fault::Status(sw) => {
                    let reason = format!("{} of the profile cannot be installed: {sw}", applet.instance);
                    TransportError::Io(std::io::Error::other(reason))
                }
            })?;
        }
        Ok(())
    }

    fn preinstall_one(&mut self, applet: &Preinstalled) -> Result<(), Fault> {
        let registry = &self.core.registry;
        let known = registry.load_file(&applet.package).is_some_and(|l| l.modules.contains(&applet.module));
        if !known {
            return Err(StatusWord::REFERENCED_DATA_NOT_FOUND.into());
        }
        if registry.knows(&applet.instance) {
            return Err(StatusWord::CONDITIONS_NOT_SATISFIED.into());
        }
        let mut next = registry.clone();
        next.applications.push(Application {
            aid: applet.instance,
            origin: Some((applet.package, applet.module)),
            domain: next.issuer().aid,
            life_cycle: life_cycle::SELECTABLE,
            privileges: Privileges::default(),
            implicit: Vec::new(),
            restricted: 0,
            kind: Kind::Applet,
        });
        grant(&mut next, &applet.instance, applet.privileges)?;
        let request = InstallRequest {
            package: applet.package,
            module: applet.module,
            instance: applet.instance,
            privileges: applet.privileges.0,
            parameters: &applet.parameters,
        };
        self.runtime.install(&request, &mut self.core)?;
        self.core.commit(next)?;
        self.runtime.settle(&self.core.registered())?;
        Ok(())
    }
}
