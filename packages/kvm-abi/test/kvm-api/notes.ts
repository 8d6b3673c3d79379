import type { RequestName } from '../../src/index.ts'

/** What docs/kvm-api.md says of a request beyond its number and argument. */
export interface Note {
  /** Typed method(s). */
  method: string
  does: string
  /** Errors of its own, beside those that every request has. */
  errors?: Readonly<Record<string, string>>
  /** What differs where the engine and its VMM share one process without a kernel. */
  engine?: string
}

/** Requests of the contract that our engine (vmx-core) always refuses, and why. */
export const UNSERVED: Readonly<Partial<Record<RequestName, string>>> = {
  KVM_RESET_DIRTY_RINGS: 'there are no dirty rings (`KVM_CAP_DIRTY_LOG_RING` is 0): use KVM_GET_DIRTY_LOG',
  KVM_GET_STATS_FD: 'there are no files (`KVM_CAP_BINARY_STATS_FD` is 0): use `vm.stats()` and `vcpu.stats()`',
  KVM_SMI: 'there is no SMM (`KVM_CAP_X86_SMM` is 0)',
  KVM_KVMCLOCK_CTRL: 'guests get no kvmclock (`KVM_CAP_KVMCLOCK_CTRL` is 0)',
  KVM_TPR_ACCESS_REPORTING: 'the local APIC reports no accesses (`KVM_CAP_VAPIC` is 0)',
  KVM_SET_VAPIC_ADDR: 'as KVM_TPR_ACCESS_REPORTING',
}

