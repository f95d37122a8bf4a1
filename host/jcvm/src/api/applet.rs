//! javacard.framework.Applet

use jpkise_cap::Aid;

use super::{framework, Row};
use crate::class::{ClassId, Target};
use crate::heap::{kind, Object, Ref, ENTRY_POINT, OWNER_SYSTEM};
use crate::vm::{raise, reason, Args, Exception, FaultKind, Outcome, Value, Vm};

const APPLET: &str = "javacard/framework/Applet";

/// Virtual method tokens of Applet that the runtime calls.
pub(crate) const DESELECT: u8 = 4;
pub(crate) const GET_SHAREABLE_INTERFACE_OBJECT: u8 = 5;
pub(crate) const SELECT: u8 = 6;
pub(crate) const PROCESS: u8 = 7;

/// What an object's class has for a virtual method of Applet.
pub(crate) fn method(vm: &Vm<'_>, applet: &Object, token: u8) -> Outcome<Target> {
    let class = vm.class(ClassId::of(applet))?;
    class.methods.get(usize::from(token)).copied().ok_or_else(|| FaultKind::Abstract.into())
}

/// register(): under the AID the CAP gives the applet class.
fn register(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let aid = vm.state.installing.map(|i| i.module);
    enter(vm, args, aid)
}

/// register(byte[] bArray, short bOffset, byte bLength)
fn register_as(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let (offset, len) = (vm.short_arg(args, 2)?, i16::from(vm.byte_arg(args, 3)?));
    let bytes = vm.bytes_arg(args, 1, offset, len)?;
    if !(5..=16).contains(&len) {
        return raise(Exception::System, reason::SYSTEM_ILLEGAL_VALUE);
    }
    let same_rid = vm.state.profile.same_rid;
    let package = vm.state.installing.and_then(|i| vm.state.package(i.package)).map(|p| p.aid);
    let aid = Aid::new(&bytes).ok().filter(|aid| !same_rid || package.is_none_or(|p| p.rid() == aid.rid()));
    if aid.is_none() {
        return raise(Exception::System, reason::ILLEGAL_AID);
    }
    enter(vm, args, aid)
}

fn enter(vm: &mut Vm<'_>, args: Args, aid: Option<Aid>) -> Outcome<Value> {
    let this = vm.this(args, APPLET)?;
    let (Some(mut installing), Some(aid)) = (vm.state.installing, aid) else {
        return raise(Exception::System, reason::ILLEGAL_AID);
    };
    if installing.registered.is_some() || vm.state.applet_by_aid(aid.as_bytes()).is_some() {
        return raise(Exception::System, reason::ILLEGAL_AID);
    }
    let aid_object = new_aid(vm, aid)?;
    vm.state.write_record(installing.slot, installing.package, aid, this.at, aid_object)?;
    installing.registered = Some(aid);
    vm.state.installing = Some(installing);
    Ok(Value::Void)
}

/// An AID object of the runtime, a permanent entry point.
fn new_aid(vm: &mut Vm<'_>, aid: Aid) -> Outcome<Ref> {
    let class = vm.api_class(framework::AID)?;
    let cells = vm.class(class)?.cells;
    let bytes = aid.as_bytes();
    let heap = &mut vm.state.heap;
    let array = heap.new_array(OWNER_SYSTEM, kind::BYTES, u16::try_from(bytes.len()).unwrap_or(0), (0, 0))?;
    if let Some(view) = heap.object(array).and_then(|o| heap.array(o)) {
        heap.write_bytes(&view, 0, bytes, false)?;
    }
    let object = heap.new_instance(OWNER_SYSTEM, class.package, class.index, cells, ENTRY_POINT)?;
    if let Some(view) = heap.object(object) {
        heap.set_cells(&view, 0, &array.0.to_be_bytes())?;
    }
    Ok(object)
}

/// selectingApplet()
fn selecting_applet(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(vm.state.selecting.into())
}

/// reSelectingApplet()
fn reselecting_applet(vm: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(vm.state.reselecting.into())
}

/// install: the one inherited from Applet (JCRE 3.1).
fn install(_: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    // ISO7816.SW_FUNC_NOT_SUPPORTED
    raise(Exception::Iso, 0x6A81)
}

fn deselect(_: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(Value::Void)
}

fn select(_: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(true.into())
}

fn get_shareable_interface_object(_: &mut Vm<'_>, _: Args) -> Outcome<Value> {
    Ok(Ref::NULL.into())
}

pub(super) const METHODS: &[Row] = &[
    (APPLET, "register()V", register),
    (APPLET, "register([BSB)V", register_as),
    (APPLET, "selectingApplet()Z", selecting_applet),
    (APPLET, "reSelectingApplet()Z", reselecting_applet),
    (APPLET, "install([BSB)V", install),
    (APPLET, "deselect()V", deselect),
    (APPLET, "select()Z", select),
    (
        APPLET,
        "getShareableInterfaceObject(Ljavacard/framework/AID;B)Ljavacard/framework/Shareable;",
        get_shareable_interface_object,
    ),
];
