//! Wrong code: each row replaces some lines of a good sample.

use crate::asm::assemble;
use crate::samples::{unindent, APPLET, LIBRARY};
use crate::Case;

pub fn cases() -> Vec<Case> {
    let case = |&(rule, what, sample, changes): &Row| {
        let mut text = unindent(sample);
        for (lines, others) in changes {
            assert_eq!(text.matches(&unindent(lines)).count(), 1, "{what}: {lines:?} in the sample");
            text = text.replacen(&unindent(lines), &unindent(others), 1);
        }
        Case::new(rule, what, assemble(&text))
    };
    ROWS.iter().map(case).chain(made_up()).collect()
}

/// Too long to write out.
fn made_up() -> Vec<Case> {
    let fields: String = (0..251).map(|n| format!("field f{n} S\n")).collect();
    let line = "class Square extends Base implements Area final\n";
    let many_fields = unindent(APPLET).replace(line, &format!("{line}{fields}"));
    let long = "nop\n".repeat(32767);
    let line = "putstatic_b Main.flag\nset:\n";
    let much_code = unindent(APPLET).replace(line, &format!("{line}{long}"));
    // Every subroutine calls the next one twice: 2^13 ways to reach the last.
    let calls = |n: usize| match n {
        13 => String::new(),
        _ => format!("jsr s{n}\njsr s{n}\n"),
    };
    let subroutines: String =
        (0..13).map(|n| format!("s{n}:\nastore {n}\n{}ret {n}\n", calls(n + 1))).collect();
    let maze = format!(
        "import java/lang 1.0\nclass A public\nmethod run ()V public static stack 1 locals 13\n{}return\n{subroutines}",
        calls(0)
    );
    vec![
        Case::new("code.complexity", "subroutines in subroutines", assemble(&maze)),
        Case::new("limit.instance-size", "256 cells with those inherited", assemble(&many_fields)),
        Case::new("limit.code-size", "32767 bytes and more", assemble(&much_code)),
    ]
}

