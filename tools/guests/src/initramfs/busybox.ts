import { readFile } from 'node:fs/promises'
import { loadCliGuest, type CpioEntry } from '../cli-guest.ts'

/**
 * What the guest runs first. Words of the kernel's command line that the kernel does not know arrive as environment variables:
 * `run="command"` runs it and powers off, `then=reboot` resets instead. Without `run` there is a shell, and power-off when it ends.
 */
export const BUSYBOX_INIT = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
echo "@@ USERSPACE"
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ TERM=\${TERM:-linux}
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts && mount -t devpts devpts /dev/pts 2>/dev/null
mount -t tmpfs tmpfs /tmp
echo "@@ UNAME $(uname -srm)"
if [ -n "$run" ]; then
  echo "@@ RUN"
  sh -c "$run"
  echo "@@ STATUS $?"
else
  echo "@@ SHELL"
  setsid cttyhack sh
fi
echo "@@ DONE"
sync
if [ "$then" = reboot ]; then reboot -f; else poweroff -f; fi
sleep 5
halt -f
`

export const skeleton = (): CpioEntry[] => [
  ...['bin', 'dev', 'proc', 'sys', 'root'].map((path): CpioEntry => ({ path, kind: 'directory' })),
  { path: 'tmp', kind: 'directory', mode: 0o1777 },
  { path: 'dev/console', kind: 'character-device', major: 5, minor: 1 },
  { path: 'dev/null', kind: 'character-device', mode: 0o666, major: 1, minor: 3 },
]

export async function busyboxInitramfs(busybox: string): Promise<Uint8Array> {
  const { writeCpio } = await loadCliGuest()
  return writeCpio([
    ...skeleton(),
    { path: 'bin/busybox', kind: 'file', content: await readFile(busybox) },
    { path: 'bin/sh', kind: 'symlink', target: 'busybox' },
    { path: 'init', kind: 'file', content: new TextEncoder().encode(BUSYBOX_INIT) },
  ])
}
