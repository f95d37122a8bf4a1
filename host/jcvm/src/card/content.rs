//! Packages and instances: load, install, delete, and the registry's last word.

use std::sync::Arc;

use jpkise_cap::{Aid, Cap};

use super::{summary, sw, Card, CardError, InstallRequest, PackageSummary};
use crate::bits::Bits;
use crate::class::{Package, Target, FIRST_BUILT_IN};
use crate::heap::{kind, Header, Object, Owner, Ref, OWNER_PACKAGE, OWNER_SYSTEM, SYSTEM_CONTEXT};
use crate::services::PlatformServices;
use crate::state::{AppletRecord, Installing};
use crate::store::StoreError;
use crate::vm::{Cell, Trap};

impl Card {
    /// Links a load file (concatenated components, or a CAP in JAR form). Tentative until [`Self::settle`].
    pub fn load(&mut self, load_file: &[u8]) -> Result<PackageSummary, CardError> {
        let cap = Cap::read(load_file)?;
        self.load_cap(&cap)
    }

    /// Links a CAP. Tentative until [`Self::settle`].
    pub fn load_cap(&mut self, cap: &Cap) -> Result<PackageSummary, CardError> {
        let aid = cap.header.package.aid;
        let taken = self.state.packages.iter().chain([&None]).flatten().any(|p| p.aid == aid)
            || self.state.builtins.packages.iter().any(|p| p.aid == aid);
        if taken {
            return Err(CardError::Refused(sw::CONDITIONS));
        }
        let free = (1..FIRST_BUILT_IN).find(|slot| self.state.packages[usize::from(*slot)].is_none());
        let Some(slot) = free else { return Err(CardError::Refused(sw::NOT_ENOUGH_MEMORY)) };
        let package = self.state.link_cap(cap, slot)?;
        match self.enter_package(&package) {
            Ok(statics) => {
                let summary = summary(&package);
                self.state.packages[usize::from(slot)] = Some(Arc::new(package));
                self.state.statics[usize::from(slot)] = statics;
                Ok(summary)
            }
            Err(CardError::PowerLost) => Err(CardError::PowerLost),
            Err(error) => {
                self.state.purge(|_| false, |package| package == slot)?;
                Err(error)
            }
        }
    }

    /// Static image first, then the load file, whose block makes the package exist.
    pub(super) fn enter_package(&mut self, package: &Package) -> Result<u32, CardError> {
        let slot = package.slot;
        let statics = &package.statics;
        let heap = &mut self.state.heap;
        let mut image = statics.references.to_be_bytes().to_vec();
        for (element, values) in &statics.arrays {
            let size = match *element {
                kind::SHORTS => 2,
                kind::INTS => 4,
                _ => 1,
            };
            let len = u16::try_from(values.len() / size).unwrap_or(0);
            let array = heap.new_array(OWNER_PACKAGE, *element, len, (slot, 0))?;
            if let Some(view) = heap.object(array).and_then(|o| heap.array(o)) {
                heap.write_words(&view, 0, values, false)?;
            }
            image.extend(array.0.to_be_bytes());
        }
        image.resize(2 + 2 * usize::from(statics.references), 0);
        image.extend(&statics.primitives);
        let header =
            Header { size: 0, kind: kind::STATICS, owner: OWNER_SYSTEM, aux: 0, package: slot, flags: 0 };
        let block = heap.allocate(header, image.len(), &image)?;
        let address = heap.object(block).map_or(0, |o| o.body()) + 2;
        let len = u32::try_from(package.load_file.len()).unwrap_or(u32::MAX);
        let content = [&len.to_be_bytes()[..], &package.load_file].concat();
        heap.allocate(Header { kind: kind::PACKAGE, ..header }, content.len(), &content)?;
        Ok(address)
    }

