//! Turns the kernel's tables of memory, processors and boards into facts.

use super::{Facts, exists, line, map, text};
use crate::sys::Sys;
use crate::value::{Mapping, Value};
use std::collections::BTreeMap;

pub(super) fn gather(sys: &Sys, facts: &mut Facts) {
    facts.map.extend(memory(&text(sys, "/proc/meminfo")));
    facts.map.extend(processors(&text(sys, "/proc/cpuinfo")));
    let n = std::thread::available_parallelism().map_or(1, usize::from);
    facts.put("processor_nproc", n);
    let uptime = text(sys, "/proc/uptime");
    if let Some(seconds) = uptime.split('.').next().and_then(|n| n.parse::<u64>().ok()) {
        facts.put("uptime_seconds", seconds);
    }
    facts.put("loadavg", load(&text(sys, "/proc/loadavg")));
    let boards = [
        ("bios_date", "bios_date"),
        ("bios_vendor", "bios_vendor"),
        ("bios_version", "bios_version"),
        ("board_name", "board_name"),
        ("board_vendor", "board_vendor"),
        ("product_name", "product_name"),
        ("product_serial", "product_serial"),
        ("product_uuid", "product_uuid"),
        ("product_version", "product_version"),
        ("system_vendor", "sys_vendor"),
        ("chassis_vendor", "chassis_vendor"),
    ];
    for (name, file) in boards {
        let value = line(sys, &format!("/sys/class/dmi/id/{file}"));
        facts.put(name, value.unwrap_or_else(|| "NA".into()));
    }
    facts.put("devices", devices(sys));
}

fn memory(meminfo: &str) -> Mapping {
    let megabytes = |name: &str| -> u64 {
        let lines = meminfo.lines().filter_map(|line| line.split_once(':'));
        let mut values = lines
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value);
        let kilobytes = values
            .next()
            .and_then(|value| value.split_whitespace().next());
        kilobytes.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1024
    };
    let (total, free) = (megabytes("MemTotal"), megabytes("MemFree"));
    let (swap, swap_free) = (megabytes("SwapTotal"), megabytes("SwapFree"));
    let without_cache = free + megabytes("Cached") + megabytes("Buffers");
    let real = map([
        ("total", total.into()),
        ("free", free.into()),
        ("used", total.saturating_sub(free).into()),
    ]);
    let nocache = map([
        ("free", without_cache.into()),
        ("used", total.saturating_sub(without_cache).into()),
    ]);
    let swapped = map([
        ("total", swap.into()),
        ("free", swap_free.into()),
        ("used", swap.saturating_sub(swap_free).into()),
        ("cached", megabytes("SwapCached").into()),
    ]);
    let all = map([
        ("real", real.into()),
        ("nocache", nocache.into()),
        ("swap", swapped.into()),
    ]);
    map([
        ("memtotal_mb", total.into()),
        ("memfree_mb", free.into()),
        ("swaptotal_mb", swap.into()),
        ("swapfree_mb", swap_free.into()),
        ("memory_mb", all.into()),
    ])
}

fn processors(cpuinfo: &str) -> Mapping {
    let mut listed: Vec<Value> = Vec::new();
    let mut sockets: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut n, mut socket, mut siblings) = (0, None, None);
    for line in cpuinfo.lines() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        match name.trim() {
            "processor" => {
                n += 1;
                listed.push(value.into());
            }
            "vendor_id" | "model name" => listed.push(value.into()),
            "physical id" => socket = Some(value),
            "siblings" => siblings = value.parse().ok(),
            "cpu cores" => {
                let cores = value.parse().unwrap_or(1);
                sockets.insert(socket.unwrap_or("0"), cores);
            }
            _ => {}
        }
    }
    let count = if sockets.is_empty() { n } else { sockets.len() };
    let cores = sockets.values().next().copied().unwrap_or(1).max(1);
    let siblings: usize = siblings.unwrap_or(cores);
    let threads = (siblings / cores).max(1);
    map([
        ("processor", listed.into()),
        ("processor_count", count.into()),
        ("processor_cores", cores.into()),
        ("processor_threads_per_core", threads.into()),
        ("processor_vcpus", (count * cores * threads).into()),
    ])
}

