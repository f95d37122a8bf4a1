//! Every feature package of the CAP crate's tests: its class files on jCardSim, its CAP on the virtual machine, the same
//! answers. jCardSim is the JAR in the local Maven repository, or `JPKISE_JCARDSIM`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use jpkise_cap::convert::{AppletOption, ConvertOptions};
use jpkise_cap::Aid;
use jpkise_jcvm::Profile;

use super::bench::{aid, card, convert, install, load, options, select, send_on};
use super::support;

const DRIVERS: &str = include_str!("../data/drivers.txt");

/// A class of a feature package that calls the others.
struct Driver {
    package: String,
    /// `case …` lines.
    cases: Vec<String>,
    superclass: String,
    /// Classes beside it.
    more: String,
}

fn drivers() -> Vec<Driver> {
    let mut all: Vec<Driver> = Vec::new();
    for line in DRIVERS.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        if let Some(head) = line.strip_prefix("== ") {
            let (package, superclass) = head.split_once(' ').unwrap();
            all.push(Driver {
                package: package.into(),
                superclass: superclass.into(),
                cases: Vec::new(),
                more: String::new(),
            });
        } else if line.starts_with("case") {
            all.last_mut().unwrap().cases.push(line.into());
        } else {
            all.last_mut().unwrap().more.push_str(line);
        }
    }
    all
}

impl Driver {
    /// An applet whose INS is the number of a case.
    fn source(&self) -> (String, String) {
        let Self { package, superclass, cases, more } = self;
        let int = if package == "integers" {
            "static void put(byte[] o, int v) { put(o, (short) (v >> 16)); put(o, (short) v); }"
        } else {
            ""
        };
        let text = format!(
            "package {package};
import javacard.framework.*;
public class Drive extends {superclass} {{
  private static short at;
  public static void install(byte[] p, short o, byte l) {{ new Drive().register(p, (short) (o + 1), p[o]); }}
  static void put(byte[] o, short v) {{ at = Util.setShort(o, at, v); }}
  static void put(byte[] o, boolean v) {{ put(o, v ? (short) 1 : (short) 0); }}
  {int}
  static void run(short k, byte[] o) throws UserException {{
    switch (k) {{
{}
    }}
  }}
  public void process(APDU apdu) {{
    if (selectingApplet()) return;
    byte[] o = apdu.getBuffer();
    short k = o[ISO7816.OFFSET_INS];
    at = 0;
    try {{ run(k, o); }}
    catch (ArithmeticException e) {{ put(o, (short) 0x7001); }}
    catch (ArrayIndexOutOfBoundsException e) {{ put(o, (short) 0x7002); }}
    catch (NegativeArraySizeException e) {{ put(o, (short) 0x7003); }}
    catch (NullPointerException e) {{ put(o, (short) 0x7004); }}
    catch (ClassCastException e) {{ put(o, (short) 0x7005); }}
    catch (ArrayStoreException e) {{ put(o, (short) 0x7006); }}
    catch (UserException e) {{ put(o, (short) (0x7100 + e.getReason())); }}
    catch (CardRuntimeException e) {{ put(o, (short) (0x7200 + e.getReason())); }}
    apdu.setOutgoingAndSend((short) 0, at);
  }}
}}
{more}
",
            cases.join("\n")
        );
        (format!("{package}/Drive.java"), text)
    }

    fn options(&self, number: usize) -> ConvertOptions {
        let mut options = options(&self.package);
        options.aid = Aid::new(&[0xD2, 0x76, 0x00, 0x01, 0x77, 0xFE, u8::try_from(number).unwrap()]).unwrap();
        options.int = self.package == "integers";
        options.applets = vec![AppletOption { class: "Drive".into(), aid: None }];
        options
    }
}

