//! Reading the class files of a package from a folder.

use std::path::Path;

use super::diagnostics::{ConvertRule, Diagnostic};

/// A class file that has been read.
#[derive(Debug, Clone)]
pub struct ClassBytes {
    /// What to call it in messages until its own name is known.
    pub name: String,
    /// The content.
    pub bytes: Vec<u8>,
}

/// Reads the class files of a package (name with dots) below a folder, in the order of their names.
pub fn read_class_files(classes: &Path, package: &str) -> Result<Vec<ClassBytes>, Vec<Diagnostic>> {
    let folder = package.split('.').fold(classes.to_owned(), |path, part| path.join(part));
    let fail = |path: &Path, error: &std::io::Error| {
        vec![Diagnostic::package(ConvertRule::Io(format!("{}: {error}", path.display())))]
    };
    if !folder.is_dir() {
        return Err(vec![Diagnostic::package(ConvertRule::NoClasses(package.to_owned()))]);
    }
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(|e| fail(&folder, &e))? {
        let path = entry.map_err(|e| fail(&folder, &e))?.path();
        if path.extension().is_some_and(|e| e == "class") && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let bytes = std::fs::read(&path).map_err(|e| fail(&path, &e))?;
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        files.push(ClassBytes { name, bytes });
    }
    Ok(files)
}