fn load(loadavg: &str) -> Mapping {
    let mut numbers = loadavg.split_whitespace().map(|n| n.parse().unwrap_or(0.0));
    let mut next = || Value::from(numbers.next().unwrap_or(0.0_f64));
    map([("1m", next()), ("5m", next()), ("15m", next())])
}

/// The block devices, with their partitions; sizes in sectors of 512 bytes.
fn devices(sys: &Sys) -> Mapping {
    let names = |path: &str| {
        let names = sys.list(std::path::Path::new(path)).unwrap_or_default();
        names
            .into_iter()
            .filter_map(|name| name.into_string().ok())
            .collect::<Vec<_>>()
    };
    let mut found = Mapping::new();
    for device in names("/sys/block") {
        let base = format!("/sys/block/{device}");
        let of = |file: &str| line(sys, &format!("{base}/{file}"));
        let number = |text: Option<String>| text.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        let word = |text: Option<String>| text.map_or(Value::Null, Value::from);
        let sectors = number(of("size"));
        let sector = of("queue/logical_block_size").unwrap_or_else(|| "512".into());
        let mut partitions = Mapping::new();
        for part in names(&base) {
            let path = format!("{base}/{part}");
            if !part.starts_with(&device) || !exists(sys, &format!("{path}/partition")) {
                continue;
            }
            let size = number(line(sys, &format!("{path}/size")));
            let entry = map([
                ("start", word(line(sys, &format!("{path}/start")))),
                ("sectors", size.into()),
                ("sectorsize", sector.as_str().into()),
                ("size", human(size * 512).into()),
            ]);
            partitions.insert(part.into(), entry.into());
        }
        let entry = map([
            ("model", word(of("device/model"))),
            ("vendor", word(of("device/vendor"))),
            ("removable", word(of("removable"))),
            ("rotational", word(of("queue/rotational"))),
            ("sectors", sectors.into()),
            ("sectorsize", sector.as_str().into()),
            ("size", human(sectors * 512).into()),
            ("partitions", partitions.into()),
        ]);
        found.insert(device.into(), entry.into());
    }
    found
}

/// Writes a size as Ansible does: `256.00 GB`.
fn human(bytes: u64) -> String {
    let units = [("TB", 40), ("GB", 30), ("MB", 20), ("KB", 10)];
    let unit = units.iter().find(|(_, shift)| bytes >= 1 << shift);
    let Some((name, shift)) = unit else {
        return format!("{bytes}.00 Bytes");
    };
    let hundredths = (u128::from(bytes) * 100) >> shift;
    format!("{}.{:02} {name}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_in_megabytes() {
        let meminfo = "MemTotal:       24684096 kB\nMemFree:        15246336 kB\nBuffers:  1024 kB\nCached: 2048 kB\n\
            SwapTotal:  4096 kB\nSwapFree: 1024 kB\n";
        let facts = memory(meminfo);
        assert_eq!(facts["memtotal_mb"], 24105);
        assert_eq!(facts["swapfree_mb"], 1);
        assert_eq!(facts["memory_mb"]["nocache"]["free"], 14892);
        assert_eq!(facts["memory_mb"]["swap"]["used"], 3);
    }

    #[test]
    fn processors_are_counted_by_socket_core_and_thread() {
        let one = |n: u32, socket: u32| {
            format!(
                "processor\t: {n}\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon\nphysical id\t: {socket}\n\
                 siblings\t: 4\ncore id\t: 0\ncpu cores\t: 2\n\n"
            )
        };
        let cpuinfo: String = (0..8).map(|n| one(n, n / 4)).collect();
        let facts = processors(&cpuinfo);
        assert_eq!(facts["processor_count"], 2);
        assert_eq!(facts["processor_cores"], 2);
        assert_eq!(facts["processor_threads_per_core"], 2);
        assert_eq!(facts["processor_vcpus"], 8);
        assert_eq!(facts["processor"][2], "Xeon");
        let arm = processors("processor\t: 0\nprocessor\t: 1\n");
        assert_eq!(arm["processor_vcpus"], 2);
    }

    #[test]
    fn sizes_read_as_in_ansible() {
        assert_eq!(human(536_870_912 * 512), "256.00 GB");
        assert_eq!(human(0), "0.00 Bytes");
        assert_eq!(human(1536), "1.50 KB");
    }
}
