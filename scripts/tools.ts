/** `make tools`: installs the pinned tools, all or those that are named, and lists where they are. */

import { ensureTools, toolPath } from './tools/install.ts';
import { ToolchainMissing } from './tools/kinds.ts';
import { TOOLS, type ToolName } from './tools/table.ts';

const asked = process.argv.slice(2);
const known = Object.keys(TOOLS) as ToolName[];
const unknown = asked.filter(name => !known.includes(name as ToolName));
if (unknown.length > 0) {
  console.error(`tools: there is no tool ${unknown.join(', ')}. Tools: ${known.join(', ')}`);
  process.exit(2);
}
for (const name of asked.length === 0 ? known : (asked as ToolName[])) {
  try {
    await ensureTools([name]);
    console.log(`${name.padEnd(20)} ${TOOLS[name].version.padEnd(13)} ${toolPath(name)}`);
  } catch (error) {
    console.error(
      `tools: ${error instanceof ToolchainMissing ? error.message : `${name}: ${String(error)}`}`,
    );
    process.exitCode = 1;
  }
}
