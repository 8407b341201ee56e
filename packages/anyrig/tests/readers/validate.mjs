// Khronos' validator over the files named on the command line; prints [[file, [error, ...]], ...] as JSON.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const { validateBytes } = createRequire(path.join(process.cwd(), 'package.json'))('gltf-validator');
const found = [];
for (const file of process.argv.slice(2)) {
  const beside = (uri) => fs.promises.readFile(path.join(path.dirname(file), decodeURIComponent(uri)));
  const externalResourceFunction = async (uri) => new Uint8Array(await beside(uri));
  const options = { maxIssues: 0, externalResourceFunction };
  const report = await validateBytes(new Uint8Array(fs.readFileSync(file)), options);
  const errors = report.issues.messages.filter((m) => m.severity === 0);
  found.push([file, errors.map((m) => `${m.code} ${m.pointer ?? ''}: ${m.message}`)]);
}
process.stdout.write(JSON.stringify(found));
