//! Method (JCVM 6.9) from outside: where methods begin and end, their headers, and whose the handlers are.

use super::member::Flags;
use super::types::Signature;
use super::world::{method_offset, ClassId, World};
use super::{Findings, MethodSite, Rule};
use crate::model::{
    access, ComponentTag, ExceptionHandler, MethodDescriptor, MethodHeader, METHOD_ACC_ABSTRACT,
    METHOD_ACC_EXTENDED,
};

const MAX_LOCALS: usize = 255;
const MAX_CODE: usize = 32767;

/// A method with its code and handlers.
pub(super) struct Body<'a> {
    pub(super) class: ClassId,
    pub(super) site: MethodSite,
    pub(super) flags: Flags,
    pub(super) signature: Signature,
    pub(super) header: MethodHeader,
    pub(super) code: &'a [u8],
    /// Offset of the code in Method's info.
    pub(super) code_at: usize,
    pub(super) handlers: &'a [ExceptionHandler],
    /// Index of the first of them in the table.
    pub(super) first_handler: usize,
}

/// All methods with code, in the order of the component.
pub(super) fn check<'a>(world: &mut World<'a>, findings: &mut Findings) -> Vec<Body<'a>> {
    let cap = world.cap;
    let mut declared: Vec<(ClassId, &MethodDescriptor)> = Vec::new();
    for id in world.own_classes() {
        let Some(class) = world.described(id) else { continue };
        if !world.get(id).is_interface {
            declared.extend(class.methods.iter().map(|m| (id, m)));
            continue;
        }
        for (index, method) in class.methods.iter().enumerate() {
            let fields = [method.method_offset, method.bytecode_count, method.exception_handler_count];
            if fields != [0; 3] {
                let at = method_offset(world.descriptor, class, index);
                let site = Some(world.site(id, method));
                let message = format!("an interface method at {:#06x}", method.method_offset);
                findings.add_in(Rule::MethodLayout, ComponentTag::Method, at, site, message);
            }
        }
    }
    declared.sort_by_key(|(_, method)| method.method_offset);
    let mut bodies = Vec::new();
    let mut next = cap.method.first_method_offset();
    let mut next_handler = 0;
    for (id, method) in declared {
        let site = world.site(id, method);
        let at = usize::from(method.method_offset);
        let mut fault = |rule, at, message| {
            findings.add_in(rule, ComponentTag::Method, at, Some(site.clone()), message);
        };
        if at != next {
            fault(Rule::MethodLayout, at, format!("it begins at {at:#06x}, expected at {next:#06x}"));
            return Vec::new();
        }
        let header = cap.method.header_at(method.method_offset).ok();
        let code = header.and_then(|header| {
            let bytes = cap.method.bytes_at(method.method_offset)?.get(header.size()..)?;
            Some((header, bytes.get(..usize::from(method.bytecode_count))?))
        });
        let Some((header, code)) = code else {
            let message = format!("{} bytes of code run past the end", method.bytecode_count);
            fault(Rule::MethodLayout, at, message);
            return Vec::new();
        };
        let code_at = at + header.size();
        next = code_at + code.len();
        let count = usize::from(method.exception_handler_count);
        let first_handler = usize::from(method.exception_handler_index);
        if count > 0 && first_handler != next_handler {
            let message = format!("its handlers begin at index {first_handler}, expected at {next_handler}");
            fault(Rule::HandlerTable, at, message);
        }
        let Some(handlers) = cap.method.handlers.get(next_handler..next_handler + count) else {
            fault(Rule::HandlerTable, at, format!("{count} handlers from index {next_handler}"));
            return Vec::new();
        };
        let Some(signature) = world.signature_at(method.type_offset) else { continue };
        let flags = Flags(method.access_flags);
        let body = Body {
            class: id,
            site: site.clone(),
            flags,
            signature,
            header,
            code,
            code_at,
            handlers,
            first_handler: next_handler,
        };
        next_handler += count;
        check_header(world, &body, findings);
        if !flags.has(access::METHOD_ABSTRACT) {
            bodies.push(body);
        }
    }
    let end = cap.method.info_len();
    if next != end {
        let message = format!("{} bytes behind the last method", end.saturating_sub(next));
        findings.add(Rule::MethodLayout, ComponentTag::Method, next, message);
    }
    let handlers = cap.method.handlers.len();
    if next_handler != handlers {
        let message = format!("{handlers} handlers, the methods have {next_handler}");
        findings.add(Rule::HandlerTable, ComponentTag::Method, 0, message);
    }
    bodies
}

fn check_header(world: &World<'_>, body: &Body<'_>, findings: &mut Findings) {
    let at = usize::from(body.site.offset);
    let header = body.header;
    let mut fault = |rule, message| {
        findings.add_in(rule, ComponentTag::Method, at, Some(body.site.clone()), message);
    };
    let is_abstract = body.flags.has(access::METHOD_ABSTRACT);
    let first = world.cap.method.bytes_at(body.site.offset).and_then(|b| b.first()).copied().unwrap_or(0);
    let padded = header.is_extended() && first & 15 != 0;
    if header.flags & !(METHOD_ACC_EXTENDED | METHOD_ACC_ABSTRACT) != 0
        || header.is_abstract() != is_abstract
        || padded
    {
        fault(Rule::MethodHeader, format!("first byte {first:#04x}, Descriptor has {:#04x}", body.flags.0));
    }
    if is_abstract != body.code.is_empty() {
        fault(Rule::CodeEmpty, format!("{} bytes of code", body.code.len()));
    }
    let nargs = body.signature.cells() + usize::from(!body.flags.is_static());
    if nargs != usize::from(header.nargs) {
        fault(Rule::MethodNargs, format!("nargs {}, the signature takes {nargs}", header.nargs));
    }
    let locals = usize::from(header.nargs) + usize::from(header.max_locals);
    if locals > MAX_LOCALS {
        fault(Rule::LimitLocals, format!("{locals} cells"));
    }
    if body.code.len() > MAX_CODE {
        fault(Rule::LimitCode, format!("{} bytes", body.code.len()));
    }
    if is_abstract && !body.handlers.is_empty() {
        fault(Rule::HandlerTable, "an abstract method has handlers".into());
    }
}
