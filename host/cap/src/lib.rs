//! CAP files: model, reader, writer, verifier, converter.
