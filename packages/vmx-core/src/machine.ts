export type {
  CpuidLeaf,
  Environment,
  Machine,
  MachineMemory,
  MachineOptions,
  ProcessorOptions,
  UnswitchedRegisters,
  VirtualizingProcessor,
  VmxStatus,
} from '@guestmode/silicon'
