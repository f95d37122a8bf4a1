//! A second opinion: walks along paths of accepted code, one at a time and with nothing joined, and watches that
//! every instruction finds the kinds of values it needs. It knows no classes, but it knows them without a verifier.

use jpkise_cap::code::{decode, Instruction, Operands};
use jpkise_cap::exports::ExportSet;
use jpkise_cap::model::*;
use jpkise_cap::opcodes::Opcode;
use jpkise_cap::verify::is_accepted;
use jpkise_cap::LoadOptions;

use crate::asm::assemble;
use crate::samples::{APPLET, LIBRARY};

/// Short, Int (two cells), Reference; a new object by number until its constructor has run; a return address.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Unset,
    S,
    I,
    J,
    R,
    New(usize),
    Address(usize),
}

/// Instructions by what they take from the stack and leave there (`I` is both cells of an int).
const EFFECTS: &[(&str, &str)] = &[
    ("nop goto goto_w", ">"),
    ("aconst_null", ">R"),
    ("sconst_m1 sconst_0 sconst_1 sconst_2 sconst_3 sconst_4 sconst_5 bspush sspush", ">S"),
    ("iconst_m1 iconst_0 iconst_1 iconst_2 iconst_3 iconst_4 iconst_5 bipush sipush iipush", ">I"),
    ("aaload", "RS>R"),
    ("baload saload", "RS>S"),
    ("iaload", "RS>I"),
    ("aastore", "RSR>"),
    ("bastore sastore", "RSS>"),
    ("iastore", "RSI>"),
    ("sadd ssub smul sdiv srem sshl sshr sushr sand sor sxor", "SS>S"),
    ("iadd isub imul idiv irem ishl ishr iushr iand ior ixor", "II>I"),
    ("sneg s2b", "S>S"),
    ("ineg", "I>I"),
    ("s2i", "S>I"),
    ("i2b i2s", "I>S"),
    ("icmp", "II>S"),
    ("ifeq ifne iflt ifge ifgt ifle ifeq_w ifne_w iflt_w ifge_w ifgt_w ifle_w", "S>"),
    ("if_scmpeq if_scmpne if_scmplt if_scmpge if_scmpgt if_scmple", "SS>"),
    ("if_scmpeq_w if_scmpne_w if_scmplt_w if_scmpge_w if_scmpgt_w if_scmple_w", "SS>"),
    ("stableswitch slookupswitch", "S>"),
    ("itableswitch ilookupswitch", "I>"),
    ("newarray anewarray", "S>R"),
    ("arraylength instanceof", "R>S"),
    ("checkcast", "R>R"),
    ("athrow", "R>"),
];

struct Walker<'a> {
    cap: &'a Cap,
    method: &'a MethodDescriptor,
    code: Vec<Instruction>,
    base: usize,
    header: MethodHeader,
    locals: Vec<Kind>,
    stack: Vec<Kind>,
    made: usize,
    random: u64,
}

type Walk<T> = Result<T, String>;

