//! org.globalplatform: GPSystem and SecureChannel, passed on to the card manager.

use super::Row;
use crate::bits::{Bits, UnsignedBits};
use crate::heap::{Ref, GLOBAL};
use crate::services::Caller;
use crate::vm::{raise, Args, Exception, FaultKind, Outcome, Trap, Value, Vm};

/// The class of the secure channel object.
pub(crate) const SECURE_CHANNEL: &str = "org/globalplatform/SecureChannelImpl";

const GP_SYSTEM: &str = "org/globalplatform/GPSystem";
const CHANNEL: &str = "org/globalplatform/SecureChannel";

/// Offset of an answer of processSecurity in the APDU buffer.
const OFFSET_CDATA: i16 = 5;
/// Longest historical bytes.
const HISTORICAL: i16 = 15;
const SW_CONDITIONS: u16 = 0x6985;

/// The applet that asks. Before it is registered it has no life cycle and no security domain.
fn caller(vm: &Vm<'_>) -> Outcome<Caller> {
    let channel = vm.state.channel;
    match vm.state.applet(vm.owner()) {
        Some(applet) => Ok(Caller { channel, instance: applet.aid }),
        None => raise(Exception::Iso, SW_CONDITIONS.signed()),
    }
}

fn iso(sw: u16) -> Trap {
    Trap::Raise(Exception::Iso, sw.signed())
}

/// What the card manager has changed becomes permanent before the applet goes on.
fn persist(vm: &mut Vm<'_>) -> Outcome<()> {
    Ok(vm.services.persist(&mut vm.state.heap.store)?)
}

/// getSecureChannel()
fn get_secure_channel(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(vm.state.system.secure_channel.into())
}

/// getCVM(byte): the card keeps no global PIN.
fn get_cvm(_: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(Ref::NULL.into())
}

/// getCardContentState(): INSTALLED until registered.
fn get_card_content_state(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    /// GPSystem.APPLICATION_INSTALLED
    const INSTALLED: i16 = 3;
    Ok(match caller(vm) {
        Ok(caller) => vm.services.card_content_state(caller).signed().into(),
        Err(_) => Value::Short(INSTALLED),
    })
}

/// setCardContentState(byte)
fn set_card_content_state(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let state = vm.byte_arg(args, 0)?.unsigned();
    let Ok(caller) = caller(vm) else { return Ok(false.into()) };
    let done = vm.services.set_card_content_state(caller, state);
    persist(vm)?;
    Ok(done.into())
}

/// getCardState()
fn get_card_state(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(vm.services.card_state().signed().into())
}

/// lockCard()
fn lock_card(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    let Ok(caller) = caller(vm) else { return Ok(false.into()) };
    let done = vm.services.lock_card(caller);
    persist(vm)?;
    Ok(done.into())
}

/// terminateCard()
fn terminate_card(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    let Ok(caller) = caller(vm) else { return Ok(false.into()) };
    let done = vm.services.terminate_card(caller);
    persist(vm)?;
    Ok(done.into())
}

/// setATRHistBytes(byte[] baBuffer, short sOffset, byte bLength)
fn set_atr_hist_bytes(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let (offset, len) = (vm.short_arg(args, 1)?, i16::from(vm.byte_arg(args, 2)?));
    let bytes = vm.bytes_arg(args, 0, offset, len)?;
    let Ok(caller) = caller(vm) else { return Ok(false.into()) };
    let done = len <= HISTORICAL && vm.services.set_atr_historical_bytes(caller, &bytes);
    persist(vm)?;
    Ok(done.into())
}

