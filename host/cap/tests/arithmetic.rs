//! Arithmetic as a JVM does it: random methods are compiled by javac, run on the JVM, converted, and their bytecode
//! evaluated. What is accepted without int has to give the JVM's results; with int everything is accepted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use jpkise_cap::convert::{convert, ConvertOptions, ConvertRule, Converted};
use support::evaluate::{run, Outcome};

const SHORTS: [i16; 11] = [-32768, -32767, -300, -128, -1, 0, 1, 5, 255, 256, 32767];
const BYTES: [i8; 5] = [-128, -1, 0, 3, 127];

/// A linear congruential generator: the same methods in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }

    fn expression(&mut self, depth: u32) -> String {
        const LEAVES: [&str; 14] =
            ["a", "b", "c", "x", "a", "b", "1", "-1", "2", "7", "128", "0xFF", "0x7FFF", "300"];
        if depth == 0 || self.below(6) == 0 {
            return self.pick(&LEAVES).to_owned();
        }
        let left = self.expression(depth - 1);
        match self.below(16) {
            0..=2 => format!("({left} + {})", self.expression(depth - 1)),
            3 => format!("({left} - {})", self.expression(depth - 1)),
            4 => format!("({left} * {})", self.expression(depth - 1)),
            5 => format!("({left} / {})", self.expression(depth - 1)),
            6 => format!("({left} % {})", self.expression(depth - 1)),
            7 => format!("({left} << {})", self.pick(&["1", "3", "8", "15", "17", "c"])),
            8 => format!("({left} >> {})", self.pick(&["1", "4", "8", "15", "31", "c"])),
            9 => format!("({left} >>> {})", self.pick(&["1", "4", "8", "16", "31", "c"])),
            10 => format!("({left} & {})", self.pick(&["0xFF", "0x0F", "0x7FFF", "0xFFFF", "-8", "b"])),
            11 => format!("({left} | {})", self.expression(depth - 1)),
            12 => format!("({left} ^ {})", self.expression(depth - 1)),
            13 => format!("(- {left})"),
            14 => format!("((short) {left})"),
            _ => format!("((byte) {left})"),
        }
    }

    fn condition(&mut self) -> String {
        let operator = self.pick(&["==", "!=", "<", ">=", ">", "<="]);
        let right = match self.below(3) {
            0 => "0".to_owned(),
            1 => self.pick(&["b", "100", "-3", "0x100"]).to_owned(),
            _ => self.expression(1),
        };
        format!("{} {operator} {right}", self.expression(2))
    }

    fn statement(&mut self) -> String {
        match self.below(9) {
            0 => format!("x = (short) {};", self.expression(3)),
            1 => format!("x += {};", self.expression(2)),
            2 => "x++;".to_owned(),
            3 => format!("c = (byte) {};", self.expression(2)),
            4 => format!("if ({}) x = (short) {}; else c--;", self.condition(), self.expression(2)),
            5 => format!("for (short i = 0; i < ({} & 7); i++) x += i;", self.expression(1)),
            6 => format!("x = (short) ({} ? {} : {});", self.condition(), self.expression(1), self.expression(2)),
            7 => format!(
                "switch ({} + 0) {{ case 1: x += 3; case 300: x--; break; case -7: x = 9; break; default: x ^= 5; }}",
                self.expression(2)
            ),
            _ => format!("{{ int t = {}; x = (short) (t {} b); }}", self.expression(2), self.pick(&["+", "*", "&"])),
        }
    }

    fn method(&mut self, number: usize) -> String {
        let mut body = "short x = (short) (a ^ 21); ".to_owned();
        for _ in 0..self.below(3) {
            body.push_str(&self.statement());
            body.push(' ');
        }
        let result = match self.below(3) {
            0 => format!("return (short) {};", self.expression(3)),
            1 => format!("return ({}) ? x : c;", self.condition()),
            _ => format!("x = (short) {}; return x;", self.expression(2)),
        };
        format!("  static short f{number}(short a, short b, byte c) {{ {body}{result} }}\n")
    }
}

