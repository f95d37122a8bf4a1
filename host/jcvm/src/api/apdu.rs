//! javacard.framework.APDU

use super::Row;
use crate::apdu::Stage;
use crate::bits::Bits;
use crate::heap::{Array, SYSTEM_CONTEXT};
use crate::profile::Protocol;
use crate::state::State;
use crate::vm::{check_range, raise, reason, Args, Exception, FaultKind, Outcome, Trap, Value, Vm};

const APDU: &str = "javacard/framework/APDU";

/// PROTOCOL_T1, PROTOCOL_MEDIA_CONTACTLESS_TYPE_A
const PROTOCOL_T1: i8 = 1;
const PROTOCOL_T0: i8 = 0;
const MEDIA_CONTACTLESS_TYPE_A: i8 = -128;
/// Longest short answer.
const SHORT_ANSWER: i16 = 256;
/// getInBlockSize: information field of a T=1 block, and P3's granularity at T=0.
const IN_BLOCK_T1: i16 = 254;
const IN_BLOCK_T0: i16 = 1;
const OUT_BLOCK_T1: i16 = 254;
const OUT_BLOCK_T0: i16 = 258;

fn refuse<T>(reason: i16) -> Outcome<T> {
    raise(Exception::Apdu, reason)
}

/// The APDU object is there for the applet's process method only.
fn require_active(vm: &Vm<'_>) -> Outcome<()> {
    if vm.state.apdu.active {
        Ok(())
    } else {
        refuse(reason::APDU_ILLEGAL_USE)
    }
}

fn buffer(vm: &Vm<'_>) -> Outcome<Array> {
    let object = vm.object(vm.state.system.buffer)?;
    vm.state.heap.array(object).ok_or_else(|| FaultKind::Damaged.into())
}

/// getBuffer()
fn get_buffer(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(vm.state.system.buffer.into())
}

/// setIncomingAndReceive()
fn set_incoming_and_receive(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    require_active(vm)?;
    if vm.state.apdu.stage != Stage::Initial {
        return refuse(reason::APDU_ILLEGAL_USE);
    }
    let offset = vm.state.apdu.data_offset();
    receive(vm, offset)
}

/// receiveBytes(short bOff)
fn receive_bytes(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    require_active(vm)?;
    if !matches!(vm.state.apdu.stage, Stage::PartialIncoming | Stage::FullIncoming) {
        return refuse(reason::APDU_ILLEGAL_USE);
    }
    let offset = vm.short_arg(args, 1)?;
    match u16::try_from(offset) {
        Ok(offset) if offset < buffer(vm)?.len => receive(vm, offset),
        _ => refuse(reason::BUFFER_BOUNDS),
    }
}

fn receive(vm: &mut Vm<'_>, offset: u16) -> Outcome<Value> {
    let buffer = buffer(vm)?;
    let block = vm.state.profile.incoming_block;
    let room = usize::from(buffer.len.saturating_sub(offset));
    let chunk = vm.state.apdu.receive(room, block);
    vm.state.heap.write_bytes(&buffer, offset.into(), &chunk, false)?;
    Ok(i16::try_from(chunk.len()).unwrap_or(i16::MAX).into())
}

fn require_incoming(vm: &Vm<'_>) -> Outcome<()> {
    require_active(vm)?;
    match vm.state.apdu.stage {
        Stage::PartialIncoming | Stage::FullIncoming => Ok(()),
        _ => refuse(reason::APDU_ILLEGAL_USE),
    }
}

/// getIncomingLength()
fn get_incoming_length(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    require_incoming(vm)?;
    Ok(i16::try_from(vm.state.apdu.incoming_length()).unwrap_or(i16::MAX).into())
}

/// getOffsetCdata()
fn get_offset_cdata(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    require_incoming(vm)?;
    Ok(vm.state.apdu.data_offset().signed().into())
}

fn start_outgoing(vm: &mut Vm<'_>, no_chaining: bool) -> Outcome<i16> {
    require_active(vm)?;
    if vm.state.apdu.stage >= Stage::Outgoing {
        return refuse(reason::APDU_ILLEGAL_USE);
    }
    vm.state.apdu.stage = Stage::Outgoing;
    vm.state.apdu.no_chaining = no_chaining;
    Ok(vm.state.apdu.expected_length())
}

/// setOutgoing()
fn set_outgoing(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    start_outgoing(vm, false).map(Into::into)
}

