//! Tables on standard output.

use super::{
    CacheReport, Cell, LoadReport, Measured, MemoryReport, OriginMemory, PublishReport, Report, StartReport,
    UploadReport, median,
};
use std::fmt::Write;
use std::time::Duration;

/// All that was measured, one table after the other.
pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_all(&mut out, report);
    out
}

fn write_all(out: &mut String, report: &Report) -> std::fmt::Result {
    if let Some(start) = &report.start {
        write_start(out, start)?;
    }
    if let Some(upload) = &report.upload {
        write_upload(out, upload)?;
    }
    if let Some(publish) = &report.publish {
        write_publish(out, publish)?;
    }
    if let Some(memory) = &report.memory {
        write_memory(out, memory)?;
    }
    if let Some(cache) = &report.cache {
        write_cache(out, cache)?;
    }
    if let Some(load) = &report.load {
        write_load(out, load)?;
    }
    Ok(())
}

fn write_load(out: &mut String, load: &LoadReport) -> std::fmt::Result {
    writeln!(
        out,
        "Memory hits; cost is server CPU (least to greatest of the rounds), ratio is ours / peer\n"
    )?;
    writeln!(
        out,
        "{:<5} {:<8} {:<8} {:>11} {:>9} {:>9} {:<6} {:>15} {:>6} {:>7}",
        "", "size", "server", "requests/s", "MB/s", "cost", "", "", "ratio", "errors"
    )?;
    for cell in &load.cells {
        for (index, (server, measured)) in cell.results.iter().enumerate() {
            write_row(out, cell, server, measured, cell.ratio().filter(|_| index == 0))?;
        }
    }
    for note in &load.notes {
        writeln!(out, "\nnote: {note}")?;
    }
    for (cell, server, error) in load.cells.iter().flat_map(errors) {
        writeln!(out, "\nerror: {server} over {}, {}: {error}", cell.protocol.token(), cell.size.label())?;
    }
    Ok(())
}

fn write_row(
    out: &mut String,
    cell: &Cell,
    server: &str,
    measured: &Measured,
    ratio: Option<f64>,
) -> std::fmt::Result {
    let sample = &measured.median;
    let (least, greatest) = measured.cost_range;
    let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
    writeln!(
        out,
        "{:<5} {:<8} {:<8} {:>11.0} {:>9.1} {:>9.3} {:<6} {:>15} {:>6} {:>7}",
        cell.protocol.token(),
        cell.size.label(),
        server,
        sample.requests_per_second(),
        sample.megabytes_per_second(),
        sample.cost(cell.size),
        cell.unit(),
        format!("({least:.3}-{greatest:.3})"),
        ratio,
        measured.errors
    )
}

fn errors(cell: &Cell) -> impl Iterator<Item = (&Cell, &'static str, &str)> {
    cell.results
        .iter()
        .filter_map(move |(server, measured)| Some((cell, *server, measured.first_error.as_deref()?)))
}

fn write_start(out: &mut String, start: &StartReport) -> std::fmt::Result {
    writeln!(out, "Start of `skerry dev` to its line on standard output, s\n")?;
    writeln!(out, "  new data folder       {}", seconds(start.new_folder))?;
    writeln!(out, "  existing data folder  {}\n", spread(&start.existing_folder))
}

fn write_upload(out: &mut String, upload: &UploadReport) -> std::fmt::Result {
    let (put, plain) = (median(&upload.put), median(&upload.plain_write));
    writeln!(out, "Upload of {} bytes on loopback, s\n", upload.size)?;
    writeln!(out, "  skerry put            {}", spread(&upload.put))?;
    writeln!(out, "  write and fsync       {}", spread(&upload.plain_write))?;
    writeln!(
        out,
        "  put / write           {:.2}, or {:+.3} s\n",
        put.as_secs_f64() / plain.as_secs_f64(),
        put.as_secs_f64() - plain.as_secs_f64()
    )
}

