//! Random expressions: as class file on a JVM and as CAP on the virtual machine, the same results.

use std::fmt::Write as _;
use std::process::Command;

use jpkise_cap::Aid;
use jpkise_jcvm::Profile;

use super::bench::{card, convert, options, put, select, send_on};
use super::support;

/// How many, in packages of [`PER_PACKAGE`].
const EXPRESSIONS: usize = 10_000;
const PER_PACKAGE: usize = 400;

/// What each is computed for: two shorts and a byte.
const INPUTS: [(i16, i16, i8); 8] = [
    (0, 0, 0),
    (1, -1, 1),
    (-32768, 32767, -128),
    (32767, -32768, 127),
    (300, -7, 3),
    (-21846, 21845, -86),
    (255, 256, 31),
    (-2, 4660, 17),
];

/// A linear congruential generator: the same expressions in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    fn pick(&mut self, all: &[&'static str]) -> &'static str {
        all[self.below(all.len())]
    }

    /// An int expression over a, b (short) and c (byte).
    fn expression(&mut self, depth: u32) -> String {
        if depth == 0 || self.below(7) == 0 {
            const LEAVES: [&str; 18] = [
                "a",
                "b",
                "c",
                "a",
                "b",
                "c",
                "0",
                "1",
                "-1",
                "5",
                "-6",
                "127",
                "0xFF",
                "0x7FFF",
                "-0x8000",
                "0x12345",
                "Integer.MAX_VALUE",
                "Integer.MIN_VALUE",
            ];
            return match self.below(6) {
                0 => format!("((short) {})", self.pick(&LEAVES)),
                1 => format!("((byte) {})", self.pick(&LEAVES)),
                _ => self.pick(&LEAVES).to_owned(),
            };
        }
        let left = self.expression(depth - 1);
        let right = self.expression(depth - 1);
        match self.below(18) {
            0 => format!("(- {left})"),
            1 => format!("(~{left})"),
            2 => format!("((short) {left})"),
            3 => format!("((byte) {left})"),
            4 => {
                let compare = self.pick(&["==", "!=", "<", ">=", ">", "<="]);
                let (yes, no) = (self.expression(depth - 1), self.expression(depth - 1));
                format!("({left} {compare} {right} ? {yes} : {no})")
            }
            5 => {
                let (and, compare) = (self.pick(&["&&", "||"]), self.pick(&["==", "<"]));
                format!("({left} > 0 {and} {right} {compare} c ? a : b)")
            }
            _ => {
                let operator =
                    self.pick(&["+", "-", "*", "/", "%", "<<", ">>", ">>>", "&", "|", "^", "+", "-"]);
                format!("({left} {operator} {right})")
            }
        }
    }
}

fn package(number: usize) -> String {
    format!("e{number:02}")
}

/// One package: the expressions, and an applet that computes one of them for each five bytes of a command.
fn sources(number: usize, random: &mut Random) -> Vec<(String, String)> {
    let package = package(number);
    let mut text = format!("package {package};\nclass Expr {{\n");
    let mut cases = String::new();
    for index in 0..PER_PACKAGE {
        let depth = 2 + u32::try_from(random.below(3)).unwrap();
        let expression = random.expression(depth);
        let _ = writeln!(text, "  static int f{index}(short a, short b, byte c) {{ return {expression}; }}");
        let _ = writeln!(cases, "      case {index}: return Expr.f{index}(a, b, c);");
    }
    text.push_str("}\n");
    let run = format!(
        "package {package};
import javacard.framework.*;
public class Run extends Applet {{
  public static void install(byte[] p, short o, byte l) {{ new Run().register(p, (short) (o + 1), p[o]); }}
  private static int call(short index, short a, short b, byte c) {{
    switch (index) {{
{cases}
    }}
    return 0;
  }}
  public void process(APDU apdu) {{
    if (selectingApplet()) return;
    byte[] buffer = apdu.getBuffer();
    short index = Util.getShort(buffer, ISO7816.OFFSET_P1);
    short length = apdu.setIncomingAndReceive();
    for (short at = 5; at < (short) (5 + length); at += 5) {{
      short from = at;
      byte failed = 0;
      int result = 0;
      try {{
        result = call(index, Util.getShort(buffer, from), Util.getShort(buffer, (short) (from + 2)), buffer[(short) (from + 4)]);
      }} catch (ArithmeticException e) {{
        failed = 1;
      }}
      Util.setShort(buffer, from, (short) (result >> 16));
      Util.setShort(buffer, (short) (from + 2), (short) result);
      buffer[(short) (from + 4)] = failed;
    }}
    apdu.setOutgoingAndSend((short) 5, length);
  }}
}}
"
    );
    vec![(format!("{package}/Expr.java"), text), (format!("{package}/Run.java"), run)]
}