/// setOutgoingNoChaining()
fn set_outgoing_no_chaining(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    start_outgoing(vm, true).map(Into::into)
}

fn announce(vm: &mut Vm<'_>, len: i16) -> Outcome<()> {
    require_active(vm)?;
    if vm.state.apdu.stage != Stage::Outgoing {
        return refuse(reason::APDU_ILLEGAL_USE);
    }
    let extended = vm.state.implements(vm.owner(), "javacardx/apdu/ExtendedLength");
    let longest = match (vm.state.apdu.no_chaining, extended) {
        (true, _) => out_block(vm) - 2,
        (_, true) => i16::MAX,
        (_, false) => SHORT_ANSWER,
    };
    match u16::try_from(len) {
        Ok(bytes) if len <= longest => {
            vm.state.apdu.announce(bytes);
            Ok(())
        }
        _ => refuse(reason::BAD_LENGTH),
    }
}

/// setOutgoingLength(short len)
fn set_outgoing_length(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    announce(vm, vm.short_arg(args, 1)?)?;
    Ok(Value::Void)
}

/// Whether `len` bytes may be sent now.
fn require_sending(vm: &Vm<'_>, len: i16) -> Outcome<()> {
    require_active(vm)?;
    let apdu = &vm.state.apdu;
    let sending = matches!(apdu.stage, Stage::OutgoingLengthKnown | Stage::PartialOutgoing);
    if !sending || usize::try_from(len).is_ok_and(|len| len > apdu.left_to_send()) {
        return refuse(reason::APDU_ILLEGAL_USE);
    }
    Ok(())
}

fn send(vm: &mut Vm<'_>, array: &Array, offset: i16, len: i16) -> Outcome<()> {
    let (from, count) = check_range(array, offset, len)?;
    let State { apdu, heap, .. } = &mut *vm.state;
    apdu.send(count, |out| heap.read_into(array, from, out));
    Ok(())
}

fn send_from_buffer(vm: &mut Vm<'_>, offset: i16, len: i16) -> Outcome<()> {
    let buffer = buffer(vm)?;
    if !buffer.holds(offset.into(), len.into()) {
        return refuse(reason::BUFFER_BOUNDS);
    }
    send(vm, &buffer, offset, len)
}

/// sendBytes(short bOff, short len)
fn send_bytes(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let (offset, len) = (vm.short_arg(args, 1)?, vm.short_arg(args, 2)?);
    require_sending(vm, len)?;
    send_from_buffer(vm, offset, len)?;
    Ok(Value::Void)
}

/// sendBytesLong(byte[] outData, short bOff, short len)
fn send_bytes_long(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let array = vm.array_arg(args, 1)?;
    let (offset, len) = (vm.short_arg(args, 2)?, vm.short_arg(args, 3)?);
    check_range(&array, offset, len)?;
    require_sending(vm, len)?;
    send(vm, &array, offset, len)?;
    Ok(Value::Void)
}

/// setOutgoingAndSend(short bOff, short len)
fn set_outgoing_and_send(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let (offset, len) = (vm.short_arg(args, 1)?, vm.short_arg(args, 2)?);
    start_outgoing(vm, false)?;
    announce(vm, len)?;
    send_from_buffer(vm, offset, len)?;
    Ok(Value::Void)
}

/// getCurrentState()
fn get_current_state(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok((vm.state.apdu.stage as i16).into())
}

/// getNAD()
fn get_nad(_: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(Value::Short(0))
}

/// getProtocol()
fn get_protocol(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    let apdu = &vm.state.apdu;
    Ok(match (apdu.contactless, apdu.protocol) {
        (true, _) => MEDIA_CONTACTLESS_TYPE_A | PROTOCOL_T1,
        (false, Protocol::T1) => PROTOCOL_T1,
        (false, Protocol::T0) => PROTOCOL_T0,
    }
    .into())
}

/// getInBlockSize()
fn get_in_block_size(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(match vm.state.apdu.protocol {
        Protocol::T1 => IN_BLOCK_T1,
        Protocol::T0 => IN_BLOCK_T0,
    }
    .into())
}

fn out_block(vm: &Vm<'_>) -> i16 {
    match vm.state.apdu.protocol {
        Protocol::T1 => OUT_BLOCK_T1,
        Protocol::T0 => OUT_BLOCK_T0,
    }
}

/// getOutBlockSize()
fn get_out_block_size(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(out_block(vm).into())
}

