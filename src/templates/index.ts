/** Parameterised SQL: the library, and how an instance is made of a template; see README.md. */
export { instantiate } from './instantiate.ts';
export type { GivenParameters } from './instantiate.ts';
export { libraryTemplate, named, parseTemplate, templateLibrary } from './library.ts';
export type { LibraryTemplate } from './library.ts';
export { piecesOf } from './placeholders.ts';
export type { Piece } from './placeholders.ts';
export { permitOf } from './permit.ts';
export type { Asked, Permit, PermitContext } from './permit.ts';