    /// Removes a package with the next [`Self::settle`]; refused while another package or an instance needs it.
    pub fn unload(&mut self, package: Aid) -> Result<(), CardError> {
        let found = self.state.package_by_aid(package).filter(|p| !self.unloaded.contains(&p.slot));
        let Some(slot) = found.map(|p| p.slot) else {
            return Err(CardError::Refused(sw::REFERENCED_DATA_NOT_FOUND));
        };
        let others = self.state.packages.iter().flatten();
        let imported = others.filter(|p| !self.unloaded.contains(&p.slot)).any(|p| p.imports.contains(&slot));
        let used = self.applets().any(|a| a.package == slot) || self.has_instances_elsewhere(slot);
        if imported || used {
            return Err(CardError::Refused(sw::CONDITIONS));
        }
        self.unloaded.push(slot);
        Ok(())
    }

    /// Whether an object of another package's applets is of a class of this package (JCRE 11.3.4.1).
    pub(super) fn has_instances_elsewhere(&self, slot: u8) -> bool {
        let heap = &self.state.heap;
        heap.objects().any(|o| {
            let typed = matches!(o.header.kind, kind::INSTANCE | kind::REFERENCES);
            let gone = self.deleted.contains(&o.header.owner);
            typed && !gone && o.header.package == slot && heap.context_of(&o) != slot
        })
    }

    /// Runs the module's `install`; succeeds only if it registered under the AID asked for. Tentative until
    /// [`Self::settle`].
    pub fn install(
        &mut self,
        request: &InstallRequest<'_>,
        services: &mut dyn PlatformServices,
    ) -> Result<(), CardError> {
        let package = self.state.package_by_aid(request.package).cloned();
        let package = package.filter(|p| !self.unloaded.contains(&p.slot));
        let Some(package) = package else { return Err(CardError::Refused(sw::REFERENCED_DATA_NOT_FOUND)) };
        let module = package.applets.iter().find(|(aid, _)| *aid == request.module);
        let Some((_, method)) = module else { return Err(CardError::Refused(sw::REFERENCED_DATA_NOT_FOUND)) };
        if self.state.applet_by_aid(request.instance.as_bytes()).is_some() {
            return Err(CardError::Refused(sw::CONDITIONS));
        }
        let mut data = Vec::new();
        for part in [request.instance.as_bytes(), request.privileges, request.parameters] {
            let len = u8::try_from(part.len()).map_err(|_| CardError::Refused(sw::WRONG_DATA))?;
            data.push(len);
            data.extend(part);
        }
        let Ok(len) = u8::try_from(data.len()) else { return Err(CardError::Refused(sw::WRONG_DATA)) };
        let slot = (1..OWNER_PACKAGE).find(|slot| self.state.applet(*slot).is_none());
        let Some(slot) = slot else { return Err(CardError::Refused(sw::NOT_ENOUGH_MEMORY)) };

        let context = package.slot;
        self.state.heap.set_context(slot, context);
        self.state.installing =
            Some(Installing { slot, package: context, module: request.module, registered: None });
        self.state.active = Some(slot);
        let array = self.state.system.install_data;
        self.fill(array, &data)?;
        let target = Target::Code { package: context, method: *method };
        let arguments = [Cell::reference(array), Cell::short(0), Cell::short(len.signed().into())];
        let result = self.run(services, |vm| vm.call(target, &arguments, context, slot));
        let installed = self.state.installing.take().and_then(|i| i.registered);
        self.state.active = None;
        self.fill(array, &[])?;
        let outcome = match result {
            Ok(_) if installed == Some(request.instance) => return self.end_command().map(drop),
            Ok(_) => CardError::Refused(sw::UNKNOWN),
            Err(Trap::Power) => return Err(CardError::PowerLost),
            Err(trap) => self.refusal(trap),
        };
        self.roll_back_install(slot)?;
        Err(outcome)
    }

    /// An installation failed: its objects go, references to them become null (JCRE 11.2).
    pub(super) fn roll_back_install(&mut self, slot: Owner) -> Result<(), CardError> {
        self.end_command()?;
        self.drop_instances(&[slot])?;
        // Its AID object is the runtime's own.
        self.state.collect()?;
        Ok(())
    }

