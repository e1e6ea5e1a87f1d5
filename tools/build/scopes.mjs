// A program's syntax tree with its scopes: what a name, or a member of it, stands for.

/** What is a name of something inside a node, not a node of its own that has a value. */
const NAMES = {
  MemberExpression: 'property', Property: 'key', MethodDefinition: 'key', PropertyDefinition: 'key',
  LabeledStatement: 'label', BreakStatement: 'label', ContinueStatement: 'label',
};
const FUNCTION = /^(Program|StaticBlock|FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/;
const BLOCK = /^(Program|StaticBlock|BlockStatement|SwitchStatement|For(In|Of)?Statement)$/;
/** How esbuild calls the modules of the library. */
const LIBRARY_MODULE = /^require_(ehttpserver|websocket)\d*$/;
/** What stands for something else is followed so far: it may stand for itself. */
const STEPS = 20;

function childrenOf(node) {
  const name = !node.computed && NAMES[node.type];
  return Object.keys(node).filter((key) => key !== name && key !== 'parent').flatMap((key) => node[key]).filter((child) => typeof child?.type === 'string');
}

/** All nodes, outer ones first; each knows its parent. */
export function nodesOf(node, parent = null, nodes = []) {
  node.parent = parent;
  nodes.push(node);
  for (const child of childrenOf(node)) nodesOf(child, node, nodes);
  return nodes;
}

/** The names in a pattern, each with the expression of its value, where there is one. */
function namesIn(pattern, value = null) {
  switch (pattern?.type) {
    case 'Identifier': return [[pattern.name, value]];
    case 'AssignmentPattern': return namesIn(pattern.left, value);
    case 'RestElement': return namesIn(pattern.argument);
    case 'ArrayPattern': return pattern.elements.flatMap((element) => namesIn(element));
    case 'ObjectPattern': return pattern.properties.flatMap((property) => {
      const { type, computed, key } = property;
      if (type === 'RestElement') return namesIn(property);
      return namesIn(property.value, value && !computed && { type: 'MemberExpression', object: value, property: key });
    });
    default: return [];
  }
}

/** Gives each scope its names. */
export function declareNames(nodes) {
  for (const node of nodes) {
    const declare = (kind, pattern, value) => {
      let scope = kind ? node.parent : node;
      while (kind && !kind.test(scope.type)) scope = scope.parent;
      scope.names ??= new Map();
      for (const [name, is] of namesIn(pattern, value)) scope.names.set(name, is || null);
    };
    const { type, id } = node;
    if (type === 'VariableDeclaration') for (const { id, init } of node.declarations) declare(node.kind === 'var' ? FUNCTION : BLOCK, id, init);
    if (/^(Function|Class)Declaration$/.test(type)) declare(BLOCK, id, node);
    if (/^(Function|Class)Expression$/.test(type)) declare(null, id, node);
    if (type === 'CatchClause') declare(null, node.param);
    for (const parameter of node.params ?? []) declare(null, parameter);
  }
}

/** The expression of a name's value: null when nobody knows it, undefined when the program does not declare the name. */
function valueOf({ name, parent }) {
  for (let scope = parent; scope; scope = scope.parent) if (scope.names?.has(name)) return scope.names.get(name);
  return undefined;
}

/** Whether an identifier is a global. */
export const isGlobal = (node) => valueOf(node) === undefined;

/**
 * What an expression stands for: a global, such as `Object.hasOwn`; something of the library, such as `./ehttpserver.Server`; something of one of
 * Kaluma's modules, such as `require.net.Socket`; the node of a class; or undefined.
 */
export function meaningOf(node, steps = STEPS) {
  const next = (other) => steps ? meaningOf(other, steps - 1) : undefined;
  switch (node?.type) {
    case 'Identifier': {
      const value = valueOf(node);
      return value === undefined ? node.name : next(value);
    }
    case 'MemberExpression': {
      const object = next(node.object);
      if (typeof object !== 'string' || node.computed) return undefined;
      return node.property.name === 'default' ? object : `${object}.${node.property.name}`;
    }
    case 'CallExpression': {
      const { callee: { name }, arguments: [argument] } = node;
      if (name === '__toESM') return next(argument);
      const [, file] = LIBRARY_MODULE.exec(name) ?? [];
      return file ? `./${file}` : name === 'require' ? `require.${argument?.value}` : undefined;
    }
    // (0, module.name)() and, where a class has decorators, (_a = Server, ..., _a)
    case 'SequenceExpression': return node.expressions.map(next).find(Boolean);
    case 'AssignmentExpression': return next(node.right);
    case 'ClassDeclaration':
    case 'ClassExpression': return node;
    default: return undefined;
  }
}
