//! Runs static methods that only compute: enough of the Java Card virtual machine to compare arithmetic with a JVM.
//! Written from the instruction descriptions of JCVM chapter 7, apart from the converter.
#![allow(clippy::many_single_char_names)]

use jpkise_cap::code::{decode, Instruction, Operands};
use jpkise_cap::inspect::DisassembledMethod;
use jpkise_cap::model::{Cap, CpInfo, StaticRef};
use jpkise_cap::opcodes::Opcode as O;

/// What a run ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Short(i16),
    Int(i32),
    /// Division by zero.
    Arithmetic,
}

struct Frame {
    stack: Vec<i16>,
    locals: Vec<i16>,
}

impl Frame {
    fn pop(&mut self) -> i16 {
        self.stack.pop().expect("stack underflow")
    }

    fn pop_int(&mut self) -> i32 {
        let (low, high) = (self.pop(), self.pop());
        join(high, low)
    }

    fn push_int(&mut self, v: i32) {
        let (high, low) = split(v);
        self.stack.extend([high, low]);
    }
}

fn join(high: i16, low: i16) -> i32 {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    i32::from_be_bytes([a, b, c, d])
}

fn split(v: i32) -> (i16, i16) {
    let [a, b, c, d] = v.to_be_bytes();
    (i16::from_be_bytes([a, b]), i16::from_be_bytes([c, d]))
}

/// The low 16 bits.
fn cut(v: i32) -> i16 {
    split(v).1
}

/// Runs a method with its arguments as cells. Calls to other static methods of the package are followed.
pub fn run(cap: &Cap, all: &[DisassembledMethod], offset: u16, arguments: &[i16]) -> Outcome {
    let method = all.iter().find(|m| m.offset == offset).expect("method");
    let header = method.header;
    let body = &cap.method.bytes_at(offset).unwrap()[header.size()..];
    let len = method.instructions.last().map_or(0, |i| i.instruction.offset + i.instruction.len());
    let code = decode(&body[..len]).unwrap();
    let mut f = Frame { stack: Vec::new(), locals: arguments.to_vec() };
    assert_eq!(arguments.len(), usize::from(header.nargs));
    f.locals.resize(usize::from(header.nargs) + usize::from(header.max_locals), 0x7A5A);
    let at = |offset: usize| code.iter().position(|i| i.offset == offset).expect("instruction start");
    let (mut pc, mut steps) = (0, 0);
    loop {
        steps += 1;
        assert!(steps < 1_000_000, "endless loop");
        assert!(f.stack.len() <= usize::from(header.max_stack), "max_stack too small in {}", method.name);
        let i = &code[pc];
        match step(cap, all, &mut f, i) {
            Next::On => pc += 1,
            Next::Jump(displacement) => {
                let target = i64::try_from(i.offset).unwrap() + i64::from(displacement);
                pc = at(usize::try_from(target).unwrap());
            }
            Next::End(outcome) => return outcome,
        }
    }
}

enum Next {
    On,
    Jump(i16),
    End(Outcome),
}

fn local(i: &Instruction, zero: O) -> usize {
    match i.operands {
        Operands::Local(n) => usize::from(n),
        _ => usize::from(i.opcode as u8 - zero as u8),
    }
}

