//! TLV of three real shapes, read and built: `cargo bench -p jpkise-wire`.
//!
//! Beside each figure the crate iso7816-tlv on the same bytes, and as the floor a copy of them.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use iso7816_tlv::ber;
use jpkise_wire::tlv::{self, Tag, Tlv};

/// What is to be coded: a value, or objects.
enum Node {
    Value(u32, Vec<u8>),
    Objects(u32, Vec<Node>),
}

use Node::{Objects, Value};

/// Bytes that differ from place to place, as digests and names do.
fn filler(seed: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (seed * 37 + at * 11).to_le_bytes()[0]).collect()
}

/// `6F { 84 AID, A5 { 73 card recognition data, 9F6E, 9F65 } }` (GlobalPlatform Card Specification 2.3.1, table 11-66 and
/// appendix H.2).
fn fci() -> Vec<Node> {
    let oid = |tag, last: u8| {
        Objects(tag, vec![Value(0x06, vec![0x2A, 0x86, 0x48, 0x86, 0xFC, 0x6B, last, 2, 2, 3])])
    };
    let recognition = Objects(
        0x73,
        vec![
            Value(0x06, vec![0x2A, 0x86, 0x48, 0x86, 0xFC, 0x6B, 1]),
            oid(0x60, 2),
            oid(0x63, 3),
            oid(0x64, 4),
            oid(0x66, 5),
        ],
    );
    let proprietary =
        Objects(0xA5, vec![recognition, Value(0x9F6E, filler(1, 42)), Value(0x9F65, vec![0xFF])]);
    vec![Objects(0x6F, vec![Value(0x84, filler(2, 8)), proprietary])]
}

/// `E3 { 4F, 9F70, C5, C4, CE, CC }…` of GET STATUS (section 11.4.3.1).
fn get_status(entries: usize) -> Vec<Node> {
    let entry = |at: usize| {
        Objects(
            0xE3,
            vec![
                Value(0x4F, filler(at, 5 + at % 12)),
                Value(0x9F70, vec![7, 1]),
                Value(0xC5, vec![0x80, 0, 0]),
                Value(0xC4, filler(at + 1, 9)),
                Value(0xCE, vec![1, 0]),
                Value(0xCC, filler(3, 8)),
            ],
        )
    };
    (0..entries).map(entry).collect()
}

/// `FF40 { E2 { E1 { 4F, C1 }, E3 { D0 filters, D1 } }… }` of GET DATA (Secure Element Access Control 1.1, section 4.1.2).
fn access_rules(rules: usize) -> Vec<Node> {
    let rule = |at: usize| {
        let reference = Objects(0xE1, vec![Value(0x4F, filler(at % 9, 10)), Value(0xC1, filler(at, 32))]);
        let filters = filler(at, 8 * (1 + at % 3));
        let access = Objects(0xE3, vec![Value(0xD0, filters), Value(0xD1, vec![1])]);
        Objects(0xE2, vec![reference, access])
    };
    vec![Objects(0xFF40, (0..rules).map(rule).collect())]
}

/// The way the libraries above this one build: from the inside out.
fn build(nodes: &[Node]) -> Vec<u8> {
    let mut out = Vec::new();
    for node in nodes {
        match node {
            Value(tag, value) => tlv::write(&mut out, Tag(*tag), value),
            Objects(tag, inner) => tlv::write(&mut out, Tag(*tag), &build(inner)),
        }
    }
    out
}

fn foreign_tag(tag: u32) -> ber::Tag {
    ber::Tag::try_from(u64::from(tag)).unwrap()
}

fn foreign_build(nodes: &[Node]) -> Vec<ber::Tlv> {
    let object = |node: &Node| match node {
        Value(tag, value) => ber::Tlv::new(foreign_tag(*tag), ber::Value::Primitive(value.clone())),
        Objects(tag, inner) => {
            ber::Tlv::new(foreign_tag(*tag), ber::Value::Constructed(foreign_build(inner)))
        }
    };
    nodes.iter().map(|node| object(node).unwrap()).collect()
}

fn foreign_bytes(nodes: &[Node]) -> Vec<u8> {
    foreign_build(nodes).iter().flat_map(ber::Tlv::to_vec).collect()
}

/// Visits every object, down to the values; their bytes in all.
fn walk(objects: &[Tlv<'_>]) -> usize {
    let inside = |object: &Tlv<'_>| {
        if object.tag.is_constructed() {
            walk(&object.children().unwrap())
        } else {
            object.value.len()
        }
    };
    objects.iter().map(inside).sum()
}

fn foreign_walk(objects: &[ber::Tlv]) -> usize {
    let inside = |object: &ber::Tlv| match object.value() {
        ber::Value::Constructed(inner) => foreign_walk(inner),
        ber::Value::Primitive(value) => value.len(),
    };
    objects.iter().map(inside).sum()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, nodes) in [
        ("FCI of a security domain", fci()),
        ("GET STATUS, 60 entries", get_status(60)),
        ("ARA GET DATA, 200 rules", access_rules(200)),
    ] {
        let bytes = build(&nodes);
        // The two must do the same job, or the comparison is worth nothing.
        assert_eq!(foreign_bytes(&nodes), bytes, "{name}");
        assert_eq!(
            foreign_walk(&ber::Tlv::parse_all(&bytes)),
            walk(&Tlv::read_all(&bytes).unwrap()),
            "{name}"
        );
        let size = Throughput::Bytes(bytes.len() as u64);

        let mut group = criterion.benchmark_group(format!("TLV: read {name}"));
        group.throughput(size.clone());
        group.bench_function("jpkise", |b| b.iter(|| walk(&Tlv::read_all(black_box(&bytes)).unwrap())));
        group.bench_function("iso7816-tlv", |b| {
            b.iter(|| foreign_walk(&ber::Tlv::parse_all(black_box(&bytes))));
        });
        group.bench_function("floor: copy of the bytes", |b| b.iter(|| black_box(&bytes[..]).to_vec()));
        group.finish();

        let mut group = criterion.benchmark_group(format!("TLV: build {name}"));
        group.throughput(size);
        group.bench_function("jpkise", |b| b.iter(|| build(black_box(&nodes))));
        group.bench_function("iso7816-tlv", |b| b.iter(|| foreign_bytes(black_box(&nodes))));
        group.bench_function("floor: copy of the bytes", |b| b.iter(|| black_box(&bytes[..]).to_vec()));
        group.finish();
    }
    criterion.final_summary();
}
