//! Selection, commands, personalisation: what runs in an applet on a channel.

use jpkise_cap::Aid;

use super::{sw, Card, CardError, Process};
use crate::apdu::ApduState;
use crate::api::applet as tokens;
use crate::bits::Bits;
use crate::class::ClassId;
use crate::heap::{Clear, Object, Ref};
use crate::services::PlatformServices;
use crate::state::{AppletRecord, CHANNELS};
use crate::vm::{Cell, Exception, Outcome, Trap, Value, Vm};

impl Card {
    pub(super) fn channel(channel: u8) -> Result<usize, CardError> {
        let index = usize::from(channel);
        if index < CHANNELS {
            Ok(index)
        } else {
            Err(CardError::Refused(sw::APPLET_SELECT_FAILED))
        }
    }

    /// Calls `select()` of the instance, or `MultiSelectable.select` when its package is active on another channel.
    /// `false` when the applet declines; then nothing is selected on the channel.
    pub fn select(
        &mut self,
        channel: u8,
        instance: Aid,
        services: &mut dyn PlatformServices,
    ) -> Result<bool, CardError> {
        let index = Self::channel(channel)?;
        let applet = self.applet(instance)?;
        if self.state.selected[index].is_some() {
            self.deselect(channel, services)?;
        }
        let active = self.state.selected.contains(&Some(applet.slot));
        let together = self.is_package_active(applet.package);
        if together && !self.state.is_multiselectable(applet.slot) {
            return Err(CardError::Refused(sw::CONDITIONS));
        }
        self.state.channel = channel;
        self.state.active = Some(applet.slot);
        self.clear_buffer()?;
        let result = self.run(services, |vm| {
            if together {
                call_multiselectable(vm, &applet, 0, active)
            } else {
                call_applet(vm, &applet, tokens::SELECT, &[])
            }
        });
        self.state.active = None;
        let accepted = match result {
            Ok(value) => value == Value::Short(1),
            Err(Trap::Power) => return Err(CardError::PowerLost),
            Err(Trap::Fault(fault)) => {
                self.end_command()?;
                return Err(CardError::Fault(*fault));
            }
            Err(_) => false,
        };
        self.end_command()?;
        self.state.selected[index] = accepted.then_some(applet.slot);
        if !accepted {
            self.clear_on_deselect(applet.package);
        }
        Ok(accepted)
    }

    pub(super) fn is_package_active(&self, package: u8) -> bool {
        let slots = self.state.selected.iter().flatten();
        slots.filter_map(|slot| self.state.applet(*slot)).any(|a| a.package == package)
    }

    /// CLEAR_ON_DESELECT memory goes when no applet of the package is active any more (JCRE 5.1).
    pub(super) fn clear_on_deselect(&mut self, package: u8) {
        if !self.is_package_active(package) {
            self.state.heap.clear_transient(Clear::Deselect, Some(package));
        }
    }

    /// Calls `deselect()` of what is selected on the channel and clears its transient memory. Whatever the applet does
    /// in it, it is deselected.
    pub fn deselect(&mut self, channel: u8, services: &mut dyn PlatformServices) -> Result<(), CardError> {
        let index = Self::channel(channel)?;
        let Some(applet) = self.state.selected[index].and_then(|slot| self.state.applet(slot).copied())
        else {
            return Ok(());
        };
        self.state.channel = channel;
        self.state.active = Some(applet.slot);
        self.state.selected[index] = None;
        let together = self.is_package_active(applet.package);
        let active = self.state.selected.contains(&Some(applet.slot));
        let result = self.run(services, |vm| {
            if together {
                call_multiselectable(vm, &applet, 1, active)
            } else {
                call_applet(vm, &applet, tokens::DESELECT, &[])
            }
        });
        self.state.active = None;
        if result == Err(Trap::Power) {
            return Err(CardError::PowerLost);
        }
        self.end_command()?;
        self.clear_on_deselect(applet.package);
        match result {
            Err(Trap::Fault(fault)) => Err(CardError::Fault(*fault)),
            _ => Ok(()),
        }
    }

    pub(super) fn clear_buffer(&mut self) -> Result<(), CardError> {
        let buffer = self.state.system.buffer;
        self.fill(buffer, &[])
    }

    /// Runs one command in the applet selected on the channel: answer data and status word.
    pub fn process(
        &mut self,
        command: &Process<'_>,
        services: &mut dyn PlatformServices,
    ) -> Result<Vec<u8>, CardError> {
        let index = Self::channel(command.channel)?;
        let slot = self.state.selected[index];
        let Some(applet) = slot.and_then(|slot| self.state.applet(slot).copied()) else {
            return Err(CardError::Refused(sw::APPLET_SELECT_FAILED));
        };
        let protocol = self.state.profile.protocol;
        let Ok(apdu) = ApduState::parse(command.apdu, protocol, command.contactless) else {
            return Ok(sw::WRONG_LENGTH.to_be_bytes().to_vec());
        };
        if apdu.extended && !self.state.implements(applet.slot, "javacardx/apdu/ExtendedLength") {
            return Ok(sw::WRONG_LENGTH.to_be_bytes().to_vec());
        }
        let header = apdu.header;
        self.state.apdu = apdu;
        self.state.channel = command.channel;
        self.state.active = Some(applet.slot);
        self.state.selecting = command.selecting;
        let buffer = self.state.system.buffer;
        self.fill(buffer, header.bytes())?;
        let apdu = Cell::reference(self.state.system.apdu);
        let result = self.run(services, |vm| call_applet(vm, &applet, tokens::PROCESS, &[apdu]));
        self.state.active = None;
        self.state.selecting = false;
        self.state.reselecting = false;
        let mut apdu = std::mem::take(&mut self.state.apdu);
        let status = match result {
            Ok(_) => sw::OK,
            Err(trap) => match self.refusal(trap) {
                CardError::Refused(status) => status,
                CardError::PowerLost => return Err(CardError::PowerLost),
                other => {
                    self.end_command()?;
                    return Err(other);
                }
            },
        };
        self.end_command()?;
        let mut answer = std::mem::take(&mut apdu.answer);
        // ISO/IEC 7816-4 5.6: data goes with 9xyz, 61xx, 62xx and 63xx only.
        if !matches!(status >> 8, 0x61..=0x63 | 0x90..=0x9F) {
            answer.clear();
        }
        answer.extend(status.to_be_bytes());
        Ok(answer)
    }

