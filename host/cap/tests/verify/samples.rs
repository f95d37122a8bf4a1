//! CAP files that keep all the rules, in the text of [`crate::asm`]. Between them they use every part of the format
//! that the rules are about; the tests break them one rule at a time.

/// The text without the spaces at the beginning of lines.
pub fn unindent(text: &str) -> String {
    text.split('\n').map(str::trim_start).collect::<Vec<_>>().join("\n")
}

/// An applet with a class hierarchy, a shareable interface, static fields, handlers, loops and a subroutine.
pub const APPLET: &str = r"
import java/lang 1.0
import javacard/framework 1.5
import javacard/security 1.5
applet Main

interface Area public extends javacard/framework/Shareable
  method area (S)S public
interface Named
  method name ()[B public
interface Both extends Named,Area

class Base extends java/lang/Object implements Named abstract
  field size S protected
  field next LBase; protected
  field buffer [B private
  field count B private
  field sealed S final
  method <init> (S)V protected stack 2
    aload_0
    invokespecial java/lang/Object.<init>()V
    aload_0
    sload_1
    putfield_s Base.size
    sload_1
    putfield_s_this Base.sealed
    return
  method name ()[B public stack 1
    getfield_a_this Base.buffer
    areturn
  method scale (S)S protected abstract
  method fixed ()S public final stack 1
    sconst_3
    sreturn
  method hidden ()S stack 1
    sconst_1
    sreturn
  method secret (S)S private stack 2
    sload_1
    getfield_b_this Base.count
    sadd
    sreturn
  method callSecret ()S public stack 2
    aload_0
    sconst_4
    invokespecial Base.secret(S)S
    sreturn

class Square extends Base implements Area final
  method <init> (S)V stack 2
    aload_0
    sload_1
    invokespecial Base.<init>(S)V
    return
  method scale (S)S protected stack 2
    sload_1
    sconst_2
    smul
    sreturn
  method hidden ()S stack 1
    aload_0
    invokespecial super:Square.hidden()S
    sreturn
  method area (S)S public stack 2
    aload_0
    sload_1
    invokevirtual Square.scale(S)S
    aload_0
    invokevirtual Base.fixed()S
    smul
    sreturn

class Main extends javacard/framework/Applet implements Both,javacard/framework/MultiSelectable public
  field table [B private static = 1,2,3,4
  field words [S private static = 256,-1
  field first LBase; private static
  field flag Z private static
  field limit S private static = 300
  field pin Ljavacard/framework/OwnerPIN; private
  field keys [Ljavacard/security/Key; private
  method <init> ([BSB)V protected stack 5
    aload_0
    invokespecial javacard/framework/Applet.<init>()V
    aload_0
    new javacard/framework/OwnerPIN
    dup
    sconst_3
    bspush 8
    invokespecial javacard/framework/OwnerPIN.<init>(BB)V
    putfield_a Main.pin
    aload_0
    sconst_2
    anewarray javacard/security/Key
    putfield_a Main.keys
    getfield_a_this Main.keys
    sconst_0
    bspush 3
    sspush 128
    sconst_0
    invokestatic javacard/security/KeyBuilder.buildKey(BSZ)Ljavacard/security/Key;
    aastore
    aload_0
    aload_1
    sload_2
    sconst_1
    sadd
    aload_1
    sload_2
    baload
    invokevirtual javacard/framework/Applet.register([BSB)V
    return
  method install ([BSB)V public static stack 5
    new Main
    dup
    aload_0
    sload_1
    sload_2
    invokespecial Main.<init>([BSB)V
    pop
    return
  method name ()[B public stack 1
    getstatic_a Main.table
    areturn
  method area (S)S public stack 2
    sload_1
    getstatic_s Main.limit
    invokestatic Main.max(SS)S
    sreturn
  method select (Z)Z public stack 1
    sload_1
    sreturn
  method deselect (Z)V public
    return
  method getShareableInterfaceObject (Ljavacard/framework/AID;B)Ljavacard/framework/Shareable; public stack 1
    aload_0
    areturn
  method max (SS)S private static stack 2
    sload_0
    sload_1
    if_scmple second
    sload_0
    sreturn
    second:
    sload_1
    sreturn
  method process (Ljavacard/framework/APDU;)V public stack 4 locals 4
    invokestatic Main.checkState()V
    aload_1
    invokevirtual javacard/framework/APDU.getBuffer()[B
    astore_2
    try:
    sconst_0
    sstore_3
    loop:
    sload_3
    bspush 10
    if_scmpge done
    getstatic_a Main.table
    sload_3
    sconst_3
    sand
    baload
    sload_3
    sadd
    sstore 4
    aload_2
    sload_3
    sload 4
    s2b
    bastore
    sinc 3 1
    goto loop
    done:
    aload_2
    sconst_1
    baload
    slookupswitch other -2:one 5:two
    one:
    aload_0
    sload_3
    invokevirtual Main.area(S)S
    invokestatic javacard/framework/ISOException.throwIt(S)V
    goto end
    two:
    aload_2
    sconst_0
    baload
    stableswitch 0 1 other end end
    other:
    aload_0
    aload_2
    invokespecial Main.choose([B)V
    goto end
    caught:
    astore 5
    aload 5
    invokevirtual javacard/framework/CardRuntimeException.getReason()S
    invokestatic javacard/framework/ISOException.throwIt(S)V
    end:
    return
    catch try caught caught javacard/framework/CardRuntimeException
    catch try caught every any stop
    every:
    astore 5
    jsr cleanup
    aload 5
    athrow
    cleanup:
    astore 4
    getfield_a_this Main.pin
    ifnull skip
    getfield_a_this Main.pin
    invokevirtual javacard/framework/OwnerPIN.reset()V
    skip:
    ret 4
  method choose ([B)V private stack 3 locals 2
    new Square
    dup
    bspush 7
    invokespecial Square.<init>(S)V
    astore_2
    aload_2
    putstatic_a Main.first
    aload_1
    sconst_0
    baload
    ifeq mine
    aload_2
    goto both
    mine:
    aload_0
    both:
    astore_3
    aload_3
    sconst_4
    invokeinterface Area.area(S)S
    pop
    aload_3
    invokeinterface Named.name()[B
    pop
    getstatic_a Main.first
    instanceof Square
    ifeq out
    getstatic_a Main.first
    checkcast Square
    invokevirtual Square.hidden()S
    pop
    out:
    return
  method checkState ()V private static stack 2 locals 1
    getstatic_b Main.flag
    ifne set
    getstatic_a Main.words
    sconst_1
    saload
    sstore_0
    sload_0
    iflt set
    sconst_1
    putstatic_b Main.flag
    set:
    return
";

/// Every use of int, in a library that exports what it has.
pub const LIBRARY: &str = r"
import java/lang 1.0
flags int

interface Counter public
  method next (I)I public

class Long public implements Counter
  field high I protected
  field low S public
  field table [I public static
  field total I public static
  field step I static = 5
  method <init> ()V public stack 3
    aload_0
    invokespecial java/lang/Object.<init>()V
    aload_0
    iconst_1
    putfield_i Long.high
    return
  method next (I)I public stack 5 locals 2
    iload_1
    getfield_i_this Long.high
    iadd
    istore_3
    iinc 3 1
    iload_3
    iipush 100000
    icmp
    ifle small
    iload_3
    i2s
    s2i
    ireturn
    small:
    iload_3
    dup2
    ineg
    ishl
    ireturn
  method pick (I)S public static stack 3
    iload_0
    itableswitch 0 1 other zero one
    zero:
    sconst_0
    sreturn
    one:
    iload_0
    ilookupswitch other -70000:zero 70000:zero
    other:
    getstatic_a Long.table
    sconst_2
    iaload
    i2b
    sreturn
  method swap (SI)I public static stack 4
    sload_0
    iload_1
    swap_x 2 1
    s2i
    swap_x 2 2
    pop2
    ireturn
  method copy (S)[I protected static stack 6 locals 1
    sload_0
    newarray int
    astore_1
    aload_1
    sconst_0
    getstatic_i Long.total
    dup_x 2 4
    iastore
    putstatic_i Long.total
    aload_1
    areturn
";
