import { readFileSync } from 'node:fs'
import { findMultibootHeader, isElf, type BootConfig } from '@guestmode/devmodel'
import { CliError, fileError } from '../errors.ts'

export interface KernelWords {
  kernel: string
  initrd?: string | undefined
  append?: string | undefined
}

/** Reads what -kernel, -initrd and -append name, and tells by its contents what kind of kernel it is. */
export function readKernel({ kernel, initrd, append = '' }: KernelWords): BootConfig {
  const image = readFile('-kernel', kernel)
  if (findMultibootHeader(image) !== undefined && (isElf(image) || !isBootable(image))) {
    const modules = (initrd ?? '')
      .split(/,(?!,)/)
      .filter(Boolean)
      .map((text) => {
        const [file = '', ...words] = text.split(' ')
        return { image: readFile('-initrd', file), commandLine: [file, ...words].join(' ') }
      })
    return { kind: 'multiboot', image, commandLine: append, modules }
  }
  const config = { kind: 'linux', image, commandLine: append } as const
  return initrd === undefined ? config : { ...config, initrd: readFile('-initrd', initrd) }
}

function isBootable(image: Uint8Array): boolean {
  return image.length > 0x206 && String.fromCharCode(...image.subarray(0x202, 0x206)) === 'HdrS'
}

/** In memory of its own, so that it can be given to another thread. */
export function readFile(option: string, path: string): Uint8Array<ArrayBuffer> {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    throw fileError(option, path, error)
  }
  if (bytes.length === 0) throw new CliError(`${option} ${path}: the file is empty`)
  return ownCopy(bytes)
}

export function ownCopy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = bytes
  if (buffer instanceof ArrayBuffer && byteOffset === 0 && byteLength === buffer.byteLength) return new Uint8Array(buffer)
  return Uint8Array.from(bytes)
}