/// Rule, what is wrong, sample, and lines with those in their place.
type Row = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("code.operand", "dup_x copies at most four cells", LIBRARY, &[("dup_x 2 4", "dup_x 5 5")]),
    ("code.operand", "dup_x inserts below what it copies", LIBRARY, &[("dup_x 2 4", "dup_x 2 1")]),
    ("code.operand", "swap_x swaps one or two cells", LIBRARY, &[("swap_x 2 1", "swap_x 3 1")]),
    ("code.switch", "lookup keys ascend", APPLET, &[("-2:one 5:two", "5:one -2:two")]),
    ("code.switch", "lookup keys differ", LIBRARY, &[("-70000:zero 70000:zero", "7:zero 7:zero")]),
    ("code.branch-target", "a jump into an instruction", APPLET, &[("goto loop", "goto -2")]),
    ("code.branch-target", "a jump out of the method", APPLET, &[("goto loop", "goto -120")]),
    ("code.branch-target", "a switch past the end", APPLET, &[("stableswitch 0 1 other end end", "stableswitch 0 1 other end +900")]),
    ("code.local-index", "a local beyond max_locals", APPLET, &[("sstore 4", "sstore 6")]),
    ("code.local-index", "an int of which half is beyond", LIBRARY, &[("istore_3", "istore 4")]),
    ("code.pool-index", "an entry beyond the pool", APPLET, &[("putstatic_a Main.first", "putstatic_a @400")]),
    ("code.pool-kind", "an instance field read as static", APPLET, &[("getstatic_a Main.words", "getstatic_a Main.keys")]),
    ("code.pool-kind", "a constructor called by invokevirtual", APPLET, &[("invokespecial Square.<init>(S)V\n    astore_2", "invokevirtual Square.<init>(S)V\n    astore_2")]),
    ("code.pool-kind", "a method made with new", APPLET, &[("new Main", "new Main.checkState()V")]),
    ("code.end", "no return at the end", APPLET, &[("putstatic_b Main.flag\n    set:\n    return", "putstatic_b Main.flag\n    set:\n    nop")]),
    ("code.stack-overflow", "max_stack one too small", APPLET, &[("method install ([BSB)V public static stack 5", "method install ([BSB)V public static stack 4")]),
    ("code.stack-overflow", "a handler with max_stack 0", APPLET, &[("method deselect (Z)V public\n    return", "method deselect (Z)V public\n    a:\n    nop\n    b:\n    return\n    catch a b b any stop")]),
    ("code.stack-underflow", "pop from an empty stack", APPLET, &[("method deselect (Z)V public", "method deselect (Z)V public stack 1\n    pop")]),
    ("code.stack-underflow", "dup2 of one cell", APPLET, &[("method select (Z)Z public stack 1\n    sload_1", "method select (Z)Z public stack 4\n    sload_1\n    dup2")]),
    ("code.merge", "depths differ where a loop closes", APPLET, &[("sinc 3 1\n    goto loop", "sload_3\n    goto loop")]),
    ("code.merge", "a short on one path, a reference on the other", APPLET, &[("mine:\n    aload_0", "mine:\n    sconst_0")]),
    ("code.type", "adding to a reference", APPLET, &[("sload_2\n    sconst_1\n    sadd", "aload_1\n    sconst_1\n    sadd")]),
    ("code.type", "shorts read from a byte array", APPLET, &[("sand\n    baload", "sand\n    saload")]),
    ("code.type", "the length of an object", APPLET, &[("instanceof Square\n", "arraylength\n")]),
    ("code.type", "a local that no path has set", APPLET, &[("try:\n    sconst_0\n    sstore_3", "try:")]),
    ("code.type", "a local that one path has not set", APPLET, &[("getstatic_b Main.flag\n    ifne set", "getstatic_b Main.flag\n    ifne use"), ("iflt set\n", "iflt set\n    use:\n    sload_0\n    pop\n")]),
    ("code.type", "half of an int", LIBRARY, &[("dup2\n    ineg", "pop\n    iconst_0\n    ineg")]),
    ("code.type", "a short where int is needed", LIBRARY, &[("iipush 100000\n    icmp", "sspush 1000\n    icmp")]),
    ("code.type", "an int overwritten by a short", LIBRARY, &[("iinc 3 1", "sconst_0\n    sstore 4\n    iinc 3 1")]),
    ("code.type", "a reference used as a number", APPLET, &[("getfield_a_this Base.buffer\n    areturn", "getfield_a_this Base.buffer\n    ifeq x\n    x:\n    aconst_null\n    areturn")]),
    ("code.type", "a return address as a reference", APPLET, &[("ret 4", "aload 4\n    pop\n    ret 4")]),
    ("code.uninitialized", "a new object stored before its constructor has run", APPLET, &[("invokespecial Square.<init>(S)V\n    astore_2", "pop2\n    astore_2")]),
    ("code.uninitialized", "this used before the superclass's constructor", APPLET, &[("aload_0\n    invokespecial javacard/framework/Applet.<init>()V\n    aload_0\n    new", "aload_0\n    invokevirtual javacard/framework/Applet.register()V\n    aload_0\n    new")]),
    ("code.uninitialized", "a new object passed as an argument", APPLET, &[("new Square\n    dup\n    bspush 7", "new Square\n    putstatic_a Main.first\n    new Square\n    dup\n    bspush 7")]),
    ("code.constructor", "no constructor of the superclass is called", APPLET, &[("aload_0\n    invokespecial java/lang/Object.<init>()V\n", "")]),
    ("code.constructor", "the superclass is skipped", APPLET, &[("aload_0\n    sload_1\n    invokespecial Base.<init>(S)V", "aload_0\n    invokespecial java/lang/Object.<init>()V")]),
    ("code.constructor", "one path returns early", APPLET, &[("aload_0\n    sload_1\n    invokespecial Base.<init>(S)V\n    return", "sload_1\n    ifeq out\n    aload_0\n    sload_1\n    invokespecial Base.<init>(S)V\n    out:\n    return")]),
    ("code.argument-type", "a reference for a short", APPLET, &[("sload_1\n    getstatic_s Main.limit", "aload_0\n    getstatic_s Main.limit")]),
    ("code.argument-type", "an array of the wrong elements", APPLET, &[("aload_2\n    invokespecial Main.choose([B)V", "getstatic_a Main.words\n    invokespecial Main.choose([B)V")]),
    ("code.receiver-type", "a method of a subclass", APPLET, &[("checkcast Square\n", "")]),
    ("code.receiver-type", "an interface the object need not have", APPLET, &[("aload_3\n    sconst_4\n    invokeinterface Area.area(S)S", "getstatic_a Main.first\n    sconst_4\n    invokeinterface Area.area(S)S")]),
    ("code.receiver-type", "a field of another class", APPLET, &[("getfield_a_this Main.pin\n    ifnull skip", "getfield_a_this Base.buffer\n    ifnull skip")]),
    ("code.receiver-type", "this in a static method", APPLET, &[("getstatic_b Main.flag\n    ifne set", "getfield_a_this Main.pin\n    ifnull set")]),
    ("code.field-type", "a short read as a byte", APPLET, &[("getstatic_s Main.limit", "getstatic_b Main.limit")]),
    ("code.field-type", "a byte read as a short", APPLET, &[("getfield_b_this Base.count", "getfield_s_this Base.count")]),
    ("code.field-type", "an object of another class assigned", APPLET, &[("aload_2\n    putstatic_a Main.first", "aload_0\n    putstatic_a Main.first")]),
    ("code.return-type", "a reference returned as a short", APPLET, &[("getfield_a_this Base.buffer\n    areturn", "sconst_0\n    sreturn")]),
    ("code.return-type", "another array returned", APPLET, &[("getstatic_a Main.table\n    areturn", "getstatic_a Main.words\n    areturn")]),
    ("code.return-type", "nothing returned", APPLET, &[("sconst_3\n    sreturn", "return")]),
    ("code.invoke-kind", "a private method called as static", APPLET, &[("aload_0\n    sconst_4\n    invokespecial Base.secret(S)S", "aload_0\n    sconst_4\n    invokestatic Base.secret(S)S")]),
    ("code.invoke-kind", "a static method called by invokespecial", APPLET, &[("invokestatic Main.max(SS)S", "invokespecial Main.max(SS)S")]),
    ("code.invoke-kind", "super of another class", APPLET, &[("invokespecial super:Square.hidden()S\n    sreturn", "invokespecial super:Main.select()Z\n    sreturn")]),
    ("code.abstract-call", "super of an abstract method", APPLET, &[("aload_0\n    invokespecial super:Square.hidden()S", "aload_0\n    sconst_1\n    invokespecial super:Square.scale(S)S"), ("method hidden ()S stack 1\n    aload_0", "method hidden ()S stack 2\n    aload_0")]),
    ("code.new", "an abstract class", APPLET, &[("new Square", "new Base")]),
    ("code.new", "an interface", APPLET, &[("new Square", "new Area")]),
    ("code.throw", "an object that is no Throwable", APPLET, &[("aload 5\n    athrow", "aload_1\n    athrow")]),
    ("code.subroutine", "a subroutine that calls itself", APPLET, &[("cleanup:\n    astore 4", "cleanup:\n    astore 4\n    jsr cleanup")]),
    ("code.subroutine", "ret with what is no address", APPLET, &[("ret 4", "ret 5")]),
    ("code.subroutine", "ret after the subroutine was left", APPLET, &[("jsr cleanup\n    aload 5\n    athrow", "jsr cleanup\n    ret 4")]),
    ("access.protected", "a protected method of another package", APPLET, &[("invokevirtual javacard/framework/OwnerPIN.reset()V", "invokevirtual javacard/framework/OwnerPIN.getValidatedFlag()Z\n    pop")]),
    ("access.protected", "register of another applet", APPLET, &[("instanceof Square\n", "pop\n    aload_3\n    checkcast javacard/framework/Applet\n    dup\n    invokevirtual javacard/framework/Applet.register()V\n    instanceof Square\n")]),
    ("access.final", "a final field changed later", APPLET, &[("sload_1\n    getfield_b_this Base.count", "sconst_1\n    putfield_s_this Base.sealed\n    sload_1\n    getfield_b_this Base.count")]),
    ("access.private", "a private method of another class", APPLET, &[("invokevirtual Square.hidden()S", "sconst_1\n    invokespecial Base.secret(S)S")]),
    ("handler.catch-type", "a class that cannot be thrown", APPLET, &[("caught javacard/framework/CardRuntimeException\n", "caught javacard/framework/APDU\n")]),
    ("handler.stop-bit", "a handler behind the stop bit", APPLET, &[("javacard/framework/CardRuntimeException\n    catch", "javacard/framework/CardRuntimeException stop\n    catch")]),
    ("limit.locals", "256 cells", APPLET, &[("method process (Ljavacard/framework/APDU;)V public stack 4 locals 4", "method process (Ljavacard/framework/APDU;)V public stack 4 locals 254")]),
    ("class.override-final", "a final method overridden", APPLET, &[("class Square extends Base implements Area final\n", "class Square extends Base implements Area final\n  method fixed ()S public stack 1\n    sconst_1\n    sreturn\n")]),
    ("class.override-access", "a public method made protected", APPLET, &[("method scale (S)S protected abstract", "method scale (S)S public abstract")]),
    ("class.abstract-method", "an abstract method left over", APPLET, &[("method scale (S)S protected stack 2\n    sload_1\n    sconst_2\n    smul\n    sreturn\n", ""), ("invokevirtual Square.scale(S)S", "invokevirtual Base.scale(S)S")]),
    ("class.superclass-final", "a subclass of a final class", APPLET, &[("class Main extends javacard/framework/Applet", "class Odd extends Square\n  method <init> ()V stack 2\n    aload_0\n    sconst_1\n    invokespecial Square.<init>(S)V\n    return\nclass Main extends javacard/framework/Applet")]),
    ("class.superclass-final", "a subclass of an imported final class", APPLET, &[("class Main extends javacard/framework/Applet", "class Odd extends javacard/framework/APDU abstract\nclass Main extends javacard/framework/Applet")]),
    ("class.interface-mapping", "an interface method that is not public", APPLET, &[("method area (S)S public stack 2\n    sload_1", "method area (S)S protected stack 2\n    sload_1")]),
    ("applet.install-method", "install with other parameters", APPLET, &[("method install ([BSB)V public static stack 5", "method install ([BSS)V public static stack 5")]),
    ("applet.install-method", "install that is not public", APPLET, &[("method install ([BSB)V public static stack 5", "method install ([BSB)V static stack 5")]),
    ("header.int-flag", "an int field without the flag", LIBRARY, &[("flags int\n", "")]),
    ("header.int-unused", "the flag without int", APPLET, &[("applet Main", "flags int\napplet Main")]),
    ("import.duplicate", "a package imported twice", APPLET, &[("import javacard/security 1.5", "import javacard/security 1.5\nimport javacard/security 1.5")]),
];
