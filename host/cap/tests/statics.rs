//! Static fields: what a JVM holds after running the initialisers is what the static field image says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::process::Command;

use jpkise_cap::convert::Converted;
use support::{convert_ok, javac, options};

const FIELDS: &str = "package t; import javacard.framework.*; public class S extends Applet {
    static byte b0; static byte b1 = 1; static byte b2 = -128; static byte b3 = (byte) 0xFF;
    static boolean z0; static boolean z1 = true; static boolean z2 = false;
    static short s0; static short s1 = 0x1234; static short s2 = -1; static short s3 = (short) 0x8000;
    static int i0; static int i1 = 0x12345678; static int i2 = -2; static int i3 = 1 << 31;
    static final byte c1 = 77; static final short c2;
    static byte[] a0; static byte[] a1 = {}; static byte[] a2 = {1, -2, 3}; static byte[] a3 = new byte[3];
    static boolean[] a4 = {true, false, true}; static short[] a5 = {1, -1, 0x7FFF, (short) 0x8001};
    static int[] a6 = {1, -1, 0x7FFFFFFF, 1 << 31}; static final byte[] a7 = {(byte) (c1 + 1), 5 - 8, 7 * 9, ~3};
    static byte[] a8 = {9}; static Object o; static Object[] objects; static S self = null;
    static { c2 = (short) (c1 * 3 - 1); a3[1] = 5; a3[2] = (byte) (0x180 >> 1); s0 = 5; s0 = 0; a8 = new byte[] {4, 4}; b1 += 0; }
    public static void install(byte[] p, short f, byte l) { new S().register(); }
    public void process(APDU apdu) { } }";

const SECOND: &str = "package t; class Second { static short s = 3; private static byte[] own = {8, 8}; static short[] none; }";

/// Prints every static field: name, type, value or elements.
const PRINT: &str = "package t; import java.lang.reflect.*; public class Print { public static void main(String[] args) throws Exception {
    for (String name : args) for (Field f : Class.forName(name).getDeclaredFields()) {
        if (!Modifier.isStatic(f.getModifiers())) continue;
        f.setAccessible(true); Object v = f.get(null);
        StringBuilder out = new StringBuilder(name + ' ' + f.getName() + ' ' + f.getType().getName());
        if (v != null && v.getClass().isArray()) { out.append(\" [\"); for (int i = 0; i < Array.getLength(v); i++) out.append(' ').append(Array.get(v, i)); }
        else out.append(' ').append(v);
        System.out.println(out); } } }";

#[derive(Debug, PartialEq, Eq)]
enum Held {
    Null,
    Number(i64),
    Array(Vec<i64>),
}

fn number(text: &str) -> i64 {
    match text {
        "true" => 1,
        "false" => 0,
        other => other.parse().unwrap(),
    }
}

/// What the image holds at an offset for a field of a type.
fn held(converted: &Converted, offset: usize, ty: &str) -> Held {
    let image = &converted.cap.static_field;
    let signed = |bytes: &[u8]| {
        bytes.iter().skip(1).fold(i64::from(i8::from_be_bytes([bytes[0]])), |v, b| v << 8 | i64::from(*b))
    };
    let references = 2 * usize::from(image.reference_count);
    if offset < references {
        let Some(array) = image.array_inits.get(offset / 2) else { return Held::Null };
        let size = match array.element_type {
            2 | 3 => 1,
            4 => 2,
            _ => 4,
        };
        return Held::Array(array.values.chunks(size).map(signed).collect());
    }
    let size = match ty {
        "int" => 4,
        "short" => 2,
        _ => 1,
    };
    match offset.checked_sub(references + usize::from(image.default_value_count)) {
        None => Held::Number(0),
        Some(at) => Held::Number(signed(&image.non_default_values[at..at + size])),
    }
}

#[test]
fn the_image_holds_what_a_jvm_holds_after_initialisation() {
    if !support::has_javac() {
        return;
    }
    // `b1 += 0` reads a field: not allowed, and not needed for the comparison.
    let fields = FIELDS.replace(" b1 += 0;", "");
    let sources: Vec<(String, String)> =
        [("t/S.java", fields.as_str()), ("t/Second.java", SECOND), ("t/Print.java", PRINT)]
            .map(|(path, text)| (path.to_owned(), text.to_owned()))
            .to_vec();
    let classes = javac("image", 8, &sources).unwrap();
    let class_path = format!("{}:{}", classes.display(), support::api().display());
    // The stub of Applet is only loaded, never run.
    let output = Command::new("java")
        .args(["-Xverify:none", "-cp", &class_path, "t.Print", "t.S", "t.Second"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::remove_file(classes.join("t/Print.class")).unwrap();
    let mut with_int = options("t");
    with_int.int = true;
    with_int.debug = true;
    let converted = convert_ok(&classes, &with_int);

    // Offsets by field name, from Debug; constants are inlined and nowhere.
    let debug = converted.cap.debug.as_ref().unwrap();
    let mut offsets = BTreeMap::new();
    for class in &debug.classes {
        for field in class.fields.iter().filter(|f| f.access_flags & 8 != 0) {
            let name = format!(
                "{} {}",
                debug.string(class.name_index).unwrap(),
                debug.string(field.name_index).unwrap()
            );
            offsets.insert(name.replace('/', "."), usize::try_from(field.contents).unwrap());
        }
    }
    let mut compared = 0;
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let mut words = line.split(' ');
        let name = format!("{} {}", words.next().unwrap(), words.next().unwrap());
        let ty = words.next().unwrap();
        if name == "t.S c1" {
            continue;
        }
        let expected = match words.next().unwrap() {
            "null" => Held::Null,
            "[" => Held::Array(words.map(number).collect()),
            value => Held::Number(number(value)),
        };
        assert_eq!(held(&converted, offsets[&name], ty), expected, "{name}");
        compared += 1;
    }
    assert_eq!(compared, 31);
    let size = &converted.cap.directory.static_field_size;
    assert_eq!(usize::from(size.array_init_count), 9);
    assert_eq!(size.image_size, converted.cap.static_field.image_size);
}

#[test]
fn reading_a_field_in_an_initialiser_is_refused() {
    if !support::has_javac() {
        return;
    }
    let classes = javac("reading", 8, &[("t/S.java".into(), FIELDS.into())]).unwrap();
    let mut with_int = options("t");
    with_int.int = true;
    let errors = jpkise_cap::convert::convert(&classes, &with_int).unwrap_err();
    assert!(support::lines(&errors).contains("reading field b1"), "{}", support::lines(&errors));
}