/// processSecurity(APDU): takes the command's data itself; the answer stands in the buffer from offset 5.
fn process_security(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    vm.object_arg(args, 1, "javacard/framework/APDU")?;
    let caller = caller(vm)?;
    let object = vm.object(vm.state.system.buffer)?;
    let buffer = vm.state.heap.array(object).ok_or_else(|| Trap::from(FaultKind::Damaged))?;
    if vm.state.apdu.stage == crate::apdu::Stage::Initial {
        let room = usize::from(buffer.len.saturating_sub(OFFSET_CDATA.unsigned()));
        let data = vm.state.apdu.receive(room, None);
        vm.put_bytes(&buffer, OFFSET_CDATA, &data)?;
    }
    let len = OFFSET_CDATA.saturating_add(vm.state.apdu.incoming_length().signed());
    let command = vm.range(&buffer, 0, len.min(buffer.len.signed()))?;
    let answer = vm.services.process_security(caller, &command);
    persist(vm)?;
    let answer = answer.map_err(iso)?;
    vm.put_bytes(&buffer, OFFSET_CDATA, &answer)?;
    Ok(i16::try_from(answer.len()).unwrap_or(0).into())
}

type Service = fn(&mut Vm<'_>, Caller, &[u8]) -> Result<Vec<u8>, u16>;

/// The methods that change a buffer in place: `(byte[] baBuffer, short sOffset, short sLength)`, length of the result.
fn in_place(vm: &mut Vm<'_>, args: Args, service: Service) -> Outcome<Value> {
    let caller = caller(vm)?;
    let array = vm.array_arg(args, 1)?;
    // The security domain's context sees global arrays only (JCRE 6.2.2).
    if !array.object.has(GLOBAL) {
        return raise(Exception::Security, 0);
    }
    let (offset, len) = (vm.short_arg(args, 2)?, vm.short_arg(args, 3)?);
    let input = vm.range(&array, offset, len)?;
    let output = service(vm, caller, &input).map_err(iso)?;
    vm.put_bytes(&array, offset, &output)?;
    Ok(i16::try_from(output.len()).unwrap_or(0).into())
}

fn wrap(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    in_place(vm, args, |vm, caller, data| vm.services.wrap(caller, data))
}

fn unwrap(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    in_place(vm, args, |vm, caller, data| vm.services.unwrap(caller, data))
}

fn decrypt_data(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    in_place(vm, args, |vm, caller, data| vm.services.decrypt_data(caller, data))
}

fn encrypt_data(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    in_place(vm, args, |vm, caller, data| vm.services.encrypt_data(caller, data))
}

/// resetSecurity()
fn reset_security(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    if let Ok(caller) = caller(vm) {
        vm.services.reset_security(caller);
    }
    Ok(Value::Void)
}

/// getSecurityLevel()
fn get_security_level(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    let Ok(caller) = caller(vm) else { return Ok(Value::Short(0)) };
    Ok(vm.services.security_level(caller).signed().into())
}

pub(super) const METHODS: &[Row] = &[
    (GP_SYSTEM, "getSecureChannel()Lorg/globalplatform/SecureChannel;", get_secure_channel),
    (GP_SYSTEM, "getCVM(B)Lorg/globalplatform/CVM;", get_cvm),
    (GP_SYSTEM, "getCardContentState()B", get_card_content_state),
    (GP_SYSTEM, "setCardContentState(B)Z", set_card_content_state),
    (GP_SYSTEM, "getCardState()B", get_card_state),
    (GP_SYSTEM, "lockCard()Z", lock_card),
    (GP_SYSTEM, "terminateCard()Z", terminate_card),
    (GP_SYSTEM, "setATRHistBytes([BSB)Z", set_atr_hist_bytes),
    (CHANNEL, "processSecurity(Ljavacard/framework/APDU;)S", process_security),
    (CHANNEL, "wrap([BSS)S", wrap),
    (CHANNEL, "unwrap([BSS)S", unwrap),
    (CHANNEL, "decryptData([BSS)S", decrypt_data),
    (CHANNEL, "encryptData([BSS)S", encrypt_data),
    (CHANNEL, "resetSecurity()V", reset_security),
    (CHANNEL, "getSecurityLevel()B", get_security_level),
];
