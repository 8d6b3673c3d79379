import type { KvmVcpu } from '@guestmode/kvm-abi'
import type { GuestMemory } from '../machine/guest-memory.ts'

/** A bzImage or an ELF vmlinux. */
export interface LinuxBoot {
  kind: 'linux'
  image: Uint8Array
  commandLine: string
  initrd?: Uint8Array
  /** Of a bzImage; by default the 64-bit one where kernel and CPU have it, else the 32-bit one. */
  entry?: '16-bit' | '32-bit' | '64-bit'
}

/** A 64-bit Linux in the form that it runs in. */
export interface RawBoot {
  kind: 'raw'
  image: Uint8Array
  loadAddress: number
  entry: number
  commandLine: string
  initrd?: Uint8Array
}

export interface MultibootBoot {
  kind: 'multiboot'
  image: Uint8Array
  commandLine: string
  modules?: { image: Uint8Array; commandLine: string }[]
}

/** Code that is entered in real mode at 0000:7C00 as from a disk, all of it loaded. */
export interface BootSectorBoot {
  kind: 'boot-sector'
  image: Uint8Array
}

export type BootConfig = LinuxBoot | RawBoot | MultibootBoot | BootSectorBoot

/** A loaded guest that waits to be started. */
export interface BootEntry {
  /** It calls BIOS services. */
  readonly needsBios: boolean
  start(vcpu: KvmVcpu, memory: GuestMemory): void
}