/// waitExtension()
fn wait_extension(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    if vm.state.apdu.no_chaining {
        return refuse(reason::APDU_ILLEGAL_USE);
    }
    Ok(Value::Void)
}

/// getCurrentAPDU and its buffer: for the selected applet while it processes a command.
fn require_current(vm: &Vm<'_>) -> Outcome<()> {
    let context = vm.context();
    if vm.state.apdu.active && (context == SYSTEM_CONTEXT || vm.state.selected_context() == Some(context)) {
        Ok(())
    } else {
        Err(Trap::Raise(Exception::Security, 0))
    }
}

/// getCurrentAPDU()
fn get_current_apdu(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    require_current(vm)?;
    Ok(vm.state.system.apdu.into())
}

/// getCurrentAPDUBuffer()
fn get_current_apdu_buffer(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    require_current(vm)?;
    Ok(vm.state.system.buffer.into())
}

/// The class byte as it stands in the buffer: a secure channel's unwrap may have changed it.
fn class_byte(vm: &Vm<'_>) -> Outcome<u8> {
    let mut first = [0];
    vm.state.heap.read_into(&buffer(vm)?, 0, &mut first);
    Ok(first[0])
}

/// Channel, secure messaging and chaining of a class byte (ISO/IEC 7816-4 section 5.4.1); proprietary classes of
/// GlobalPlatform lie as the interindustry ones do.
struct ClassByte {
    channel: u8,
    secure: bool,
    chained: bool,
}

impl ClassByte {
    fn of(cla: u8) -> Self {
        if cla & 0x40 == 0 {
            Self { channel: cla & 0x03, secure: cla & 0x0C != 0, chained: cla & 0x10 != 0 }
        } else {
            Self { channel: 4 + (cla & 0x0F), secure: cla & 0x20 != 0, chained: cla & 0x10 != 0 }
        }
    }
}

/// getCLAChannel()
fn get_cla_channel(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    let first = vm.state.apdu.header.bytes().first().copied().unwrap_or(0);
    Ok(i16::from(ClassByte::of(first).channel).into())
}

/// isCommandChainingCLA()
fn is_command_chaining(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(ClassByte::of(class_byte(vm)?).chained.into())
}

/// isSecureMessagingCLA()
fn is_secure_messaging(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(ClassByte::of(class_byte(vm)?).secure.into())
}

/// isISOInterindustryCLA()
fn is_interindustry(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok((class_byte(vm)? & 0x80 == 0).into())
}

/// isValidCLA(): 20 to 3F are reserved, FF is invalid.
fn is_valid_cla(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    let cla = class_byte(vm)?;
    Ok((!(0x20..0x40).contains(&cla) && cla != 0xFF).into())
}

pub(super) const METHODS: &[Row] = &[
    (APDU, "getBuffer()[B", get_buffer),
    (APDU, "setIncomingAndReceive()S", set_incoming_and_receive),
    (APDU, "receiveBytes(S)S", receive_bytes),
    (APDU, "getIncomingLength()S", get_incoming_length),
    (APDU, "getOffsetCdata()S", get_offset_cdata),
    (APDU, "setOutgoing()S", set_outgoing),
    (APDU, "setOutgoingNoChaining()S", set_outgoing_no_chaining),
    (APDU, "setOutgoingLength(S)V", set_outgoing_length),
    (APDU, "sendBytes(SS)V", send_bytes),
    (APDU, "sendBytesLong([BSS)V", send_bytes_long),
    (APDU, "setOutgoingAndSend(SS)V", set_outgoing_and_send),
    (APDU, "getCurrentState()B", get_current_state),
    (APDU, "getNAD()B", get_nad),
    (APDU, "getProtocol()B", get_protocol),
    (APDU, "getInBlockSize()S", get_in_block_size),
    (APDU, "getOutBlockSize()S", get_out_block_size),
    (APDU, "waitExtension()V", wait_extension),
    (APDU, "getCurrentAPDU()Ljavacard/framework/APDU;", get_current_apdu),
    (APDU, "getCurrentAPDUBuffer()[B", get_current_apdu_buffer),
    (APDU, "getCLAChannel()B", get_cla_channel),
    (APDU, "isCommandChainingCLA()Z", is_command_chaining),
    (APDU, "isSecureMessagingCLA()Z", is_secure_messaging),
    (APDU, "isISOInterindustryCLA()Z", is_interindustry),
    (APDU, "isValidCLA()Z", is_valid_cla),
];
