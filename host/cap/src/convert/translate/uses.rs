//! What the values of a method are used for, as far as instruction selection profits from it.

use std::collections::HashSet;

use super::emit::Source;
use super::flow::Value;
use super::operands::Operand;
use crate::classfile::{ArrayKind, Jvm, Kind};

/// Values that are `this` and only serve as receivers of short-form field accesses (or are copied or dropped).
pub(super) fn erasable(source: &Source<'_>) -> HashSet<u32> {
    let (mut candidates, mut refused) = (HashSet::new(), HashSet::new());
    if source.is_static || source.flow.this_overwritten {
        return candidates;
    }
    let root = |value: &Value| match value {
        Value::Ref { node, .. } => Some(source.flow.nodes.find(*node)),
        Value::Int { .. } => None,
    };
    for (at, step) in source.flow.steps.iter().enumerate() {
        let Some(step) = step else { continue };
        let jvm = &source.code.instructions[at].jvm;
        if let Some(root) = step.result.as_ref().and_then(root) {
            let is_this = matches!(step.result, Some(Value::Ref { this: true, .. }));
            if matches!(jvm, Jvm::Load(Kind::Reference, _)) && is_this {
                candidates.insert(root);
            } else {
                refused.insert(root);
            }
        }
        for (position, value) in step.operands.iter().enumerate() {
            let Some(root) = root(value) else { continue };
            let receiver = matches!(jvm, Jvm::GetField(_) | Jvm::PutField(_)) && position == 0;
            let short = match &source.operands[at] {
                Operand::Field(key, _) => source.short_fields.contains(key),
                _ => false,
            };
            let moved = matches!(
                jvm,
                Jvm::Dup
                    | Jvm::DupX1
                    | Jvm::DupX2
                    | Jvm::Dup2
                    | Jvm::Dup2X1
                    | Jvm::Dup2X2
                    | Jvm::Swap
                    | Jvm::Pop
                    | Jvm::Pop2
            );
            if !(moved || receiver && short) {
                refused.insert(root);
            }
        }
    }
    // What a handler receives is no receiver.
    for handler in &source.code.handlers {
        let node = u32::try_from(source.code.instructions.len() + handler.handler).unwrap_or(u32::MAX);
        refused.insert(source.flow.nodes.find(node));
    }
    candidates.retain(|root| !refused.contains(root));
    candidates
}

/// Ints all of whose uses are elements of byte arrays: `bastore` keeps the low byte by itself.
pub(super) fn byte_only(source: &Source<'_>) -> HashSet<u32> {
    let (mut candidates, mut refused) = (HashSet::new(), HashSet::new());
    for (at, step) in source.flow.steps.iter().enumerate() {
        let Some(step) = step else { continue };
        let jvm = &source.code.instructions[at].jvm;
        for (position, value) in step.operands.iter().enumerate() {
            if let Value::Int { node, .. } = value {
                let root = source.flow.nodes.find(*node);
                if matches!(jvm, Jvm::ArrayStore(ArrayKind::Byte)) && position == 2 {
                    candidates.insert(root);
                } else {
                    refused.insert(root);
                }
            }
        }
    }
    candidates.retain(|root| !refused.contains(root));
    candidates
}