fn write_publish(out: &mut String, publish: &PublishReport) -> std::fmt::Result {
    let all = publish.assets + publish.large;
    writeln!(out, "Publishing to an edge that shows it\n")?;
    writeln!(out, "  put of {:<6} assets   {:.2} s", publish.assets, publish.put.as_secs_f64())?;
    writeln!(out, "  put of {:<6} assets   {:.2} s", publish.large, publish.put_large.as_secs_f64())?;
    writeln!(out, "  put of one more        {:.3} s, to {all} assets", publish.put_one.as_secs_f64())?;
    writeln!(out, "  deployment of them     {}, ms", milliseconds(&publish.deploy))?;
    writeln!(out, "  page of a list         {}, ms\n", milliseconds(&publish.pages))
}

/// Median, least and greatest.
fn milliseconds(times: &[Duration]) -> String {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (least, greatest) = (times.iter().min(), times.iter().max());
    let (least, greatest) = (least.copied().unwrap_or_default(), greatest.copied().unwrap_or_default());
    format!("{:.1} ({:.1}-{:.1})", ms(median(times)), ms(least), ms(greatest))
}

fn write_memory(out: &mut String, memory: &MemoryReport) -> std::fmt::Result {
    writeln!(
        out,
        "Resident memory of `skerry edge`, {} MiB memory tier, {} clients, MB\n",
        memory.memory_tier >> 20,
        memory.clients
    )?;
    writeln!(out, "  idle  {:>7.1}", megabytes(memory.idle))?;
    for protocol in &memory.protocols {
        writeln!(
            out,
            "  {:<5} {:>7.1}  (since start {:.1}; {:.0} MB/s, {} errors)",
            protocol.protocol.token(),
            megabytes(protocol.resident_max),
            megabytes(protocol.high_water),
            megabytes(protocol.bytes) / protocol.seconds,
            protocol.errors
        )?;
        if let Some(error) = &protocol.first_error {
            writeln!(out, "  error: {error}")?;
        }
    }
    let OriginMemory { idle, upload, fills } = &memory.origin;
    writeln!(
        out,
        "\nResident memory of `skerry origin`, MB\n\n  idle  {:>7.1}  (since start: {:.1} after an upload of 100 MiB, {:.1} after the fills)\n",
        megabytes(*idle),
        megabytes(*upload),
        megabytes(*fills)
    )
}

fn write_cache(out: &mut String, cache: &CacheReport) -> std::fmt::Result {
    let (bytes, entries) = (cache.disk_bytes as f64 / 1e9, cache.disk_entries);
    writeln!(out, "Cache of `skerry edge`, {bytes:.1} GB on disk in {entries} entries\n")?;
    for mark in &cache.marks {
        let verdict = if mark.is_met() { "met" } else { "MISSED" };
        writeln!(
            out,
            "  {:<42} {:>9.3} of {:>8.3} {:<5} {verdict}",
            mark.name, mark.value, mark.bound, mark.unit
        )?;
    }
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    writeln!(
        out,
        "\n  first bytes: miss {:.2} ms, memory hit {:.2} ms, bare gRPC {:.2} ms",
        milliseconds(cache.miss_first_byte),
        milliseconds(cache.memory_hit_first_byte),
        milliseconds(cache.bare_first_slice)
    )?;
    writeln!(
        out,
        "  with TLS: memory hits {:.3} s/GB, disk hits {:.3} s/GB",
        cache.memory_cost, cache.disk_cost
    )?;
    writeln!(out, "  restarts: {} s", spread(&cache.restarts))?;
    writeln!(out, "  requests while the origin was away: {}\n", cache.outage_requests)
}

fn spread(times: &[Duration]) -> String {
    let ends = times.iter().min().zip(times.iter().max());
    let ends = ends.map_or_else(String::new, |(least, greatest)| {
        format!("({} to {})", seconds(*least), seconds(*greatest))
    });
    format!("{}  {ends} of {}", seconds(median(times)), times.len())
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