fn source(methods: &[(usize, String)]) -> Vec<(String, String)> {
    let mut text = "package t;\npublic class Expr {\n".to_owned();
    for (_, method) in methods {
        text.push_str(method);
    }
    text.push_str("}\n");
    let mut main = "package t;\npublic class Main {\n".to_owned();
    let list = |values: Vec<String>| values.join(", ");
    let shorts = list(SHORTS.iter().map(ToString::to_string).collect());
    let bytes = list(BYTES.iter().map(ToString::to_string).collect());
    let _ =
        writeln!(main, "  static final short[] S = {{{shorts}}};\n  static final byte[] B = {{{bytes}}};");
    main.push_str("  public static void main(String[] args) throws Exception {\n");
    main.push_str("    StringBuilder out = new StringBuilder();\n");
    main.push_str("    for (String name : args) {\n");
    main.push_str("      java.lang.reflect.Method m = Expr.class.getDeclaredMethod(name, short.class, short.class, byte.class);\n");
    main.push_str("      m.setAccessible(true);\n");
    main.push_str("      for (short a : S) for (short b : S) for (byte c : B) {\n");
    main.push_str("        try { out.append(m.invoke(null, a, b, c)); }\n");
    main.push_str("        catch (java.lang.reflect.InvocationTargetException e) { out.append('A'); }\n");
    main.push_str("        out.append(' ');\n      }\n      out.append('\\n');\n    }\n");
    main.push_str("    System.out.print(out);\n  }\n}\n");
    vec![("t/Expr.java".into(), text), ("t/Main.java".into(), main)]
}

/// What the JVM gives, one line per method.
fn on_the_jvm(classes: &Path, names: &[String]) -> Vec<Vec<String>> {
    let output = Command::new("java").arg("-cp").arg(classes).arg("t.Main").args(names).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

fn compare(converted: &Converted, names: &[String], expected: &[Vec<String>]) {
    let methods = support::methods(converted);
    let descriptor = converted.cap.descriptor.as_ref().unwrap();
    // Methods lie in the order of the class file: the constructor, then f0, f1, …
    let offsets: Vec<u16> = descriptor.classes[0].methods.iter().skip(1).map(|m| m.method_offset).collect();
    assert_eq!(offsets.len(), names.len());
    for ((name, offset), expected) in names.iter().zip(offsets).zip(expected) {
        let mut expected = expected.iter();
        for a in SHORTS {
            for b in SHORTS {
                for c in BYTES {
                    let got = match run(&converted.cap, &methods, offset, &[a, b, c.into()]) {
                        Outcome::Short(v) => v.to_string(),
                        Outcome::Int(v) => v.to_string(),
                        Outcome::Arithmetic => "A".to_owned(),
                    };
                    let wanted = expected.next().unwrap();
                    if got != *wanted {
                        let listing = methods.iter().find(|m| m.offset == offset).map(support::listing);
                        panic!(
                            "{name}({a}, {b}, {c}) is {wanted} on the JVM, {got} here\n{}",
                            listing.unwrap()
                        );
                    }
                }
            }
        }
    }
}

/// Converts `Expr` alone: `Main` is no Java Card class.
fn convert_expr(
    classes: &Path,
    options: &ConvertOptions,
) -> Result<Converted, Vec<jpkise_cap::convert::Diagnostic>> {
    let _ = std::fs::remove_file(classes.join("t/Main.class"));
    convert(classes, options)
}

#[test]
fn accepted_arithmetic_gives_the_results_of_a_jvm() {
    if !support::has_javac() {
        return;
    }
    let seed = std::env::var("JPKISE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_123);
    let mut random = Random(seed);
    let all: Vec<(usize, String)> = (0..400).map(|n| (n, random.method(n))).collect();
    let classes = support::javac("all", 8, &source(&all)).unwrap();
    let names: Vec<String> = all.iter().map(|(n, _)| format!("f{n}")).collect();
    let expected = on_the_jvm(&classes, &names);
    let mut options = support::options("t");

    options.int = true;
    let with_int = convert_expr(&classes, &options).unwrap_or_else(|e| panic!("{}", support::lines(&e)));
    support::verify(&with_int, &[]);
    compare(&with_int, &names, &expected);

    options.int = false;
    let errors = convert_expr(&classes, &options).expect_err("some of so many methods need int");
    let mut refused = BTreeSet::new();
    for error in &errors {
        assert!(matches!(*error.rule, ConvertRule::Overflow { .. }), "{error}");
        let member = error.member.as_ref().unwrap();
        refused.insert(member.split('(').next().unwrap().to_owned());
    }
    let kept: Vec<(usize, String)> =
        all.into_iter().filter(|(n, _)| !refused.contains(&format!("f{n}"))).collect();
    assert!(kept.len() >= 100, "only {} of 400 methods are accepted without int", kept.len());
    let classes = support::javac("kept", 8, &source(&kept)).unwrap();
    let without_int = convert_expr(&classes, &options).unwrap_or_else(|e| panic!("{}", support::lines(&e)));
    support::verify(&without_int, &[]);
    assert!(!without_int.cap.header.uses_int());
    let names: Vec<String> = kept.iter().map(|(n, _)| format!("f{n}")).collect();
    let expected: Vec<Vec<String>> = kept.iter().map(|(n, _)| expected[*n].clone()).collect();
    compare(&without_int, &names, &expected);
    println!("{} methods accepted without int, {} need it", kept.len(), refused.len());
}
