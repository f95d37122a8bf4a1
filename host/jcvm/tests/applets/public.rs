//! Applets from other authors, built from their sources by our converter, and run. `JPKISE_PUBLIC_APPLETS` names a folder
//! with checkouts called `<owner>+<repository>`; nothing of them is kept here.

use std::path::{Path, PathBuf};

use jpkise_cap::convert::AppletOption;
use jpkise_cap::exports::Platform;
use jpkise_cap::Cap;
use jpkise_jcvm::{Card, NoServices, Process, Profile};

use super::bench::{aid, card, convert, load, options, select};
use super::support;

struct Applet {
    repository: &'static str,
    package: &'static str,
    package_aid: &'static str,
    class: &'static str,
    module_aid: &'static str,
    instance: &'static str,
    /// Value of C9.
    parameters: &'static str,
    /// Commands and what they answer; `*` is any rest.
    dialogue: &'static [(&'static str, &'static str)],
}

/// D2760000850101 with the capability container and the message of the NFC Forum's Type 4 Tag.
const NDEF_AID: &str = "D2760000850101";

const APPLETS: &[Applet] = &[
    Applet {
        repository: "bertrandmartel+aram-applet",
        package: "fr.bmartel.aram",
        package_aid: "A00000015141434C",
        class: "AccessRuleMaster",
        module_aid: "A00000015141434C00",
        instance: "A00000015141434C00",
        parameters: "",
        dialogue: &[
            ("80CADF2000", "DF200800000000000000009000"),
            ("80CAFF4000", "FF40009000"),
            // Command-Store-REF-AR-DO of GPD SEAC: AID, hash, always allowed.
            (
                "80E2900028F026E224E11D4F05A000000001C11400112233445566778899AABBCCDDEEFF00112233E303D00101",
                "9000",
            ),
            (
                "80CAFF4000",
                "FF4026E224E11D4F05A000000001C11400112233445566778899AABBCCDDEEFF00112233E303D001019000",
            ),
            ("80E2900002F200", "9000"),
            ("80CAFF6000", "6A88"),
            ("80CA123400", "6A86"),
        ],
    },
    Applet {
        repository: "GlobalPlatform+OMAPI-ARA-Applet",
        package: "org.globalplatform.test.ara",
        package_aid: "A00000015141434C",
        class: "ARAapplet",
        module_aid: "A00000015141434C00",
        instance: "A00000015141434C00",
        parameters: "",
        dialogue: &[("80CADF2000", "DF2008*"), ("80CAFF4000", "FF40*")],
    },
    Applet {
        repository: "OpenJavaCard+openjavacard-ndef",
        package: "org.openjavacard.ndef.full",
        package_aid: "D276000177100211010001",
        class: "NdefApplet",
        module_aid: "D27600017710021101000101",
        instance: NDEF_AID,
        parameters: "",
        dialogue: &[
            ("00A4000C02E103", "9000"),
            ("00B000000F", "000F20008000800406E104010000009000"),
            ("00A4000C02E104", "9000"),
            ("00B0000002", "00009000"),
            ("00D60000070005D101015500", "9000"),
            ("00B0000007", "0005D1010155009000"),
            ("00B001F010", "6B00"),
            ("00A4000C02E105", "6A82"),
        ],
    },
    Applet {
        repository: "OpenJavaCard+openjavacard-ndef",
        package: "org.openjavacard.ndef.full",
        package_aid: "D276000177100211010001",
        class: "NdefApplet",
        module_aid: "D27600017710021101000101",
        instance: NDEF_AID,
        // Initial data, access (read open, write never), size.
        parameters: "8005D101015500810200FF82020040",
        dialogue: &[("00A4000C02E104", "9000"), ("00B0000007", "0005D1010155009000"), ("00D600000100", "6982")],
    },
    Applet {
        repository: "OpenJavaCard+openjavacard-ndef",
        package: "org.openjavacard.ndef.advanced",
        package_aid: "D276000177100211040001",
        class: "NdefApplet",
        module_aid: "D27600017710021104000101",
        instance: NDEF_AID,
        parameters: "",
        dialogue: &[("00A4000C02E103", "9000"), ("00B000000F", "000F20*"), ("00A4000C02E104", "9000")],
    },
    Applet {
        repository: "OpenJavaCard+openjavacard-ndef",
        package: "org.openjavacard.ndef.tiny",
        package_aid: "D276000177100211030001",
        class: "NdefApplet",
        module_aid: "D27600017710021103000101",
        instance: "D27600017710021103000101",
        parameters: "D101015500",
        dialogue: &[("00A4000C02E103", "9000"), ("00B000000F", "000F20*"), ("00A4000C02E104", "9000"), ("00B0000007", "0005D1010155009000")],
    },
    Applet {
        repository: "philipWendland+IsoApplet",
        package: "xyz.wendland.javacard.pki.isoapplet",
        package_aid: "F276A288BCFBA69D34F310",
        class: "IsoApplet",
        module_aid: "F276A288BCFBA69D34F31001",
        instance: "F276A288BCFBA69D34F31001",
        parameters: "",
        dialogue: &[
            ("0084000008", "*"),
            ("00A40000023F00", "*"),
            // PUK, then PIN, then verified.
            ("002401021031323334353637383930313233343536", "9000"),
            ("002401010431323334", "9000"),
            ("0020000104313233FF", "63C2"),
            ("00200001043132333400", "*"),
            ("002000010431323334", "9000"),
            // RSA-2048 for key 0: 7F49 with modulus and exponent, more than one answer holds.
            ("00224100068001F3840100", "9000"),
            ("0046420000", "7F49820109818201*"),
            // PKCS #1 signature with it.
            ("002241B606800111840100", "9000"),
            ("002A9E9A33 3031300D060960864801650304020105000420 5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A 00", "*9000"),
        ],
    },
];

