/**
 * Installs tools once a machine, into HEAPMESH_TOOLS or ~/.cache/heapmesh/tools. A second run, in another
 * checkout too, finds them there; two runs at once wait for each other.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { withLock } from './lock.ts';
import { TOOLS, type Tool, type ToolName } from './table.ts';

/** Where tools are kept. */
export function toolsHome(): string {
  return process.env.HEAPMESH_TOOLS ?? join(homedir(), '.cache/heapmesh/tools');
}

/** The path of an installed tool's program. Throws where it is not installed. */
export function toolPath(name: ToolName): string {
  const path = locate(name);
  if (path === undefined) throw new Error(`the tool ${name} is not installed: run make tools`);
  return path;
}

/** Installs those that are missing, and says so. Throws ToolchainMissing where this machine cannot. */
export async function ensureTools(names: readonly ToolName[]): Promise<void> {
  if (names.every(name => locate(name) !== undefined)) return;
  await withLock(toolsHome(), () => {
    for (const name of names) {
      // Looked up again: whoever held the lock before may have installed it.
      if (locate(name) !== undefined) continue;
      const { version, recipe }: Tool = TOOLS[name];
      const started = performance.now();
      console.log(`tools: ${name} ${version} by ${recipe.by}; once a machine ...`);
      recipe.install(toolsHome(), name, version);
      console.log(
        `tools: ${name} is at ${toolPath(name)} (${((performance.now() - started) / 1000).toFixed(0)} s)`,
      );
    }
  });
}

function locate(name: ToolName): string | undefined {
  const { recipe, version }: Tool = TOOLS[name];
  return recipe.locate(toolsHome(), name, version);
}
