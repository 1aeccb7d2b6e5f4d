//! One JSON object on standard output. Names carry their unit; what was not measured is absent.

use super::{
    CacheReport, Cell, LoadReport, MemoryReport, PublishReport, Report, StartReport, UploadReport, median,
};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// All that was measured.
pub(super) fn render(report: &Report) -> Value {
    let parts = [
        ("start", report.start.as_ref().map(start)),
        ("upload", report.upload.as_ref().map(upload)),
        ("publish", report.publish.as_ref().map(publish)),
        ("memory", report.memory.as_ref().map(memory)),
        ("cache", report.cache.as_ref().map(cache)),
        ("load", report.load.as_ref().map(load)),
    ];
    let measured = parts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(measured.collect::<Map<_, _>>())
}

fn load(load: &LoadReport) -> Value {
    json!({ "cells": load.cells.iter().map(cell).collect::<Vec<_>>(), "notes": load.notes })
}

fn cell(cell: &Cell) -> Value {
    let results = cell.results.iter().map(|(server, measured)| {
        let sample = &measured.median;
        let (least, greatest) = measured.cost_range;
        let result = json!({
            "requests_per_second": sample.requests_per_second(),
            "megabytes_per_second": sample.megabytes_per_second(),
            "cost": sample.cost(cell.size),
            "cost_least": least,
            "cost_greatest": greatest,
            "server_cores": sample.server_cpu_s / sample.seconds,
            "generator_cores": sample.generator_cpu_s / sample.seconds,
            "errors": measured.errors,
            "first_error": measured.first_error,
        });
        ((*server).to_owned(), result)
    });
    json!({
        "protocol": cell.protocol.token(),
        "size_bytes": cell.size.bytes(),
        "connections": cell.concurrency.connections,
        "streams": cell.concurrency.streams,
        "cost_unit": cell.unit(),
        "ratio": cell.ratio(),
        "servers": results.collect::<Map<_, _>>(),
    })
}

fn start(start: &StartReport) -> Value {
    json!({
        "new_folder_seconds": start.new_folder.as_secs_f64(),
        "existing_folder_seconds": seconds(&start.existing_folder),
        "existing_folder_median_seconds": median(&start.existing_folder).as_secs_f64(),
    })
}

fn upload(upload: &UploadReport) -> Value {
    json!({
        "size_bytes": upload.size,
        "put_seconds": seconds(&upload.put),
        "put_median_seconds": median(&upload.put).as_secs_f64(),
        "plain_write_seconds": seconds(&upload.plain_write),
        "plain_write_median_seconds": median(&upload.plain_write).as_secs_f64(),
    })
}

fn publish(publish: &PublishReport) -> Value {
    json!({
        "assets": publish.assets,
        "put_seconds": publish.put.as_secs_f64(),
        "large": publish.large,
        "put_large_seconds": publish.put_large.as_secs_f64(),
        "put_one_seconds": publish.put_one.as_secs_f64(),
        "deploy_seconds": seconds(&publish.deploy),
        "deploy_median_seconds": median(&publish.deploy).as_secs_f64(),
        "page_seconds": seconds(&publish.pages),
        "page_median_seconds": median(&publish.pages).as_secs_f64(),
    })
}

fn memory(memory: &MemoryReport) -> Value {
    let protocols = memory.protocols.iter().map(|protocol| {
        let result = json!({
            "resident_max_bytes": protocol.resident_max,
            "high_water_bytes": protocol.high_water,
            "seconds": protocol.seconds,
            "bytes": protocol.bytes,
            "errors": protocol.errors,
            "first_error": protocol.first_error,
        });
        (protocol.protocol.token().to_owned(), result)
    });
    json!({
        "clients": memory.clients,
        "memory_tier_bytes": memory.memory_tier,
        "idle_bytes": memory.idle,
        "protocols": protocols.collect::<Map<_, _>>(),
        "origin": {
            "idle_bytes": memory.origin.idle,
            "upload_high_water_bytes": memory.origin.upload,
            "fills_high_water_bytes": memory.origin.fills,
        },
    })
}

fn cache(cache: &CacheReport) -> Value {
    let marks = cache.marks.iter().map(|mark| {
        let value = json!({
            "value": mark.value, "bound": mark.bound, "unit": mark.unit, "is_met": mark.is_met(),
        });
        (mark.key.clone(), value)
    });
    json!({
        "marks": marks.collect::<Map<_, _>>(),
        "miss_first_byte_median_seconds": cache.miss_first_byte.as_secs_f64(),
        "memory_hit_first_byte_median_seconds": cache.memory_hit_first_byte.as_secs_f64(),
        "bare_first_slice_median_seconds": cache.bare_first_slice.as_secs_f64(),
        "disk_bytes": cache.disk_bytes,
        "disk_entries": cache.disk_entries,
        "memory_hit_cpu_seconds_per_gigabyte": cache.memory_cost,
        "disk_hit_with_tls_cpu_seconds_per_gigabyte": cache.disk_cost,
        "outage_requests": cache.outage_requests,
        "restart_seconds": seconds(&cache.restarts),
    })
}

fn seconds(times: &[Duration]) -> Vec<f64> {
    times.iter().map(Duration::as_secs_f64).collect()
}
