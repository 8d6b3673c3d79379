/** A character device of the host: a terminal, a pipe, a page's console. */
export interface CharBackend {
  /** Output of the guest. The bytes are the backend's to keep. */
  write(bytes: Uint8Array): void
  /**
   * Set by the device: takes some of the bytes from the front and returns how many. After fewer than all, `resume` is called once
   * there is room.
   */
  onReceive?: (bytes: Uint8Array) => number
  /** The device has room again. */
  resume?: () => void
  /** Size in characters, where the backend is a screen. */
  size?: { columns: number; rows: number }
  /** Set by the device: to be called after `size` has changed. */
  onResize?: () => void
}
