//! javacard.framework.JCSystem

use super::{framework, Row};
use crate::class::ClassId;
use crate::heap::{kind, Clear, Header, Object, Ref, SYSTEM_CONTEXT};
use crate::vm::{check_range, raise, reason, type_fault, Args, Cell, Exception, Outcome, Trap, Value, Vm};

const JCSYSTEM: &str = "javacard/framework/JCSystem";

/// MEMORY_TYPE_…, and NOT_A_TRANSIENT_OBJECT as isTransient gives it.
const MEMORY_TYPE_PERSISTENT: i8 = 0;
const MEMORY_TYPE_TRANSIENT_RESET: i8 = 1;
const MEMORY_TYPE_TRANSIENT_DESELECT: i8 = 2;

/// CLEAR_ON_RESET, CLEAR_ON_DESELECT
fn event(value: i8) -> Outcome<Clear> {
    match value {
        1 => Ok(Clear::Reset),
        2 => Ok(Clear::Deselect),
        _ => raise(Exception::System, reason::SYSTEM_ILLEGAL_VALUE),
    }
}

fn make_transient(vm: &mut Vm<'_>, args: Args, kind: u8) -> Outcome<Value> {
    let len = vm.short_arg(args, 0)?;
    let len = u16::try_from(len).map_err(|_| Trap::Raise(Exception::NegativeArraySize, 0))?;
    let clear = event(vm.byte_arg(args, 1)?)?;
    new_transient(vm, kind, len, clear).map(Value::Reference)
}

/// A transient array of the current applet.
pub(super) fn new_transient(vm: &mut Vm<'_>, kind: u8, len: u16, clear: Clear) -> Outcome<Ref> {
    if clear == Clear::Deselect && vm.state.selected_context() != Some(vm.context()) {
        return raise(Exception::System, reason::ILLEGAL_TRANSIENT);
    }
    let owner = vm.owner();
    // Elements of reference arrays are Objects.
    let (package, aux) = if kind == kind::REFERENCES { (crate::class::FIRST_BUILT_IN, 0) } else { (0, 0) };
    let header = Header { size: 0, kind, owner, aux, package, flags: 0 };
    Ok(vm.state.heap.new_transient(header, len, clear)?)
}

/// makeTransientBooleanArray(short length, byte event)
fn make_booleans(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    make_transient(vm, args, kind::BOOLEANS)
}

/// makeTransientByteArray(short length, byte event)
fn make_bytes(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    make_transient(vm, args, kind::BYTES)
}

/// makeTransientShortArray(short length, byte event)
fn make_shorts(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    make_transient(vm, args, kind::SHORTS)
}

/// makeTransientObjectArray(short length, byte event)
fn make_objects(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    make_transient(vm, args, kind::REFERENCES)
}

/// isTransient(Object)
fn is_transient(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let at = vm.ref_arg(args, 0)?;
    if at.is_null() {
        return Ok(MEMORY_TYPE_PERSISTENT.into());
    }
    let object = vm.object(at)?;
    Ok(match (object.is_transient(), object.clears_on_deselect()) {
        (false, _) => MEMORY_TYPE_PERSISTENT,
        (_, false) => MEMORY_TYPE_TRANSIENT_RESET,
        (_, true) => MEMORY_TYPE_TRANSIENT_DESELECT,
    }
    .into())
}

/// getVersion()
fn get_version(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    use jpkise_cap::exports::Platform;
    // The API's own numbers: major and minor byte, the third figure of 3.0.x counting as minor.
    Ok(match vm.state.profile.platform {
        Platform::V3_0_1 => 0x0300_i16,
        Platform::V3_0_4 => 0x0304,
        Platform::V3_0_5 => 0x0305,
        Platform::V3_1_0 => 0x0310,
        Platform::V3_2_0 => 0x0320,
    }
    .into())
}

fn aid_of(vm: &Vm<'_>, slot: u8) -> Ref {
    vm.state.applet(slot).map_or(Ref::NULL, |a| a.aid_object)
}

/// getAID(): the applet under installation has none before it registers.
fn get_aid(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(aid_of(vm, vm.owner()).into())
}

