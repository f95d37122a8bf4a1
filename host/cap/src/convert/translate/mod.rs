//! Stage "translate": one method from JVM to Java Card bytecode.
//!
//! `operands` resolves and checks instructions, `flow` finds what is on the stack and in which interval, `width`
//! decides between 16 and 32 bits, `emit` selects instructions, `optimize` cleans up, `alloc` places variables and
//! `layout` settles branches.

mod alloc;
mod emit;
mod flow;
mod ir;
mod layout;
mod live;
mod machine;
mod merge;
mod operands;
mod optimize;
mod range;
mod unify;
mod uses;
mod width;

use std::collections::{HashMap, HashSet};

use super::diagnostics::{ConvertRule, Diagnostic, Limit};
use super::package::Package;
use super::resolve::{ClassKey, CpId, CpKey, CpTable};
use crate::classfile::{acc, JavaType, Jvm, Kind, Method};
use crate::code::Instruction;
use crate::model::MethodHeader;
use alloc::Places;
use ir::{Body, Item, Op};

pub(super) use emit::type_descriptor;
pub(super) use layout::PlacedHandler;
pub(super) use operands::{check_type, Operand};
pub use range::Range;

/// JCVM 2.2.4.3: cells of parameters and local variables.
const MAX_LOCALS: usize = 255;
/// Pool indices of the short field instructions are one byte.
const SHORT_FIELDS: usize = 256;

/// A translated method.
#[derive(Debug)]
pub(super) struct Translated {
    /// Instructions with the JVM instruction each stems from and its pool entry; pool indices are 0 still.
    pub(super) code: Vec<(Instruction, usize, Option<CpId>)>,
    /// Bytes of the code.
    pub(super) len: usize,
    /// Method header.
    pub(super) header: MethodHeader,
    /// Handlers in the order in which they apply, which is that of handler offsets.
    pub(super) handlers: Vec<PlacedHandler>,
    /// Source variables with their cells, for Debug: name, descriptor, start, length, cell.
    pub(super) variables: Vec<PlacedVariable>,
    /// Findings that do not stop the conversion.
    pub(super) warnings: Vec<Diagnostic>,
}

/// A source variable for the Debug component.
#[derive(Debug, Clone)]
pub(super) struct PlacedVariable {
    pub(super) name: String,
    pub(super) descriptor: String,
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) cell: u8,
}

/// Operands of all instructions of all methods: by class, method, instruction.
pub(super) type Operands = Vec<Vec<Vec<Operand>>>;

/// Resolves every instruction of the package.
pub(super) fn resolve_all(package: &Package<'_>, int: bool) -> Result<Operands, Vec<Diagnostic>> {
    let (mut all, mut errors) = (Vec::new(), Vec::new());
    for (index, class) in package.classes.iter().enumerate() {
        let mut methods = Vec::new();
        for method in &class.file.methods {
            let mut operands = Vec::new();
            // Static initialisers are evaluated, not translated.
            let code = method.code.as_ref().filter(|_| method.name != "<clinit>");
            for (at, instruction) in code.iter().flat_map(|code| code.instructions.iter().enumerate()) {
                match operands::operand(package, index, &instruction.jvm, int) {
                    Ok(operand) => operands.push(operand),
                    Err(rule) => {
                        let line = code.and_then(|code| code.line(at));
                        let error = class.method_diagnostic(method, line, rule);
                        // A synchronized block is entered once and left in several places.
                        let again = |e: &Diagnostic| {
                            *error.rule == ConvertRule::Synchronized
                                && *e.rule == ConvertRule::Synchronized
                                && (&e.class, &e.member) == (&error.class, &error.member)
                        };
                        if !errors.contains(&error) && !errors.iter().any(again) {
                            errors.push(error);
                        }
                        operands.push(Operand::None);
                    }
                }
            }
            methods.push(operands);
        }
        all.push(methods);
    }
    if errors.is_empty() {
        Ok(all)
    } else {
        Err(errors)
    }
}

/// The value of an `ldc` instruction.
pub(super) fn constant_operand(
    package: &Package<'_>,
    class: usize,
    jvm: &Jvm,
    int: bool,
) -> Result<i32, ConvertRule> {
    match operands::operand(package, class, jvm, int)? {
        Operand::Constant(value) => Ok(value),
        _ => Err(ConvertRule::Malformed("constant")),
    }
}

/// Refuses an instruction outside the subset.
pub(super) fn check_operand(
    package: &Package<'_>,
    class: usize,
    jvm: &Jvm,
    int: bool,
) -> Result<(), ConvertRule> {
    operands::operand(package, class, jvm, int).map(|_| ())
}