impl Walker<'_> {
    /// A number below `n` (xorshift: the same walks in every run).
    fn pick(&mut self, n: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % n as u64) as usize
    }

    fn push(&mut self, kind: Kind) -> Walk<()> {
        self.stack.push(kind);
        if self.stack.len() > usize::from(self.header.max_stack) {
            return Err("stack overflow".into());
        }
        Ok(())
    }

    fn push_letter(&mut self, letter: char) -> Walk<()> {
        match letter {
            'S' => self.push(Kind::S),
            'R' => self.push(Kind::R),
            _ => self.push(Kind::I).and_then(|()| self.push(Kind::J)),
        }
    }

    fn pop(&mut self) -> Walk<Kind> {
        self.stack.pop().ok_or_else(|| "stack underflow".into())
    }

    fn pop_letter(&mut self, letter: char) -> Walk<()> {
        let kinds: &[Kind] = match letter {
            'S' => &[Kind::S],
            'R' => &[Kind::R],
            _ => &[Kind::J, Kind::I],
        };
        for kind in kinds {
            let found = self.pop()?;
            if found != *kind {
                return Err(format!("{kind:?} needed, {found:?} found"));
            }
        }
        Ok(())
    }

    fn types(&self, index: u16) -> Vec<Type> {
        let types = &self.cap.descriptor.as_ref().unwrap().types;
        types.at(types.constant_pool_types[usize::from(index)]).unwrap().decode().unwrap()
    }

    fn local(&self, at: usize) -> Walk<Kind> {
        self.locals.get(at).copied().ok_or_else(|| format!("no local {at}"))
    }

    fn set_local(&mut self, at: usize, kind: Kind) -> Walk<()> {
        match self.local(at)? {
            Kind::I => self.locals[at + 1] = Kind::Unset,
            Kind::J => self.locals[at - 1] = Kind::Unset,
            _ => {}
        }
        self.locals[at] = kind;
        Ok(())
    }

    /// Walks until the method is left, or for a while.
    fn walk(&mut self) -> Walk<()> {
        self.start();
        let mut at = 0;
        for _ in 0..300 {
            if self.pick(8) == 0 {
                if let Some(handler) = self.handler(at) {
                    self.stack.clear();
                    self.push(Kind::R)?;
                    at = handler;
                }
            }
            let Some(next) = self.step(at).map_err(|e| format!("{e} at {}", self.code[at].offset))? else {
                return Ok(());
            };
            at = next;
        }
        Ok(())
    }

    fn start(&mut self) {
        self.stack.clear();
        self.locals.clear();
        if self.method.access_flags & access::STATIC == 0 {
            let init = self.method.access_flags & access::METHOD_INIT != 0;
            self.locals.push(if init { Kind::New(0) } else { Kind::R });
        }
        let types = &self.cap.descriptor.as_ref().unwrap().types;
        let signature = types.at(self.method.type_offset).unwrap().decode().unwrap();
        for ty in &signature[..signature.len() - 1] {
            match letter(*ty) {
                'I' => self.locals.extend([Kind::I, Kind::J]),
                'S' => self.locals.push(Kind::S),
                _ => self.locals.push(Kind::R),
            }
        }
        let all = usize::from(self.header.nargs) + usize::from(self.header.max_locals);
        assert_eq!(self.locals.len(), usize::from(self.header.nargs));
        self.locals.resize(all, Kind::Unset);
        self.made = 0;
    }

    fn handler(&mut self, at: usize) -> Option<usize> {
        let pc = self.base + self.code[at].offset;
        let covering: Vec<usize> = self
            .cap
            .method
            .handlers
            .iter()
            .filter(|h| {
                let start = usize::from(h.start_offset);
                (start..start + usize::from(h.active_length)).contains(&pc)
            })
            .map(|h| usize::from(h.handler_offset) - self.base)
            .collect();
        if covering.is_empty() {
            return None;
        }
        let chosen = covering[self.pick(covering.len())];
        self.code.iter().position(|i| i.offset == chosen)
    }

    fn target(&self, target: i64) -> Walk<usize> {
        let found = self.code.iter().position(|i| i.offset as i64 == target);
        found.ok_or_else(|| "jump to no instruction".into())
    }

    /// Index of the next instruction; `None` when the method is left.
    fn step(&mut self, at: usize) -> Walk<Option<usize>> {
        let instruction = self.code[at].clone();
        let name = instruction.opcode.mnemonic();
        let root = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
        if let Some((_, effect)) = EFFECTS.iter().find(|(names, _)| names.split(' ').any(|n| n == name)) {
            let (takes, leaves) = effect.split_once('>').unwrap();
            takes.chars().rev().try_for_each(|letter| self.pop_letter(letter))?;
            leaves.chars().try_for_each(|letter| self.push_letter(letter))?;
        } else if matches!(root, "aload" | "sload" | "iload" | "astore" | "sstore" | "istore") {
            self.load_store(root, &instruction)?;
        } else {
            match instruction.opcode {
                Opcode::Sinc | Opcode::SincW | Opcode::Iinc | Opcode::IincW => {
                    let Operands::Increment { local, .. } = instruction.operands else { unreachable!() };
                    let wanted = if name.starts_with('s') { Kind::S } else { Kind::I };
                    if self.local(local.into())? != wanted {
                        return Err(format!("{name} of {:?}", self.local(local.into())?));
                    }
                }
                Opcode::Ifnull | Opcode::Ifnonnull | Opcode::IfnullW | Opcode::IfnonnullW => {
                    self.pop_any()?;
                }
                Opcode::IfAcmpeq | Opcode::IfAcmpne | Opcode::IfAcmpeqW | Opcode::IfAcmpneW => {
                    self.pop_any()?;
                    self.pop_any()?;
                }
                Opcode::Areturn | Opcode::Sreturn | Opcode::Ireturn | Opcode::Return => {
                    match instruction.opcode {
                        Opcode::Areturn => self.pop_letter('R')?,
                        Opcode::Sreturn => self.pop_letter('S')?,
                        Opcode::Ireturn => self.pop_letter('I')?,
                        _ => {}
                    }
                    let left = self.locals.contains(&Kind::New(0));
                    if left && self.method.access_flags & access::METHOD_INIT != 0 {
                        return Err("returned without calling a constructor".into());
                    }
                    return Ok(None);
                }
                Opcode::New => {
                    self.made += 1;
                    self.push(Kind::New(self.made))?;
                }
                Opcode::Jsr => self.push(Kind::Address(at + 1))?,
                Opcode::Ret => {
                    let Operands::Local(local) = instruction.operands else { unreachable!() };
                    return match self.local(local.into())? {
                        Kind::Address(next) => Ok(Some(next)),
                        other => Err(format!("ret to {other:?}")),
                    };
                }
                Opcode::Pop | Opcode::Pop2 | Opcode::Dup | Opcode::Dup2 | Opcode::DupX | Opcode::SwapX => {
                    self.shuffle(&instruction)?;
                }
                _ if name.starts_with("invoke") => self.invoke(&instruction)?,
                _ => self.field(name, &instruction)?,
            }
        }
        if instruction.opcode == Opcode::Athrow {
            return Ok(None);
        }
        let targets = instruction.targets();
        let ends = instruction.opcode.ends_flow() || instruction.opcode == Opcode::Jsr;
        let choice = self.pick(targets.len() + usize::from(!ends));
        match targets.get(choice) {
            Some(target) => self.target(*target).map(Some),
            None if at + 1 < self.code.len() => Ok(Some(at + 1)),
            None => Err("past the end".into()),
        }
    }

    fn pop_any(&mut self) -> Walk<()> {
        match self.pop()? {
            Kind::R | Kind::New(_) => Ok(()),
            other => Err(format!("reference needed, {other:?} found")),
        }
    }

    fn load_store(&mut self, root: &str, instruction: &Instruction) -> Walk<()> {
        let digit = instruction.opcode.mnemonic().chars().last().and_then(|c| c.to_digit(10));
        let at = match (instruction.operands.clone(), digit) {
            (Operands::Local(local), _) => usize::from(local),
            (_, Some(digit)) => digit as usize,
            _ => return Err("no local named".into()),
        };
        match root {
            "aload" => match self.local(at)? {
                kind @ (Kind::R | Kind::New(_)) => self.push(kind),
                other => Err(format!("aload of {other:?}")),
            },
            "sload" if self.local(at)? == Kind::S => self.push(Kind::S),
            "iload" if self.local(at)? == Kind::I && self.local(at + 1)? == Kind::J => self.push_letter('I'),
            "astore" => match self.pop()? {
                kind @ (Kind::R | Kind::New(_) | Kind::Address(_)) => self.set_local(at, kind),
                other => Err(format!("astore of {other:?}")),
            },
            "sstore" => self.pop_letter('S').and_then(|()| self.set_local(at, Kind::S)),
            "istore" => {
                self.pop_letter('I')?;
                self.set_local(at + 1, Kind::Unset)?;
                self.set_local(at, Kind::I)?;
                self.locals[at + 1] = Kind::J;
                Ok(())
            }
            _ => Err(format!("{root} of {:?}", self.local(at)?)),
        }
    }

    fn shuffle(&mut self, instruction: &Instruction) -> Walk<()> {
        let (m, n) = match (instruction.opcode, &instruction.operands) {
            (Opcode::Pop | Opcode::Dup, _) => (1, 0),
            (Opcode::Pop2 | Opcode::Dup2, _) => (2, 0),
            (_, Operands::Nibbles { m, n }) => (usize::from(*m), usize::from(*n)),
            _ => unreachable!(),
        };
        let top = |stack: &[Kind], depth: usize| {
            let at = stack.len().checked_sub(depth).ok_or("stack underflow")?;
            // No boundary may fall into an int.
            if stack.get(at) == Some(&Kind::J) {
                Err("int split")
            } else {
                Ok(at)
            }
        };
        let from = top(&self.stack, m)?;
        match instruction.opcode {
            Opcode::Pop | Opcode::Pop2 => self.stack.truncate(from),
            Opcode::SwapX => {
                let below = top(&self.stack, m + n)?;
                let moved = self.stack.split_off(from);
                self.stack.splice(below..below, moved);
            }
            _ => {
                let copied = self.stack[from..].to_vec();
                let place = if n == 0 { from } else { top(&self.stack, n)? };
                self.stack.splice(place..place, copied);
                if self.stack.len() > usize::from(self.header.max_stack) {
                    return Err("stack overflow".into());
                }
            }
        }
        Ok(())
    }

    fn invoke(&mut self, instruction: &Instruction) -> Walk<()> {
        let index = instruction.pool_index().unwrap();
        let (signature, receiver) =
            if let Operands::InvokeInterface { nargs, token, .. } = instruction.operands {
                let signature = self.interface_method(index, token)?;
                let cells: u8 = signature[..signature.len() - 1].iter().map(|t| t.cells()).sum();
                if cells + 1 != nargs {
                    return Err("wrong nargs".into());
                }
                (signature, true)
            } else {
                (self.types(index), instruction.opcode != Opcode::Invokestatic)
            };
        let (result, parameters) = signature.split_last().unwrap();
        for ty in parameters.iter().rev() {
            self.pop_letter(letter(*ty))?;
        }
        if receiver {
            match self.pop()? {
                Kind::R => {}
                new @ Kind::New(_) if instruction.opcode == Opcode::Invokespecial => {
                    for kind in self.stack.iter_mut().chain(&mut self.locals) {
                        if *kind == new {
                            *kind = Kind::R;
                        }
                    }
                }
                other => return Err(format!("call on {other:?}")),
            }
        }
        if *result != Type::Void {
            self.push_letter(letter(*result))?;
        }
        Ok(())
    }

    /// Signature of an own interface's method; the samples call no other.
    fn interface_method(&self, index: u16, token: u8) -> Walk<Vec<Type>> {
        let Some(CpInfo::Class { class, .. }) = self.cap.constant_pool.get(index) else {
            return Err("no interface".into());
        };
        let descriptor = self.cap.descriptor.as_ref().unwrap();
        let methods = descriptor.class(class).map(|c| &c.methods).ok_or("not of this package")?;
        let method = methods.iter().find(|m| m.token == token).ok_or("no such method")?;
        Ok(descriptor.types.at(method.type_offset).unwrap().decode().unwrap())
    }

    fn field(&mut self, name: &str, instruction: &Instruction) -> Walk<()> {
        let ty = self.types(instruction.pool_index().unwrap())[0];
        if name.starts_with("put") {
            self.pop_letter(letter(ty))?;
        }
        if name.ends_with("_this") {
            match self.local(0)? {
                Kind::R => {}
                Kind::New(0) if name.starts_with("put") => {}
                other => return Err(format!("{name} with {other:?} in local 0")),
            }
        } else if name.contains("field") {
            match self.pop()? {
                Kind::R => {}
                Kind::New(0) if name.starts_with("put") => {}
                other => return Err(format!("{name} of {other:?}")),
            }
        }
        if name.starts_with("get") {
            self.push_letter(letter(ty))?;
        }
        Ok(())
    }
}

