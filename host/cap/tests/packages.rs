//! Packages as a whole: applets and AIDs, libraries and clients, versions, damaged input, and limits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use jpkise_cap::convert::{
    convert, convert_all, convert_classes, read_class_files, AppletOption, ConvertOptions, ConvertRule, Limit,
};
use jpkise_cap::exports::{ExportPackage, Platform};
use jpkise_cap::model::{access, Aid, ClassRef, FLAG_APPLET, FLAG_EXPORT, NO_TOKEN};
use support::{convert_ok, javac, options};

fn sources(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

fn rules(classes: &Path, options: &ConvertOptions) -> Vec<ConvertRule> {
    match convert(classes, options) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.into_iter().map(|e| *e.rule).collect(),
    }
}

const APPLET: &str = "package t; import javacard.framework.*; public class A extends Applet {
    public static void install(byte[] b, short o, byte l) { new A().register(); }
    public void process(APDU apdu) { } }";

fn applet_classes(name: &str) -> PathBuf {
    javac(
        name,
        8,
        &sources(&[
            ("t/A.java", APPLET),
            ("t/B.java", &APPLET.replace("class A", "class B").replace("new A", "new B")),
            ("t/NotOne.java", "package t; public class NotOne { public static void install(byte[] b, short o, byte l) {} }"),
            ("t/Abstract.java", "package t; public abstract class Abstract extends A { public static void install(byte[] b, short o, byte l) {} }"),
            ("t/NoInstall.java", "package t; public class NoInstall extends A { static void install(byte[] b, short o, byte l, byte x) {} }"),
        ]),
    )
    .unwrap()
}

fn applet(class: &str, aid: &str) -> AppletOption {
    AppletOption { class: class.to_owned(), aid: (!aid.is_empty()).then(|| aid.parse().unwrap()) }
}

#[test]
fn applets_are_found_and_numbered_from_the_package_aid() {
    if !support::has_javac() {
        return;
    }
    let classes = applet_classes("found");
    let converted = convert_ok(&classes, &options("t"));
    let aids: Vec<String> = converted.applets.iter().map(|(class, aid)| format!("{class} {aid}")).collect();
    assert_eq!(aids, ["t.A D276000177AA0101", "t.B D276000177AA0102"]);
    assert_eq!(converted.cap.header.flags, FLAG_APPLET);
    assert_eq!(converted.cap.export, None);
    assert!(converted.exp.classes.is_empty(), "an applet package exports shareable interfaces only");
    for (entry, name) in converted.cap.applet.as_ref().unwrap().applets.iter().zip(["A", "B"]) {
        let method = support::methods(&converted)
            .into_iter()
            .find(|m| m.offset == entry.install_method_offset)
            .unwrap();
        assert!(
            method.instructions[0].operands.contains("class#")
                || method.instructions[0].operands.ends_with(name)
        );
        assert_eq!(method.header.nargs, 3);
    }
}

#[test]
fn wrong_applets_and_aids_are_refused() {
    if !support::has_javac() {
        return;
    }
    let classes = applet_classes("wrong");
    let with = |applets: &[AppletOption]| {
        let mut options = options("t");
        options.applets = applets.to_vec();
        rules(&classes, &options)
    };
    assert!(with(&[applet("t.A", "D276000177AA0105")]).is_empty());
    assert!(with(&[applet("A", "")]).is_empty());
    assert!(matches!(with(&[applet("t.Missing", "")])[..], [ConvertRule::NoSuchApplet(_)]));
    assert!(matches!(with(&[applet("NotOne", "")])[..], [ConvertRule::NotAnApplet]));
    assert!(matches!(with(&[applet("Abstract", "")])[..], [ConvertRule::AbstractApplet]));
    assert!(matches!(with(&[applet("NoInstall", "")])[..], [ConvertRule::NoInstall]));
    assert!(matches!(with(&[applet("A", "A000000001AA01")])[..], [ConvertRule::Rid { .. }]));
    assert!(matches!(with(&[applet("A", support::AID)])[..], [ConvertRule::SameAid(_)]));
    let twice = [applet("A", "D276000177AA0105"), applet("B", "D276000177AA0105")];
    assert!(matches!(with(&twice)[..], [ConvertRule::SameAid(_)]));
    let mut full = options("t");
    full.aid = "D276000177AA01020304050607080910".parse().unwrap();
    assert!(rules(&classes, &full).iter().all(|r| matches!(r, ConvertRule::NoAppletAid(_))));
    assert!("D2760001".parse::<Aid>().is_err(), "four bytes");
    assert!("D276000177AA0102030405060708091011".parse::<Aid>().is_err(), "seventeen bytes");
}

