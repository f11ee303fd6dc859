"""CPUs: frequency, idle states, isolation, interrupts."""

from __future__ import annotations

from provision.doctor.pages.model import warning

CPU = (
    warning(
        "MC111",
        "the CPU governor saves power",
        happens="CPUs that guests are planned on have another frequency governor than performance.",
        matters="The clock rises only after work has come: each burst of requests starts slowly, and latencies scatter.",
        fix="`cpupower frequency-set -g performance` on {host}; for good: `tuned-adm profile virtual-host`",
        near_miss="No governor at all, as in virtual machines and with `intel_pstate=passive` off: the hardware decides.",
        source="Red Hat, «Optimizing RHEL for real time»; kernel.org: admin-guide/pm/cpufreq",
    ),
    warning(
        "MC112",
        "deep C-states are allowed",
        happens="CPUs may enter idle states that take more than 20 µs to wake from, and nobody holds a latency limit.",
        matters="An idle vCPU sleeps that deeply between two requests: the first instruction after it waits.",
        fix="`cpupower idle-set -D 20` on {host}; for good: `tuned-adm profile latency-performance`",
        near_miss="The states exist but a process holds /dev/cpu_dma_latency lower, as tuned does.",
        source="kernel.org: admin-guide/pm/cpuidle, power/pm_qos_interface",
    ),
    warning(
        "MC113",
        "a dedicated CPU shares its core",
        happens="SMT is on, and the sibling thread of a guest's dedicated CPU serves another guest or the host.",
        matters="Two threads share one core's units and caches: the guest has half a core when its neighbour works.",
        fix="`cpu: {{threads: isolate}}` for {nodes} (or `require`, for whole cores), or SMT off: `echo off > /sys/devices/system/cpu/smt/control`",
        near_miss="Both threads of a core belong to the same guest.",
        source="Nova: hw:cpu_thread_policy; RHEL, «Virtualization for Real Time»",
    ),
    warning(
        "MC114",
        "dedicated CPUs are not isolated",
        happens="CPUs that guests are pinned to for themselves are not in isolcpus or nohz_full.",
        matters="The kernel schedules its own and others' work there, and ticks a thousand times a second or so: each takes the vCPU away.",
        fix="`isolcpus=managed_irq,domain,{cpus} nohz_full={cpus} rcu_nocbs={cpus}` on {host}'s kernel command line (GRUB_CMDLINE_LINUX), `update-grub`, reboot",
        near_miss="`policy: shared`: those CPUs must not be isolated.",
        source="libvirt: kbase/kvm-realtime; kernel.org: admin-guide/kernel-parameters",
    ),
    warning(
        "MC115",
        "several threads on an isolated CPU",
        happens="Isolated CPUs carry emulators, iothreads or guests of policy shared.",
        matters="The kernel does not balance isolated CPUs: all threads that may use several of them pile up on one.",
        fix="take {cpus} out of isolcpus on {host}, or reserve others: `reserved_cpus:` of the host",
        near_miss="One vCPU pinned to one isolated CPU, which is what isolation is for.",
        source="kernel.org: admin-guide/kernel-parameters, isolcpus; libvirt: kbase/kvm-realtime",
    ),
    warning(
        "MC116",
        "irqbalance moves interrupts onto dedicated CPUs",
        happens="irqbalance runs, and nothing keeps it from dedicated CPUs: neither isolation nor a ban.",
        matters="An interrupt takes the vCPU off its CPU, more often the busier the network and the disks are.",
        fix="`IRQBALANCE_BANNED_CPULIST={cpus}` in /etc/default/irqbalance of {host}, then `systemctl restart irqbalance`",
        near_miss="irqbalance runs, and the dedicated CPUs are isolated or banned: it leaves those alone by itself.",
        source="man irqbalance: IRQBALANCE_BANNED_CPULIST; isolated and nohz_full CPUs are banned by default",
    ),
    warning(
        "MC117",
        "the clock source is slow",
        happens="The kernel does not take its time from the TSC.",
        matters="Reading the time becomes a trap to a device: some microseconds each, in every guest that looks at the clock.",
        fix="`dmesg | grep -i tsc` on {host} says why; firmware update, or `tsc=reliable` where the CPU has an invariant one",
        near_miss="kvm-clock, in a virtual machine: that is a TSC too.",
        source="kernel.org: virt/kvm/x86/timekeeping",
    ),
)
