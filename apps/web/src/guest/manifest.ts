/** What `guest/manifest.json` beside the page says: which guests it can start. */
export interface GuestManifest {
  guests: GuestEntry[]
  /** Guests that this site could have and has not: why. */
  missing: { title: string; reason: string }[]
}

export interface GuestEntry {
  name: string
  title: string
  /** Bytes. */
  memory: number
  console: 'serial' | 'virtio'
  /** A guest without a power-off ends by a reset. */
  resetIsEnd: boolean
  commandLine: string
  kernel: GuestFile
  initrd?: GuestFile
  /** Of a raw 64-bit kernel; a kernel without is a multiboot one. */
  raw?: { loadAddress: number; entry: number }
}

/** A file beside the manifest. */
export interface GuestFile {
  path: string
  size: number
}