#[test]
fn all_or_no_applets_are_multi_selectable() {
    if !support::has_javac() {
        return;
    }
    let multi = APPLET
        .replace("class A", "class M")
        .replace("new A", "new M")
        .replace("extends Applet", "extends Applet implements MultiSelectable")
        .replace("public void process", "public boolean select(boolean a) { return true; } public void deselect(boolean a) { } public void process");
    let classes = javac("multi", 8, &sources(&[("t/A.java", APPLET), ("t/M.java", &multi)])).unwrap();
    assert_eq!(rules(&classes, &options("t")), [ConvertRule::MultiSelectable]);
    let mut one = options("t");
    one.applets = vec![applet("M", "")];
    assert!(rules(&classes, &one).is_empty());
}

const LIBRARY: &str =
    "package lib; public class Tool { public static short count; protected short value; short hidden;
    public Tool() { } public static short twice(short a) { return (short) (a + a); }
    public short get() { return value; } protected void set(short v) { value = v; } void inside() { } }";

#[test]
fn a_library_exports_what_its_clients_link() {
    if !support::has_javac() {
        return;
    }
    let client = "package user; public class User extends lib.Tool { public short get() { set(count); return twice(super.get()); } }";
    let classes =
        javac("library", 8, &sources(&[("lib/Tool.java", LIBRARY), ("user/User.java", client)])).unwrap();
    let library = convert_ok(&classes, &options("lib"));
    assert_eq!(library.cap.header.flags, FLAG_EXPORT);
    assert!(library.exp.library);
    let tool = library.exp.class("lib/Tool").unwrap();
    let token = |name: &str, descriptor: &str| tool.method(name, descriptor).map(|m| m.token);
    assert_eq!(token("<init>", "()V"), Some(0));
    assert_eq!(token("twice", "(S)S"), Some(1));
    // equals of Object is 0 in every class.
    assert_eq!(token("equals", "(Ljava/lang/Object;)Z"), Some(0));
    assert_eq!((token("get", "()S"), token("set", "(S)V")), (Some(1), Some(2)));
    assert_eq!((token("inside", "()V"), tool.field("hidden", "S")), (None, None));
    let export = &library.cap.export.as_ref().unwrap().classes[0];
    assert_eq!((export.static_field_offsets.len(), export.static_method_offsets.len()), (1, 2));

    let mut alone = options("user");
    alone.aid = "D276000177AA02".parse().unwrap();
    assert!(matches!(&rules(&classes, &alone)[..], [ConvertRule::MissingPackage(p), ..] if p == "lib"));

    // The export file carries everything over.
    let exp = ExportPackage::read_exp(&library.exp.write_exp()).unwrap();
    assert_eq!(exp, library.exp);
    alone.exports = vec![exp];
    let user = convert_ok(&classes, &alone);
    assert!(user.cap.import.packages.iter().any(|p| p.aid == library.cap.header.package.aid));
    let info = &user.cap.class.classes[0];
    assert!(matches!(info.superclass, Some(ClassRef::External { class: 0, .. })));
    assert_eq!(info.public_method_table_base, 1);
    let set = convert_all(&classes, &[alone.clone(), options("lib")]).unwrap();
    support::verify(&set[1], &[set[0].exp.clone()]);
    assert_eq!(set[1].cap.component_sizes(), user.cap.component_sizes());
}