export const NOTES: Readonly<Record<RequestName, Note>> = {
  KVM_GET_API_VERSION: {
    method: 'kvm.getApiVersion()',
    does: 'Answers 12. A VMM refuses to run on any other number.',
    errors: { EINVAL: 'the argument is not 0' },
  },
  KVM_CREATE_VM: {
    method: 'kvm.createVm(type)',
    does: 'Makes a VM without memory and vCPUs, and answers its descriptor. The type is 0 on x86.',
    errors: { EINVAL: 'unknown type', EMFILE: 'too many descriptors', ENOMEM: 'no memory for it' },
    engine: 'The descriptor is a number that `KvmFloor.vm` turns into a `KvmVmFd`.',
  },
  KVM_CHECK_EXTENSION: {
    method: 'kvm.checkExtension(cap), vm.checkExtension(cap)',
    does: 'Answers 0 for a capability (`KVM_CAP_*`) that is missing or unknown, else 1 or a figure: `KVM_CAP_NR_MEMSLOTS` the slots, `KVM_CAP_MAX_VCPUS` the vCPUs, `KVM_CAP_XSAVE2` the bytes of the XSAVE area. Ask the VM where `KVM_CAP_CHECK_EXTENSION_VM` is there: some answers depend on it.',
  },
  KVM_GET_VCPU_MMAP_SIZE: {
    method: 'kvm.getVcpuMmapSize()',
    does: 'Bytes of the mapping that each vCPU shares with its VMM: the `kvm_run` page, the PIO data page and the coalesced MMIO ring.',
    errors: { EINVAL: 'the argument is not 0' },
  },
  KVM_GET_SUPPORTED_CPUID: {
    method: 'kvm.getSupportedCpuid()',
    does: 'The CPUID leaves that engine and processor can give a guest. A VMM changes them as it likes (topology, APIC ids, features taken away) and hands them to KVM_SET_CPUID2.',
    errors: { E2BIG: 'more entries than `nent`; ask again with more room' },
  },
  KVM_GET_EMULATED_CPUID: {
    method: 'kvm.getEmulatedCpuid()',
    does: 'CPUID bits of instructions that the engine can emulate though the processor lacks them; they are slow, so they are not among the supported ones.',
    errors: { E2BIG: 'more entries than `nent`' },
  },
  KVM_GET_MSR_INDEX_LIST: {
    method: 'kvm.getMsrIndexList()',
    does: "The MSRs that make up a vCPU's state: what a snapshot has to carry. On E2BIG `nmsrs` holds the number needed.",
    errors: { E2BIG: 'more indices than `nmsrs`' },
  },
  KVM_GET_MSR_FEATURE_INDEX_LIST: {
    method: 'kvm.getMsrFeatureIndexList()',
    does: 'The MSRs that describe features (microcode revision, VMX capabilities). Read them with KVM_GET_MSRS on the system descriptor.',
    errors: { E2BIG: 'more indices than `nmsrs`' },
  },
  KVM_X86_GET_MCE_CAP_SUPPORTED: {
    method: 'kvm.x86GetMceCapSupported()',
    does: 'Bits of IA32_MCG_CAP that KVM_X86_SETUP_MCE may set.',
  },
  KVM_CREATE_VCPU: {
    method: 'vm.createVcpu(id)',
    does: 'Adds a vCPU in its reset state and answers its descriptor. The id becomes the initial APIC id. vCPU 0 is the boot processor; with an in-kernel APIC the others wait for INIT and SIPI.',
    errors: {
      EEXIST: 'the id is taken',
      EINVAL: 'the id is beyond `KVM_CAP_MAX_VCPU_ID`, or too many vCPUs',
      ENOMEM: 'no memory for it',
    },
    engine: 'The descriptor is a number that `KvmFloor.vcpu` turns into a `KvmVcpuFd`.',
  },
  KVM_SET_USER_MEMORY_REGION: {
    method: 'vm.setUserMemoryRegion(region)',
    does: "Makes, moves, changes or (size 0) deletes a memory slot: guest physical memory that is a range of the VMM's own. `KVM_MEM_LOG_DIRTY_PAGES` keeps a dirty bitmap; `KVM_MEM_READONLY` turns guest writes into KVM_EXIT_MMIO. A slot can be moved or have its flags changed, but not its size. Bits 31:16 of `slot` choose the address space (1 is SMM).",
    errors: {
      EINVAL:
        'an address or size is not page-aligned; unknown flag; no such slot number; a slot would change its size, its memory, or its read-only flag',
      EEXIST: 'the range overlaps another slot',
      ENOMEM: "no memory for the slot's bookkeeping",
    },
    engine:
      '`userspaceAddr` is the address of memory from `vm.allocateMemory`; other memory has no address here, and is refused with EINVAL. The change takes effect on running vCPUs before the request returns.',
  },
  KVM_GET_DIRTY_LOG: {
    method: 'vm.getDirtyLog(slot, pages)',
    does: "Copies a slot's dirty bitmap, one bit per page, to a userspace address, and clears it (unless `KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2` leaves that to KVM_CLEAR_DIRTY_LOG).",
    errors: { ENOENT: 'the slot is empty or does not log', EINVAL: 'no such slot number' },
    engine: 'Changes by the VMM count when it reports them with `HostMemory.written`.',
  },
  KVM_CLEAR_DIRTY_LOG: {
    method: 'vm.clearDirtyLog(slot, firstPage, numPages, bitmap)',
    does: 'Clears the dirty bits that are set in the bitmap given, for a range of pages that starts at a multiple of 64.',
    errors: { EINVAL: 'no such slot; range not aligned or beyond the slot', ENOENT: 'the slot does not log' },
  },
  KVM_RESET_DIRTY_RINGS: {
    method: 'vm.resetDirtyRings()',
    does: 'Takes back the dirty-ring entries that the VMM has harvested, and protects their pages again; answers how many.',
    errors: { EINVAL: 'the VM has no dirty rings' },
  },
  KVM_SET_NR_MMU_PAGES: {
    method: 'vm.setNrMmuPages(pages)',
    does: "Limits the shadow page tables' memory.",
    errors: { EINVAL: 'fewer than 20' },
  },
  KVM_GET_NR_MMU_PAGES: {
    method: 'vm.getNrMmuPages()',
    does: 'The limit of KVM_SET_NR_MMU_PAGES. Linux 6.3 took this request away (ENOTTY).',
  },
  KVM_SET_TSS_ADDR: {
    method: 'vm.setTssAddr(address)',
    does: 'Gives the engine three pages of guest physical space below 4 GiB for the task state segment that Intel processors without unrestricted guest need in real mode.',
    errors: { EINVAL: 'the pages do not fit below 4 GiB' },
    engine: 'Accepted and used only by engines without unrestricted guest.',
  },
  KVM_SET_IDENTITY_MAP_ADDR: {
    method: 'vm.setIdentityMapAddr(address)',
    does: 'Gives the engine one page of guest physical space for the identity page table of a guest with paging off, on Intel processors without unrestricted guest.',
    errors: { EINVAL: 'there is a vCPU already' },
    engine: 'Accepted and used only by engines without unrestricted guest.',
  },
  KVM_CREATE_IRQCHIP: {
    method: 'vm.createIrqchip()',
    does: 'Makes two 8259As, an I/O APIC of 24 pins, and a local APIC in each later vCPU. GSI 0-15 then go to PIC and I/O APIC, 16-23 to the I/O APIC; HLT waits inside KVM_RUN.',
    errors: { EEXIST: 'there is one', EINVAL: 'there is a vCPU already' },
  },
  KVM_IRQ_LINE: {
    method: 'vm.irqLine(gsi, level)',
    does: 'Drives an input line of the interrupt controllers. An edge-triggered line needs 1, then 0. With a split irqchip only GSIs that are routed to MSIs take effect.',
    errors: { ENXIO: 'no irqchip', EINVAL: 'the GSI is out of range' },
  },
  KVM_IRQ_LINE_STATUS: {
    method: 'vm.irqLineStatus(gsi, level)',
    does: 'As KVM_IRQ_LINE, and tells what became of it in `status`: negative: masked; 0: coalesced with one still pending; positive: delivered to so many vCPUs.',
    errors: { ENXIO: 'no irqchip', EINVAL: 'the GSI is out of range' },
  },
  KVM_GET_IRQCHIP: {
    method: 'vm.getPic(chip), vm.getIoapic()',
    does: 'Reads the state of the chip that `chipId` names.',
    errors: { ENXIO: 'no irqchip, or a split one', EINVAL: 'no such chip' },
  },
  KVM_SET_IRQCHIP: {
    method: 'vm.setPic(chip, state), vm.setIoapic(state)',
    does: 'Writes the state of a chip. The header declares it as a reading request; it writes all the same.',
    errors: { ENXIO: 'no irqchip, or a split one', EINVAL: 'no such chip' },
  },
  KVM_CREATE_PIT2: {
    method: 'vm.createPit2(flags)',
    does: 'Makes an 8254 on ports 0x40-0x43 with its output on GSI 0. `KVM_PIT_SPEAKER_DUMMY` adds port 0x61.',
    errors: { EEXIST: 'there is one', ENOENT: 'no in-kernel PIC', EINVAL: 'unknown flag' },
  },
  KVM_GET_PIT2: { method: 'vm.getPit2()', does: 'Reads the state of the three counters.', errors: { ENXIO: 'no PIT' } },
  KVM_SET_PIT2: {
    method: 'vm.setPit2(state)',
    does: 'Writes the state of the three counters and restarts them.',
    errors: { ENXIO: 'no PIT' },
  },
  KVM_REINJECT_CONTROL: {
    method: 'vm.reinjectControl(pitReinject)',
    does: 'Whether the PIT delivers later the ticks that a guest missed, or drops them.',
    errors: { ENXIO: 'no PIT' },
  },
  KVM_SET_GSI_ROUTING: {
    method: 'vm.setGsiRouting(entries)',
    does: 'Replaces the table that says where each GSI goes: a pin of an irqchip, or an MSI. A GSI may have one entry for each irqchip.',
    errors: { EINVAL: 'unknown type, pin or flag; two entries that exclude each other; no irqchip' },
  },
  KVM_SIGNAL_MSI: {
    method: 'vm.signalMsi(msi)',
    does: 'Delivers a message-signalled interrupt as if a device had written it: positive when delivered, 0 when the guest blocked it.',
    errors: { EINVAL: 'no local APIC in the engine; unknown flag' },
  },
  KVM_IRQFD: {
    method: 'vm.irqfd({ fd, gsi, flags, resamplefd })',
    does: 'Ties an eventfd to a GSI: each signal raises it. With `KVM_IRQFD_FLAG_RESAMPLE` the line stays up until EOI, which signals `resamplefd`. `KVM_IRQFD_FLAG_DEASSIGN` unties.',
    errors: {
      EINVAL: 'no irqchip, unknown flag, not an eventfd',
      EBADF: 'not an open descriptor',
      EBUSY: 'the eventfd is tied already',
    },
    engine: 'Eventfds come from `kvm.createEventFd()`.',
  },
  KVM_IOEVENTFD: {
    method: 'vm.ioeventfd({ addr, len, fd, datamatch, flags })',
    does: 'A guest write to a port (`KVM_IOEVENTFD_FLAG_PIO`) or address, of a length and, with `DATAMATCH`, a value, signals an eventfd and goes on without an exit.',
    errors: {
      EINVAL: 'bad length, wrap-around, unknown flag, not an eventfd',
      EBADF: 'not an open descriptor',
      EEXIST: 'the same match is there',
      ENOENT: 'nothing to deassign',
    },
    engine: "The eventfd's `listener` is called within KVM_RUN where engine and VMM share a thread.",
  },
  KVM_REGISTER_COALESCED_MMIO: {
    method: 'vm.registerCoalescedMmio(address, size, pio)',
    does: "Guest writes to the zone are put in the ring of the vCPU's mapping and make no exit until it is full; the VMM drains it before it handles any other exit.",
    errors: { ENXIO: 'not supported', ENOSPC: 'too many zones', EINVAL: '`pio` is neither 0 nor 1' },
  },
  KVM_UNREGISTER_COALESCED_MMIO: {
    method: 'vm.unregisterCoalescedMmio(address, size, pio)',
    does: 'Takes back the zones within the range.',
    errors: { EINVAL: '`pio` is neither 0 nor 1' },
  },
  KVM_SET_BOOT_CPU_ID: {
    method: 'vm.setBootCpuId(id)',
    does: 'Which vCPU is the boot processor; 0 unless told.',
    errors: { EBUSY: 'there is a vCPU already' },
  },
  KVM_GET_CLOCK: {
    method: 'vm.getClock()',
    does: "The guest's kvmclock in nanoseconds, with flags that tell which of `realtime` and `hostTsc` are valid.",
  },
  KVM_SET_CLOCK: {
    method: 'vm.setClock({ clock, flags, realtime })',
    does: 'Sets kvmclock. With `KVM_CLOCK_REALTIME` the time passed since `realtime` is added.',
    errors: { EINVAL: 'unknown flag' },
  },
  KVM_ENABLE_CAP: {
    method: 'vm.enableCap(cap, args), vcpu.enableCap(cap, args)',
    does: 'Turns on a capability that is off unless asked for. On a VM: `KVM_CAP_SPLIT_IRQCHIP` (args[0]: I/O APIC pins kept for the VMM), `KVM_CAP_X2APIC_API`, `KVM_CAP_X86_DISABLE_EXITS`, `KVM_CAP_X86_USER_SPACE_MSR`, `KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2`, `KVM_CAP_EXCEPTION_PAYLOAD`, and others.',
    errors: { EINVAL: 'unknown capability, bad arguments, or too late', EEXIST: 'split irqchip: there is an irqchip already' },
  },
  KVM_SET_TSC_KHZ: {
    method: 'vm.setTscKhz(khz), vcpu.setTscKhz(khz)',
    does: "The guest's TSC frequency. On a VM it is the default of vCPUs made later; 0 means the host's.",
    errors: { EINVAL: 'more than can be scaled to' },
  },
  KVM_GET_TSC_KHZ: {
    method: 'vm.getTscKhz(), vcpu.getTscKhz()',
    does: "The guest's TSC frequency in kHz.",
    errors: { EIO: "the host's TSC is not stable" },
  },
  KVM_GET_STATS_FD: {
    method: 'vm.stats(), vcpu.stats()',
    does: 'Answers a descriptor of a file with the counters: `kvm_stats_header`, an id, `kvm_stats_desc` with names, and 64-bit values.',
    engine:
      '`readStats` and `writeStats` read and make such a file; `KvmVmFd.stats` and `KvmVcpuFd.stats` give the counters at once. Where files do not exist the request itself answers ENOTTY.',
  },
  KVM_RUN: {
    method: 'vcpu.run()',
    does: 'Runs the guest until it needs its VMM: `kvmRun.exitReason` says why (see below). First it completes the exit before: data that the VMM put in place for a read of a port or of MMIO takes effect only now. With `immediateExit` set it does just that, and returns EINTR.',
    errors: {
      EINTR: 'a signal is pending, or `immediateExit` is set; `exitReason` is KVM_EXIT_INTR',
      EFAULT: 'the guest touched a slot whose memory is not there',
      EAGAIN: 'the vCPU waited for INIT or SIPI, and got it: call again',
      EEXIST: 'the vCPU is being run',
    },
    engine:
      'EINTR has three more causes, which stand for signals: `vcpu.kick()`, `vcpu.interruptAt`, and a HLT in an engine that has no thread to block (`vcpu.halted()` then says what it waits for). `vcpu.run()` returns -EINTR and -EAGAIN; every other error throws.',
  },
  KVM_GET_REGS: {
    method: 'vcpu.getRegs()',
    does: 'Reads the general registers, RIP and RFLAGS. During a single step RFLAGS.TF that the debugger set is hidden.',
  },
  KVM_SET_REGS: {
    method: 'vcpu.setRegs(regs)',
    does: 'Writes the general registers, RIP and RFLAGS. A pending exception is dropped.',
  },
  KVM_GET_SREGS: {
    method: 'vcpu.getSregs()',
    does: 'Reads segments, descriptor tables, control registers, EFER and APIC base. `interruptBitmap` has the bit of an external interrupt that was injected but not yet taken.',
  },
  KVM_SET_SREGS: {
    method: 'vcpu.setSregs(sregs)',
    does: "Writes the same. A change of CR0, CR3, CR4 or EFER rebuilds the MMU's context. A bit in `interruptBitmap` queues that vector.",
    errors: { EINVAL: 'a combination that the processor does not allow: reserved bits, long mode without PAE, PG without PE' },
  },
  KVM_GET_SREGS2: {
    method: 'vcpu.getSregs2()',
    does: 'As KVM_GET_SREGS, with the PDPTEs of PAE paging (`KVM_SREGS2_FLAGS_PDPTRS_VALID`) in the place of the interrupt bitmap: they are registers, and may differ from memory.',
  },
  KVM_SET_SREGS2: {
    method: 'vcpu.setSregs2(sregs)',
    does: 'As KVM_SET_SREGS; does not read PDPTEs from guest memory when they are given.',
    errors: { EINVAL: 'as KVM_SET_SREGS, or unknown flag' },
  },
  KVM_GET_FPU: {
    method: 'vcpu.getFpu()',
    does: 'Reads x87, MXCSR and XMM registers. `ftwx` is the abridged tag word of FXSAVE.',
  },
  KVM_SET_FPU: { method: 'vcpu.setFpu(fpu)', does: 'Writes x87, MXCSR and XMM registers.' },
  KVM_GET_XSAVE: {
    method: 'vcpu.getXsave()',
    does: 'Reads the XSAVE area in standard form, at the offsets of CPUID leaf 0xD: 4096 bytes.',
  },
  KVM_GET_XSAVE2: { method: 'vcpu.getXsave2(size)', does: 'As KVM_GET_XSAVE, with as many bytes as `KVM_CAP_XSAVE2` says.' },
  KVM_SET_XSAVE: {
    method: 'vcpu.setXsave(area)',
    does: 'Writes the XSAVE area; components that XSTATE_BV leaves out get their initial state.',
    errors: { EINVAL: 'XSTATE_BV or MXCSR has bits that the guest may not set' },
  },
  KVM_GET_XCRS: {
    method: 'vcpu.getXcrs()',
    does: 'Reads the extended control registers: XCR0.',
    errors: { EINVAL: 'the processor has no XSAVE' },
  },
  KVM_SET_XCRS: {
    method: 'vcpu.setXcrs(xcrs)',
    does: 'Writes the extended control registers.',
    errors: { EINVAL: 'no XSAVE, a flag is set, or a value is not allowed' },
  },
  KVM_GET_MSRS: {
    method: 'vcpu.getMsrs(indices), kvm.getMsrs(indices)',
    does: 'Reads MSRs in order and answers how many it read: it stops at the first it cannot. On the system descriptor it reads feature MSRs.',
    errors: { E2BIG: '256 entries or more' },
  },
  KVM_SET_MSRS: {
    method: 'vcpu.setMsrs(entries)',
    does: 'Writes MSRs in order and answers how many it wrote: it stops at the first it cannot.',
    errors: { E2BIG: '256 entries or more' },
  },
  KVM_SET_CPUID2: {
    method: 'vcpu.setCpuid2(entries)',
    does: 'What CPUID answers in this vCPU. Features that are not announced raise #UD. To be done before the first KVM_RUN.',
    errors: { E2BIG: 'more than 256 entries', EINVAL: 'a changed table after KVM_RUN' },
  },
  KVM_GET_CPUID2: { method: 'vcpu.getCpuid2()', does: 'What KVM_SET_CPUID2 set.', errors: { E2BIG: 'more entries than `nent`' } },
  KVM_GET_LAPIC: {
    method: 'vcpu.getLapic()',
    does: "Reads the local APIC's registers as the guest sees them: 32 bits at every 16th byte. The APIC id is in bits 31:24 unless `KVM_CAP_X2APIC_API` is enabled.",
    errors: { EINVAL: 'no local APIC in the engine' },
  },
  KVM_SET_LAPIC: {
    method: 'vcpu.setLapic(regs)',
    does: 'Writes them, and restarts the timer.',
    errors: { EINVAL: "no local APIC in the engine, or, in x2APIC mode, an id that is not this vCPU's" },
  },
  KVM_GET_MP_STATE: {
    method: 'vcpu.getMpState()',
    does: 'Whether the vCPU runs, halts, or waits for INIT or SIPI (`KVM_MP_STATE_*`).',
  },
  KVM_SET_MP_STATE: {
    method: 'vcpu.setMpState(state)',
    does: 'Sets it.',
    errors: { EINVAL: 'a state that this VM cannot be in: without an in-kernel APIC only RUNNABLE is' },
  },
  KVM_GET_VCPU_EVENTS: {
    method: 'vcpu.getVcpuEvents()',
    does: 'Reads what is pending or being injected: exception, interrupt and its shadow, NMI, SIPI vector, SMM, triple fault.',
  },
  KVM_SET_VCPU_EVENTS: {
    method: 'vcpu.setVcpuEvents(events)',
    does: 'Writes it; `flags` says which optional parts are meant. After the registers, since setting those drops a pending exception.',
    errors: { EINVAL: 'unknown flag; an exception above 31 or NMI as one; SMM without `KVM_CAP_X86_SMM`' },
  },
  KVM_GET_DEBUGREGS: { method: 'vcpu.getDebugregs()', does: "Reads the guest's DR0-DR3, DR6 and DR7." },
  KVM_SET_DEBUGREGS: {
    method: 'vcpu.setDebugregs(debugregs)',
    does: 'Writes them.',
    errors: { EINVAL: 'a flag is set, or DR6 or DR7 above 32 bits' },
  },
  KVM_SET_GUEST_DEBUG: {
    method: 'vcpu.setGuestDebug({ control, debugreg })',
    does: "Debugs the guest from outside: single step, INT3 as KVM_EXIT_DEBUG (`USE_SW_BP`), breakpoints in `debugreg` in place of the guest's (`USE_HW_BP`), or injects #DB or #BP. `control` 0 ends it.",
    errors: { EBUSY: 'injection is asked for and an exception is pending', EINVAL: 'unknown flag' },
  },
  KVM_INTERRUPT: {
    method: 'vcpu.interrupt(vector)',
    does: 'Queues an external interrupt: for a VMM with its own PIC, when `readyForInterruptInjection` is 1.',
    errors: { EINVAL: 'a vector above 255', ENXIO: 'the PIC is in the engine', EEXIST: 'split irqchip: one is queued already' },
  },
  KVM_NMI: {
    method: 'vcpu.nmi()',
    does: "Makes an NMI pending. It takes the NMI pin's way: an in-kernel APIC's LINT1 is the VMM's business.",
  },
  KVM_SMI: {
    method: 'vcpu.smi()',
    does: 'Makes an SMI pending.',
    errors: { ENOTTY: 'no SMM in this engine: `KVM_CAP_X86_SMM` is 0' },
  },
  KVM_TRANSLATE: {
    method: 'vcpu.translate(linearAddress)',
    does: "Walks the guest's page tables for a debugger: `valid` 0 when the address is not mapped. Sets no accessed bit, raises no fault.",
  },
  KVM_SET_SIGNAL_MASK: {
    method: 'vcpu.setSignalMask(mask)',
    does: 'Signals that stay blocked during KVM_RUN; null takes the mask away.',
    errors: { EINVAL: '`len` is not 8' },
    engine: 'There are no signals in a process of ours: accepted, without effect. `kick` is not masked.',
  },
  KVM_KVMCLOCK_CTRL: {
    method: 'vcpu.kvmclockCtrl()',
    does: 'Tells a guest with kvmclock that it was paused, so that its watchdogs forgive.',
    errors: { EINVAL: 'the guest has no kvmclock' },
  },
  KVM_TPR_ACCESS_REPORTING: {
    method: 'vcpu.tprAccessReporting(enabled)',
    does: "Guest accesses to the local APIC's TPR become KVM_EXIT_TPR_ACCESS, so that a VMM can patch the code that makes them.",
    errors: { EINVAL: 'a flag is set' },
  },
  KVM_SET_VAPIC_ADDR: {
    method: 'vcpu.setVapicAddr(address)',
    does: 'A guest physical address where patched code finds a copy of the TPR.',
    errors: { EINVAL: 'no local APIC in the engine' },
  },
  KVM_X86_SETUP_MCE: {
    method: 'vcpu.x86SetupMce(mcgCap)',
    does: 'Sets IA32_MCG_CAP: the number of machine-check banks and their features.',
    errors: { EINVAL: 'no bank, too many, or an unsupported bit' },
  },
  KVM_X86_SET_MCE: {
    method: 'vcpu.x86SetMce(mce)',
    does: 'Injects a machine check: into a bank, and as #MC where it is uncorrected.',
    errors: { EINVAL: 'no such bank, or not a valid status' },
  },
}