/// Puts all instance fields first in the pool, so that their indices fit one byte: in the order of first use, or,
/// when there are more than fit, by number of uses.
pub(super) fn number_fields(operands: &Operands, cp: &mut CpTable) -> HashSet<CpKey> {
    let mut uses: Vec<(CpKey, String, usize)> = Vec::new();
    let mut index: HashMap<CpKey, usize> = HashMap::new();
    for operand in operands.iter().flatten().flatten() {
        if let Operand::Field(key @ CpKey::InstanceField { .. }, ty) = operand {
            let at = *index.entry(*key).or_insert_with(|| {
                uses.push((*key, type_descriptor(ty), 0));
                uses.len() - 1
            });
            uses[at].2 += 1;
        }
    }
    if uses.len() > SHORT_FIELDS {
        uses.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
    }
    for (key, descriptor, _) in &uses {
        cp.id(*key, Some(descriptor));
    }
    uses.into_iter().take(SHORT_FIELDS).map(|(key, ..)| key).collect()
}

/// Translates a method that has code.
pub(super) fn translate(
    package: &Package<'_>,
    class: usize,
    method: usize,
    operands: &[Operand],
    short_fields: &HashSet<CpKey>,
    cp: &mut CpTable,
    int: bool,
) -> Result<Translated, Vec<Diagnostic>> {
    let owner = &package.classes[class];
    let source = &owner.file.methods[method];
    let ty = &owner.methods[method].ty;
    let Some(code) = &source.code else { return Err(Vec::new()) };
    let at_line = |(at, rule): (usize, ConvertRule)| owner.method_diagnostic(source, code.line(at), rule);
    let one = |error| vec![at_line(error)];
    let is_static = source.access & acc::STATIC != 0;

    let catch_types =
        catch_types(package, source).map_err(|rule| vec![owner.method_diagnostic(source, None, rule)])?;
    let flow = flow::analyse(source, ty, code, operands).map_err(one)?;
    let parameters = emit::parameter_webs(ty, is_static);
    let widths = width::decide(&code.instructions, operands, &flow, ty, &parameters, int)
        .map_err(|errors| errors.into_iter().map(at_line).collect::<Vec<_>>())?;
    let wrong_width = parameters
        .iter()
        .any(|(web, ty)| !ty.is_reference() && widths.web_is_int(&flow, *web) != (*ty == JavaType::Int));
    if wrong_width {
        return Err(one((0, ConvertRule::Malformed("parameter is given a value its type does not hold"))));
    }
    let mut body = emit::emit(
        &emit::Source {
            code,
            ty,
            is_static,
            operands,
            flow: &flow,
            widths: &widths,
            short_fields,
            catch_types: &catch_types,
        },
        cp,
    )
    .map_err(one)?;
    optimize::optimize(&mut body);
    alloc::remove_dead_stores(&mut body);
    alloc::join_increments(&mut body);
    optimize::optimize(&mut body);
    let places = alloc::place(&body);
    let cells = usize::from(places.cells);
    if cells > MAX_LOCALS {
        return Err(one((0, ConvertRule::Limit { limit: Limit::LocalCells, count: cells, max: MAX_LOCALS })));
    }
    alloc::reuse_stored(&mut body, &places);
    let cells = alloc::name_by_cell(&mut body, &places);
    let placed = shorter(body, &cells, short_fields.len(), source.name == "<init>").map_err(one)?;
    let nargs = u8::try_from(places.parameter_cells).unwrap_or(u8::MAX);
    let max_locals = u8::try_from(places.cells - places.parameter_cells).unwrap_or(u8::MAX);
    let variables = variables(source, &flow, &places, &placed.code);
    let warnings = int_variables(source, &flow, &widths)
        .map(|(line, rule)| owner.method_diagnostic(source, line, rule))
        .collect();
    Ok(Translated {
        len: placed.len,
        header: header(0, placed.max_stack, nargs, max_locals),
        code: placed.code,
        handlers: placed.handlers,
        variables,
        warnings,
    })
}

/// The short header where everything fits four bits.
pub(super) fn header(flags: u8, max_stack: u8, nargs: u8, max_locals: u8) -> MethodHeader {
    let extended = max_stack > 15 || nargs > 15 || max_locals > 15;
    let flags = flags | if extended { crate::model::METHOD_ACC_EXTENDED } else { 0 };
    MethodHeader { flags, max_stack, nargs, max_locals }
}

/// Lays out, with equal ends joined where that is shorter. Constructors are left as they are: before the call of the
/// superclass's constructor `this` has another type than after it.
fn shorter(
    mut body: Body,
    places: &Places,
    short_fields: usize,
    is_constructor: bool,
) -> Result<layout::Placed, (usize, ConvertRule)> {
    let mut joined = body.clone();
    let plain = settle(&mut body, places, short_fields)?;
    if is_constructor {
        return Ok(plain);
    }
    merge::join_ends(&mut joined, |op| layout::size(op, places, short_fields, false));
    optimize::clean_up(&mut joined);
    let joined = settle(&mut joined, places, short_fields)?;
    Ok(if joined.len < plain.len { joined } else { plain })
}