#[test]
fn packages_that_import_each_other_are_refused() {
    if !support::has_javac() {
        return;
    }
    let files = sources(&[
        ("p/P.java", "package p; public class P { public q.Q other; }"),
        ("q/Q.java", "package q; public class Q { public void use(p.P p) { p.other = this; } }"),
    ]);
    let classes = javac("cycle", 8, &files).unwrap();
    let errors = convert_all(&classes, &[options("p"), options("q")]).unwrap_err();
    assert_eq!(*errors[0].rule, ConvertRule::CyclicImport("p, q".into()));
}

#[test]
fn a_new_version_keeps_the_tokens_of_the_former_one() {
    if !support::has_javac() {
        return;
    }
    let old = javac("former-old", 8, &sources(&[("lib/Tool.java", LIBRARY)])).unwrap();
    let former = convert_ok(&old, &options("lib")).exp;
    // The same members in another order, and new ones before them.
    let newer = "package lib; public class Tool { public static short first; public static short count;
        protected short value; public short also;
        public static short thrice(short a) { return (short) (3 * a); } public short fresh() { return 0; }
        protected void set(short v) { value = v; } public short get() { return value; }
        public static short twice(short a) { return (short) (a + a); } public Tool() { } }";
    let additional = "package lib; public class Another { }";
    let files = sources(&[("lib/Tool.java", newer), ("lib/Another.java", additional)]);
    let classes = javac("former-new", 8, &files).unwrap();
    let mut upgrade = options("lib");
    upgrade.former = Some(former.clone());
    let exp = convert_ok(&classes, &upgrade).exp;
    let (was, is) = (former.class("lib/Tool").unwrap(), exp.class("lib/Tool").unwrap());
    assert_eq!(is.token, 0, "Another comes first by name, but Tool was first");
    for method in &was.methods {
        assert_eq!(
            is.method(&method.name, &method.descriptor).unwrap().token,
            method.token,
            "{}",
            method.name
        );
    }
    for field in &was.fields {
        assert_eq!(is.field(&field.name, &field.descriptor).unwrap().token, field.token, "{}", field.name);
    }
    // Without the former file the order of the source counts.
    let plain = convert_ok(&classes, &options("lib")).exp;
    assert_eq!(plain.class("lib/Tool").unwrap().method("twice", "(S)S").unwrap().token, 1);
    assert_ne!(plain.class("lib/Tool").unwrap().token, 0);
    upgrade.former = Some(ExportPackage { name: "other".into(), ..former });
    assert!(matches!(rules(&classes, &upgrade)[..], [ConvertRule::FormerExport { .. }]));
}

#[test]
fn what_was_exported_cannot_be_taken_away() {
    if !support::has_javac() {
        return;
    }
    let old = javac("gone-old", 8, &sources(&[("lib/Tool.java", LIBRARY)])).unwrap();
    let former = convert_ok(&old, &options("lib")).exp;
    for (number, (what, by)) in [
        ("public short get() { return value; }", ""),
        ("public static short twice(short a) { return (short) (a + a); }", ""),
        ("protected short value;", "private short value;"),
        ("public static short count;", "static short count;"),
        ("public class Tool", "class Tool"),
    ]
    .into_iter()
    .enumerate()
    {
        let text = LIBRARY.replace(what, by);
        let classes = javac(&format!("gone-{number}"), 8, &sources(&[("lib/Tool.java", &text)])).unwrap();
        let mut upgrade = options("lib");
        upgrade.former = Some(former.clone());
        let rules = rules(&classes, &upgrade);
        assert!(matches!(rules[..], [ConvertRule::FormerMember(_)]), "{what}: {rules:?}");
    }
}

