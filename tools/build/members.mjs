// The library's private members, which begin with `_`: which of them are on objects that programs have.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** The type of what an exported name stands for, or makes. */
function typeOf(checker, symbol) {
  if (symbol.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Interface)) return checker.getDeclaredTypeOfSymbol(symbol);
  const type = checker.getTypeOfSymbol(symbol);
  return type.getConstructSignatures()[0]?.getReturnType() ?? type;
}

const isInternal = (symbol) => symbol.getJsDocTags().some(({ name }) => name === 'internal');

/**
 * Names of private members of classes and types that are exported to programs: a subclass or a program may have names of its own there.
 * Types marked @internal are not.
 * @param {string[]} files TypeScript sources
 * @returns {Set<string>}
 */
export function visibleMembers(files) {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const program = ts.createProgram(files, ts.convertCompilerOptionsFromJson(config.compilerOptions, root).options);
  const checker = program.getTypeChecker();
  const symbols = files.flatMap((file) => checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file))));
  const members = symbols.filter((symbol) => !isInternal(symbol))
    .flatMap((symbol) => checker.getPropertiesOfType(typeOf(checker, symbol)).map(({ name }) => name));
  return new Set(members.filter((name) => /^_[a-z]/i.test(name)));
}