fn java_files(folder: &Path, package: &str, out: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).into_iter().flatten().map(|e| e.unwrap().path()) {
        if path.is_dir() && !path.ends_with("src/test") {
            java_files(&path, package, out);
        } else if path.extension().is_some_and(|e| e == "java") {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            if text.lines().any(|line| line.trim() == format!("package {package};")) {
                out.push(path);
            }
        }
    }
}

fn build(folder: &Path, applet: &Applet) -> Option<Cap> {
    let mut files = Vec::new();
    java_files(&folder.join(applet.repository), applet.package, &mut files);
    if files.is_empty() {
        println!("skipped: no sources of {} in {}", applet.package, applet.repository);
        return None;
    }
    // Latin-1 sources: every byte is a character.
    let read = |path: &PathBuf| std::fs::read(path).unwrap().into_iter().map(char::from).collect();
    let name = |path: &PathBuf| {
        format!("{}/{}", applet.package.replace('.', "/"), path.file_name().unwrap().to_str().unwrap())
    };
    let sources: Vec<(String, String)> = files.iter().map(|path| (name(path), read(path))).collect();
    let classes = support::javac(applet.package, 8, &sources).unwrap_or_else(|e| panic!("{e}"));
    let mut options = options(applet.package);
    options.target = Platform::V3_0_4;
    options.aid = aid(applet.package_aid);
    options.applets = vec![AppletOption { class: applet.class.into(), aid: Some(aid(applet.module_aid)) }];
    Some(convert(&classes, &[options]).remove(0).cap)
}

fn send(card: &mut Card, apdu: &[u8], selecting: bool) -> String {
    let process = Process { channel: 0, contactless: false, apdu, selecting };
    match card.process(&process, &mut NoServices) {
        Ok(answer) => hex::encode_upper(answer),
        Err(error) => error.to_string(),
    }
}

#[test]
fn applets_of_others_install_and_answer() {
    let Some(folder) = std::env::var_os("JPKISE_PUBLIC_APPLETS") else {
        println!("skipped: JPKISE_PUBLIC_APPLETS names no folder with public applets");
        return;
    };
    if !support::has_javac() {
        return;
    }
    let mut wrong = Vec::new();
    for applet in APPLETS {
        let Some(cap) = build(Path::new(&folder), applet) else { continue };
        let mut card = card(Profile { same_rid: false, ..Profile::default() });
        let package = load(&mut card, &cap);
        let parameters = hex::decode(applet.parameters).unwrap();
        let request = jpkise_jcvm::InstallRequest {
            package: package.aid,
            module: package.modules[0],
            instance: aid(applet.instance),
            privileges: &[0],
            parameters: &parameters,
        };
        if let Err(error) = card.install(&request, &mut NoServices) {
            wrong.push(format!("{}: install: {error}", applet.package));
            continue;
        }
        card.settle(&[package.aid], &[request.instance]).unwrap();
        let selected = select(&mut card, 0, request.instance);
        if selected != Ok(true) {
            wrong.push(format!("{}: select: {selected:?}", applet.package));
            continue;
        }
        let name = request.instance.as_bytes();
        let command = [&[0, 0xA4, 4, 0, u8::try_from(name.len()).unwrap()], name].concat();
        let mut answers = vec![("SELECT", "*9000".to_owned(), send(&mut card, &command, true))];
        for (apdu, expected) in applet.dialogue {
            let answer = send(&mut card, &hex::decode(apdu.replace(' ', "")).unwrap(), false);
            answers.push((apdu, (*expected).to_owned(), answer));
        }
        for (apdu, expected, answer) in answers {
            println!("{}: {apdu} -> {answer}", applet.package);
            let right = match expected.split_once('*') {
                Some((start, end)) => answer.starts_with(start) && answer.ends_with(end),
                None => answer == expected,
            };
            if !right {
                wrong.push(format!("{}: {apdu}: {answer}, not {expected}", applet.package));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