/// Prints a line for each expression: its results in hexadecimal, or `A` for an ArithmeticException.
fn main_class() -> (String, String) {
    let mut inputs = String::new();
    for (a, b, c) in INPUTS {
        let _ = write!(inputs, "{{{a}, {b}, {c}}}, ");
    }
    let text = format!(
        "package t;
public class Main {{
  static final int[][] INPUTS = {{{inputs}}};
  public static void main(String[] packages) throws Exception {{
    StringBuilder out = new StringBuilder();
    for (String name : packages) {{
      Class<?> all = Class.forName(name + \".Expr\");
      for (int i = 0; i < {PER_PACKAGE}; i++) {{
        java.lang.reflect.Method f = all.getDeclaredMethod(\"f\" + i, short.class, short.class, byte.class);
        f.setAccessible(true);
        for (int[] in : INPUTS) {{
          try {{ out.append(String.format(\"%08X00\", f.invoke(null, (short) in[0], (short) in[1], (byte) in[2]))); }}
          catch (java.lang.reflect.InvocationTargetException e) {{
            if (!(e.getCause() instanceof ArithmeticException)) throw e;
            out.append(\"0000000001\");
          }}
        }}
        out.append('\\n');
      }}
    }}
    System.out.print(out);
  }}
}}
"
    );
    ("t/Main.java".into(), text)
}

#[test]
fn ten_thousand_random_expressions_give_what_a_jvm_gives() {
    if !support::has_javac() {
        println!("skipped: there is no javac on the path");
        return;
    }
    let seed = std::env::var("JPKISE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_261_124);
    let mut random = Random(seed);
    let packages = EXPRESSIONS.div_ceil(PER_PACKAGE);
    let mut all: Vec<(String, String)> = (0..packages).flat_map(|n| sources(n, &mut random)).collect();
    all.push(main_class());
    let classes = support::javac("expressions", 8, &all).unwrap_or_else(|e| panic!("{e}"));
    let names = (0..packages).map(package);
    let output = Command::new("java")
        .args(["-XX:TieredStopAtLevel=1", "-cp"])
        .arg(&classes)
        .arg("t.Main")
        .args(names)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = String::from_utf8(output.stdout).unwrap();
    let mut expected = expected.lines();

    let mut data = Vec::new();
    for (a, b, c) in INPUTS {
        data.extend([&a.to_be_bytes()[..], &b.to_be_bytes(), &c.to_be_bytes()].concat());
    }
    let mut failures = 0;
    for number in 0..packages {
        let mut options = options(&package(number));
        options.aid = Aid::new(&[0xD2, 0x76, 0x00, 0x01, 0x77, 0xEE, u8::try_from(number).unwrap()]).unwrap();
        options.int = true;
        let cap = convert(&classes, &[options]).remove(0).cap;
        let mut card = card(Profile { persistent: 400 * 1024, ..Profile::default() });
        let instance = put(&mut card, &cap, 0, "D276000177EEFF");
        assert_eq!(select(&mut card, 0, instance), Ok(true));
        for index in 0..PER_PACKAGE {
            let [high, low] = u16::try_from(index).unwrap().to_be_bytes();
            let apdu = [&[0, 0, high, low, u8::try_from(data.len()).unwrap()], &data[..]].concat();
            let answer = send_on(&mut card, 0, &apdu);
            let wanted = format!("{}9000", expected.next().unwrap());
            if answer != wanted {
                let (path, text) =
                    all.iter().find(|(p, _)| *p == format!("{}/Expr.java", package(number))).unwrap();
                let line = text.lines().find(|l| l.contains(&format!(" f{index}("))).unwrap();
                println!("{path}: {line}\n  JVM  {wanted}\n  jcvm {answer}");
                failures += 1;
            }
        }
    }
    assert_eq!(failures, 0, "of {} expressions", packages * PER_PACKAGE);
    assert_eq!(expected.next(), None);
}