fn letter(ty: Type) -> char {
    match ty {
        Type::Int => 'I',
        ty if ty.is_reference() => 'R',
        _ => 'S',
    }
}

/// The first thing that goes wrong on some walks through every method.
fn walk_all(cap: &Cap, walks: usize) -> Walk<()> {
    let classes = &cap.descriptor.as_ref().unwrap().classes;
    for method in classes.iter().flat_map(|c| &c.methods).filter(|m| m.bytecode_count > 0) {
        let header = cap.method.header_at(method.method_offset).unwrap();
        let base = usize::from(method.method_offset) + header.size();
        let bytes = &cap.method.bytes_at(method.method_offset).unwrap()[header.size()..];
        let code = decode(&bytes[..usize::from(method.bytecode_count)]).unwrap();
        let (locals, stack) = (Vec::new(), Vec::new());
        let mut walker =
            Walker { cap, method, code, base, header, locals, stack, made: 0, random: 0x9E37_79B9_7F4A_7C15 };
        for _ in 0..walks {
            walker.walk().map_err(|e| format!("method {:#06x}: {e}", method.method_offset))?;
        }
    }
    Ok(())
}

#[test]
fn a_flipped_bit_in_the_code_is_refused_or_leaves_every_path_type_safe() {
    let exports = ExportSet::any_platform();
    let (mut refused, mut walked) = (0, 0);
    for text in [APPLET, LIBRARY] {
        let good = assemble(text);
        walk_all(&good, 50).unwrap();
        for at in 0..good.method.methods.len() {
            for bit in 0..8 {
                let mut cap = good.clone();
                cap.method.methods[at] ^= 1 << bit;
                let cap = Cap::read(&cap.load_file_data_block(LoadOptions { descriptor: true, debug: true }))
                    .unwrap();
                if is_accepted(&cap, &exports) {
                    walked += 1;
                    walk_all(&cap, 10).unwrap_or_else(|e| panic!("byte {at}, bit {bit}: {e}"));
                } else {
                    refused += 1;
                }
            }
        }
    }
    println!("{refused} refused, {walked} walked");
    assert!(walked > 200);
}