export interface ExitNote {
  /** The member of `kvmRun` that tells more. */
  member?: string
  means: string
}

export const EXITS: Readonly<Record<string, ExitNote>> = {
  KVM_EXIT_UNKNOWN: { member: 'hw', means: 'The processor exited for a reason that the engine does not know.' },
  KVM_EXIT_EXCEPTION: { member: 'ex', means: 'An exception that the engine hands to the VMM.' },
  KVM_EXIT_IO: {
    member: 'io',
    means:
      'A port access. `count` items of `size` bytes at `dataOffset` (`kvmRun.pioData()`); string instructions come in batches. An IN completes at the next KVM_RUN.',
  },
  KVM_EXIT_HYPERCALL: { member: 'hypercall', means: 'A hypercall that the VMM asked to see (`KVM_CAP_EXIT_HYPERCALL`).' },
  KVM_EXIT_DEBUG: { member: 'debug', means: 'A breakpoint or single step of KVM_SET_GUEST_DEBUG.' },
  KVM_EXIT_HLT: { means: "HLT, where the irqchip is the VMM's." },
  KVM_EXIT_MMIO: {
    member: 'mmio',
    means:
      'An access outside all slots, or a write to a read-only one: at most 8 bytes, never across a page. A read completes at the next KVM_RUN.',
  },
  KVM_EXIT_IRQ_WINDOW_OPEN: { means: '`requestInterruptWindow` was set, and the guest can take an interrupt now.' },
  KVM_EXIT_SHUTDOWN: { means: 'Triple fault.' },
  KVM_EXIT_FAIL_ENTRY: { member: 'failEntry', means: 'The processor refused to enter the guest: its state is invalid.' },
  KVM_EXIT_INTR: { means: 'KVM_RUN returned EINTR.' },
  KVM_EXIT_SET_TPR: { means: "The guest lowered CR8, where the APIC is the VMM's." },
  KVM_EXIT_TPR_ACCESS: { member: 'tprAccess', means: 'See KVM_TPR_ACCESS_REPORTING.' },
  KVM_EXIT_NMI: { means: "An NMI of the host came during the guest's run." },
  KVM_EXIT_INTERNAL_ERROR: {
    member: 'internal',
    means:
      'The engine cannot go on: `suberror` (`KVM_INTERNAL_ERROR_*`) and `data` say why; for KVM_INTERNAL_ERROR_EMULATION `emulationFailure` has the instruction bytes.',
  },
  KVM_EXIT_SYSTEM_EVENT: {
    member: 'systemEvent',
    means: 'The guest asked for shutdown or reset through the engine, or crashed.',
  },
  KVM_EXIT_IOAPIC_EOI: {
    member: 'eoi',
    means: "EOI of a level-triggered vector, where the I/O APIC is the VMM's (split irqchip).",
  },
  KVM_EXIT_X86_RDMSR: {
    member: 'msr',
    means: 'RDMSR that the VMM asked to see (`KVM_CAP_X86_USER_SPACE_MSR`): put `data`, or `error` 1 for #GP.',
  },
  KVM_EXIT_X86_WRMSR: { member: 'msr', means: 'WRMSR likewise.' },
  KVM_EXIT_DIRTY_RING_FULL: { means: "The vCPU's dirty ring is full: harvest it, then KVM_RESET_DIRTY_RINGS." },
  KVM_EXIT_NOTIFY: { member: 'notify', means: 'The guest kept the processor from taking events for too long.' },
}
