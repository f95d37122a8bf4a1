//! Execution: one command's worth of bytecode over the card's state.

mod firewall;
mod interp;
mod invoke;
mod memory;
mod operands;
mod value;

pub(crate) use value::{raise, reason, type_fault, Cell, Exception, Outcome, Trap, Value};
pub use value::{Fault, FaultKind};

use std::sync::Arc;

use crate::class::{Class, ClassId, Package, FIRST_BUILT_IN};
use crate::heap::{kind, Array, Context, Object, Owner, Ref, OWNER_SYSTEM, SYSTEM_CONTEXT};
use crate::services::PlatformServices;
use crate::state::State;

/// The body of an API method.
pub(crate) type NativeFn = fn(&mut Vm<'_>, Args) -> Outcome<Value>;

/// Arguments of an API method: where they are on the stack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Args {
    base: usize,
    count: usize,
}

/// An activation.
#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    package: u8,
    /// Where to go on; meaningful while another frame is on top.
    pc: usize,
    /// First local variable.
    base: usize,
    locals: usize,
    /// First operand.
    floor: usize,
    /// One behind the last operand there may be.
    limit: usize,
    context: Context,
    /// The applet that new objects belong to.
    owner: Owner,
    /// The applet that was active before the last change of context.
    previous: Owner,
    /// Called from outside the interpreter: its return ends the run.
    entry: bool,
}

/// Memory of a machine that has run.
#[derive(Default)]
pub(crate) struct Scratch {
    stack: Vec<Cell>,
    frames: Vec<Frame>,
}

/// The machine while it runs.
pub(crate) struct Vm<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) services: &'a mut dyn PlatformServices,
    stack: Vec<Cell>,
    sp: usize,
    pc: usize,
    frame: Frame,
    frames: Vec<Frame>,
    package: Arc<Package>,
    budget: u64,
    tracing: bool,
}

impl<'a> Vm<'a> {
    pub(crate) fn new(state: &'a mut State, services: &'a mut dyn PlatformServices) -> Self {
        let Scratch { mut stack, mut frames } = std::mem::take(&mut state.scratch);
        frames.clear();
        stack.resize(state.profile.stack_cells, Cell::default());
        let budget = state.profile.instruction_budget;
        // Any package does until the first frame is there.
        let package = state.builtins.packages[0].clone();
        Self {
            stack,
            sp: 0,
            pc: 0,
            frame: Frame { context: SYSTEM_CONTEXT, owner: OWNER_SYSTEM, ..Frame::default() },
            frames,
            package,
            budget,
            tracing: state.tracer.is_some(),
            state,
            services,
        }
    }

    /// Gives its memory back.
    pub(crate) fn finish(self) {
        self.state.scratch = Scratch { stack: self.stack, frames: self.frames };
    }

    pub(crate) fn context(&self) -> Context {
        self.frame.context
    }

    /// The applet that new objects belong to.
    pub(crate) fn owner(&self) -> Owner {
        self.frame.owner
    }

    /// The applet that was active before the last change of context; 0 is the runtime.
    pub(crate) fn previous_owner(&self) -> Owner {
        self.frame.previous
    }

    pub(crate) fn class(&self, id: ClassId) -> Outcome<&Class> {
        self.state.class(id).ok_or_else(|| FaultKind::Damaged.into())
    }

    /// The object behind a reference.
    #[inline]
    pub(crate) fn object(&self, at: Ref) -> Outcome<Object> {
        // Null is no object to the heap.
        self.state.heap.object(at).ok_or_else(|| no_object(at))
    }

    /// An API class by name. The names are those of this crate's own code.
    pub(crate) fn api_class(&self, name: &str) -> Outcome<ClassId> {
        self.state.builtins.class_id(name).ok_or_else(|| FaultKind::NotSupported(name.into()).into())
    }

    /// Whether an object may be assigned to a variable of a class or interface type.
    pub(crate) fn is_instance(&self, object: &Object, of: ClassId) -> bool {
        if object.is_instance() {
            return self.state.class(ClassId::of(object)).is_some_and(|c| c.is(of));
        }
        // Arrays are objects, nothing else (JCVM 7.5.15).
        of.package == FIRST_BUILT_IN && of.index == 0
    }

    /// A new instance of an API class, owned by the current applet.
    pub(crate) fn new_api_object(&mut self, name: &str) -> Outcome<Ref> {
        let id = self.api_class(name)?;
        let cells = self.class(id)?.cells;
        let owner = self.owner();
        Ok(self.state.heap.new_instance(owner, id.package, id.index, cells, 0)?)
    }

    /// A new persistent byte array of the current applet.
    pub(crate) fn new_bytes(&mut self, len: u16) -> Outcome<Ref> {
        let owner = self.owner();
        Ok(self.state.heap.new_array(owner, kind::BYTES, len, (0, 0))?)
    }

    // Arguments of API methods.

    pub(crate) fn arg(&self, args: Args, index: usize) -> Outcome<Cell> {
        if index >= args.count {
            return Err(type_fault("missing argument"));
        }
        Ok(self.stack[args.base + index])
    }

    pub(crate) fn short_arg(&self, args: Args, index: usize) -> Outcome<i16> {
        self.arg(args, index)?.as_short().ok_or_else(|| type_fault("short argument expected"))
    }

