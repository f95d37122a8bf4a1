//! A runtime whose applets are faulty: a decorator, so that the applets themselves stay as they are.

use jpkise_wire::Aid;

use super::ara::FaultyAra;
use super::jpki::FaultyJpki;
use super::tap::{Plan, Tap};
use super::{FaultSet, Part};
use crate::runtime::{
    Channel, FreeMemory, GpServices, InstallRequest, Interface, Package, Process, Registered, Runtime,
    RuntimeError,
};

/// What every instance of the JPKI applet begins with: the RID and PIX of the deployed application (design, AIDs).
const JPKI: [u8; 7] = [0xD3, 0x92, 0xF0, 0x00, 0x26, 0x01, 0x00];
const ARA: [u8; 9] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x41, 0x43, 0x4C, 0x00];

/// One command on its way to an applet, and the way itself.
pub(super) struct Line<'a> {
    pub runtime: &'a mut dyn Runtime,
    pub services: &'a mut dyn GpServices,
    pub process: Process<'a>,
}

impl Line<'_> {
    /// The command as it came.
    pub fn pass(&mut self) -> Result<Vec<u8>, RuntimeError> {
        self.runtime.process(&self.process, self.services)
    }

    /// Another command in its place, or besides.
    pub fn send(&mut self, apdu: &[u8]) -> Result<Vec<u8>, RuntimeError> {
        self.send_with(apdu, Plan::default())
    }

    /// A command with a plan for what its secure channel carries.
    pub fn send_with(&mut self, apdu: &[u8], plan: Plan<'_>) -> Result<Vec<u8>, RuntimeError> {
        let process = Process { apdu, selecting: false, ..self.process };
        self.runtime.process(&process, &mut Tap { inner: &mut *self.services, plan })
    }
}

/// Status word of an answer; 0 when it has none.
pub(super) fn status(answer: &[u8]) -> u16 {
    match answer {
        [.., sw1, sw2] => u16::from_be_bytes([*sw1, *sw2]),
        _ => 0,
    }
}

/// The decorator.
pub(crate) struct FaultyRuntime {
    inner: Box<dyn Runtime>,
    selected: [Option<Aid>; Channel::COUNT],
    jpki: FaultyJpki,
    ara: FaultyAra,
}

impl FaultyRuntime {
    /// Around a runtime, if any fault concerns its applets.
    pub fn wrap(inner: Box<dyn Runtime>, faults: FaultSet) -> Box<dyn Runtime> {
        if !faults.touches(Part::Jpki) && !faults.touches(Part::Ara) {
            return inner;
        }
        Box::new(Self {
            inner,
            selected: [None; Channel::COUNT],
            jpki: FaultyJpki::new(faults),
            ara: FaultyAra::new(faults),
        })
    }
}

impl Runtime for FaultyRuntime {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn packages(&self) -> Vec<Package> {
        self.inner.packages()
    }

    fn load(&mut self, package: Aid, load_file: &[u8]) -> Result<Package, RuntimeError> {
        self.inner.load(package, load_file)
    }

    fn unload(&mut self, package: Aid) -> Result<(), RuntimeError> {
        self.inner.unload(package)
    }

    fn install(
        &mut self,
        request: &InstallRequest<'_>,
        services: &mut dyn GpServices,
    ) -> Result<(), RuntimeError> {
        self.inner.install(request, services)
    }

    fn select(
        &mut self,
        channel: Channel,
        instance: Aid,
        interface: Interface,
        services: &mut dyn GpServices,
    ) -> Result<bool, RuntimeError> {
        let accepted = self.inner.select(channel, instance, interface, services)?;
        self.selected[channel.index()] = accepted.then_some(instance);
        Ok(accepted)
    }

    fn deselect(&mut self, channel: Channel, services: &mut dyn GpServices) -> Result<(), RuntimeError> {
        self.selected[channel.index()] = None;
        self.inner.deselect(channel, services)
    }

    fn process(
        &mut self,
        command: &Process<'_>,
        services: &mut dyn GpServices,
    ) -> Result<Vec<u8>, RuntimeError> {
        let mut line = Line { runtime: &mut *self.inner, services, process: *command };
        match self.selected[command.channel.index()] {
            Some(aid) if aid.starts_with(&JPKI) => self.jpki.process(line),
            Some(aid) if aid.as_bytes() == ARA => self.ara.process(line, aid),
            _ => line.pass(),
        }
    }

    fn takes_personalization(&mut self, instance: Aid) -> Result<bool, RuntimeError> {
        self.inner.takes_personalization(instance)
    }

    fn personalize(
        &mut self,
        channel: Channel,
        instance: Aid,
        store_data: &[u8],
        services: &mut dyn GpServices,
    ) -> Result<Vec<u8>, RuntimeError> {
        if instance.as_bytes() == ARA && self.ara.swallows(store_data) {
            return Ok(Vec::new());
        }
        self.inner.personalize(channel, instance, store_data, services)
    }

    fn delete(&mut self, instances: &[Aid], services: &mut dyn GpServices) -> Result<(), RuntimeError> {
        self.inner.delete(instances, services)
    }

    fn settle(&mut self, registered: &Registered) -> Result<(), RuntimeError> {
        self.inner.settle(registered)
    }

    fn reset(&mut self) -> Result<(), RuntimeError> {
        self.selected = [None; Channel::COUNT];
        self.jpki.forget_selection();
        self.ara.forget_selection();
        self.inner.reset()
    }

    fn free_memory(&self) -> Option<FreeMemory> {
        self.inner.free_memory()
    }
}
