//! `META-INF/MANIFEST.MF` of the JAR (JCVM 4.1.3.1): for people and tools, never for cards. No time stands in it, so
//! that equal input gives equal files.

use std::fmt::Write;

use super::ConvertOptions;
use crate::model::{Aid, Cap, Member};

/// Longest line of a manifest, line end not counted (JAR specification).
const MAX_LINE: usize = 70;

/// The manifest of a CAP.
pub(super) fn member(cap: &Cap, options: &ConvertOptions, applets: &[(String, Aid)]) -> Member {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| push(&mut text, name, value);
    line("Manifest-Version", "1.0");
    line("Created-By", concat!("jpkise ", env!("CARGO_PKG_VERSION")));
    line("", "");
    line("Name", &cap.folder.trim_end_matches("/javacard").replace('.', "/"));
    line("Sealed", "true");
    line("Java-Card-Converter-Provider", "jpkise");
    line("Java-Card-Converter-Version", concat!("[", env!("CARGO_PKG_VERSION"), "]"));
    line("Java-Card-CAP-File-Version", &cap.format().to_string());
    line("Java-Card-Package-Name", &options.package);
    line("Java-Card-Package-Version", &options.version.to_string());
    line("Java-Card-Package-AID", &aid(options.aid));
    for (number, (class, applet)) in (1..).zip(applets) {
        line(&format!("Java-Card-Applet-{number}-Name"), class.rsplit('.').next().unwrap_or(class));
        line(&format!("Java-Card-Applet-{number}-AID"), &aid(*applet));
    }
    for (number, package) in (1..).zip(&cap.import.packages) {
        line(&format!("Java-Card-Imported-Package-{number}-AID"), &aid(package.aid));
        line(&format!("Java-Card-Imported-Package-{number}-Version"), &package.version.to_string());
    }
    line("Java-Card-Integer-Support-Required", if cap.header.uses_int() { "TRUE" } else { "FALSE" });
    line("", "");
    Member { name: "META-INF/MANIFEST.MF".into(), bytes: text.into_bytes() }
}

/// 0xa0:0x00:…
fn aid(aid: Aid) -> String {
    aid.as_bytes().iter().fold(String::new(), |mut text, byte| {
        let separator = if text.is_empty() { "" } else { ":" };
        let _ = write!(text, "{separator}0x{byte:02x}");
        text
    })
}

fn push(text: &mut String, name: &str, value: &str) {
    let whole = if name.is_empty() { String::new() } else { format!("{name}: {value}") };
    let mut rest = whole.as_str();
    loop {
        let room = MAX_LINE.min(rest.len());
        let cut = (0..=room).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(0);
        text.push_str(&rest[..cut]);
        text.push_str("\r\n");
        rest = &rest[cut..];
        if rest.is_empty() || cut == 0 {
            return;
        }
        text.push(' ');
    }
}