/// getPreviousContextAID(): null when the runtime called.
fn get_previous_context_aid(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(aid_of(vm, vm.previous_owner()).into())
}

/// lookupAID(byte[] buffer, short offset, byte length)
fn lookup_aid(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let (offset, len) = (vm.short_arg(args, 1)?, i16::from(vm.byte_arg(args, 2)?));
    let aid = vm.bytes_arg(args, 0, offset, len)?;
    Ok(vm.state.applet_by_aid(&aid).map_or(Ref::NULL, |a| a.aid_object).into())
}

/// beginTransaction()
fn begin_transaction(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    if vm.state.heap.store.in_transaction() {
        return raise(Exception::Transaction, reason::IN_PROGRESS);
    }
    vm.state.heap.begin();
    Ok(Value::Void)
}

/// commitTransaction()
fn commit_transaction(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    if !vm.state.heap.store.in_transaction() {
        return raise(Exception::Transaction, reason::NOT_IN_PROGRESS);
    }
    vm.state.heap.commit()?;
    Ok(Value::Void)
}

/// abortTransaction(): objects made in the transaction are gone, references to them null (JCRE 7.6.3).
fn abort_transaction(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    if !vm.state.heap.store.in_transaction() {
        return raise(Exception::Transaction, reason::NOT_IN_PROGRESS);
    }
    let dead = vm.state.abort()?;
    vm.forget(&dead);
    Ok(Value::Void)
}

/// getTransactionDepth()
fn get_transaction_depth(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(vm.state.heap.store.in_transaction().into())
}

fn saturated(value: u32) -> i16 {
    i16::try_from(value).unwrap_or(i16::MAX)
}

/// getUnusedCommitCapacity()
fn get_unused_commit_capacity(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(saturated(vm.state.heap.store.unused_commit_capacity()).into())
}

/// getMaxCommitCapacity()
fn get_max_commit_capacity(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(saturated(vm.state.heap.store.layout().journal).into())
}

fn available(vm: &Vm<'_>, memory: i8) -> Outcome<u32> {
    match memory {
        MEMORY_TYPE_PERSISTENT => Ok(vm.state.heap.free_persistent()),
        MEMORY_TYPE_TRANSIENT_RESET | MEMORY_TYPE_TRANSIENT_DESELECT => Ok(vm.state.heap.free_transient()),
        _ => raise(Exception::System, reason::SYSTEM_ILLEGAL_VALUE),
    }
}

/// getAvailableMemory(byte memoryType)
fn get_available_memory(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    Ok(saturated(available(vm, vm.byte_arg(args, 0)?)?).into())
}

/// getAvailableMemory(short[] buffer, short offset, byte memoryType): 32 bits in two elements.
fn get_available_memory_long(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let object = vm.object(vm.ref_arg(args, 0)?)?;
    vm.check_array_access(&object)?;
    let array = vm.state.heap.array(object).ok_or_else(|| type_fault("array expected"))?;
    if array.kind() != kind::SHORTS {
        return Err(type_fault("short array expected"));
    }
    let offset = vm.short_arg(args, 1)?;
    let free = available(vm, vm.byte_arg(args, 2)?)?;
    let (from, _) = check_range(&array, offset, 2)?;
    let index = u16::try_from(from).map_err(|_| Trap::Raise(Exception::ArrayIndex, 0))?;
    vm.state.heap.set(&array, index, free >> 16)?;
    vm.state.heap.set(&array, index + 1, free & 0xFFFF)?;
    Ok(Value::Void)
}