    /// A byte argument: the low half of its cell.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn byte_arg(&self, args: Args, index: usize) -> Outcome<i8> {
        Ok(self.short_arg(args, index)? as i8)
    }

    pub(crate) fn ref_arg(&self, args: Args, index: usize) -> Outcome<Ref> {
        self.arg(args, index)?.as_reference().ok_or_else(|| type_fault("reference argument expected"))
    }

    /// The receiver of an API method, which must be of that class: its code reaches into the cells.
    pub(crate) fn this(&self, args: Args, class: &str) -> Outcome<Object> {
        let object = self.object(self.ref_arg(args, 0)?)?;
        self.expect_class(object, class)
    }

    /// An object argument of an API class or interface, accessible from here.
    pub(crate) fn object_arg(&self, args: Args, index: usize, class: &str) -> Outcome<Object> {
        let object = self.object(self.ref_arg(args, index)?)?;
        self.check_access(&object)?;
        self.expect_class(object, class)
    }

    fn expect_class(&self, object: Object, class: &str) -> Outcome<Object> {
        let id = self.api_class(class)?;
        if object.is_instance() && self.is_instance(&object, id) {
            Ok(object)
        } else {
            Err(type_fault("object of another class"))
        }
    }

    /// A cell of an API object.
    pub(crate) fn cell(&self, object: &Object, index: u16) -> u16 {
        self.state.heap.cell(object, index)
    }

    pub(crate) fn cell_ref(&self, object: &Object, index: u16) -> Ref {
        Ref(self.cell(object, index))
    }

    /// Sets a cell of an API object, in the open transaction.
    pub(crate) fn set_cell(&mut self, object: &Object, index: u16, value: u16) -> Outcome<()> {
        Ok(self.state.heap.set_cells(object, index, &value.to_be_bytes())?)
    }

    /// An array the runtime itself keeps in an API object's cell.
    pub(crate) fn own_array(&self, object: &Object, index: u16) -> Outcome<Array> {
        let array = self.object(self.cell_ref(object, index))?;
        self.state.heap.array(array).ok_or_else(|| FaultKind::Damaged.into())
    }

    /// All bytes of an array the runtime itself keeps.
    pub(crate) fn own_bytes(&self, array: &Array) -> Vec<u8> {
        self.state.heap.read_elements(array, 0, array.len.into())
    }

    /// A byte array argument that is accessible from here.
    pub(crate) fn byte_array(&self, at: Ref) -> Outcome<Array> {
        let object = self.object(at)?;
        self.check_array_access(&object)?;
        let array = self.state.heap.array(object).ok_or_else(|| type_fault("array expected"))?;
        if matches!(array.kind(), kind::BYTES | kind::BOOLEANS) {
            Ok(array)
        } else {
            Err(type_fault("byte array expected"))
        }
    }

    /// A byte array argument.
    pub(crate) fn array_arg(&self, args: Args, index: usize) -> Outcome<Array> {
        self.byte_array(self.ref_arg(args, index)?)
    }

    /// Bytes `offset..offset + len` of an array argument.
    pub(crate) fn bytes_arg(&self, args: Args, array: usize, offset: i16, len: i16) -> Outcome<Vec<u8>> {
        let array = self.array_arg(args, array)?;
        self.range(&array, offset, len)
    }

    /// Bytes `offset..offset + len` of an array.
    pub(crate) fn range(&self, array: &Array, offset: i16, len: i16) -> Outcome<Vec<u8>> {
        let (from, count) = check_range(array, offset, len)?;
        Ok(self.state.heap.read_elements(array, from, count))
    }

    /// Writes what an API method gives back; a persistent array takes it byte by byte, outside any transaction.
    pub(crate) fn put_bytes(&mut self, array: &Array, offset: i16, bytes: &[u8]) -> Outcome<()> {
        let len = i16::try_from(bytes.len()).map_err(|_| Trap::Raise(Exception::ArrayIndex, 0))?;
        let (from, _) = check_range(array, offset, len)?;
        Ok(self.state.heap.write_bytes(array, from, bytes, false)?)
    }

    /// Runs several persistent writes so that a power cut leaves all or none.
    pub(crate) fn atomically<T>(&mut self, work: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        if self.state.heap.store.in_transaction() {
            return work(self);
        }
        self.state.heap.store.begin();
        match work(self) {
            Ok(value) => {
                self.state.heap.store.commit()?;
                Ok(value)
            }
            Err(Trap::Power) => Err(Trap::Power),
            Err(trap) => {
                self.state.heap.store.abort()?;
                Err(trap)
            }
        }
    }

    /// References on the stack that an aborted transaction has taken back become null.
    pub(crate) fn forget(&mut self, dead: &[Ref]) {
        for cell in &mut self.stack[..self.sp] {
            if cell.as_reference().is_some_and(|r| dead.contains(&r)) {
                *cell = Cell::reference(Ref::NULL);
            }
        }
    }
}

#[cold]
fn no_object(at: Ref) -> Trap {
    if at.is_null() {
        Trap::Raise(Exception::NullPointer, 0)
    } else {
        FaultKind::Damaged.into()
    }
}

/// Checks `offset..offset + len` against an array of bytes (JCVM: ArrayIndexOutOfBoundsException).
#[allow(clippy::cast_sign_loss)]
pub(crate) fn check_range(array: &Array, offset: i16, len: i16) -> Outcome<(usize, usize)> {
    if array.holds(offset.into(), len.into()) {
        Ok((offset as usize, len as usize))
    } else {
        raise(Exception::ArrayIndex, 0)
    }
}