#[test]
fn only_shareable_interfaces_of_an_applet_package_are_exported() {
    if !support::has_javac() {
        return;
    }
    let files = sources(&[
        ("t/A.java", APPLET),
        (
            "t/Zeta.java",
            "package t; public interface Zeta extends javacard.framework.Shareable { short ask(); }",
        ),
        ("t/Plain.java", "package t; public interface Plain { short tell(); }"),
        (
            "t/Other.java",
            "package t; public class Other implements Zeta { public short ask() { return 0; } }",
        ),
    ]);
    let classes = javac("shareable", 8, &files).unwrap();
    let converted = convert_ok(&classes, &options("t"));
    assert_eq!(converted.cap.header.flags, FLAG_APPLET | FLAG_EXPORT);
    let export = converted.cap.export.as_ref().unwrap();
    assert_eq!(export.classes.len(), 1);
    let zeta = converted.cap.class.interface_at(export.classes[0].class_offset).unwrap();
    assert_eq!(zeta.flags, 0xC);
    let names: Vec<&str> = converted.exp.classes.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["t/Zeta"]);
    assert_eq!(converted.exp.classes[0].token, 0);
    assert!(!converted.exp.library);
    // A class that implements a shareable interface carries the flag and both interfaces.
    let other = converted.cap.class.classes.iter().find(|c| !c.interfaces.is_empty()).unwrap();
    assert_eq!((other.flags, other.interfaces.len()), (4, 2));
}

#[test]
fn descriptor_says_what_the_source_says() {
    if !support::has_javac() {
        return;
    }
    let text = "package t; public final class F { private static byte[] a; protected final short b = other(); F() { }
        private short hidden() { return b; } static short other() { return 1; } public void open() { hidden(); } }";
    let classes = javac("descriptor", 8, &sources(&[("t/F.java", text)])).unwrap();
    let cap = convert_ok(&classes, &options("t")).cap;
    let class = &cap.descriptor.as_ref().unwrap().classes[0];
    assert_eq!((class.token, class.access_flags), (0, access::PUBLIC | access::FINAL));
    let fields: Vec<(u8, u8)> = class.fields.iter().map(|f| (f.token, f.access_flags)).collect();
    assert_eq!(
        fields,
        [(NO_TOKEN, access::PRIVATE | access::STATIC), (0, access::PROTECTED | access::FINAL)]
    );
    let methods: Vec<(u8, u8)> = class.methods.iter().map(|m| (m.token, m.access_flags)).collect();
    let expected = [
        (NO_TOKEN, access::METHOD_INIT),
        (NO_TOKEN, access::PRIVATE),
        (NO_TOKEN, access::STATIC),
        (1, access::PUBLIC),
    ];
    assert_eq!(methods, expected);
}

#[test]
fn the_lowest_globalplatform_version_that_suffices_is_imported() {
    if !support::has_javac() {
        return;
    }
    let using = |call: &str| {
        let text = format!(
            "package t; import org.globalplatform.*; class U {{ static Object use() {{ return {call}; }} }}"
        );
        let name = format!("gp-{}", call.len());
        let classes = javac(&name, 8, &sources(&[("t/U.java", &text)])).unwrap();
        let cap = convert_ok(&classes, &options("t")).cap;
        let package = cap.import.packages.iter().find(|p| p.aid.to_string() == "A00000015100").unwrap();
        package.version.to_string()
    };
    assert_eq!(using("GPSystem.getSecureChannel()"), "1.0");
}

