//! Class files with the signatures of the Java Card and GlobalPlatform APIs, so that javac can compile against them
//! without a kit. Method bodies are never run.

use std::path::Path;

use jpkise_cap::exports::{acc, embedded, embedded_versions, ExportClass, Platform};

/// Java 6: no stack maps needed.
const VERSION: u16 = 50;
const ACC_SUPER: u16 = 0x20;
const ACC_ABSTRACT: u16 = 0x400;
const ACC_INTERFACE: u16 = 0x200;

/// Packages to compile against: those of 3.0.5, and GlobalPlatform.
const PACKAGES: [&str; 12] = [
    "java/rmi",
    "javacard/framework",
    "javacard/framework/service",
    "javacard/security",
    "javacardx/apdu",
    "javacardx/biometry",
    "javacardx/crypto",
    "javacardx/external",
    "javacardx/framework/math",
    "javacardx/framework/tlv",
    "javacardx/framework/util",
    "org/globalplatform",
];

/// Writes all stubs below a folder.
pub fn write(folder: &Path) {
    for package in PACKAGES.into_iter().filter(|p| *p != "java/rmi") {
        let version =
            Platform::V3_0_5.version_of(package).or_else(|| embedded_versions(package).next()).unwrap();
        for class in &embedded(package, version).unwrap().classes {
            let path = folder.join(format!("{}.class", class.name));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, class_file(class)).unwrap();
        }
    }
}

#[derive(Default)]
struct Pool {
    entries: Vec<Vec<u8>>,
}

impl Pool {
    fn add(&mut self, entry: Vec<u8>) -> u16 {
        let found = self.entries.iter().position(|e| *e == entry);
        let index = found.unwrap_or_else(|| {
            self.entries.push(entry);
            self.entries.len() - 1
        });
        u16::try_from(index + 1).unwrap()
    }

    fn utf8(&mut self, text: &str) -> u16 {
        let mut entry = vec![1];
        entry.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        entry.extend(text.as_bytes());
        self.add(entry)
    }

    fn class(&mut self, name: &str) -> u16 {
        let mut entry = vec![7];
        entry.extend(self.utf8(name).to_be_bytes());
        self.add(entry)
    }
}

fn class_file(class: &ExportClass) -> Vec<u8> {
    let mut pool = Pool::default();
    let interface = class.is_interface();
    let mut access = class.access & (acc::PUBLIC | acc::FINAL | acc::INTERFACE | acc::ABSTRACT);
    access |= if interface { ACC_INTERFACE | ACC_ABSTRACT } else { ACC_SUPER };
    let superclass = class.superclass.as_deref().unwrap_or("java/lang/Object");
    let mut body = Vec::new();
    body.extend(access.to_be_bytes());
    body.extend(pool.class(&class.name).to_be_bytes());
    body.extend(pool.class(superclass).to_be_bytes());
    let interfaces: Vec<&String> = class.interfaces.iter().filter(|i| !i.starts_with("java/rmi")).collect();
    body.extend(u16::try_from(interfaces.len()).unwrap().to_be_bytes());
    for name in interfaces {
        body.extend(pool.class(name).to_be_bytes());
    }
    body.extend(u16::try_from(class.fields.len()).unwrap().to_be_bytes());
    for field in &class.fields {
        body.extend(field.access.to_be_bytes());
        body.extend(pool.utf8(&field.name).to_be_bytes());
        body.extend(pool.utf8(&field.descriptor).to_be_bytes());
        match field.constant {
            None => body.extend(0u16.to_be_bytes()),
            Some(value) => {
                let mut entry = vec![3];
                entry.extend(value.to_be_bytes());
                let value = pool.add(entry);
                body.extend(1u16.to_be_bytes());
                body.extend(pool.utf8("ConstantValue").to_be_bytes());
                body.extend(2u32.to_be_bytes());
                body.extend(value.to_be_bytes());
            }
        }
    }
    body.extend(u16::try_from(class.methods.len()).unwrap().to_be_bytes());
    let checked = class.supers.iter().any(|s| s == "java/lang/Exception")
        && !class.supers.iter().any(|s| s == "java/lang/RuntimeException");
    for method in &class.methods {
        body.extend(method.access.to_be_bytes());
        body.extend(pool.utf8(&method.name).to_be_bytes());
        body.extend(pool.utf8(&method.descriptor).to_be_bytes());
        let has_code = method.access & ACC_ABSTRACT == 0;
        // Export tables do not say what is thrown; throwIt of a checked exception throws that.
        let throws = checked && method.name == "throwIt";
        body.extend((u16::from(has_code) + u16::from(throws)).to_be_bytes());
        if has_code {
            body.extend(pool.utf8("Code").to_be_bytes());
            // stack 1, locals 20, code "aconst_null; athrow", no handlers, no attributes
            body.extend([0, 0, 0, 14, 0, 1, 0, 20, 0, 0, 0, 2, 0x01, 0xBF, 0, 0, 0, 0]);
        }
        if throws {
            body.extend(pool.utf8("Exceptions").to_be_bytes());
            body.extend([0, 0, 0, 4, 0, 1]);
            body.extend(pool.class(&class.name).to_be_bytes());
        }
    }
    body.extend(0u16.to_be_bytes());
    let mut file = vec![0xCA, 0xFE, 0xBA, 0xBE, 0, 0];
    file.extend(VERSION.to_be_bytes());
    file.extend(u16::try_from(pool.entries.len() + 1).unwrap().to_be_bytes());
    file.extend(pool.entries.concat());
    file.extend(body);
    file
}
