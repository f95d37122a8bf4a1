//! CAP files: conversion, reading, writing, verification: `cargo bench -p jpkise-cap`.
//!
//! On the project's own applets: their class files where Maven has compiled them (skipped otherwise), their CAP files
//! from `applet/dist`. The floor of each is what nobody can leave out: reading the class files, unpacking or packing the
//! JAR's members with the same crate, decoding every instruction once, copying the bytes.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput};
use jpkise_cap::code;
use jpkise_cap::convert::{convert, convert_classes, read_class_files, ConvertOptions};
use jpkise_cap::exports::ExportSet;
use jpkise_cap::verify::verify;
use jpkise_cap::{Cap, LoadOptions, PackageVersion};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Folder below `applet`, package, AID.
const APPLETS: [(&str, &str, &str); 2] =
    [("jpki", "jp.jpkise.jpki", "D392F000264A504B01"), ("ara", "jp.jpkise.ara", "A00000015141434C")];

fn applets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../applet")
}

/// Names and contents of a JAR's members.
fn members(jar: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(jar)).unwrap();
    (0..archive.len())
        .map(|at| {
            let mut member = archive.by_index(at).unwrap();
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes).unwrap();
            (member.name().to_owned(), bytes)
        })
        .collect()
}

fn packed(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(name.as_str(), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn conversion(criterion: &mut Criterion, name: &str, package: &str, aid: &str) {
    let classes = applets().join(name).join("target/classes");
    let Ok(files) = read_class_files(&classes, package) else {
        eprintln!("skipped: no class files of applet/{name} (mvn -f applet/pom.xml compile)");
        return;
    };
    let options = ConvertOptions::new(package, aid.parse().unwrap(), PackageVersion::new(1, 0));
    let count = files.len();
    let size: usize = files.iter().map(|file| file.bytes.len()).sum();
    let mut group = criterion.benchmark_group(format!("CAP: convert {name}, {count} classes"));
    group.throughput(Throughput::Bytes(size as u64));
    group.bench_function("jpkise", |b| b.iter(|| convert(black_box(&classes), &options).unwrap()));
    group.bench_function("classes in memory", |b| {
        b.iter(|| convert_classes(black_box(&files), &options).unwrap());
    });
    group.bench_function("floor: reading the class files", |b| {
        b.iter(|| read_class_files(black_box(&classes), package).unwrap());
    });
}

fn files(criterion: &mut Criterion, name: &str) {
    let jar = std::fs::read(applets().join("dist").join(name).with_extension("cap")).unwrap();
    let cap = Cap::read(&jar).unwrap();
    let contents = members(&jar);
    let size = Throughput::Bytes(contents.iter().map(|(_, bytes)| bytes.len() as u64).sum());

    let mut group = criterion.benchmark_group(format!("CAP: read {name}.cap"));
    group.throughput(size.clone());
    group.bench_function("jpkise", |b| b.iter(|| Cap::read(black_box(&jar)).unwrap()));
    group.bench_function("floor: unpacking its members", |b| b.iter(|| members(black_box(&jar))));
    group.finish();

    let mut group = criterion.benchmark_group(format!("CAP: write {name}.cap"));
    group.throughput(size);
    group.bench_function("jpkise", |b| b.iter(|| black_box(&cap).to_jar().unwrap()));
    group.bench_function("floor: packing its members", |b| b.iter(|| packed(black_box(&contents))));
    group.finish();

    let block = cap.load_file_data_block(LoadOptions::default());
    let mut group = criterion.benchmark_group(format!("CAP: load file data block of {name}.cap"));
    group.throughput(Throughput::Bytes(block.len() as u64));
    group.bench_function("jpkise", |b| {
        b.iter(|| black_box(&cap).load_file_data_block(LoadOptions::default()));
    });
    group.bench_function("floor: copy of the bytes", |b| b.iter(|| black_box(&block[..]).to_vec()));
    group.finish();

    let exports = ExportSet::any_platform();
    let methods = bodies(&cap);
    let length: usize = methods.iter().map(|body| body.len()).sum();
    let mut group = criterion.benchmark_group(format!("CAP: verify {name}.cap"));
    group.throughput(Throughput::Bytes(length as u64));
    group.bench_function("jpkise", |b| b.iter(|| verify(black_box(&cap), &exports)));
    group.bench_function("floor: decoding every instruction", |b| {
        b.iter(|| methods.iter().map(|body| code::decode(black_box(body)).unwrap().len()).sum::<usize>());
    });
}

/// The bytecode of every method that has some.
fn bodies(cap: &Cap) -> Vec<&[u8]> {
    let described = cap.descriptor.as_ref().unwrap().classes.iter().flat_map(|class| &class.methods);
    described
        .filter(|method| method.bytecode_count > 0)
        .map(|method| {
            let header = cap.method.header_at(method.method_offset).unwrap();
            let all = cap.method.bytes_at(method.method_offset).unwrap();
            &all[header.size()..][..usize::from(method.bytecode_count)]
        })
        .collect()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, package, aid) in APPLETS {
        conversion(&mut criterion, name, package, aid);
        files(&mut criterion, name);
    }
    criterion.final_summary();
}