#[test]
fn the_target_release_decides_the_imported_versions() {
    if !support::has_javac() {
        return;
    }
    let classes = applet_classes("targets");
    for (target, version) in [(Platform::V3_0_1, "1.4"), (Platform::V3_0_4, "1.5"), (Platform::V3_0_5, "1.6")]
    {
        let mut options = options("t");
        options.target = target;
        let cap = convert_ok(&classes, &options).cap;
        let framework = cap.import.packages.iter().find(|p| p.aid.to_string() == "A0000000620101").unwrap();
        assert_eq!(framework.version.to_string(), version);
        assert_eq!(cap.format().numbers(), (2, 1));
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    if !support::has_javac() {
        return;
    }
    let classes = applet_classes("same");
    let first = convert_ok(&classes, &options("t"));
    let mut files = read_class_files(&classes, "t").unwrap();
    files.reverse();
    let second = convert_classes(&files, &options("t")).unwrap();
    assert_eq!(first.cap.to_jar().unwrap(), second.cap.to_jar().unwrap());
    assert_eq!(first.exp.write_exp(), second.exp.write_exp());
}

#[test]
fn damaged_and_misplaced_class_files_are_named() {
    if !support::has_javac() {
        return;
    }
    let classes = applet_classes("damaged");
    let whole = read_class_files(&classes, "t").unwrap();
    let rule_for = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut files = whole.clone();
        change(&mut files[0].bytes);
        *convert_classes(&files, &options("t")).unwrap_err().remove(0).rule
    };
    assert!(matches!(rule_for(&|b| b.truncate(100)), ConvertRule::ClassFile { .. }));
    assert!(matches!(rule_for(&|b| b[0] = 0), ConvertRule::ClassFile { offset: 0, .. }));
    assert!(matches!(rule_for(&|b| b[7] = 99), ConvertRule::ClassFile { offset: 6, .. }));
    assert!(matches!(rule_for(&|b| b.push(0)), ConvertRule::ClassFile { .. }));
    assert!(matches!(rule_for(&Vec::clear), ConvertRule::ClassFile { offset: 0, .. }));
    let mut twice = whole.clone();
    twice.push(whole[0].clone());
    assert_eq!(*convert_classes(&twice, &options("t")).unwrap_err()[0].rule, ConvertRule::DuplicateClass);
    std::fs::create_dir_all(classes.join("other")).unwrap();
    std::fs::copy(classes.join("t/A.class"), classes.join("other/A.class")).unwrap();
    let misplaced = rules(&classes, &options("other"));
    assert_eq!(misplaced, [ConvertRule::WrongPackage { expected: "other".into() }]);
    assert!(matches!(rules(&classes, &options("nowhere"))[..], [ConvertRule::NoClasses(_)]));
}

/// Every truncation of a class file is an error or, behind its last item, none; nothing panics.
#[test]
fn no_damage_to_a_class_file_makes_the_converter_panic() {
    if !support::has_javac() {
        return;
    }
    let classes = javac("fuzz", 8, &sources(&[("t/A.java", APPLET), ("lib/Tool.java", LIBRARY)])).unwrap();
    for package in ["t", "lib"] {
        let whole = read_class_files(&classes, package).unwrap();
        for at in 0..whole[0].bytes.len() {
            let mut files = whole.clone();
            files[0].bytes.truncate(at);
            assert!(convert_classes(&files, &options(package)).is_err(), "{package} cut at {at}");
            let mut files = whole.clone();
            files[0].bytes[at] ^= [0x01, 0x80, 0xFF][at % 3];
            let _ = convert_classes(&files, &options(package));
        }
    }
}

/// A class with `count` members made from a pattern with `#` for the number.
fn many(pattern: &str, count: usize) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "{}", pattern.replace('#', &n.to_string()));
        text
    })
}

fn limit_of(name: &str, body: &str) -> Option<(Limit, usize, usize)> {
    let text = format!("package t; public class L {{ {body} }}");
    let classes = javac(name, 8, &sources(&[("t/L.java", &text)])).unwrap();
    match rules(&classes, &options("t")).into_iter().next() {
        None => None,
        Some(ConvertRule::Limit { limit, count, max }) => Some((limit, count, max)),
        Some(other) => panic!("{other}"),
    }
}

