//! Stage "subset check": what classes, fields and method heads may not have (JCVM 2.2). Instructions are checked
//! where they are resolved.

use super::diagnostics::{ConvertRule, Diagnostic, Use};
use super::package::{Class, Package, TypeName};
use super::translate::check_type;
use crate::classfile::{acc, field_type, Constant, JavaType, MethodType};

/// Checks all classes; every finding is reported.
pub(super) fn check(package: &Package<'_>, int: bool) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    for class in &package.classes {
        check_class(package, class, int, &mut errors);
    }
    errors
}

fn check_class(package: &Package<'_>, class: &Class, int: bool, errors: &mut Vec<Diagnostic>) {
    let file = &class.file;
    let mut refuse = |rule| errors.push(class.diagnostic(rule));
    // The switch map class javac makes for a switch on an enum.
    if file.fields.iter().any(|f| f.name.starts_with("$SwitchMap$")) {
        return refuse(ConvertRule::SwitchOn("an enum"));
    }
    if class.is_public() {
        for interface in &class.interfaces {
            let TypeName::Own(index) = interface else { continue };
            let interface = &package.classes[*index];
            if !interface.is_public() && !interface.file.fields.is_empty() {
                refuse(ConvertRule::PackageInterfaceConstants(interface.file.name.replace('/', ".")));
            }
        }
    }
    // `assert` is reported where it stands.
    for field in file.fields.iter().filter(|f| f.name != "$assertionsDisabled") {
        let constant =
            field.access & acc::STATIC != 0 && matches!(field.constant, Some(Constant::Integer(_)));
        let Some(ty) = field_type(&field.descriptor) else { continue };
        // A constant of type int is inlined; only its uses need int.
        let int = int || constant;
        if let Err(rule) = check_type(&ty, Use::Field, int) {
            errors.push(Diagnostic { member: Some(field.name.clone()), ..class.diagnostic(rule) });
        } else if file.is_interface() && !constant {
            errors.push(class.diagnostic(ConvertRule::InterfaceField(field.name.clone())));
        }
    }
    for method in &file.methods {
        let mut refuse = |rule| errors.push(class.method_diagnostic(method, None, rule));
        if method.name == "<clinit>" {
            continue;
        }
        if method.access & acc::SYNCHRONIZED != 0 {
            refuse(ConvertRule::Synchronized);
        }
        if method.access & acc::NATIVE != 0 {
            refuse(ConvertRule::Native);
        }
        if method.name == "finalize" && method.descriptor == "()V" {
            refuse(ConvertRule::Finalize);
        }
        if file.is_interface() && method.access & acc::ABSTRACT == 0 {
            refuse(ConvertRule::InterfaceMethodBody);
        }
        if method.access & (acc::ABSTRACT | acc::NATIVE) == 0 && method.code.is_none() {
            refuse(ConvertRule::Malformed("method without code"));
        }
        let Some(ty) = MethodType::parse(&method.descriptor) else { continue };
        check_signature(&ty, int, &mut refuse);
    }
}

fn check_signature(ty: &MethodType, int: bool, refuse: &mut impl FnMut(ConvertRule)) {
    for parameter in &ty.parameters {
        if let Err(rule) = check_type(parameter, Use::Parameter, int) {
            refuse(rule);
        }
    }
    if ty.result != JavaType::Void {
        if let Err(rule) = check_type(&ty.result, Use::Result, int) {
            refuse(rule);
        }
    }
}
