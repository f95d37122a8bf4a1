//! Calls, returns and exceptions.

use super::interp::Flow;
use super::{type_fault, Args, Cell, Exception, FaultKind, Frame, Outcome, Trap, Value, Vm};
use crate::bits::UnsignedBits;
use crate::class::{ClassId, Constant, Target};
use crate::heap::{Context, Object, Owner, Ref};

impl Vm<'_> {
    /// Calls a method from outside the bytecode and runs it to its end.
    pub(crate) fn call(
        &mut self,
        target: Target,
        arguments: &[Cell],
        context: Context,
        owner: Owner,
    ) -> Outcome<Value> {
        let (sp, pc, frame, depth) = (self.sp, self.pc, self.frame, self.frames.len());
        let package = self.package.clone();
        let result = self.call_here(target, arguments, context, owner);
        self.frames.truncate(depth);
        (self.sp, self.pc, self.frame, self.package) = (sp, pc, frame, package);
        result
    }

    fn call_here(
        &mut self,
        target: Target,
        arguments: &[Cell],
        context: Context,
        owner: Owner,
    ) -> Outcome<Value> {
        let end = self.sp + arguments.len();
        if end > self.stack.len() {
            return Err(FaultKind::StackOverflow.into());
        }
        self.stack[self.sp..end].copy_from_slice(arguments);
        self.sp = end;
        let previous = if self.frame.context == context { self.frame.previous } else { self.frame.owner };
        match target {
            Target::Code { package, method } => {
                self.enter(package, method, true)?;
                self.frame.context = context;
                self.frame.owner = owner;
                self.frame.previous = previous;
                self.run()
            }
            Target::Native { function, nargs } => {
                if usize::from(nargs) != arguments.len() {
                    return Err(type_fault("wrong number of arguments"));
                }
                self.frame.context = context;
                self.frame.owner = owner;
                self.frame.previous = previous;
                let args = Args { base: self.sp - arguments.len(), count: arguments.len() };
                function(self, args)
            }
            Target::Abstract { .. } => Err(FaultKind::Abstract.into()),
            Target::Missing => Err(FaultKind::NotSupported("inherited method".into()).into()),
        }
    }

    /// Makes a frame over the arguments that lie on the stack.
    #[inline]
    fn enter(&mut self, slot: u8, method: u16, entry: bool) -> Outcome<()> {
        if slot != self.package.slot {
            let package = self.state.package(slot).cloned();
            self.package = package.ok_or_else(|| Trap::from(FaultKind::Damaged))?;
        }
        let method = *self.package.method(method).ok_or_else(|| Trap::from(FaultKind::Damaged))?;
        let (nargs, locals) = (usize::from(method.nargs), usize::from(method.locals));
        let floor_of_caller = if entry { 0 } else { self.frame.floor };
        let base = self.sp.checked_sub(nargs).filter(|base| *base >= floor_of_caller);
        let base = base.ok_or_else(|| Trap::from(FaultKind::OperandStack))?;
        let floor = self.sp + locals;
        let limit = floor + usize::from(method.stack);
        if limit > self.stack.len() || self.frames.len() >= self.state.profile.call_depth {
            return Err(FaultKind::StackOverflow.into());
        }
        self.stack[self.sp..floor].fill(Cell::default());
        let mut caller = self.frame;
        caller.pc = self.pc;
        self.frames.push(caller);
        self.frame =
            Frame { package: slot, pc: 0, base, locals: nargs + locals, floor, limit, entry, ..self.frame };
        self.sp = floor;
        self.pc = method.code.into();
        Ok(())
    }

    /// Runs a call instruction's target; `switch` names object and context change of an interface call.
    #[inline]
    pub(super) fn invoke(&mut self, target: Target, switch: Option<&Object>) -> Outcome<()> {
        match target {
            Target::Code { package, method } => {
                self.enter(package, method, false)?;
                if let Some(object) = switch {
                    self.frame.previous = self.frame.owner;
                    self.frame.owner = object.header.owner;
                    self.frame.context = self.state.heap.context_of(object);
                }
                Ok(())
            }
            Target::Native { function, nargs } => {
                let count = usize::from(nargs);
                let base = self.sp.checked_sub(count).filter(|base| *base >= self.frame.floor);
                let base = base.ok_or_else(|| Trap::from(FaultKind::OperandStack))?;
                let value = function(self, Args { base, count })?;
                self.sp = base;
                self.push_value(value)
            }
            Target::Abstract { .. } => Err(FaultKind::Abstract.into()),
            Target::Missing => Err(FaultKind::NotSupported("inherited method".into()).into()),
        }
    }

    /// Returns from the current method.
    #[inline]
    pub(super) fn leave(&mut self, value: Value) -> Outcome<Flow> {
        let base = self.frame.base;
        if self.frame.entry {
            return Ok(Flow::Done(value));
        }
        let caller = self.frames.pop().ok_or_else(|| Trap::from(FaultKind::Damaged))?;
        self.resume(caller)?;
        self.sp = base;
        self.push_value(value)?;
        Ok(Flow::Next)
    }

    #[inline]
    fn resume(&mut self, caller: Frame) -> Outcome<()> {
        if caller.package != self.package.slot {
            let package = self.state.package(caller.package).cloned();
            self.package = package.ok_or_else(|| Trap::from(FaultKind::Damaged))?;
        }
        self.frame = caller;
        self.pc = caller.pc;
        Ok(())
    }

    /// The exception object that a trap throws.
    pub(crate) fn exception(&mut self, exception: Exception, reason: i16) -> Outcome<Ref> {
        let at = self.state.system.exception(exception).ok_or_else(|| Trap::from(FaultKind::Damaged))?;
        let object = self.object(at)?;
        if self.state.heap.cells(&object) > 0 {
            self.set_cell(&object, 0, reason.unsigned())?;
        }
        Ok(at)
    }

    /// Finds the handler for what happened at an instruction, and goes there.
    pub(super) fn unwind(&mut self, trap: Trap, at: usize) -> Outcome<()> {
        let exception = match trap {
            Trap::Raise(exception, reason) => self.exception(exception, reason)?,
            Trap::Throw(exception) => exception,
            Trap::Fault(mut fault) => {
                if fault.at.is_none() {
                    fault.at = u16::try_from(at).ok().map(|at| (self.package.aid, at));
                }
                return Err(Trap::Fault(fault));
            }
            Trap::Power => return Err(Trap::Power),
        };
        let object = self.object(exception)?;
        let class = ClassId::of(&object);
        let mut at = at;
        loop {
            if let Some(handler) = self.handler(at, class) {
                self.sp = self.frame.floor;
                self.push(Cell::reference(exception))?;
                self.pc = handler;
                return Ok(());
            }
            if self.frame.entry {
                return Err(Trap::Throw(exception));
            }
            let caller = self.frames.pop().ok_or_else(|| Trap::from(FaultKind::Damaged))?;
            self.resume(caller)?;
            // The pc is behind the call; any byte of the call instruction will do.
            at = self.pc.saturating_sub(1);
        }
    }

    /// The first entry that covers the place and catches the class (JCVM 6.9.1).
    fn handler(&self, at: usize, class: ClassId) -> Option<usize> {
        let at = u32::try_from(at).ok()?;
        let thrown = self.state.class(class)?;
        let entry = self.package.handlers.iter().find(|h| {
            (u32::from(h.start)..h.end).contains(&at) && h.catches.is_none_or(|caught| thrown.is(caught))
        })?;
        Some(entry.target.into())
    }

    /// The object `nargs` cells below the top.
    #[inline]
    fn receiver(&self, nargs: u8) -> Outcome<Object> {
        let place = self.sp.checked_sub(nargs.into()).filter(|p| nargs > 0 && *p >= self.frame.floor);
        let cell = self.stack[place.ok_or_else(|| Trap::from(FaultKind::OperandStack))?];
        self.object(cell.as_reference().ok_or_else(|| type_fault("call on what is no object"))?)
    }

    pub(super) fn invoke_virtual(&mut self, constant: Constant) -> Outcome<()> {
        let Constant::Virtual { class, token, package_visible, nargs } = constant else {
            return Err(FaultKind::Constant.into());
        };
        let nargs = match nargs {
            0 => self.abstract_nargs(class, token, package_visible)?,
            nargs => nargs,
        };
        let object = self.receiver(nargs)?;
        self.check_virtual(&object)?;
        let target = self.virtual_target(&object, class, token, package_visible)?;
        if self.nargs(target) != nargs {
            return Err(type_fault("overriding method takes other arguments"));
        }
        self.invoke(target, None)
    }

    #[inline]
    fn virtual_target(
        &self,
        object: &Object,
        class: ClassId,
        token: u8,
        package_visible: bool,
    ) -> Outcome<Target> {
        let own = object.is_instance() && ClassId::of(object) == class;
        if !own && !self.is_instance(object, class) {
            return Err(type_fault("call on an object of another class"));
        }
        // Arrays have the methods of Object.
        let class = if object.is_instance() { ClassId::of(object) } else { class };
        let class = self.class(class)?;
        let table = if package_visible { &class.package_methods } else { &class.methods };
        table.get(usize::from(token)).copied().ok_or_else(|| FaultKind::Constant.into())
    }

    /// Argument cells of an abstract method, from any class on the card that implements it.
    fn abstract_nargs(&self, class: ClassId, token: u8, package_visible: bool) -> Outcome<u8> {
        let classes = self.state.packages.iter().flatten().flat_map(|p| p.classes.iter().flatten());
        let below = classes.filter(|c| c.ancestors.contains(&class));
        let mut found = below.filter_map(|c| {
            let table = if package_visible { &c.package_methods } else { &c.methods };
            table.get(usize::from(token)).map(|t| self.nargs(*t))
        });
        found.find(|n| *n != 0).ok_or_else(|| FaultKind::Abstract.into())
    }

    #[inline]
    fn nargs(&self, target: Target) -> u8 {
        match target {
            Target::Code { package, method } if package == self.package.slot => {
                self.package.method(method).map_or(0, |m| m.nargs)
            }
            Target::Code { package, method } => {
                self.state.package(package).and_then(|p| p.method(method)).map_or(0, |m| m.nargs)
            }
            Target::Native { nargs, .. } | Target::Abstract { nargs } => nargs,
            Target::Missing => 0,
        }
    }

    pub(super) fn invoke_special(&mut self, constant: Constant) -> Outcome<()> {
        let (Constant::Method(target) | Constant::Super(target)) = constant else {
            return Err(FaultKind::Constant.into());
        };
        self.receiver(self.nargs(target))?;
        self.invoke(target, None)
    }

    pub(super) fn invoke_interface(&mut self, nargs: u8, constant: Constant, token: u8) -> Outcome<()> {
        let Constant::Class(interface) = constant else { return Err(FaultKind::Constant.into()) };
        let object = self.receiver(nargs)?;
        if !object.is_instance() {
            return Err(type_fault("interface call on an array"));
        }
        let switches = self.check_interface(&object, interface)?;
        let target = self.interface_target(&object, interface, token)?;
        if self.nargs(target) != nargs {
            return Err(type_fault("interface method takes other arguments"));
        }
        self.invoke(target, switches.then_some(&object))
    }

    /// The method that an object's class has for a method of an interface.
    pub(crate) fn interface_target(&self, object: &Object, interface: ClassId, token: u8) -> Outcome<Target> {
        let own = self.class(ClassId::of(object))?;
        let mut class = Some(own);
        while let Some(current) = class {
            if let Some((_, tokens)) = current.interfaces.iter().find(|(id, _)| *id == interface) {
                let method = tokens.get(usize::from(token)).and_then(|t| own.methods.get(usize::from(*t)));
                return method.copied().ok_or_else(|| FaultKind::Constant.into());
            }
            class = current.superclass.and_then(|id| self.state.class(id));
        }
        Err(type_fault("the class does not implement the interface"))
    }
}