    /// Whether the instance takes STORE DATA from its security domain.
    pub fn takes_personalization(
        &mut self,
        instance: Aid,
        services: &mut dyn PlatformServices,
    ) -> Result<bool, CardError> {
        let applet = self.applet(instance)?;
        let found = self.run(services, |vm| personalization(vm, &applet));
        self.end_command()?;
        match found {
            Ok(found) => Ok(found.is_some()),
            Err(Trap::Power) => Err(CardError::PowerLost),
            Err(Trap::Fault(fault)) => Err(CardError::Fault(*fault)),
            Err(_) => Ok(false),
        }
    }

    /// Hands a STORE DATA command in clear to the instance's `processData`; its answer data.
    pub fn personalize(
        &mut self,
        channel: u8,
        instance: Aid,
        store_data: &[u8],
        services: &mut dyn PlatformServices,
    ) -> Result<Vec<u8>, CardError> {
        let applet = self.applet(instance)?;
        let Ok(len) = i16::try_from(store_data.len()) else {
            return Err(CardError::Refused(sw::WRONG_LENGTH));
        };
        self.state.channel = channel;
        self.state.active = Some(applet.slot);
        let buffer = self.state.system.buffer;
        let room = self.state.heap.object(buffer).and_then(|o| self.state.heap.array(o)).map_or(0, |a| a.len);
        if store_data.len() > usize::from(room) {
            self.state.active = None;
            return Err(CardError::Refused(sw::WRONG_LENGTH));
        }
        self.fill(buffer, store_data)?;
        let result = self.run(services, |vm| {
            let Some((object, interface)) = personalization(vm, &applet)? else {
                return crate::vm::raise(Exception::Iso, sw::CONDITIONS.signed());
            };
            let target = vm.interface_target(&object, interface.id, 0)?;
            let data = [Cell::reference(buffer), Cell::short(0), Cell::short(len)];
            let mut arguments = vec![Cell::reference(object.at)];
            arguments.extend(data);
            if interface.answers {
                arguments.extend([Cell::reference(buffer), Cell::short(0)]);
            }
            let value = vm.call(target, &arguments, applet.package, applet.slot)?;
            let Value::Short(len) = value else { return Ok(Vec::new()) };
            let array = vm.byte_array(buffer)?;
            vm.range(&array, 0, len)
        });
        self.state.active = None;
        self.end_command()?;
        result.map_err(|trap| self.refusal(trap))
    }
}

/// Calls a virtual method of the applet in its own context.
fn call_applet(vm: &mut Vm<'_>, applet: &AppletRecord, token: u8, arguments: &[Cell]) -> Outcome<Value> {
    let object = vm.object(applet.object)?;
    let target = tokens::method(vm, &object, token)?;
    let this = Cell::reference(applet.object);
    match *arguments {
        [] => vm.call(target, &[this], applet.package, applet.slot),
        [only] => vm.call(target, &[this, only], applet.package, applet.slot),
        _ => vm.call(target, &[&[this], arguments].concat(), applet.package, applet.slot),
    }
}

/// Calls `MultiSelectable.select` or `deselect`.
fn call_multiselectable(vm: &mut Vm<'_>, applet: &AppletRecord, token: u8, active: bool) -> Outcome<Value> {
    let object = vm.object(applet.object)?;
    let interface = vm.api_class("javacard/framework/MultiSelectable")?;
    let target = vm.interface_target(&object, interface, token)?;
    let arguments = [Cell::reference(applet.object), Cell::short(active.into())];
    vm.call(target, &arguments, applet.package, applet.slot)
}

/// The interface through which an applet takes personalisation data.
struct Personalization {
    id: ClassId,
    /// Whether `processData` has an answer.
    answers: bool,
}

/// The object that takes STORE DATA: the applet itself, or what it offers the runtime.
fn personalization(vm: &mut Vm<'_>, applet: &AppletRecord) -> Outcome<Option<(Object, Personalization)>> {
    const INTERFACES: [(&str, bool); 2] =
        [("org/globalplatform/Personalization", true), ("org/globalplatform/Application", false)];
    let mut candidates = vec![applet.object];
    let offered = call_applet(
        vm,
        applet,
        tokens::GET_SHAREABLE_INTERFACE_OBJECT,
        &[Cell::reference(Ref::NULL), Cell::short(0)],
    );
    match offered {
        Ok(Value::Reference(offered)) if !offered.is_null() => candidates.push(offered),
        Err(trap @ (Trap::Power | Trap::Fault(_))) => return Err(trap),
        _ => {}
    }
    for candidate in candidates {
        let object = vm.object(candidate)?;
        for (name, answers) in INTERFACES {
            if let Ok(id) = vm.api_class(name) {
                if object.is_instance() && vm.is_instance(&object, id) {
                    return Ok(Some((object, Personalization { id, answers })));
                }
            }
        }
    }
    Ok(None)
}
