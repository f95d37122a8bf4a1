//! Cases as readable data: small methods in the assembler of the CAP crate's tests, and what comes out.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use super::assemble;
use super::common::{aid, card, Session};
use jpkise_cap::opcodes::OPCODES;
use jpkise_jcvm::{CardError, NoServices, Process, Tracer};

/// Classes for the cases to play with, and an applet that runs `Main.test()I` and answers with its result, or with
/// the name of what it threw.
const FRAME: &str = r"
import java/lang 1.0
import javacard/framework 1.5
import org/globalplatform 1.0
applet Main
flags int

interface Shape public
  method sides ()S public
interface Solid public extends Shape
  method faces (S)S public

class Thing extends java/lang/Object
  field a [B
  field next LThing;
  field s S
  field b B
  field z Z
  field i I
  method <init> ()V stack 1
    aload_0
    invokespecial java/lang/Object.<init>()V
    return
  method id ()S public stack 1
    sconst_1
    sreturn
  method twice (S)S stack 2
    sload_1
    dup
    sadd
    sreturn
  method hidden ()S private stack 1
    bspush 7
    sreturn
  method callHidden ()S public stack 1
    aload_0
    invokespecial Thing.hidden()S
    sreturn
  method fields (BSI)I public stack 6
    aload_0
    sload_1
    putfield_b_this Thing.b
    sload_2
    putfield_s_this Thing.s
    iload_3
    putfield_i_this Thing.i
    aload_0
    putfield_a_this Thing.next
    pop
    getfield_a_this Thing.next
    getfield_i Thing.i
    getfield_b_this Thing.b
    s2i
    iadd
    getfield_s_this Thing.s
    s2i
    iadd
    getfield_i_this Thing.i
    iadd
    ireturn
class Sub extends Thing implements Solid
  method <init> ()V stack 1
    aload_0
    invokespecial Thing.<init>()V
    return
  method id ()S public stack 2
    aload_0
    invokespecial super:Sub.id()S
    sconst_2
    sadd
    sreturn
  method sides ()S public stack 1
    sconst_4
    sreturn
  method faces (S)S public stack 2
    sload_1
    sconst_1
    sadd
    sreturn
class Mine extends java/lang/Exception
  method <init> ()V stack 1
    aload_0
    invokespecial java/lang/Exception.<init>()V
    return

class Main extends javacard/framework/Applet public
  field list [B private static = 1,2,-3
  field words [S private static = 256,-2
  field longs [I private static = 65536,-1
  field thing LThing; private static
  field bits [Z private static
  field sb B private static = -5
  field ss S private static = -300
  field si I private static = 100000
  field zero B private static
  birth
  method process (Ljavacard/framework/APDU;)V public stack 8 locals 6
    aload_1
    invokevirtual javacard/framework/APDU.getBuffer()[B
    astore_2
    try:
    invokestatic Main.test()I
    end:
    istore_3
    aload_2
    sconst_0
    iload_3
    bipush 16
    ishr
    i2s
    invokestatic javacard/framework/Util.setShort([BSS)S
    sstore 5
    aload_2
    sload 5
    iload_3
    i2s
    invokestatic javacard/framework/Util.setShort([BSS)S
    pop
    aload_1
    sconst_0
    sconst_4
    invokevirtual javacard/framework/APDU.setOutgoingAndSend(SS)V
    return
    h1:
    pop
    sspush 28417
    goto_w throw
    h2:
    pop
    sspush 28418
    goto throw
    h3:
    pop
    sspush 28419
    goto throw
    h4:
    pop
    sspush 28420
    goto throw
    h5:
    pop
    sspush 28421
    goto throw
    h6:
    pop
    sspush 28422
    goto throw
    h7:
    pop
    sspush 28423
    goto throw
    h8:
    pop
    sspush 28424
    goto throw
    h9:
    pop
    sspush 28425
    throw:
    invokestatic javacard/framework/ISOException.throwIt(S)V
    return
    catch try end h1 java/lang/ArithmeticException
    catch try end h2 java/lang/ArrayIndexOutOfBoundsException
    catch try end h3 java/lang/NegativeArraySizeException
    catch try end h4 java/lang/NullPointerException
    catch try end h5 java/lang/ClassCastException
    catch try end h6 java/lang/ArrayStoreException
    catch try end h7 java/lang/SecurityException
    catch try end h8 javacard/framework/SystemException
    catch try end h9 Mine stop
  method same (LThing;)LThing; private static stack 1
    aload_0
    areturn
  method sum (SI)I private static stack 4
    sload_0
    s2i
    iload_1
    iadd
    ireturn
  method fail ()V private static stack 2
    new Mine
    dup
    invokespecial Mine.<init>()V
    athrow
";

const EXCEPTIONS: [&str; 9] = [
    "Arithmetic",
    "ArrayIndex",
    "NegativeArraySize",
    "NullPointer",
    "ClassCast",
    "ArrayStore",
    "Security",
    "System",
    "Mine",
];

/// What a case gives: a number, an exception, or a fault of the machine.
fn run(result: &str, body: &str, tracer: &Tracer) -> String {
    let mut text = String::from(FRAME);
    if result == "S" {
        text += "method test ()I private static stack 8\ninvokestatic Main.small()S\ns2i\nireturn\n";
        text += "method small ()S private static stack 20 locals 20\n";
    } else {
        text += "method test ()I private static stack 20 locals 20\n";
    }
    for line in body.split("; ").map(str::trim).filter(|l| !l.is_empty()) {
        text += line;
        text += "\n";
    }
    let cap = assemble(&text);
    let mut session = Session::new(card(), NoServices, &cap, aid("F06A706B69736501"), &[]);
    session.card.set_tracer(Some(tracer.clone()));
    let command = Process { channel: 0, contactless: false, apdu: &[0, 0, 0, 0, 0], selecting: false };
    let answer = match session.card.process(&command, &mut session.services) {
        Ok(answer) => answer,
        Err(CardError::Fault(fault)) => return format!("fault: {}", fault.kind),
        Err(other) => panic!("{body}: {other}"),
    };
    let (data, sw) = answer.split_at(answer.len() - 2);
    match (data, sw) {
        ([a, b, c, d], [0x90, 0]) => i32::from_be_bytes([*a, *b, *c, *d]).to_string(),
        ([], [0x6F, which @ 1..=9]) => EXCEPTIONS[usize::from(*which) - 1].into(),
        other => format!("{other:02X?}"),
    }
}

/// `S:` or `I:`, the instructions, `=>`, and what comes out.
const OPCODES_CASES: &str = include_str!("../data/opcodes.txt");
const TRANSACTIONS: &str = include_str!("../data/transactions.txt");
const FRAMEWORK: &str = include_str!("../data/framework.txt");

/// Runs all cases of a text; how many there were.
fn run_all(cases: &str, tracer: &Tracer) {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in cases.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (code, expected) = line.split_once("=>").unwrap_or_else(|| panic!("{line}"));
        let (result, body) = code.split_once(':').unwrap();
        let outcome = run(result.trim(), body, tracer);
        count += 1;
        if outcome != expected.trim() {
            wrong.push(format!("{line}: {outcome}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_instruction_does_what_the_specification_says() {
    let seen: Arc<Mutex<BTreeSet<u8>>> = Arc::default();
    let inside = seen.clone();
    let tracer = Tracer::new(move |step| {
        inside.lock().unwrap().insert(step.opcode);
    });
    run_all(OPCODES_CASES, &tracer);
    let seen = seen.lock().unwrap();
    let missing: Vec<&str> =
        OPCODES.iter().filter(|o| !seen.contains(&(o.opcode as u8))).map(|o| o.mnemonic).collect();
    assert!(missing.is_empty(), "never executed: {missing:?}");
}

#[test]
fn transactions_keep_and_take_back_what_they_must() {
    run_all(TRANSACTIONS, &Tracer::new(|_| {}));
}

#[test]
fn the_framework_classes_do_what_the_api_says() {
    run_all(FRAMEWORK, &Tracer::new(|_| {}));
}
