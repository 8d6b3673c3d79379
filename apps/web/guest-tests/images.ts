import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

/**
 * A picture for the documentation: into docs/images where GUESTMODE_IMAGES asks for it, else beside the build, since no two pictures of a
 * running machine are the same.
 */
export async function saveImage(name: string, png: Uint8Array): Promise<void> {
  const place = process.env['GUESTMODE_IMAGES'] ? '../../../docs/images/' : '../dist/images/'
  const folder = fileURLToPath(new URL(place, import.meta.url))
  await mkdir(folder, { recursive: true })
  await writeFile(`${folder}${name}`, png)
}