fn step(cap: &Cap, all: &[DisassembledMethod], f: &mut Frame, i: &Instruction) -> Next {
    let op = i.opcode;
    match op {
        O::SconstM1 | O::Sconst0 | O::Sconst1 | O::Sconst2 | O::Sconst3 | O::Sconst4 | O::Sconst5 => {
            f.stack.push(i16::from(op as u8) - i16::from(O::Sconst0 as u8));
        }
        O::IconstM1 | O::Iconst0 | O::Iconst1 | O::Iconst2 | O::Iconst3 | O::Iconst4 | O::Iconst5 => {
            f.push_int(i32::from(op as u8) - i32::from(O::Iconst0 as u8));
        }
        O::Bspush | O::Sspush => {
            let Operands::Value(v) = i.operands else { panic!() };
            f.stack.push(i16::try_from(v).unwrap());
        }
        O::Bipush | O::Sipush | O::Iipush => {
            let Operands::Value(v) = i.operands else { panic!() };
            f.push_int(v);
        }
        O::Sload | O::Sload0 | O::Sload1 | O::Sload2 | O::Sload3 => {
            f.stack.push(f.locals[local(i, O::Sload0)]);
        }
        O::Iload | O::Iload0 | O::Iload1 | O::Iload2 | O::Iload3 => {
            let n = local(i, O::Iload0);
            f.stack.extend([f.locals[n], f.locals[n + 1]]);
        }
        O::Sstore | O::Sstore0 | O::Sstore1 | O::Sstore2 | O::Sstore3 => {
            f.locals[local(i, O::Sstore0)] = f.pop();
        }
        O::Istore | O::Istore0 | O::Istore1 | O::Istore2 | O::Istore3 => {
            let n = local(i, O::Istore0);
            f.locals[n + 1] = f.pop();
            f.locals[n] = f.pop();
        }
        O::Pop => {
            f.pop();
        }
        O::Pop2 => {
            f.pop_int();
        }
        O::Dup => f.stack.push(*f.stack.last().unwrap()),
        O::Dup2 => f.stack.extend_from_within(f.stack.len() - 2..),
        O::DupX => {
            let Operands::Nibbles { m, n } = i.operands else { panic!() };
            let (m, n) = (usize::from(m), usize::from(n));
            let copied = f.stack[f.stack.len() - m..].to_vec();
            let place = f.stack.len() - if n == 0 { m } else { n };
            f.stack.splice(place..place, copied);
        }
        O::SwapX => {
            let Operands::Nibbles { m, n } = i.operands else { panic!() };
            let top = f.stack.split_off(f.stack.len() - usize::from(m));
            let place = f.stack.len() - usize::from(n);
            f.stack.splice(place..place, top);
        }
        O::Sadd
        | O::Ssub
        | O::Smul
        | O::Sdiv
        | O::Srem
        | O::Sshl
        | O::Sshr
        | O::Sushr
        | O::Sand
        | O::Sor
        | O::Sxor => {
            let (b, a) = (i32::from(f.pop()), i32::from(f.pop()));
            match short_op(op, a, b) {
                Some(v) => f.stack.push(cut(v)),
                None => return Next::End(Outcome::Arithmetic),
            }
        }
        O::Iadd
        | O::Isub
        | O::Imul
        | O::Idiv
        | O::Irem
        | O::Ishl
        | O::Ishr
        | O::Iushr
        | O::Iand
        | O::Ior
        | O::Ixor => {
            let (b, a) = (f.pop_int(), f.pop_int());
            match int_op(op, a, b) {
                Some(v) => f.push_int(v),
                None => return Next::End(Outcome::Arithmetic),
            }
        }
        O::Sneg => {
            let v = f.pop();
            f.stack.push(v.wrapping_neg());
        }
        O::Ineg => {
            let v = f.pop_int();
            f.push_int(v.wrapping_neg());
        }
        O::Sinc | O::SincW => {
            let Operands::Increment { local, by } = i.operands else { panic!() };
            let cell = &mut f.locals[usize::from(local)];
            *cell = cell.wrapping_add(by);
        }
        O::Iinc | O::IincW => {
            let Operands::Increment { local, by } = i.operands else { panic!() };
            let n = usize::from(local);
            let (high, low) = split(join(f.locals[n], f.locals[n + 1]).wrapping_add(by.into()));
            (f.locals[n], f.locals[n + 1]) = (high, low);
        }
        O::S2b => {
            let v = f.pop();
            f.stack.push(i8::from_be_bytes([v.to_be_bytes()[1]]).into());
        }
        O::S2i => {
            let v = f.pop();
            f.push_int(v.into());
        }
        O::I2b => {
            let v = f.pop_int();
            f.stack.push(i8::from_be_bytes([v.to_be_bytes()[3]]).into());
        }
        O::I2s => {
            let v = f.pop_int();
            f.stack.push(cut(v));
        }
        O::Icmp => {
            let (b, a) = (f.pop_int(), f.pop_int());
            f.stack.push(match a.cmp(&b) {
                std::cmp::Ordering::Less => -1,
                std::cmp::Ordering::Equal => 0,
                std::cmp::Ordering::Greater => 1,
            });
        }
        O::Goto | O::GotoW => return jump(i, true),
        O::Ifeq | O::IfeqW => return jump(i, f.pop() == 0),
        O::Ifne | O::IfneW => return jump(i, f.pop() != 0),
        O::Iflt | O::IfltW => return jump(i, f.pop() < 0),
        O::Ifge | O::IfgeW => return jump(i, f.pop() >= 0),
        O::Ifgt | O::IfgtW => return jump(i, f.pop() > 0),
        O::Ifle | O::IfleW => return jump(i, f.pop() <= 0),
        O::IfScmpeq | O::IfScmpeqW => return compare(f, i, |a, b| a == b),
        O::IfScmpne | O::IfScmpneW => return compare(f, i, |a, b| a != b),
        O::IfScmplt | O::IfScmpltW => return compare(f, i, |a, b| a < b),
        O::IfScmpge | O::IfScmpgeW => return compare(f, i, |a, b| a >= b),
        O::IfScmpgt | O::IfScmpgtW => return compare(f, i, |a, b| a > b),
        O::IfScmple | O::IfScmpleW => return compare(f, i, |a, b| a <= b),
        O::Stableswitch | O::Slookupswitch => {
            let key = f.pop().into();
            return switch(i, key);
        }
        O::Itableswitch | O::Ilookupswitch => {
            let key = f.pop_int();
            return switch(i, key);
        }
        O::Invokestatic => {
            let Operands::Pool(index) = i.operands else { panic!() };
            let Some(CpInfo::StaticMethod(StaticRef::Internal { offset, .. })) = cap.constant_pool.get(index)
            else {
                panic!("call outside the package")
            };
            let nargs = usize::from(cap.method.header_at(offset).unwrap().nargs);
            let arguments = f.stack.split_off(f.stack.len() - nargs);
            match run(cap, all, offset, &arguments) {
                Outcome::Short(v) => f.stack.push(v),
                Outcome::Int(v) => f.push_int(v),
                Outcome::Arithmetic => return Next::End(Outcome::Arithmetic),
            }
        }
        O::Sreturn => return Next::End(Outcome::Short(f.pop())),
        O::Ireturn => return Next::End(Outcome::Int(f.pop_int())),
        other => panic!("{other} is not evaluated"),
    }
    Next::On
}

