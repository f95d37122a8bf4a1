//! The applet firewall (JCRE 6.2.8): who may touch what.

use super::{raise, Exception, Outcome, Vm};
use crate::class::ClassId;
use crate::heap::{Object, ENTRY_POINT, GLOBAL, SYSTEM_CONTEXT, TEMPORARY};

impl Vm<'_> {
    /// Instance fields, and methods on objects that are neither entry points nor shareable.
    #[inline]
    pub(crate) fn check_access(&self, object: &Object) -> Outcome<()> {
        let context = self.frame.context;
        if context == SYSTEM_CONTEXT || self.state.heap.context_of(object) == context {
            return Ok(());
        }
        if object.has(ENTRY_POINT) {
            Ok(())
        } else {
            raise(Exception::Security, 0)
        }
    }

    /// Reading and writing fields (JCRE 6.2.8.3): entry points are no exception.
    #[inline]
    pub(super) fn check_field_access(&self, object: &Object) -> Outcome<()> {
        let context = self.frame.context;
        if context == SYSTEM_CONTEXT || self.state.heap.context_of(object) == context {
            Ok(())
        } else {
            raise(Exception::Security, 0)
        }
    }

    /// Array elements and lengths (JCRE 6.2.8.2).
    #[inline]
    pub(crate) fn check_array_access(&self, object: &Object) -> Outcome<()> {
        let context = self.frame.context;
        if context == SYSTEM_CONTEXT || object.has(GLOBAL) {
            return Ok(());
        }
        if self.state.heap.context_of(object) != context {
            return raise(Exception::Security, 0);
        }
        // JCRE 5.1: transient data of this kind belongs to the selected applet.
        if object.clears_on_deselect() && self.state.selected_context() != Some(context) {
            return raise(Exception::Security, 0);
        }
        Ok(())
    }

    /// References to temporary entry points and global arrays must not be stored (JCRE 6.2.8.1, 6.2.8.2).
    #[inline]
    pub(super) fn check_storable(&self, object: Option<&Object>) -> Outcome<()> {
        match object {
            Some(object) if object.has(TEMPORARY | GLOBAL) && self.frame.context != SYSTEM_CONTEXT => {
                raise(Exception::Security, 0)
            }
            _ => Ok(()),
        }
    }

    /// invokevirtual (JCRE 6.2.8.4).
    #[inline]
    pub(super) fn check_virtual(&self, object: &Object) -> Outcome<()> {
        if object.is_array() {
            return self.check_array_access(object);
        }
        self.check_access(object)
    }

    /// invokeinterface (JCRE 6.2.8.5, 6.2.8.6): whether the call changes the context.
    pub(super) fn check_interface(&self, object: &Object, interface: ClassId) -> Outcome<bool> {
        let context = self.frame.context;
        let owner = self.state.heap.context_of(object);
        if owner == context {
            return Ok(false);
        }
        if context == SYSTEM_CONTEXT {
            return Ok(true);
        }
        if object.has(ENTRY_POINT) {
            return Ok(false);
        }
        let shareable = self.class(interface)?.shareable;
        let offers = object.is_instance() && self.class(ClassId::of(object))?.shareable;
        if shareable && offers && self.state.may_serve(object.header.owner) {
            Ok(true)
        } else {
            raise(Exception::Security, 0)
        }
    }

    /// athrow (JCRE 6.2.8.7).
    pub(super) fn check_throw(&self, object: &Object) -> Outcome<()> {
        self.check_access(object)
    }

    /// checkcast and instanceof (JCRE 6.2.8.8, 6.2.8.9).
    pub(super) fn check_cast(&self, object: &Object, to: Option<ClassId>) -> Outcome<()> {
        let context = self.frame.context;
        if context == SYSTEM_CONTEXT
            || self.state.heap.context_of(object) == context
            || object.has(ENTRY_POINT | GLOBAL)
        {
            return Ok(());
        }
        let class = to.and_then(|id| self.state.class(id));
        let offers = object.is_instance() && self.class(ClassId::of(object))?.shareable;
        if offers && class.is_some_and(|c| c.is_interface && c.shareable) {
            Ok(())
        } else {
            raise(Exception::Security, 0)
        }
    }
}
