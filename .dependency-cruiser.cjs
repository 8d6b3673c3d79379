// The layers of docs/architecture.md as rules. The table itself is tools/layers/layers.json; `npm run layers` checks the tree,
// and tools/layers/src/layers.test.ts shows that each kind of forbidden import is refused.

const { neutral, mayImport } = require('./tools/layers/layers.json')

const workspace = '^(packages|apps|tools)/'
const test = '\\.test\\.ts$|/(test|guest-tests)/'
const oneOf = (names) => `(${names.join('|')})`

const named = [
  {
    name: 'devmodel-never-imports-vmx-core',
    comment:
      'The board runs on any engine behind kvm-abi, a real /dev/kvm too. Take what you need from the Kvm handle you are given.',
    severity: 'error',
    from: { path: '^packages/devmodel/' },
    to: { path: '^packages/vmx-core/' },
  },
  {
    name: 'vmx-core-never-imports-silicon-internals',
    comment: 'The hypervisor knows of the processor what a manual would tell it: the face @guestmode/silicon, nothing below.',
    severity: 'error',
    from: { path: '^packages/vmx-core/' },
    to: { path: '^packages/silicon/', pathNot: '^packages/silicon/src/index\\.ts$' },
  },
  {
    name: 'x86-never-imports-silicon',
    comment: 'The manual does not know the processors that are built after it.',
    severity: 'error',
    from: { path: '^packages/x86/' },
    to: { path: '^packages/silicon/' },
  },
]

// Tests may also use the tools (assembler, guests); what is shipped may not.
const table = Object.entries(mayImport).flatMap(([name, allowed]) => [
  {
    name: `${name}-imports-only-its-layers`,
    comment: `${name} may import: ${allowed.join(', ') || 'no other package'}.`,
    severity: 'error',
    from: { path: `^packages/${name}/`, pathNot: test },
    to: { path: workspace, pathNot: `^packages/${oneOf([name, ...allowed])}/` },
  },
  {
    name: `${name}-tests-import-only-its-layers-and-tools`,
    comment: `Tests of ${name} may import: ${[...allowed, 'tools'].join(', ')}.`,
    severity: 'error',
    from: { path: `^packages/${name}/.*(${test})` },
    to: { path: workspace, pathNot: `^(packages/${oneOf([name, ...allowed])}|tools)/` },
  },
])

const general = [
  {
    name: 'apps-ship-no-app-and-no-tool',
    comment: 'Apps are thin front ends of the packages. Tools are private: a published app could not be installed with them.',
    severity: 'error',
    from: { path: '^apps/([^/]+)/src/', pathNot: test },
    to: { path: '^(apps|tools)/', pathNot: '^apps/$1/' },
  },
  {
    name: 'package-is-entered-by-its-name',
    comment: "Import another package as '@guestmode/name', not by a path into its folder.",
    severity: 'error',
    from: { path: '^(packages|apps|tools)/([^/]+)/' },
    to: { path: workspace, pathNot: '^$1/$2/', dependencyTypes: ['local'] },
  },
  {
    name: 'neutral-packages-know-no-platform',
    comment: 'This package runs in Node and in the browser alike: time, randomness, logging and input/output are injected.',
    severity: 'error',
    from: { path: `^packages/${oneOf(neutral)}/`, pathNot: test },
    to: { dependencyTypes: ['core'] },
  },
  {
    name: 'every-import-resolves',
    comment: 'Not in package.json, not in the exports map of the other package, or misspelt.',
    severity: 'error',
    from: { path: workspace },
    to: { couldNotResolve: true },
  },
]

module.exports = {
  forbidden: [...named, ...table, ...general],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|coverage)/' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@guestmode/source', 'import', 'node', 'types', 'default'],
      extensions: ['.ts', '.mts', '.tsx', '.mjs', '.js', '.json'],
    },
  },
}