/// getAppletShareableInterfaceObject(AID serverAID, byte parameter)
fn get_shareable(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let server = vm.object_arg(args, 0, framework::AID)?;
    let parameter = i16::from(vm.byte_arg(args, 1)?);
    let array = vm.own_array(&server, 0)?;
    let aid = vm.own_bytes(&array);
    let Some(applet) = vm.state.applet_by_aid(&aid).copied() else { return Ok(Ref::NULL.into()) };
    if !vm.state.may_serve(applet.slot) {
        return raise(Exception::Security, 0);
    }
    let client = aid_of(vm, vm.owner());
    let object = vm.object(applet.object)?;
    let target = super::applet::method(vm, &object, super::applet::GET_SHAREABLE_INTERFACE_OBJECT)?;
    let arguments = [Cell::reference(applet.object), Cell::reference(client), Cell::short(parameter)];
    let context = vm.state.heap.context_of_owner(applet.slot);
    // An exception of the server ends the call with null (JCRE 6.2.4).
    match vm.call(target, &arguments, context, applet.slot) {
        Ok(Value::Reference(offered)) => check_offer(vm, offered).map(Value::Reference),
        Ok(_) => Err(type_fault("getShareableInterfaceObject gives no reference")),
        Err(Trap::Throw(_) | Trap::Raise(..)) => Ok(Ref::NULL.into()),
        Err(other) => Err(other),
    }
}

/// What a server offers must be shareable; anything else could not be used.
fn check_offer(vm: &Vm<'_>, offered: Ref) -> Outcome<Ref> {
    if offered.is_null() {
        return Ok(offered);
    }
    let object: Object = vm.object(offered)?;
    let shareable = object.is_instance() && vm.class(ClassId::of(&object))?.shareable;
    Ok(if shareable || vm.context() == SYSTEM_CONTEXT { offered } else { Ref::NULL })
}

/// isObjectDeletionSupported()
fn is_object_deletion_supported(_: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(true.into())
}

/// requestObjectDeletion(): done when the command has ended (JCRE 8).
fn request_object_deletion(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    vm.state.deletion_requested = true;
    Ok(Value::Void)
}

/// getAssignedChannel()
fn get_assigned_channel(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(i16::from(vm.state.channel).into())
}

/// isAppletActive(AID theApplet)
fn is_applet_active(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let object = vm.object_arg(args, 0, framework::AID)?;
    let array = vm.own_array(&object, 0)?;
    let aid = vm.own_bytes(&array);
    let slot = vm.state.applet_by_aid(&aid).map(|a| a.slot);
    Ok(slot.is_some_and(|slot| vm.state.selected.contains(&Some(slot))).into())
}

pub(super) const METHODS: &[Row] = &[
    (JCSYSTEM, "makeTransientBooleanArray(SB)[Z", make_booleans),
    (JCSYSTEM, "makeTransientByteArray(SB)[B", make_bytes),
    (JCSYSTEM, "makeTransientShortArray(SB)[S", make_shorts),
    (JCSYSTEM, "makeTransientObjectArray(SB)[Ljava/lang/Object;", make_objects),
    (JCSYSTEM, "isTransient(Ljava/lang/Object;)B", is_transient),
    (JCSYSTEM, "getVersion()S", get_version),
    (JCSYSTEM, "getAID()Ljavacard/framework/AID;", get_aid),
    (JCSYSTEM, "getPreviousContextAID()Ljavacard/framework/AID;", get_previous_context_aid),
    (JCSYSTEM, "lookupAID([BSB)Ljavacard/framework/AID;", lookup_aid),
    (JCSYSTEM, "beginTransaction()V", begin_transaction),
    (JCSYSTEM, "commitTransaction()V", commit_transaction),
    (JCSYSTEM, "abortTransaction()V", abort_transaction),
    (JCSYSTEM, "getTransactionDepth()B", get_transaction_depth),
    (JCSYSTEM, "getUnusedCommitCapacity()S", get_unused_commit_capacity),
    (JCSYSTEM, "getMaxCommitCapacity()S", get_max_commit_capacity),
    (JCSYSTEM, "getAvailableMemory(B)S", get_available_memory),
    (JCSYSTEM, "getAvailableMemory([SSB)V", get_available_memory_long),
    (
        JCSYSTEM,
        "getAppletShareableInterfaceObject(Ljavacard/framework/AID;B)Ljavacard/framework/Shareable;",
        get_shareable,
    ),
    (JCSYSTEM, "isObjectDeletionSupported()Z", is_object_deletion_supported),
    (JCSYSTEM, "requestObjectDeletion()V", request_object_deletion),
    (JCSYSTEM, "getAssignedChannel()B", get_assigned_channel),
    (JCSYSTEM, "isAppletActive(Ljavacard/framework/AID;)Z", is_applet_active),
];
