import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { inRoot } from '../workspace/paths.mjs'
import { runNode } from '../workspace/run.mjs'

const quietly = { onLine: () => {} }

/** Unpacks the tarballs into a project's node_modules, then type-checks and runs a program that imports each of them. */
export async function tryAsConsumer(home, tarballs) {
  const modules = join(home, 'node_modules')
  for (const { dir, manifest, tarball } of tarballs) {
    const place = join(modules, manifest.name)
    mkdirSync(place, { recursive: true })
    execFileSync('tar', ['-xzf', tarball, '-C', place, '--strip-components=1'])
    for (const name of Object.keys(manifest.dependencies ?? {})) {
      const installed = join(dir, 'node_modules', name)
      if (!manifest.dependencies[name].startsWith('workspace:') && existsSync(installed)) link(installed, join(modules, name))
    }
  }
  link(inRoot('node_modules', '@types', 'node'), join(modules, '@types', 'node'))
  const names = tarballs.map(({ manifest }) => manifest.name)
  const program = names.map((name, i) => `import * as p${i} from '${name}'`).join('\n')
  const use = `export const faces: object[] = [${names.map((_, i) => `p${i}`).join(', ')}]`
  writeFileSync(join(home, 'package.json'), '{ "private": true, "type": "module" }')
  writeFileSync(join(home, 'consumer.ts'), `${program}\n${use}\n`)
  writeFileSync(join(home, 'consumer.js'), `${program}\n${use.replace(': object[]', '')}\n`)

  const complaints = []
  for (const [module, moduleResolution] of Object.entries({ nodenext: 'nodenext', esnext: 'bundler' })) {
    // Library files are checked too: a declaration that points at a file which was not packed is found here.
    const options = {
      module,
      moduleResolution,
      target: 'es2022',
      lib: ['es2023'],
      types: ['node'],
      strict: true,
      noEmit: true,
      skipLibCheck: false,
    }
    const config = join(home, `tsconfig.${module}.json`)
    writeFileSync(config, JSON.stringify({ compilerOptions: options, files: ['consumer.ts'] }))
    const types = await runNode([inRoot('node_modules', 'typescript', 'bin', 'tsc'), '-p', config], quietly)
    if (!types.ok) complaints.push(`types with moduleResolution ${moduleResolution}:\n${types.output.trim()}`)
  }
  const ran = await runNode([join(home, 'consumer.js')], quietly)
  if (!ran.ok) complaints.push(`import under Node:\n${ran.output.trim()}`)
  return complaints
}

function link(from, to) {
  if (existsSync(to)) return
  mkdirSync(dirname(to), { recursive: true })
  symlinkSync(from, to, 'junction')
}