#[test]
fn limits_of_the_platform_are_kept() {
    if !support::has_javac() {
        return;
    }
    // equals of Object is the first of 128.
    assert_eq!(limit_of("virtual-127", &many("public void m#() { }", 127)), None);
    let found = limit_of("virtual-128", &many("public void m#() { }", 128));
    assert_eq!(found, Some((Limit::PublicVirtualMethods, 129, 128)));
    let found = limit_of("package-129", &many("void m#() { }", 129));
    assert_eq!(found, Some((Limit::PackageVirtualMethods, 129, 128)));
    assert_eq!(limit_of("fields-255", &many("short f#;", 255)), None);
    assert_eq!(limit_of("fields-256", &many("short f#;", 256)), Some((Limit::InstanceCells, 256, 255)));
    // The constructor is one of them.
    let found = limit_of("statics-256", &many("public static void m#() { }", 256));
    assert_eq!(found, Some((Limit::StaticMethods, 257, 256)));
    let locals = |n: usize| {
        let uses = (0..n).map(|i| format!("v{i}")).collect::<Vec<_>>().join(" ^ ");
        format!(
            "static short m(short a) {{ {} a++; return (short) ({uses} ^ a); }}",
            many("short v# = (short) (a + #);", n)
        )
    };
    assert_eq!(limit_of("locals-254", &locals(254)), None);
    assert_eq!(limit_of("locals-255", &locals(255)), Some((Limit::LocalCells, 256, 255)));
    let long = many("b[#] = (byte) (b[1] + 1000 * b[2]);", 1000);
    assert_eq!(limit_of("bytes", &format!("static void m(byte[] b) {{ {long} }}")), None);
    let handlers = many(
        "static short m#(byte[] b) { try { return b[0]; } catch (RuntimeException e) { return 1; } }",
        256,
    );
    assert_eq!(limit_of("handlers", &handlers), Some((Limit::ExceptionHandlers, 256, 255)));
}

#[test]
fn large_methods_and_pools_use_the_wide_forms() {
    if !support::has_javac() {
        return;
    }
    let derived = format!("package t; class D extends Base {{ {} }}", many("short d#;", 106));
    let base = format!("package t; public class Base {{ {} }}", many("protected short f#;", 150));
    let files = sources(&[("t/D.java", &derived), ("t/Base.java", &base)]);
    let found = rules(&javac("inherited", 8, &files).unwrap(), &options("t"));
    let limit = ConvertRule::Limit { limit: Limit::InstanceCells, count: 256, max: 255 };
    assert_eq!(found, [limit], "inherited fields count");

    // 300 fields over two classes: indices beyond 255 need the wide instructions.
    let reads = many("sum += o.f#; sum += g#; sum += this.g#;", 150);
    let class = format!(
        "package t; public class L {{ {} short all(Base o) {{ short sum = 0; {reads} return sum; }} }}",
        many("short g#;", 150)
    );
    let classes = javac("wide", 8, &sources(&[("t/L.java", &class), ("t/Base.java", &base)])).unwrap();
    let converted = convert_ok(&classes, &options("t"));
    let text: String = support::methods(&converted).iter().map(support::listing).collect();
    assert!(text.contains("getfield_s_w"), "no wide field access");
    let short = text.lines().filter(|l| l.contains(" getfield_s ") || l.contains("getfield_s_this")).count();
    // The 150 fields read twice have the short indices.
    assert!(short >= 300, "{short} short accesses");

    let body = many("if (b[0] == #) { b[1] = (byte) #; b[2] = (byte) (b[3] + #); }", 120);
    let text =
        format!("package t; class W {{ static void m(byte[] b) {{ while (b[0] != 0) {{ {body} }} }} }}");
    let classes = javac("far", 8, &sources(&[("t/W.java", &text)])).unwrap();
    let listing: String =
        support::methods(&convert_ok(&classes, &options("t"))).iter().map(support::listing).collect();
    assert!(listing.contains("goto_w") && listing.contains("ifeq_w"), "{listing}");
    assert!(listing.contains(" if_scmpne @"), "near branches stay short");
}

#[test]
fn deep_methods_get_the_extended_header() {
    if !support::has_javac() {
        return;
    }
    let parameters = (0..16).map(|n| format!("short p{n}")).collect::<Vec<_>>().join(", ");
    let text = format!("package t; class H {{ static short m({parameters}) {{ return p15; }} }}");
    let classes = javac("header", 8, &sources(&[("t/H.java", &text)])).unwrap();
    let converted = convert_ok(&classes, &options("t"));
    let method = support::methods(&converted).into_iter().find(|m| m.header.nargs == 16).unwrap();
    assert!(method.header.is_extended());
    assert_eq!(method.instructions[0].to_string(), "sload 15");
}