fn jump(i: &Instruction, taken: bool) -> Next {
    let Operands::Branch(displacement) = i.operands else { panic!() };
    if taken {
        Next::Jump(displacement)
    } else {
        Next::On
    }
}

fn compare(f: &mut Frame, i: &Instruction, holds: impl Fn(i16, i16) -> bool) -> Next {
    let (b, a) = (f.pop(), f.pop());
    jump(i, holds(a, b))
}

fn switch(i: &Instruction, key: i32) -> Next {
    Next::Jump(match &i.operands {
        Operands::TableSwitch { default, low, high, offsets } => {
            if (*low..=*high).contains(&key) {
                offsets[usize::try_from(key - low).unwrap()]
            } else {
                *default
            }
        }
        Operands::LookupSwitch { default, pairs } => {
            pairs.iter().find(|(k, _)| *k == key).map_or(*default, |(_, displacement)| *displacement)
        }
        _ => panic!(),
    })
}

/// Operands sign-extended to 32 bits; only the low five bits of a shift count matter.
fn short_op(op: O, a: i32, b: i32) -> Option<i32> {
    Some(match op {
        O::Sadd => a + b,
        O::Ssub => a - b,
        O::Smul => a * b,
        O::Sdiv => a.checked_div(b)?,
        O::Srem => a.checked_rem(b)?,
        O::Sshl => a << (b & 31),
        O::Sshr => a >> (b & 31),
        O::Sushr => i32::from_ne_bytes((u32::from_ne_bytes(a.to_ne_bytes()) >> (b & 31)).to_ne_bytes()),
        O::Sand => a & b,
        O::Sor => a | b,
        _ => a ^ b,
    })
}

fn int_op(op: O, a: i32, b: i32) -> Option<i32> {
    Some(match op {
        O::Iadd => a.wrapping_add(b),
        O::Isub => a.wrapping_sub(b),
        O::Imul => a.wrapping_mul(b),
        O::Idiv | O::Irem if b == 0 => return None,
        O::Idiv => a.wrapping_div(b),
        O::Irem => a.wrapping_rem(b),
        O::Ishl => a << (b & 31),
        O::Ishr => a >> (b & 31),
        O::Iushr => i32::from_ne_bytes((u32::from_ne_bytes(a.to_ne_bytes()) >> (b & 31)).to_ne_bytes()),
        O::Iand => a & b,
        O::Ior => a | b,
        _ => a ^ b,
    })
}