fn catch_types(package: &Package<'_>, method: &Method) -> Result<Vec<Option<ClassKey>>, ConvertRule> {
    let handlers = method.code.iter().flat_map(|code| &code.handlers);
    handlers.map(|h| h.catch_type.as_deref().map(|name| package.class_key(name)).transpose()).collect()
}

/// Lays out; where the handler table, which is sorted by handler offset, would not try handlers in the order the
/// class file asks for, a later one is reached over a jump at the end of the method.
fn settle(
    body: &mut Body,
    places: &Places,
    short_fields: usize,
) -> Result<layout::Placed, (usize, ConvertRule)> {
    for _ in 0..=body.handlers.len() {
        let mut placed = layout::layout(body, places, short_fields)?;
        if placed.handlers.len() != body.handlers.len() {
            // A handler whose range is empty was dropped: `optimize` keeps none.
            return Err((0, ConvertRule::HandlerOrder));
        }
        let late = (0..placed.handlers.len()).find(|&j| {
            let b = &placed.handlers[j];
            placed.handlers[..j].iter().any(|a| a.start < b.end && b.start < a.end && a.handler > b.handler)
        });
        let Some(late) = late else {
            placed.handlers.sort_by_key(|h| h.handler);
            return Ok(placed);
        };
        let label = body.labels;
        body.labels += 1;
        body.items.push(Item::Label(label));
        let target = body.handlers[late].handler;
        let source =
            body.items.iter().rev().find_map(|i| if let Item::Op(_, at) = i { Some(*at) } else { None });
        body.items.push(Item::Op(Op::Branch(crate::opcodes::Opcode::Goto, target), source.unwrap_or(0)));
        body.handlers[late].handler = label;
    }
    Err((0, ConvertRule::HandlerOrder))
}

/// Variables the source declares int that were given 16 bits.
fn int_variables<'a>(
    method: &'a Method,
    flow: &'a flow::Flow,
    widths: &'a width::Widths,
) -> impl Iterator<Item = (Option<u16>, ConvertRule)> + 'a {
    let code = method.code.as_ref();
    let stores =
        code.into_iter().flat_map(|code| code.instructions.iter().enumerate().map(move |i| (code, i)));
    let mut seen = HashSet::new();
    stores.filter_map(move |(code, (at, instruction))| {
        let Jvm::Store(Kind::Int, slot) = instruction.jvm else { return None };
        let web = flow.steps[at].as_ref()?.web?;
        let variable = code.variable(slot, at)?;
        let first =
            variable.descriptor == "I" && !widths.web_is_int(flow, web) && seen.insert(flow.webs.find(web));
        first.then(|| (code.line(at), ConvertRule::IntVariable(variable.name.clone())))
    })
}

/// Where source variables ended up. A variable is told apart from others in its slot by the instruction range.
fn variables(
    method: &Method,
    flow: &flow::Flow,
    places: &Places,
    placed: &[(Instruction, usize, Option<CpId>)],
) -> Vec<PlacedVariable> {
    let Some(code) = &method.code else { return Vec::new() };
    let mut out = Vec::new();
    for variable in &code.variables {
        let parameter = variable.start == 0 && variable.slot < code.max_locals;
        let defined = (variable.start.saturating_sub(1)..variable.end).find_map(|at| {
            let jvm = &code.instructions.get(at)?.jvm;
            let same = matches!(jvm, Jvm::Store(_, s) | Jvm::Load(_, s) | Jvm::Increment { slot: s, .. } if *s == variable.slot);
            same.then(|| flow.steps.get(at)?.as_ref()?.web).flatten()
        });
        let web = defined.or(parameter.then(|| u32::from(variable.slot)));
        let Some(cell) = web.and_then(|web| places.cell.get(&flow.webs.find(web))) else { continue };
        let range = placed.iter().filter(|(_, source, _)| (variable.start..variable.end).contains(source));
        let (mut start, mut end) = (usize::MAX, 0);
        for (instruction, ..) in range {
            start = start.min(instruction.offset);
            end = end.max(instruction.offset + instruction.len());
        }
        if let (true, Ok(cell)) = (start < end, u8::try_from(*cell)) {
            out.push(PlacedVariable {
                name: variable.name.clone(),
                descriptor: variable.descriptor.clone(),
                start,
                len: end - start,
                cell,
            });
        }
    }
    out
}
