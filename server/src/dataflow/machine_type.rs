//! What a machine type's name says of the machine.

/// A machine of Google's cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MachineType {
    /// Its virtual processors.
    pub(super) vcpus: u32,
    /// Its memory, in MB of 2^20 bytes.
    pub(super) memory_mb: u64,
}

/// What a batch job's workers are on Dataflow, unless it says otherwise: an n1-standard-1.
pub(super) const BATCH: MachineType = MachineType {
    vcpus: 1,
    memory_mb: 3840,
};

/// What a streaming job's workers are, with Streaming Engine: an n1-standard-2.
pub(super) const STREAMING: MachineType = MachineType {
    vcpus: 2,
    memory_mb: 7680,
};

/// Machines with shared processors.
const SHARED: [(&str, MachineType); 5] = [
    ("f1-micro", shared(1, 614)),
    ("g1-small", shared(1, 1741)),
    ("e2-micro", shared(2, 1024)),
    ("e2-small", shared(2, 2048)),
    ("e2-medium", shared(2, 4096)),
];

const fn shared(vcpus: u32, memory_mb: u64) -> MachineType {
    MachineType { vcpus, memory_mb }
}

impl MachineType {
    /// Reads a name, or a path that ends with one, such as `n1-standard-4` or `n2-custom-6-3072`.
    /// `None` for what is not known.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.rsplit('/').next().unwrap_or(name);
        let shared = SHARED.iter().find(|(known, _)| *known == name);
        if let Some((_, machine)) = shared {
            return Some(*machine);
        }
        let parts: Vec<&str> = name.split('-').collect();
        let machine = match parts.as_slice() {
            ["custom", vcpus, memory, ..] | [_, "custom", vcpus, memory, ..] => Self {
                vcpus: vcpus.parse().ok()?,
                memory_mb: memory.parse().ok()?,
            },
            [family, class, vcpus, ..] => {
                let vcpus: u32 = vcpus.trim_end_matches('g').parse().ok()?;
                let memory_mb = u64::from(vcpus).checked_mul(memory_per_vcpu(family, class)?)?;
                Self { vcpus, memory_mb }
            }
            _ => return None,
        };
        (machine.vcpus > 0 && machine.memory_mb > 0).then_some(machine)
    }
}

/// How much memory a machine of this class has for each of its processors, in MB.
fn memory_per_vcpu(family: &str, class: &str) -> Option<u64> {
    Some(match (family, class) {
        ("n1", "standard") => 3840,
        ("n1", "highmem") => 6656,
        ("n1", "highcpu") => 922,
        (_, "standard") => 4096,
        (_, "highmem") => 8192,
        ("c3" | "c3d" | "c4" | "n4", "highcpu") => 2048,
        (_, "highcpu") => 1024,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_processors_and_memory() {
        for (name, expected) in [
            ("n1-standard-1", Some((1, 3840))),
            ("zones/z/machineTypes/n2-highmem-16", Some((16, 131_072))),
            ("n1-standard-4", Some((4, 15_360))),
            ("e2-highcpu-8", Some((8, 8192))),
            ("custom-6-3072", Some((6, 3072))),
            ("n2-custom-2-4096", Some((2, 4096))),
            ("n2-custom-2-4096-ext", Some((2, 4096))),
            ("e2-medium", Some((2, 4096))),
            ("x9-strange-4", None),
            ("n1-standard-0", None),
            ("n1-standard-x", None),
            ("", None),
        ] {
            let found = MachineType::named(name);
            let found = found.map(|machine| (machine.vcpus, machine.memory_mb));
            assert_eq!(found, expected, "{name}");
        }
        assert_eq!(MachineType::named("n1-standard-1"), Some(BATCH));
        assert_eq!(MachineType::named("n1-standard-2"), Some(STREAMING));
    }
}