    pub(super) fn drop_instances(&mut self, slots: &[Owner]) -> Result<(), StoreError> {
        let gone: Vec<AppletRecord> =
            self.state.applets.iter().filter(|a| slots.contains(&a.slot)).copied().collect();
        for applet in &gone {
            self.state.heap.release(applet.block)?;
        }
        self.state.applets.retain(|a| !slots.contains(&a.slot));
        self.state.purge(|owner| slots.contains(&owner), |_| false)?;
        for slot in slots {
            self.state.heap.set_context(*slot, SYSTEM_CONTEXT);
        }
        Ok(())
    }

    pub(super) fn fill(&mut self, array: Ref, data: &[u8]) -> Result<(), CardError> {
        let heap = &mut self.state.heap;
        if let Some(view) = heap.object(array).and_then(|o| heap.array(o)) {
            heap.overwrite(&view, data)?;
        }
        Ok(())
    }

    /// Removes instances, all or none, calling `uninstall()` where an applet has it. Tentative until
    /// [`Self::settle`].
    pub fn delete(
        &mut self,
        instances: &[Aid],
        services: &mut dyn PlatformServices,
    ) -> Result<(), CardError> {
        let mut applets = Vec::new();
        for instance in instances {
            applets.push(self.applet(*instance)?);
        }
        let slots: Vec<Owner> = applets.iter().map(|a| a.slot).collect();
        if self.state.selected.iter().flatten().any(|slot| slots.contains(slot)) {
            return Err(CardError::Refused(sw::CONDITIONS));
        }
        for applet in &applets {
            if !self.state.implements(applet.slot, "javacard/framework/AppletEvent") {
                continue;
            }
            self.state.active = Some(applet.slot);
            let result = self.run(services, |vm| {
                let object = vm.object(applet.object)?;
                let event = vm.api_class("javacard/framework/AppletEvent")?;
                let target = vm.interface_target(&object, event, 0)?;
                vm.call(target, &[Cell::reference(applet.object)], applet.package, applet.slot)
            });
            self.state.active = None;
            match result {
                Err(Trap::Power) => return Err(CardError::PowerLost),
                Err(Trap::Fault(fault)) => {
                    self.end_command()?;
                    return Err(CardError::Fault(*fault));
                }
                // What uninstall throws does not stop the deletion (JCRE 11.3.4.2).
                _ => self.end_command()?,
            };
        }
        if self.state.is_referenced_from_outside(&slots) {
            return Err(CardError::Refused(sw::CONDITIONS));
        }
        self.deleted.extend(slots);
        Ok(())
    }

    /// The registry now holds exactly these packages and instances: what else is there goes, what was to go and is
    /// listed stays.
    pub fn settle(&mut self, packages: &[Aid], instances: &[Aid]) -> Result<(), CardError> {
        self.deleted.clear();
        self.unloaded.clear();
        let gone: Vec<Owner> =
            self.state.applets.iter().filter(|a| !instances.contains(&a.aid)).map(|a| a.slot).collect();
        if !gone.is_empty() {
            for selected in &mut self.state.selected {
                if selected.is_some_and(|slot| gone.contains(&slot)) {
                    *selected = None;
                }
            }
            self.drop_instances(&gone)?;
        }
        let stale: Vec<u8> = self
            .state
            .packages
            .iter()
            .flatten()
            .filter(|p| !packages.contains(&p.aid))
            .map(|p| p.slot)
            .collect();
        if !stale.is_empty() {
            self.drop_packages(&stale)?;
        }
        if !gone.is_empty() || !stale.is_empty() {
            self.state.collect()?;
        }
        Ok(())
    }

    pub(super) fn drop_packages(&mut self, slots: &[u8]) -> Result<(), StoreError> {
        // The load file's block first: without it the rest is nobody's, and the next start clears it away.
        let blocks: Vec<Object> = self.state.heap.objects_of(kind::PACKAGE).collect();
        for block in blocks.iter().filter(|b| slots.contains(&b.header.package)) {
            self.state.heap.release(block.at)?;
        }
        self.state.purge(|_| false, |package| slots.contains(&package))?;
        for slot in slots {
            self.state.packages[usize::from(*slot)] = None;
            self.state.statics[usize::from(*slot)] = 0;
        }
        Ok(())
    }
}