/// Prints for each package and case the answer in hexadecimal.
const MAIN: &str = "package t;
import com.licel.jcardsim.base.Simulator;
import javacard.framework.AID;
public class Main {
  @SuppressWarnings(\"unchecked\")
  public static void main(String[] args) throws Exception {
    byte[] aid = {(byte) 0xD2, 0x76, 0x00, 0x01, 0x77, (byte) 0xFE, (byte) 0xFF};
    for (String arg : args) {
      String[] words = arg.split(\":\");
      Simulator card = new Simulator();
      AID instance = new AID(aid, (short) 0, (byte) aid.length);
      byte[] parameters = new byte[10];
      parameters[0] = (byte) aid.length;
      System.arraycopy(aid, 0, parameters, 1, aid.length);
      card.installApplet(instance, (Class<javacard.framework.Applet>) Class.forName(words[0] + \".Drive\"), parameters, (short) 0, (byte) 10);
      card.selectApplet(instance);
      for (int k = 0; k < Integer.parseInt(words[1]); k++) {
        StringBuilder line = new StringBuilder();
        for (byte b : card.transmitCommand(new byte[] {0, (byte) k, 0, 0, 0})) line.append(String.format(\"%02X\", b));
        System.out.println(line);
      }
      card.reset();
    }
  }
}
";

/// jCardSim's classes.
fn jcardsim() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("JPKISE_JCARDSIM") {
        return Some(given.into());
    }
    let root = PathBuf::from(std::env::var_os("HOME")?).join(".m2/repository/com/klinec/jcardsim");
    let versions = std::fs::read_dir(root).ok()?.flatten().map(|entry| entry.path());
    let jars = versions.flat_map(|v| std::fs::read_dir(v).into_iter().flatten().flatten().map(|e| e.path()));
    jars.filter(|p| p.extension().is_some_and(|e| e == "jar")).max()
}

#[test]
fn every_feature_gives_the_same_as_class_file_and_as_cap() {
    if !support::has_javac() {
        println!("skipped: there is no javac on the path");
        return;
    }
    let Some(jcardsim) = jcardsim() else {
        println!(
            "skipped: no jCardSim in the local Maven repository (mvn -f jcardsim-tests/pom.xml package)"
        );
        return;
    };
    let drivers = drivers();
    let folder = support::java_root().join("../../../cap/tests/java/features");
    let mut sources = java_files(&folder);
    let packages: BTreeSet<&str> = sources.keys().map(|p| p.split('/').next().unwrap()).collect();
    let driven: BTreeSet<&str> = drivers.iter().map(|d| d.package.as_str()).chain(["library"]).collect();
    assert_eq!(packages, driven, "a driver for each package");
    sources.extend(drivers.iter().map(Driver::source));
    let all: Vec<(String, String)> = sources.into_iter().collect();
    let classes = support::javac("features", 8, &all).unwrap_or_else(|e| panic!("{e}"));

    let expected = on_jcardsim(&classes, &jcardsim, &drivers);
    let mut expected = expected.lines();
    let mut wrong = Vec::new();
    for (number, driver) in drivers.iter().enumerate() {
        let mut all = vec![driver.options(number)];
        if driver.package == "client" {
            let mut library = options("library");
            library.aid = aid("D276000177FEAA");
            all.insert(0, library);
        }
        let mut card = card(Profile::default());
        let mut package = None;
        for converted in convert(&classes, &all) {
            package = Some(load(&mut card, &converted.cap));
        }
        let package = package.unwrap();
        let instance = aid("D276000177FEFF");
        install(&mut card, package.aid, package.modules[0], instance);
        assert_eq!(select(&mut card, 0, instance), Ok(true));
        for (case, line) in driver.cases.iter().enumerate() {
            let answer = send_on(&mut card, 0, &[0, u8::try_from(case).unwrap(), 0, 0, 0]);
            let wanted = expected.next().unwrap();
            if answer != wanted {
                wrong.push(format!("{}: {line}\n  jCardSim {wanted}\n  jcvm     {answer}", driver.package));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(expected.next(), None);
}

fn java_files(root: &std::path::Path) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for package in std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()) {
        for file in std::fs::read_dir(&package).unwrap().map(|e| e.unwrap().path()) {
            if file.extension().is_some_and(|e| e == "java") {
                let name = file.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                out.insert(name, std::fs::read_to_string(&file).unwrap());
            }
        }
    }
    out
}

fn on_jcardsim(classes: &std::path::Path, jcardsim: &std::path::Path, drivers: &[Driver]) -> String {
    let root = support::scratch("features-main");
    let source = root.join("Main.java");
    std::fs::write(&source, MAIN).unwrap();
    let path = std::env::join_paths([classes, jcardsim, &root]).unwrap();
    let compiled =
        Command::new("javac").args(["-nowarn", "-d"]).arg(&root).arg("-cp").arg(&path).arg(&source).output();
    let compiled = compiled.unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let arguments = drivers.iter().map(|d| format!("{}:{}", d.package, d.cases.len()));
    let output = Command::new("java").arg("-cp").arg(&path).arg("t.Main").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
