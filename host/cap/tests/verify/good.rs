//! What the rules allow: each row changes a good sample into another good one.

use jpkise_cap::exports::{embedded, ExportSet};
use jpkise_cap::model::PackageVersion;
use jpkise_cap::verify::verify;

use crate::asm::assemble;
use crate::samples::{unindent, APPLET, LIBRARY};

/// What is allowed, sample, lines, lines in their place.
type Row = (&'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("max_stack larger than needed", APPLET, "method name ()[B public stack 1\n    getstatic_a Main.table", "method name ()[B public stack 9\n    getstatic_a Main.table"),
    ("an extended header", APPLET, "method process (Ljavacard/framework/APDU;)V public stack 4 locals 4", "method process (Ljavacard/framework/APDU;)V public stack 16 locals 40"),
    ("an inner class stores what it captures before the superclass's constructor runs", APPLET, "aload_0\n    sload_1\n    invokespecial Base.<init>(S)V\n    return", "aload_0\n    aconst_null\n    putfield_a Square.outer\n    aload_0\n    sload_1\n    invokespecial Base.<init>(S)V\n    return\n  field outer LMain; private"),
    ("a constructor that calls another of its class", APPLET, "class Square extends Base implements Area final\n", "class Square extends Base implements Area final\n  method <init> ()V stack 2\n    aload_0\n    bspush 7\n    invokespecial Square.<init>(S)V\n    return\n"),
    ("a constructor that throws instead of calling another", APPLET, "class Square extends Base implements Area final\n", "class Square extends Base implements Area final\n  method <init> ()V stack 1\n    aconst_null\n    athrow\n"),
    ("a new object made in every turn of a loop", APPLET, "instanceof Square\n    ifeq out", "instanceof Square\n    ifeq out\n    turn:\n    new Square\n    dup\n    sconst_1\n    invokespecial Square.<init>(S)V\n    astore_2\n    aload_2\n    ifnull turn"),
    ("a subroutine called with other types in the locals it leaves alone", APPLET, "caught:\n    astore 5", "caught:\n    astore 5\n    jsr cleanup"),
    ("locals of different types where paths meet, not used behind", APPLET, "if_scmple second\n    sload_0\n    sreturn", "if_scmple second\n    aconst_null\n    astore_0\n    aload_0\n    ifnull second\n    sconst_1\n    sreturn"),
    ("an array of a subclass where one of its superclass is needed", APPLET, "sconst_2\n    anewarray javacard/security/Key\n    putfield_a Main.keys", "sconst_2\n    anewarray javacard/security/AESKey\n    putfield_a Main.keys"),
    ("null for any reference", APPLET, "aload_0\n    aload_2\n    invokespecial Main.choose([B)V", "aload_0\n    aconst_null\n    invokespecial Main.choose([B)V"),
    ("reading from an array that is null", APPLET, "getstatic_a Main.words\n    sconst_1\n    saload", "aconst_null\n    sconst_1\n    saload"),
    ("code nobody reaches", APPLET, "method deselect (Z)V public\n    return", "method deselect (Z)V public stack 1\n    return\n    sconst_0\n    goto -1"),
    ("booleans and bytes under the same instructions", APPLET, "sload_2\n    baload\n", "sload_2\n    baload\n    putstatic_b Main.flag\n    getstatic_b Main.flag\n"),
    ("a method of Object on an interface", APPLET, "aload_3\n    invokeinterface Named.name()[B", "aload_3\n    aload_3\n    invokevirtual java/lang/Object.equals(Ljava/lang/Object;)Z\n    pop\n    aload_3\n    invokeinterface Named.name()[B"),
    ("a protected method of a superclass in another package", APPLET, "method deselect (Z)V public", "method deselect (Z)V public stack 1\n    aload_0\n    invokevirtual javacard/framework/Applet.selectingApplet()Z\n    pop"),
    ("wide branches", APPLET, "goto loop", "goto_w loop"),
    ("field instructions with wide indices", APPLET, "getfield_a_this Main.pin\n    ifnull skip", "aload_0\n    getfield_a_w Main.pin\n    ifnull_w skip"),
    ("nested handlers, the inner one first", APPLET, "loop:\n    sload_3\n    bspush 10", "in:\n    nop\n    ni:\n    loop:\n    sload_3\n    bspush 10"),
    ("int arrays with values, where the flag says so", APPLET, "applet Main", "flags int\napplet Main\nclass Tables\nfield table [I static = 1,-1,70000"),
    ("ints in pairs", LIBRARY, "dup2\n    ineg", "dup2\n    swap_x 2 2\n    ineg"),
];

#[test]
fn what_the_rules_allow_is_accepted() {
    for (what, sample, lines, others) in ROWS {
        let text = unindent(sample);
        assert_eq!(text.matches(&unindent(lines)).count(), 1, "{what}: {lines:?} in the sample");
        let cap = assemble(&text.replacen(&unindent(lines), &unindent(others), 1));
        let found = verify(&cap, &ExportSet::any_platform());
        assert!(found.is_empty(), "{what}: {found:#?}");
    }
}

#[test]
fn a_lower_import_version_is_accepted_even_below_a_class_that_has_grown() {
    let text = "
        import java/lang 1.0
        import javacard/security 1.5
        class Fixed extends javacard/security/RandomData
          method generateData ([BSS)V public
            return
          method setSeed ([BSS)V public
            return
          method more (S)S public stack 1
            sload_1
            sreturn";
    let cap = assemble(text);
    assert_eq!(verify(&cap, &ExportSet::any_platform()), []);
    let mut set = ExportSet::any_platform();
    set.add(embedded("javacard/security", PackageVersion::new(1, 6)).unwrap().clone());
    assert_eq!(verify(&cap, &set), []);
}
