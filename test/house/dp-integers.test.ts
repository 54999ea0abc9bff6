// Goal (privacy 14): under src/dp nothing is decided by floating point, so that two engines derive the
// same noise: no Math but integers', no parsing into doubles, no division of numbers.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const folder = fileURLToPath(new URL('../../src/dp/', import.meta.url));
const files = readdirSync(folder, { recursive: true })
  .map(String)
  .filter((name) => name.endsWith('.ts'));

/** Members of Math that give integers for integers. */
const MATH_ALLOWED = new Set(['max', 'min']);

/** What a program must not hold, as `line: what`. */
function floats(program: ts.Program, source: ts.SourceFile): string[] {
  const checker = program.getTypeChecker();
  const found: string[] = [];
  const isBigint = (node: ts.Node): boolean =>
    (checker.getTypeAtLocation(node).flags & ts.TypeFlags.BigIntLike) !== 0;
  const note = (node: ts.Node, what: string): void => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart());
    found.push(`${line + 1}: ${what}`);
  };
  const divides = new Set([
    ts.SyntaxKind.SlashToken,
    ts.SyntaxKind.SlashEqualsToken,
    ts.SyntaxKind.AsteriskAsteriskToken,
  ]);
  const visit = (node: ts.Node): void => {
    if (ts.isBinaryExpression(node) && divides.has(node.operatorToken.kind)) {
      if (!isBigint(node.left) || !isBigint(node.right)) note(node, 'division or power of numbers');
    }
    if (ts.isPropertyAccessExpression(node) && node.expression.getText() === 'Math') {
      if (!MATH_ALLOWED.has(node.name.text)) note(node, `Math.${node.name.text}`);
    }
    if (ts.isIdentifier(node) && /^(parseFloat|Float32Array|Float64Array)$/.test(node.text)) {
      note(node, node.text);
    }
    if (ts.isNumericLiteral(node) && /[.e]/i.test(node.getText()) && !/^0x/i.test(node.getText())) {
      note(node, `the literal ${node.getText()}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const options: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  allowImportingTsExtensions: true,
  strict: true,
  noEmit: true,
  types: ['node'],
};

describe('privacy 14: src/dp holds', () => {
  const program = ts.createProgram(
    files.map((name) => folder + name),
    options,
  );
  it.each(files)('no floating point: %s', (name) => {
    const source = program.getSourceFile(folder + name);
    expect(source).toBeDefined();
    expect(floats(program, source!)).toEqual([]);
  });

  it('and the test sees each of them', () => {
    const text = `const a: number = 3; const b = a / 2; const c = a ** 2; const d = 7n / 2n;
      const e = Math.exp(-1); const f = Math.random(); const g = Math.max(1, 2);
      const h = parseFloat('1'); const i = 0.5; const j = new Float64Array(1); let k = 4; k /= 2;`;
    const host = ts.createCompilerHost(options);
    const read = host.getSourceFile.bind(host);
    host.getSourceFile = (name, ...rest) =>
      name === 'probe.ts'
        ? ts.createSourceFile(name, text, ts.ScriptTarget.ES2023, true)
        : read(name, ...rest);
    const probe = ts.createProgram(['probe.ts'], options, host);
    expect(floats(probe, probe.getSourceFile('probe.ts')!)).toEqual([
      '1: division or power of numbers',
      '1: division or power of numbers',
      '2: Math.exp',
      '2: Math.random',
      '3: parseFloat',
      '3: the literal 0.5',
      '3: Float64Array',
      '3: division or power of numbers',
    ]);
  });
});
